from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.errors import MissingCandles
from ptn_backtest.prices.candles import Candles, Timespan, merged_ranges
from ptn_backtest.prices.coverage import (
    MissingRange,
    describe_missing,
    missing_ranges,
    require_candles,
)
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

MONDAY = parse_time("2025-01-06")
FRIDAY_CLOSE = parse_time("2025-01-10T22:00")  # 17:00 in New York
SUNDAY_OPEN = parse_time("2025-01-12T22:00")


class InMemory:
    """A candle source over starts by pair, of whichever timespan is asked for."""

    def __init__(self, **starts):
        self.starts = {
            pair: np.array(sorted(times), dtype=np.int64) for pair, times in starts.items()
        }

    def describe(self):
        return "candles in memory"

    def read(self, trade_pair_id, _timespan, start_ms, end_ms):
        times = self.starts.get(trade_pair_id, np.empty(0, dtype=np.int64))
        times = times[(times >= start_ms) & (times <= end_ms)]
        return Candles(times, np.ones(len(times)))


def every_minute(start_ms, end_ms, without=()):
    gone = {*without}
    return [t for t in range(start_ms, end_ms, MINUTE_MS) if t not in gone]


def test_nothing_is_missing_where_all_is_there():
    source = InMemory(BTCUSD=every_minute(MONDAY, MONDAY + DAY_MS))
    assert missing_ranges(source, {"BTCUSD": [(MONDAY, MONDAY + DAY_MS)]}) == []


def test_only_candles_that_a_replay_asks_for_count():
    """Asked for are whole minutes more than 60 s before the end; the rest goes by seconds."""
    start, end = MONDAY + 30_500, MONDAY + 40 * MINUTE_MS + 12_345
    needed = every_minute(MONDAY + MINUTE_MS, MONDAY + 40 * MINUTE_MS)
    assert missing_ranges(InMemory(BTCUSD=needed), {"BTCUSD": [(start, end)]}) == []
    for edge in (needed[0], needed[-1]):
        source = InMemory(BTCUSD=[t for t in needed if t != edge])
        [gap] = missing_ranges(source, {"BTCUSD": [(start, end)]})
        assert (gap.start_ms, gap.end_ms, gap.n_candles) == (edge, edge + MINUTE_MS, 1)


def test_a_candle_exactly_a_minute_before_the_end_is_not_asked_for():
    end = MONDAY + HOUR_MS
    source = InMemory(BTCUSD=every_minute(MONDAY, end - MINUTE_MS))
    assert missing_ranges(source, {"BTCUSD": [(MONDAY, end)]}) == []


def test_successive_missing_candles_are_one_range():
    gone = [MONDAY + k * MINUTE_MS for k in (3, 4, 5, 9)]
    source = InMemory(BTCUSD=every_minute(MONDAY, MONDAY + HOUR_MS, gone))
    assert missing_ranges(source, {"BTCUSD": [(MONDAY, MONDAY + HOUR_MS)]}) == [
        MissingRange("BTCUSD", Timespan.MINUTE, gone[0], gone[2] + MINUTE_MS, 3),
        MissingRange("BTCUSD", Timespan.MINUTE, gone[3], gone[3] + MINUTE_MS, 1),
    ]


def test_a_weekend_without_forex_is_no_gap():
    week = every_minute(MONDAY, FRIDAY_CLOSE) + every_minute(SUNDAY_OPEN, SUNDAY_OPEN + DAY_MS)
    needs = [(MONDAY, SUNDAY_OPEN + DAY_MS)]
    assert missing_ranges(InMemory(EURUSD=week), {"EURUSD": needs}) == []
    [gap] = missing_ranges(InMemory(BTCUSD=week), {"BTCUSD": needs})
    assert (gap.start_ms, gap.end_ms) == (FRIDAY_CLOSE, SUNDAY_OPEN)


def test_a_gap_goes_on_over_a_weekend_which_does_not_count():
    week = every_minute(MONDAY, FRIDAY_CLOSE - HOUR_MS)
    week += every_minute(SUNDAY_OPEN + HOUR_MS, SUNDAY_OPEN + DAY_MS)
    needs = {"EURUSD": [(MONDAY, SUNDAY_OPEN + DAY_MS)]}
    [gap] = missing_ranges(InMemory(EURUSD=week), needs)
    assert (gap.start_ms, gap.end_ms) == (FRIDAY_CLOSE - HOUR_MS, SUNDAY_OPEN + HOUR_MS)
    assert gap.n_candles == 120
    assert str(gap) == "EURUSD minute 2025-01-10 21:00 UTC .. 2025-01-12 23:00 UTC (120 candles)"


