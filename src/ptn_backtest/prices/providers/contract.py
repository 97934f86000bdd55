"""What a provider of candles is to the engine that pulls from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from ptn_backtest.clock import format_time
from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.conventions import Rate
from ptn_backtest.trade_pairs import TradePair


class TryAgain(ProviderError):  # noqa: N818 - reads as what it is
    """The same request may be answered later: a rate limit, a fault of server or network."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        """Keep the message, and how long the provider itself asked to wait."""
        super().__init__(message)
        self.wait_s = wait_s


class KeyRefused(ProviderError):  # noqa: N818
    """The provider does not know the key: no other request will be answered either."""


@dataclass(frozen=True, slots=True)
class CandleRequest:
    """Candles of one pair that start in [start_ms, end_ms)."""

    pair: TradePair
    timespan: Timespan
    start_ms: int
    end_ms: int

    def __str__(self) -> str:
        return (
            f"{self.pair.trade_pair_id} {self.timespan} "
            f"{format_time(self.start_ms)} .. {format_time(self.end_ms)}"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    Attributes:
        table: timestamp_ms (start, UTC) and close, and what else of `candle_file.SCHEMA` the
            provider gives, as it gave it: in any order, not yet judged.
        covered_ms: the answer is complete for starts before this; what follows is another request.
        lacks_the_rest: True where candles that are not in the answer do not exist there; False
            where the provider may have left them out for another reason.
    """

    table: pa.Table
    covered_ms: int
    lacks_the_rest: bool = True


class CandleProvider(Protocol):
    """Asks one provider, one request at a time; pacing and retries are the engine's."""

    @property
    def name(self) -> str:
        """Under which known-missing candles are kept: "massive", "ccxt:coinbase"."""
        ...

    @property
    def rate(self) -> Rate | None:
        """How often it may be asked; None where the client library keeps to it by itself."""
        ...

    def refusal(self, pair: TradePair, timespan: Timespan) -> str | None:
        """Why it has no such candles, known without asking; None where it may have some."""
        ...

    def span_ms(self, timespan: Timespan) -> int:
        """The longest stretch of one request; one of whole days is counted from midnight."""
        ...

    def fetch(self, request: CandleRequest) -> Page:
        """Ask once.

        Raises:
            TryAgain: a later try may succeed.
            KeyRefused: the key is wrong.
            ProviderError: it refuses for good, or what it answers cannot be understood.
        """
        ...


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """The latest bid and ask of a pair that were made in [oldest_ms, at_ms]."""

    pair: TradePair
    at_ms: int
    oldest_ms: int

    def __str__(self) -> str:
        return f"quote of {self.pair.trade_pair_id} at {format_time(self.at_ms)}"


@dataclass(frozen=True, slots=True)
class DatedQuote:
    """Best bid and ask, both above 0, and when the quote was made, rounded down to ms."""

    quoted_ms: int
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class QuotePage:
    """One answer.

    Attributes:
        quote: the latest one with both sides.
        earlier_ms: where this page has none, but there are earlier ones: the time to ask for next.
        n_one_sided: later quotes of this page that lack a side.
        lacks_it: True where there is no such quote; False where the provider may have left it out.
    """

    quote: DatedQuote | None = None
    earlier_ms: int | None = None
    n_one_sided: int = 0
    lacks_it: bool = True


@runtime_checkable
class QuoteProvider(Protocol):
    """Asks one provider for bid and ask of the past; pacing and retries are the engine's."""

    @property
    def name(self) -> str:
        """Under which known-missing quotes are kept."""
        ...

    @property
    def rate(self) -> Rate | None:
        """How often it may be asked."""
        ...

    def quote_refusal(self, pair: TradePair) -> str | None:
        """Why it has no such quotes, known without asking; None where it may have some."""
        ...

    def fetch_quote(self, request: QuoteRequest) -> QuotePage:
        """Ask once.

        Raises:
            TryAgain: a later try may succeed.
            KeyRefused: the key is wrong.
            ProviderError: it refuses for good, or what it answers cannot be understood.
        """
        ...


Numbers = Sequence[float | None]


def candle_table(timestamp_ms: Sequence[int | None], close: Numbers, **others: Numbers) -> pa.Table:
    """An answer's candles as a table; None where the provider gave nothing."""
    columns = {"timestamp_ms": pa.array(timestamp_ms, pa.int64())}
    values = {"close": close, **others}
    return pa.table(columns | {name: pa.array(v, pa.float64()) for name, v in values.items()})
