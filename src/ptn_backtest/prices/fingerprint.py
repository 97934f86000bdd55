"""A fingerprint of candles that adds up: of two stretches it is the sum of both.

So a replay that is continued has the fingerprint of one that read all candles at once.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.compiled import compiled, inlined
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.table import PriceTable, candles_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class CandleSum:
    """Some candles: how many, and the sums of two 64-bit numbers that each of them gives.

    The numbers mix pair, timespan, start and close. It tells equal candles from others; it is no
    protection against somebody who wants two sets to look alike.
    """

    n_candles: int = 0
    high: int = 0
    low: int = 0

    def plus(self, other: "CandleSum") -> "CandleSum":
        """Both together."""
        return CandleSum(
            self.n_candles + other.n_candles,
            (self.high + other.high) % _WORD,
            (self.low + other.low) % _WORD,
        )

    @property
    def text(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.high:016x}{self.low:016x}"

    @staticmethod
    def of_text(n_candles: int, text: str) -> "CandleSum":
        """The sum that `text` tells."""
        return CandleSum(n_candles, int(text[:16], 16), int(text[16:], 16))


NO_CANDLES = CandleSum()


def candle_sum(
    table: PriceTable, pairs: Sequence[str], from_ms: int = -NEVER_MS, before_ms: int = NEVER_MS
) -> CandleSum:
    """The candles of a table that start from one time on and before another (ms).

    Args:
        table: a row per pair.
        pairs: ids of the pairs, by row.
        from_ms: none that starts before it.
        before_ms: none that starts then or later.
    """
    total = CandleSum()
    for row, pair in zip(range(len(table.rows)), pairs, strict=True):
        for timespan in Timespan:
            candles = candles_of(table, row, timespan).between(from_ms, before_ms - 1)
            name = f"{pair} {timespan.value}"
            total = total.plus(_sum_of(name, candles.start_ms, candles.close))
    return total


def _sum_of(name: str, starts: Ints, closes: Floats) -> CandleSum:
    bits = np.ascontiguousarray(closes).view(np.int64)
    high, low = (
        _added_up(np.uint64(zlib.crc32(name.encode(), seed)), starts, bits) for seed in (1, 2)
    )
    return CandleSum(len(starts), int(high), int(low))


@compiled
def _added_up(seed: np.uint64, starts: Ints, bits: Ints) -> np.uint64:
    """The sum of a number for each candle, which mixes the seed, its start and the bits of its close."""
    total = np.uint64(0)
    for i in range(len(starts)):
        word = _mixed(np.uint64(starts[i]) + seed)
        total += _mixed(word ^ np.uint64(bits[i]))
    return total


@inlined
def _mixed(word: np.uint64) -> np.uint64:
    """Every bit of a word spread over all of it (the finalizer of SplitMix64)."""
    word += np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