def test_seconds_are_looked_for_apart():
    source = InMemory(BTCUSD=[MONDAY + k * SECOND_MS for k in range(60) if k != 7])
    [gap] = missing_ranges(source, {"BTCUSD": [(MONDAY, MONDAY + MINUTE_MS)]}, Timespan.SECOND)
    assert str(gap) == "BTCUSD second 2025-01-06 00:00:07 UTC .. 2025-01-06 00:00:08 UTC (1 candle)"


@settings(deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(0, 3_000_000)), max_size=6),
    gone=st.sets(st.integers(0, 140)),
)
def test_missing_is_what_a_plain_count_says(needs, gone):
    """Against minutes counted one by one, on a pair that is closed for part of the time."""
    base = FRIDAY_CLOSE - HOUR_MS
    ranges = [(base + start, base + start + length) for start, length in needs]
    there = [base + k * MINUTE_MS for k in range(140) if k not in gone]
    found = missing_ranges(InMemory(EURUSD=there), {"EURUSD": ranges})
    forex = TradePair.from_trade_pair_id("EURUSD").category
    merged = merged_ranges(ranges)
    asked = {
        t
        for t in range(base, base + 140 * MINUTE_MS, MINUTE_MS)
        for start, end in merged
        if start <= t < end - MINUTE_MS and open_at(forex, np.array([t]))[0]
    }
    assert sum(gap.n_candles for gap in found) == len(asked - set(there))
    assert {gap.start_ms for gap in found} <= asked - set(there)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_merged_ranges_cover_the_same_times(ranges):
    def covered(each):
        return {t for start, end in each for t in range(start, end)}

    merged = merged_ranges(ranges)
    assert covered(merged) == covered(ranges)
    assert all(a[1] < b[0] for a, b in pairwise(merged))


def test_years_are_looked_at_in_parts(monkeypatch):
    """More candles than one part holds: gaps at and over the parts' borders stay whole."""
    monkeypatch.setattr("ptn_backtest.prices.coverage._CHUNK_CANDLES", 1440)
    gone = every_minute(MONDAY + DAY_MS - HOUR_MS, MONDAY + DAY_MS + HOUR_MS)
    source = InMemory(BTCUSD=every_minute(MONDAY, MONDAY + 4 * DAY_MS, gone))
    [gap] = missing_ranges(source, {"BTCUSD": [(MONDAY + 1, MONDAY + 4 * DAY_MS)]})
    assert (gap.start_ms, gap.end_ms, gap.n_candles) == (gone[0], gone[-1] + MINUTE_MS, 120)


def test_a_run_stops_with_pairs_ranges_and_what_to_do():
    needs = {"BTCUSD": [(MONDAY, MONDAY + HOUR_MS)], "EURUSD": [(MONDAY, MONDAY + 2 * HOUR_MS)]}
    with pytest.raises(MissingCandles) as stopped:
        require_candles(InMemory(), needs)
    assert str(stopped.value).splitlines() == [
        "178 minute candles of 2 trade pairs missing in candles in memory:",
        "  BTCUSD minute 2025-01-06 00:00 UTC .. 2025-01-06 00:59 UTC (59 candles)",
        "  EURUSD minute 2025-01-06 00:00 UTC .. 2025-01-06 01:59 UTC (119 candles)",
        (
            "bring them ('ptn-backtest candles pull' or 'candles import'), or set "
            'missing_candles = "hold" to keep the last value where one is missing'
        ),
    ]


def test_hold_returns_the_same_as_warnings():
    warnings = require_candles(InMemory(), {"BTCUSD": [(MONDAY, MONDAY + HOUR_MS)]}, "hold")
    assert warnings == [
        "59 minute candles of 1 trade pair missing in candles in memory; the last value was held:",
        "BTCUSD minute 2025-01-06 00:00 UTC .. 2025-01-06 00:59 UTC (59 candles)",
    ]
    complete = InMemory(BTCUSD=every_minute(MONDAY, MONDAY + HOUR_MS))
    assert require_candles(complete, {"BTCUSD": [(MONDAY, MONDAY + HOUR_MS)]}, "error") == []


def test_a_long_list_is_cut_with_its_total():
    gaps = [
        MissingRange("BTCUSD", Timespan.MINUTE, k * HOUR_MS, k * HOUR_MS + MINUTE_MS, 1)
        for k in range(15)
    ]
    sentences = describe_missing(gaps)
    assert len(sentences) == 11
    assert sentences[-1] == "and 5 more (5 candles, 1 trade pair)"
