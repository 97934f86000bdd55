"""The price of a pair at one moment, for orders that were never filled at it."""

from dataclasses import dataclass

from ptn_backtest.prices.candles import Candles, CandleSource, Timespan


@dataclass(frozen=True, slots=True)
class FoundPrice:
    """A candle's close, and which candle it is.

    Attributes:
        price: the close, in the quote currency.
        candle_ms: start of the candle, ms.
        timespan: its length.
    """

    price: float
    candle_ms: int
    timespan: Timespan

    @property
    def end_ms(self) -> int:
        """The time from which on the close was known, ms."""
        return self.candle_ms + self.timespan.ms


def price_at(
    candles: CandleSource, trade_pair_id: str, t_ms: int, lookback_ms: int
) -> FoundPrice | None:
    """The price of a pair at a time, from the best candle that there is.

    The first of: the second candle that contains the time; the minute candle that contains it; of
    those that start at most `lookback_ms` before it, the candle that ends last.

    Args:
        candles: where they are.
        trade_pair_id: the pair.
        t_ms: the time, ms.
        lookback_ms: how old a candle may be that does not contain the time; 0 allows none.

    Raises:
        CandleError: the candles cannot be read.
    """
    for timespan in (Timespan.SECOND, Timespan.MINUTE):
        start_ms = t_ms - t_ms % timespan.ms
        found = _last(candles.read(trade_pair_id, timespan, start_ms, start_ms), timespan)
        if found is not None:
            return found
    minutes = candles.read(trade_pair_id, Timespan.MINUTE, t_ms - lookback_ms, t_ms)
    minute = _last(minutes, Timespan.MINUTE)
    # seconds count only where they go on after the last minute
    begin_ms = t_ms - lookback_ms if minute is None else minute.end_ms
    seconds = candles.read(trade_pair_id, Timespan.SECOND, begin_ms, t_ms)
    return _last(seconds, Timespan.SECOND) or minute


def _last(candles: Candles, timespan: Timespan) -> FoundPrice | None:
    if not len(candles):
        return None
    return FoundPrice(float(candles.close[-1]), int(candles.start_ms[-1]), timespan)
