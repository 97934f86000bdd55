"""Tiingo, through its REST interface."""

from typing import Any

import pyarrow as pa
import requests

from ptn_backtest.clock import DAY_MS, format_date
from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.answers import Answer, document, fault
from ptn_backtest.prices.providers.contract import CandleRequest, Page, candle_table
from ptn_backtest.prices.providers.conventions import PROVIDERS, Rate, tiingo_path
from ptn_backtest.prices.providers.keys import ApiKey, hide_keys
from ptn_backtest.prices.recognising import UNREADABLE, times_in_ms
from ptn_backtest.trade_pairs import TradePair

_ABOUT = PROVIDERS["tiingo"]
_CONNECT_S = 10.0


class TiingoProvider:
    """Minute candles. The key goes as a header, never in a URL."""

    name = "tiingo"

    def __init__(self, key: ApiKey, *, url: str = _ABOUT.url, timeout_s: float = 60.0) -> None:
        """Make the session; nothing is asked yet."""
        self.rate: Rate | None = _ABOUT.rate
        self._url, self._timeout = url, (min(_CONNECT_S, timeout_s), timeout_s)
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would replace our header
        self._session.headers["Authorization"] = f"Token {key.secret}"

    def refusal(self, pair: TradePair, timespan: Timespan) -> str | None:
        """See `CandleProvider`."""
        return _ABOUT.refusal(pair, timespan)

    def span_ms(self, timespan: Timespan) -> int:
        """See `CandleProvider`."""
        return _ABOUT.span_ms[timespan]

    def fetch(self, request: CandleRequest) -> Page:
        """See `CandleProvider`."""
        path, query = tiingo_path(request.pair)
        query |= {
            # days, since only they are documented; the end may or may not be included
            "startDate": format_date(request.start_ms),
            "endDate": format_date(request.end_ms - 1 + DAY_MS),
            "resampleFreq": "1min",
        }
        try:
            response = self._session.get(
                self._url + path, params=query, timeout=self._timeout, allow_redirects=False
            )
        except Exception as error:  # noqa: BLE001 - whatever the library raises may show a key
            failure = fault(_ABOUT.title, error)
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(response.status_code, headers, response.content)
            return Page(_table(request, document(_ABOUT.title, answer)), request.end_ms)
        raise failure  # outside of the handler: a traceback shows no exception of the library


def _table(request: CandleRequest, content: Any) -> pa.Table:  # noqa: ANN401 - JSON
    if not isinstance(content, list):
        said = hide_keys(str(content.get("detail"))) if isinstance(content, dict) else "no list"
        raise ProviderError(f"{_ABOUT.title} answered {request} in another form: {said}")
    try:
        if request.pair.is_crypto:
            # one entry a ticker, its candles inside; none for a pair that Tiingo does not have
            content = [row for entry in content for row in entry["priceData"]]
        times = times_in_ms(
            pa.chunked_array([[str(row["date"]) for row in content]], pa.string()), None
        )
        return candle_table(
            [None if at == UNREADABLE else at for at in times.tolist()],
            [row["close"] for row in content],
            **{
                name: [row.get(name) for row in content]
                for name in ("open", "high", "low", "volume")
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderError(
            f"{_ABOUT.title} answered {request} with rows of another form: {error!r}"
        ) from None
