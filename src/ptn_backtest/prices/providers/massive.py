"""Massive (formerly Polygon), through its official client."""

import logging
from collections.abc import Callable
from typing import Any

import urllib3
from massive import RESTClient

from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.answers import Answer, document, fault, refused
from ptn_backtest.prices.providers.contract import (
    CandleRequest,
    Page,
    QuotePage,
    QuoteRequest,
    candle_table,
)
from ptn_backtest.prices.providers.conventions import (
    MASSIVE_LIMIT,
    PROVIDERS,
    Rate,
    massive_quote_ticker,
    massive_ticker,
)
from ptn_backtest.prices.providers.keys import ApiKey
from ptn_backtest.prices.providers.massive_quotes import MASSIVE_QUOTES, NS_OF_MS, quote_page
from ptn_backtest.trade_pairs import TradePair

_ABOUT = PROVIDERS["massive"]
_CONNECT_S = 10.0


class MassiveProvider:
    """Minute and second aggregates, and quotes. The client sends the key as a header, never in a URL."""

    name = "massive"

    def __init__(self, key: ApiKey, *, url: str = _ABOUT.url, timeout_s: float = 60.0) -> None:
        """Make the client; nothing is asked yet."""
        self.rate: Rate | None = _ABOUT.rate
        self._client = RESTClient(
            key.secret,
            base=url,
            connect_timeout=min(_CONNECT_S, timeout_s),
            read_timeout=timeout_s,
            # the engine retries: the client would do so at once, and not show the status
            connection_pool_kw={"retries": False},
        )
        self._client.client = _Pool(self._client.client)
        # the client's logger writes to standard output, into what a command prints
        logging.getLogger("RESTClient").setLevel(logging.CRITICAL)

    def refusal(self, pair: TradePair, timespan: Timespan) -> str | None:
        """See `CandleProvider`."""
        return _ABOUT.refusal(pair, timespan)

    def span_ms(self, timespan: Timespan) -> int:
        """See `CandleProvider`."""
        return _ABOUT.span_ms[timespan]

    def fetch(self, request: CandleRequest) -> Page:
        """See `CandleProvider`."""
        content = _content(
            lambda: self._client.list_aggs(
                massive_ticker(request.pair),
                1,
                request.timespan.value,
                request.start_ms,
                request.end_ms - 1,
                adjusted=False,  # orders were filled at the prices of their day
                sort="asc",
                limit=MASSIVE_LIMIT,
                raw=True,
            )
        )
        return _page(request, content)

    def quote_refusal(self, pair: TradePair) -> str | None:
        """See `QuoteProvider`."""
        return _ABOUT.quote_refusal(pair)

    def fetch_quote(self, request: QuoteRequest) -> QuotePage:
        """See `QuoteProvider`."""
        content = _content(
            lambda: self._client.list_quotes(
                massive_quote_ticker(request.pair),
                # a later one of the order's own millisecond may have come after the order
                timestamp_lte=request.at_ms * NS_OF_MS,
                timestamp_gte=request.oldest_ms * NS_OF_MS,
                order="desc",
                sort="timestamp",
                limit=MASSIVE_QUOTES,
                raw=True,
            )
        )
        return quote_page(request, content)


def _content(ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
    """What the client answers, with whatever it raises in our words."""
    try:
        response = ask()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library raises may show a key
        failure = fault(_ABOUT.title, error)
    else:
        return document(_ABOUT.title, _answer(response))
    raise failure  # outside of the handler: a traceback shows no exception of the library


class _Pool:
    """The client's connections; a refusal is ours while its status is still known."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool

    def request(self, *arguments: Any, **named: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401
        response = self._pool.request(*arguments, **named)
        if response.status != 200:  # noqa: PLR2004
            raise refused(_ABOUT.title, _answer(response))
        return response


def _answer(response: Any) -> Answer:  # noqa: ANN401 - the client has no types
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, response.data)


def _page(request: CandleRequest, content: Any) -> Page:  # noqa: ANN401 - JSON
    if not isinstance(content, dict) or content.get("status") not in ("OK", "DELAYED"):
        status = content.get("status") if isinstance(content, dict) else type(content).__name__
        raise ProviderError(f"{_ABOUT.title} answered {request} with status {status!r}")
    bars = content.get("results") or []
    if not bars and content.get("resultsCount") != 0:
        raise ProviderError(f"{_ABOUT.title} answered {request} without saying what there is")
    try:
        table = candle_table(
            [bar["t"] for bar in bars],
            [bar["c"] for bar in bars],
            open=[bar.get("o") for bar in bars],
            high=[bar.get("h") for bar in bars],
            low=[bar.get("l") for bar in bars],
            volume=[bar.get("v") for bar in bars],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderError(
            f"{_ABOUT.title} answered {request} with bars of another form: {error!r}"
        ) from None
    more = "next_url" in content or len(bars) >= MASSIVE_LIMIT
    if not (more and bars):
        return Page(table, request.end_ms)
    # the next page is asked for by time: then a pull that was killed needs no cursor
    return Page(table, min(max(bar["t"] for bar in bars) + request.timespan.ms, request.end_ms))
