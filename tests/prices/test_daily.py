import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candle_file import SCHEMA, write_file
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.daily import (
    LOOK_BACK_DAYS,
    aggregate_by_day,
    base_currency_usd,
    daily_candles,
    market_lookup,
)
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair
from tests.prices.made_candles import table

NEW_YORK = ZoneInfo("America/New_York")
EURO, BITCOIN = (TradePair.from_trade_pair_id(each) for each in ("EURUSD", "BTCUSD"))


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


def write(store, trade_pair_id, candles):
    """Write candles given as {time: (close, volume)}."""
    times = [parse_time(time) for time in candles]
    closes, volumes = zip(*candles.values(), strict=True)
    store.write(trade_pair_id, Timespan.MINUTE, table(times, closes, volume=volumes))


def test_a_day_has_its_last_close_and_the_sum_of_its_volumes(store):
    write(
        store,
        "BTCUSD",
        {
            "2025-01-30T23:59:00": (1.0, 5.0),
            "2025-01-31T00:00:00": (2.0, 10.0),
            "2025-01-31T12:00:00": (3.0, 20.0),
            "2025-01-31T23:59:00": (4.0, 40.0),
            "2025-02-03T08:00:00": (6.0, 80.0),  # two days without candles have no row
        },
    )
    days = daily_candles(store, BITCOIN)
    starts = [parse_time(day) for day in ("2025-01-30", "2025-01-31", "2025-02-03")]
    assert days.start_ms.tolist() == starts
    assert days.close.tolist() == [1.0, 4.0, 6.0]
    assert days.volume.tolist() == [5.0, 70.0, 80.0]


def test_a_day_with_a_volume_missing_has_none(store):
    write(
        store,
        "BTCUSD",
        {
            "2025-01-30T00:00:00": (1.0, 5.0),
            "2025-01-30T00:01:00": (2.0, None),
            "2025-01-31T00:00:00": (3.0, 6.0),
        },
    )
    volumes = daily_candles(store, BITCOIN).volume
    assert math.isnan(volumes[0])
    assert volumes[1] == 6.0


def test_equities_have_new_york_days(store):
    apple = TradePair.from_trade_pair_id("AAPL")
    write(
        store,
        "AAPL",
        {
            "2025-01-10T20:59:00": (250.0, 1.0),
            "2025-01-11T00:30:00": (251.0, 2.0),  # 19:30 in New York on the 10th, after hours
            "2025-07-10T03:30:00": (260.0, 4.0),  # 23:30 on the 9th, in summer
            "2025-07-10T04:00:00": (261.0, 8.0),
        },
    )
    days = daily_candles(store, apple)
    assert days.start_ms.tolist() == [
        parse_time(day) for day in ("2025-01-10T05:00", "2025-07-09T04:00", "2025-07-10T04:00")
    ]
    assert days.close.tolist() == [251.0, 260.0, 261.0]
    assert days.volume.tolist() == [3.0, 4.0, 8.0]
    seen = market_lookup(store)(apple, parse_time("2025-01-11T04:59:59"))
    assert seen.closes.tolist() == []
    seen = market_lookup(store)(apple, parse_time("2025-01-11T05:00:00"))
    assert seen.closes.tolist() == [251.0]


@pytest.mark.parametrize("zone", [UTC, NEW_YORK])
@given(
    minutes=st.sets(st.integers(0, 400 * 24), min_size=1, max_size=60),
    start=st.integers(28_000_000, 29_000_000),
)
def test_days_are_those_of_the_calendar(zone, minutes, start):
    times = [(start + hour * 60) * MINUTE_MS for hour in sorted(minutes)]
    by_day: dict[datetime, list[float]] = {}
    for close, time_ms in enumerate(times):
        moment = datetime.fromtimestamp(time_ms / 1_000, tz=zone)
        by_day.setdefault(moment.replace(hour=0, minute=0), []).append(float(close))
    closes = np.arange(len(times), dtype=float)
    days = aggregate_by_day(np.array(times), closes, closes, zone)
    assert days.start_ms.tolist() == [round(day.timestamp()) * 1_000 for day in by_day]
    assert days.close.tolist() == [day[-1] for day in by_day.values()]
    assert days.volume.tolist() == [sum(day) for day in by_day.values()]


def test_a_pair_without_candles(store):
    assert len(daily_candles(store, BITCOIN)) == 0
    seen = market_lookup(store)(EURO, parse_time("2025-03-01"))
    assert (len(seen.closes), len(seen.volumes), seen.base_currency_usd) == (0, 0, None)


def test_candles_that_make_no_days_are_refused(store):
    write(store, "BTCUSD", {"2025-01-30T00:00:00": (1.0, 5.0)})
    (path,) = store.root.rglob("*.parquet")
    good = pa.Table.from_pylist(
        [{"timestamp_ms": parse_time("2025-01-30"), "close": close} for close in (1.0, 2.0)],
        schema=SCHEMA,
    )
    for bad in (good, good.slice(0, 1).set_column(4, "close", pa.array([math.nan]))):
        write_file(path, bad)
        with pytest.raises(CandleError, match=r"BTCUSD .* candles check"):
            daily_candles(store, BITCOIN)


def test_only_days_before_the_order_and_not_long_before_count(store):
    first = parse_time("2025-01-01T12:00:00")
    times = [first + day * DAY_MS for day in range(100)]
    numbers = [float(day + 1) for day in range(100)]
    store.write("EURUSD", Timespan.MINUTE, table(times, numbers, volume=numbers))
    lookup = market_lookup(store)
    for time_ms in (first + 80 * DAY_MS, parse_time("2025-03-22T00:00:00")):
        seen = lookup(EURO, time_ms)  # 2025-03-22 is day 80, with close 81
        assert seen.closes.tolist() == numbers[80 - LOOK_BACK_DAYS : 80]
        assert seen.volumes.tolist() == numbers[80 - LOOK_BACK_DAYS : 80]
    assert lookup(EURO, parse_time("2025-03-21T23:59:59.999")).closes[-1] == 79.0


@pytest.mark.parametrize(
    ("trade_pair_id", "expected"),
    [
        ("EURJPY", 1.25),
        ("EURUSD", 1.25),
        ("CADJPY", 0.8),  # 1 / 1.25 of USDCAD
        ("USDJPY", 1.0),
        ("XAUUSD", 2_000.0),
        ("GBPAUD", None),  # no candles of GBPUSD
        ("AAPL", None),
    ],
)
def test_the_base_currency_in_usd(store, trade_pair_id, expected):
    write(store, "EURUSD", {"2025-01-31T12:00:00": (1.25, 1.0), "2025-01-31T12:01:00": (9.0, 1.0)})
    write(store, "USDCAD", {"2025-01-31T12:00:00": (1.25, 1.0)})
    write(store, "XAUUSD", {"2025-01-31T12:00:00": (2_000.0, 1.0)})
    pair = TradePair.from_trade_pair_id(trade_pair_id)
    at = parse_time("2025-01-31T12:00:59.999")
    assert base_currency_usd(store, pair, at) == expected
    assert market_lookup(store)(pair, at).base_currency_usd == expected


def test_a_price_of_more_than_an_hour_ago_is_not_the_price(store):
    write(store, "EURUSD", {"2025-01-31T12:00:00": (1.25, 1.0)})
    at = parse_time("2025-01-31T12:00:00")
    assert base_currency_usd(store, EURO, at + HOUR_MS) == 1.25
    assert base_currency_usd(store, EURO, at + HOUR_MS + 1) is None
    assert base_currency_usd(store, EURO, at - 1) is None
