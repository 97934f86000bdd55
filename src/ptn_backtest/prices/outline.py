"""Prices as a chart has room for them: lows, highs and closes of stretches of candles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.prices.candles import CandleSource, Timespan
from ptn_backtest.prices.table import PriceTable, candles_of

__all__ = ["MOST_STRETCHES", "PriceOutline", "outline", "traded_outline"]

MOST_STRETCHES = 1_500
"""Stretches of a pair's outline."""


class PriceOutline(NamedTuple):
    """Stretches of as many candles each; arrays of one length.

    time_ms: start of each stretch's last candle, ascending. low, high: lowest and highest price in
    it. close: its last price.
    """

    time_ms: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    close: NDArray[np.float64]


def outline(
    time_ms: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    close: NDArray[np.float64],
    most: int,
) -> PriceOutline:
    """At most `most` stretches of candles, which are given as arrays of one length by time."""
    if not len(time_ms):
        return PriceOutline(time_ms, low, high, close)
    begins = np.unique(np.linspace(0, len(time_ms), most + 1).astype(np.int64)[:-1])
    ends = np.append(begins[1:], len(time_ms)) - 1
    return PriceOutline(
        time_ms=time_ms[ends],
        low=np.minimum.reduceat(low, begins),
        high=np.maximum.reduceat(high, begins),
        close=close[ends],
    )


def traded_outline(
    source: CandleSource,
    trade_pair_id: str,
    table: PriceTable,
    row: int,
    first_ms: int,
    end_ms: int,
) -> PriceOutline:
    """The outline of a pair's minute candles from its first order on, as far as a replay read them.

    Lows and highs are of closes, which are all that a replay looks at.

    Args:
        source: where candles are that the table lacks: those from before a continued run.
        trade_pair_id: the pair.
        table: what the replay read.
        row: of the pair.
        first_ms: time of the first order.
        end_ms: end of the run.
    """
    read = candles_of(table, row, Timespan.MINUTE)
    times, closes = read.start_ms, read.close
    begin_ms = first_ms - first_ms % Timespan.MINUTE.ms
    until_ms = int(times[0]) - Timespan.MINUTE.ms if len(times) else end_ms
    if begin_ms <= until_ms:
        before = source.read(trade_pair_id, Timespan.MINUTE, begin_ms, until_ms)
        times, closes = (
            np.concatenate((before.start_ms, times)),
            np.concatenate((before.close, closes)),
        )
    return outline(times, closes, closes, closes, MOST_STRETCHES)
