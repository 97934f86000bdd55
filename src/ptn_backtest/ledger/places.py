"""Places in the price table: candles and market hours from a time on (compiled)."""

from ptn_backtest.compiled import compiled
from ptn_backtest.positions.columns import Ints


@compiled
def first_from(times_ms: Ints, at: int, end: int, wanted_ms: int) -> int:
    """The first place from `at` on, up to `end`, that is not before a time.

    In growing steps and then by halves: the place is mostly near, and far after a pause.
    """
    low, step = at, 1
    while at < end and times_ms[at] < wanted_ms:
        low = at + 1
        at += step
        step *= 2
    high = min(at, end)
    while low < high:
        middle = (low + high) // 2
        if times_ms[middle] < wanted_ms:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def count_until(times_ms: Ints, at: int, end: int, until_ms: int, most: int) -> int:
    """How many candles there are from place `at` on before a time, where there can be `most`."""
    end = min(end, at + most)
    if at == end or times_ms[end - 1] < until_ms:  # mostly there is no gap
        return end - at
    return first_from(times_ms, at, end, until_ms) - at
