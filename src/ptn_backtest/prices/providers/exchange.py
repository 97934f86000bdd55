"""Crypto exchanges, through ccxt; no key is needed."""

from typing import Any
from urllib.parse import urlsplit

import ccxt

from ptn_backtest.errors import ConfigError, ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.answers import Answer, document, fault, refused
from ptn_backtest.prices.providers.contract import CandleRequest, Page, TryAgain, candle_table
from ptn_backtest.prices.providers.conventions import (
    CCXT_TIMEFRAMES,
    CCXT_USUAL_LIMIT,
    DEFAULT_EXCHANGE,
    LATEST_ONLY,
    PROVIDERS,
    Rate,
    exchange_symbol,
)
from ptn_backtest.prices.providers.keys import hide_keys
from ptn_backtest.trade_pairs import TradePair

_ABOUT = PROVIDERS["ccxt"]


class ExchangeProvider:
    """Candles of one exchange. ccxt keeps to the exchange's rate limit by itself."""

    rate: Rate | None = None

    def __init__(
        self,
        exchange: str = DEFAULT_EXCHANGE,
        *,
        quote: str = "USD",
        url: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Make the client; nothing is asked yet.

        Raises:
            ConfigError: ccxt knows no such exchange, or it has no candles.
        """
        if exchange not in ccxt.exchanges:
            raise ConfigError(f"ccxt knows no exchange {exchange!r}; usual ones are {_USUAL}")
        self._client = getattr(ccxt, exchange)(
            {"enableRateLimit": True, "timeout": round(timeout_s * 1_000)}
        )
        if not self._client.has.get("fetchOHLCV"):
            raise ConfigError(f"{exchange} gives no candles; usual ones are {_USUAL}")
        if url is not None:
            self._client.urls["api"] = _elsewhere(self._client.urls["api"], url)
        # ccxt turns an answer that is no JSON into no candles, and forgets the status: judge it first
        self._client.on_rest_response = self._judged
        self._exchange, self._quote = exchange, quote
        self.name = f"ccxt:{exchange}" + ("" if quote == "USD" else f":{quote}")

    def refusal(self, pair: TradePair, timespan: Timespan) -> str | None:
        """See `CandleProvider`."""
        timeframes = self._client.timeframes or {}
        if CCXT_TIMEFRAMES[timespan] not in timeframes:
            return f"{self._exchange} has no {timespan} candles"
        return _ABOUT.refusal(pair, timespan)

    def span_ms(self, timespan: Timespan) -> int:
        """See `CandleProvider`."""
        return self._limit * timespan.ms

    @property
    def _limit(self) -> int:
        spot = (self._client.features or {}).get("spot") or {}
        return int((spot.get("fetchOHLCV") or {}).get("limit") or CCXT_USUAL_LIMIT)

    def fetch(self, request: CandleRequest) -> Page:
        """See `CandleProvider`."""
        self._require_history(request)
        symbol = exchange_symbol(request.pair, self._quote)
        failure: ProviderError
        try:
            self._client.load_markets()
            rows = self._client.fetch_ohlcv(
                symbol,
                CCXT_TIMEFRAMES[request.timespan],
                request.start_ms,
                (request.end_ms - request.start_ms) // request.timespan.ms,
                {"until": request.end_ms - 1},
            )
        except ProviderError:
            raise
        except ccxt.BadSymbol:
            failure = ProviderError(
                f"{self._exchange} has no {symbol}: another exchange (--exchange), or another "
                "quote (--quote USDT)"
            )
        except (ccxt.NetworkError, ccxt.BadResponse, ccxt.NullResponse) as error:
            failure = fault(self._exchange, error)  # rate limits among them
        except ccxt.BaseError as error:
            said = hide_keys(f"{type(error).__name__}: {error}")
            failure = ProviderError(f"{self._exchange} refuses {request}: {said}")
        except Exception as error:  # noqa: BLE001 - an answer that ccxt did not expect
            failure = fault(self._exchange, error)
        else:
            return _page(request, rows)
        raise failure

    def _judged(self, status: int, *rest: Any) -> str:  # noqa: ANN401 - ccxt's hook
        """The body of an answer, once it is one that ccxt understands."""
        headers, body = rest[3], str(rest[4])
        answer = Answer(
            status, {name.lower(): value for name, value in headers.items()}, body.encode()
        )
        if status == 200:  # noqa: PLR2004
            document(self._exchange, answer)
        else:
            refusal = refused(self._exchange, answer)
            if isinstance(refusal, TryAgain):
                raise refusal
        return body.strip()

    def _require_history(self, request: CandleRequest) -> None:
        kept = LATEST_ONLY.get(self._exchange)
        now_ms = self._client.milliseconds()
        if kept is not None and request.start_ms < now_ms - kept * request.timespan.ms:
            raise ProviderError(
                f"{self._exchange} gives only its latest {kept} {request.timespan} candles, not "
                f"those of {request}: take another exchange (--exchange {DEFAULT_EXCHANGE})"
            )


_USUAL = "coinbase, bitstamp, bitfinex, binance"


def _page(request: CandleRequest, rows: Any) -> Page:  # noqa: ANN401 - ccxt has no types
    try:
        times = [int(row[0]) for row in rows]
        columns = dict(zip(("open", "high", "low", "close", "volume"), range(1, 6), strict=True))
        values = {name: [row[at] for row in rows] for name, at in columns.items()}
        table = candle_table(times, values.pop("close"), **values)
    except (TypeError, ValueError, IndexError) as error:
        raise ProviderError(f"{request} was answered in another form: {error!r}") from None
    inside = [at for at in times if request.start_ms <= at < request.end_ms]
    if inside:
        # an exchange may give fewer than it was asked for: what follows is asked for again
        return Page(table, min(max(inside) + request.timespan.ms, request.end_ms))
    # only candles of other times: it may keep no history so far back, and says nothing about it
    return Page(table, request.end_ms, lacks_the_rest=not times)


def _elsewhere(urls: Any, base: str) -> Any:  # noqa: ANN401 - a text, or texts by name, nested
    """An exchange's addresses at another host, for tests and proxies."""
    if isinstance(urls, dict):
        return {name: _elsewhere(each, base) for name, each in urls.items()}
    return base + urlsplit(urls).path if isinstance(urls, str) else urls
