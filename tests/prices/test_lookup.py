"""The price of a pair at one moment."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.lookup import FoundPrice, price_at
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table

NOON = parse_time("2025-01-31T12:00:00")
T = NOON + 30 * SECOND_MS + 250
"""A moment inside the second 12:00:30, in the minute 12:00."""


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore.create(tmp_path / "prices")


def write(store: CandleStore, timespan: Timespan, closes: dict[int, float]) -> None:
    store.write("BTCUSD", timespan, table(list(closes), list(closes.values())))


def test_the_second_that_contains_the_time_comes_first(store: CandleStore) -> None:
    seconds = {NOON + n * SECOND_MS: 100.0 + n for n in (29, 30, 31)}
    write(store, Timespan.SECOND, seconds)
    write(store, Timespan.MINUTE, {NOON: 7.0})
    found = FoundPrice(130.0, NOON + 30 * SECOND_MS, Timespan.SECOND)
    assert price_at(store, "BTCUSD", T, HOUR_MS) == found
    assert price_at(store, "BTCUSD", NOON + 30 * SECOND_MS, HOUR_MS) == found
    assert price_at(store, "BTCUSD", NOON + 31 * SECOND_MS - 1, 0) == found


def test_then_the_minute_that_contains_it(store: CandleStore) -> None:
    write(store, Timespan.SECOND, {NOON + 29 * SECOND_MS: 1.0, NOON + 31 * SECOND_MS: 2.0})
    write(store, Timespan.MINUTE, {NOON - MINUTE_MS: 6.0, NOON: 7.0, NOON + MINUTE_MS: 8.0})
    assert price_at(store, "BTCUSD", T, 0) == FoundPrice(7.0, NOON, Timespan.MINUTE)
    assert price_at(store, "BTCUSD", NOON + MINUTE_MS - 1, 0) == FoundPrice(
        7.0, NOON, Timespan.MINUTE
    )


def test_then_the_last_minute_within_the_lookback(store: CandleStore) -> None:
    write(store, Timespan.MINUTE, {NOON - 3 * MINUTE_MS: 5.0, NOON - 2 * MINUTE_MS: 6.0})
    write(store, Timespan.MINUTE, {NOON + MINUTE_MS: 8.0})
    last = FoundPrice(6.0, NOON - 2 * MINUTE_MS, Timespan.MINUTE)
    assert price_at(store, "BTCUSD", NOON, 2 * MINUTE_MS) == last
    assert price_at(store, "BTCUSD", NOON, 2 * MINUTE_MS - 1) is None
    assert price_at(store, "ETHUSD", NOON, DAY_MS) is None


def test_a_second_after_the_last_minute_is_later(store: CandleStore) -> None:
    before = NOON - 2 * MINUTE_MS
    write(store, Timespan.MINUTE, {before: 6.0})
    write(store, Timespan.SECOND, {before + 59 * SECOND_MS: 1.0})
    # the second lies in the minute, whose close is as late and counts for all of it
    assert price_at(store, "BTCUSD", NOON, HOUR_MS) == FoundPrice(6.0, before, Timespan.MINUTE)
    after = NOON - MINUTE_MS
    write(store, Timespan.SECOND, {after: 2.0})
    assert price_at(store, "BTCUSD", NOON, HOUR_MS) == FoundPrice(2.0, after, Timespan.SECOND)


def test_seconds_alone_will_do(store: CandleStore) -> None:
    write(store, Timespan.SECOND, {NOON - 10 * SECOND_MS: 3.0})
    found = FoundPrice(3.0, NOON - 10 * SECOND_MS, Timespan.SECOND)
    assert price_at(store, "BTCUSD", NOON, 10 * SECOND_MS) == found
    assert price_at(store, "BTCUSD", NOON, 9 * SECOND_MS) is None


class Made:
    """Candles in memory: {timespan: starts}; a candle's close is its end."""

    def __init__(self, starts: dict[Timespan, list[int]]) -> None:
        self.starts = starts

    def describe(self) -> str:
        return "made for a test"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        assert trade_pair_id == "BTCUSD"
        inside = np.array(
            [each for each in self.starts[timespan] if start_ms <= each <= end_ms], dtype=np.int64
        )
        return Candles(inside, (inside + timespan.ms).astype(np.float64))


@given(
    seconds=st.sets(st.integers(0, 600)),
    minutes=st.sets(st.integers(0, 10)),
    t_ms=st.integers(0, 601_000),
    lookback_ms=st.integers(0, 300_000),
)
def test_of_all_candles_the_best_is_found(
    seconds: set[int], minutes: set[int], t_ms: int, lookback_ms: int
) -> None:
    """Told in another way: every candle that may be used, ordered by how well it is liked."""
    starts = {
        Timespan.SECOND: sorted(each * SECOND_MS for each in seconds),
        Timespan.MINUTE: sorted(each * MINUTE_MS for each in minutes),
    }
    allowed = []
    for timespan, times in starts.items():
        for start in times:
            contains = start <= t_ms < start + timespan.ms
            if contains or t_ms - lookback_ms <= start <= t_ms:
                liking = 2 * contains * (1 + (timespan is Timespan.SECOND))
                end = start + timespan.ms
                allowed.append((liking, end, timespan is Timespan.MINUTE, start, timespan))
    found = price_at(Made(starts), "BTCUSD", t_ms, lookback_ms)
    if not allowed:
        assert found is None
        return
    *_, start, timespan = max(allowed, key=lambda each: each[:3])
    assert found == FoundPrice(float(start + timespan.ms), start, timespan)
