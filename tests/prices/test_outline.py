import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import MINUTE_MS
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.outline import outline, traded_outline
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair

FIRST_MS = 1_736_899_200_000
TIMES = FIRST_MS + np.arange(5_000, dtype=np.int64) * MINUTE_MS
CLOSES = 100 + np.sin(np.arange(5_000) / 50) * 10


class Walk:
    """A candle source, which tells what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def describe(self) -> str:
        return "a walk"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        if timespan is Timespan.SECOND or trade_pair_id != "BTCUSD":
            return Candles(TIMES[:0], CLOSES[:0])
        self.asked.append((start_ms, end_ms))
        own = (start_ms <= TIMES) & (end_ms >= TIMES)
        return Candles(TIMES[own], CLOSES[own])


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=300), st.integers(1, 50))
def test_lows_highs_and_the_last_close_are_kept(values: list[float], most: int) -> None:
    close = np.array(values)
    times = np.arange(len(values), dtype=np.int64) * MINUTE_MS
    found = outline(times, close * 0.9, close * 1.1, close, most)
    assert len(found.time_ms) == min(most, len(values))
    assert found.low.min() == (close * 0.9).min()
    assert found.high.max() == (close * 1.1).max()
    assert (found.time_ms[-1], found.close[-1]) == (times[-1], close[-1])
    assert np.all(found.low <= found.close)
    assert np.all(found.close <= found.high)


@pytest.mark.parametrize("begin", [0, 1, 2_000, 4_999, 5_000])
def test_a_continued_run_has_the_outline_of_the_whole(begin: int) -> None:
    pair, end_ms = TradePair.from_trade_pair_id("BTCUSD"), int(TIMES[-1])
    # the run that goes on has read from here on only; beyond the last candle it has none
    extent = {"BTCUSD": (FIRST_MS + begin * MINUTE_MS, end_ms + MINUTE_MS)}
    table = price_table(Walk(), [pair], extent)
    source = Walk()
    found = traded_outline(source, "BTCUSD", table, 0, FIRST_MS + 1_234, end_ms)
    whole = outline(TIMES, CLOSES, CLOSES, CLOSES, 1_500)
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert source.asked == ([(FIRST_MS, FIRST_MS + (begin - 1) * MINUTE_MS)] if begin else [])


def test_a_pair_without_candles_has_an_empty_outline() -> None:
    found = outline(TIMES[:0], CLOSES[:0], CLOSES[:0], CLOSES[:0], 10)
    assert [len(each) for each in found] == [0, 0, 0, 0]
