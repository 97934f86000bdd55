from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import MINUTE_MS, parse_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.recognising import (
    UNREADABLE,
    floats,
    recognise_columns,
    recognise_pair,
    recognise_timespan,
    time_unit_of_name,
    times_in_ms,
    timespan_of_spacing,
)

NOON = parse_time("2025-03-01T12:00")


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("BTCUSD_1m", "BTCUSD"),
        ("BTCUSD_1m_2024", "BTCUSD"),
        ("btc-usd-minute", "BTCUSD"),
        ("EUR/USD", "EURUSD"),
        ("candles_xauusd", "XAUUSD"),
        ("BTCUSDT-1m-2025-01", None),
        ("data", None),
    ],
)
def test_pairs_in_names(name, pair):
    assert recognise_pair(name) == pair


@pytest.mark.parametrize(
    ("name", "timespan"),
    [
        ("BTCUSD_1m", Timespan.MINUTE),
        ("EURUSD_M1_2024", Timespan.MINUTE),
        ("minute", Timespan.MINUTE),
        ("BTCUSDT-1s-2025-01-01", Timespan.SECOND),
        ("BTCUSD_2024", None),
    ],
)
def test_timespans_in_names(name, timespan):
    assert recognise_timespan(name) == timespan


@pytest.mark.parametrize("name", ["BTCUSD_5m", "EURUSD_H1", "BTCUSD-1h", "btcusd_daily", "x_1d"])
def test_other_timespans_are_refused_by_name(name):
    with pytest.raises(CandleError, match="needs minute or second candles"):
        recognise_timespan(name)


def test_spacing_tells_the_timespan_in_spite_of_holes_and_disorder():
    def spaced(step_ms, *gone):
        return pa.array([NOON + k * step_ms for k in range(30, 0, -1) if k not in gone]).to_numpy()

    assert timespan_of_spacing(spaced(60_000, 5, 6, 20)) is Timespan.MINUTE
    assert timespan_of_spacing(spaced(1_000, 7)) is Timespan.SECOND
    assert timespan_of_spacing(spaced(5 * MINUTE_MS)) is None
    assert timespan_of_spacing(spaced(60_000, *range(2, 31))) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["timestamp_ms", "close"], {"time": "timestamp_ms", "close": "close"}),
        (["Date", "Close"], {"time": "Date", "close": "Close"}),
        (["Open Time", "C"], {"time": "Open Time", "close": "C"}),
        (["close_time", "open_time", "price"], {"time": "open_time", "close": "price"}),
        (
            ["trade_pair_id", "timespan", "timestamp_ms", "close"],
            {
                "time": "timestamp_ms",
                "close": "close",
                "pair": "trade_pair_id",
                "timespan": "timespan",
            },
        ),
    ],
)
def test_columns_by_name(names, expected):
    assert recognise_columns(names, {}) == expected


def test_given_columns_come_first():
    found = recognise_columns(["timestamp", "ts", "close", "mid"], {"time": "ts", "close": "mid"})
    assert (found["time"], found["close"]) == ("ts", "mid")


@pytest.mark.parametrize(
    ("names", "given_columns", "message"),
    [
        (
            ["when", "close"],
            {},
            "no column is recognised as the time of a candle among when, close",
        ),
        (["time", "settled"], {}, "no column is recognised as the close"),
        (["time", "close"], {"close": "mid"}, "there is no column 'mid' for close"),
        (["time", "close"], {"colour": "close"}, "'colour' is no kind of column"),
        (["date", "time", "close"], {}, "date and time stand in two columns"),
    ],
)
def test_columns_that_cannot_be_told(names, given_columns, message):
    with pytest.raises(CandleError, match=message):
        recognise_columns(names, given_columns)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("timestamp_ms", "ms"), ("start_us", "us"), ("ts", None), ("time", None), ("TIME_NS", "ns")],
)
def test_units_in_names(name, unit):
    assert time_unit_of_name(name) == unit


@given(
    ms=st.integers(parse_time("2000-01-01"), parse_time("2099-12-31")),
    factor=st.sampled_from([(1, 1_000), (1, 1), (1_000, 1), (1_000_000, 1)]),
)
def test_numbers_tell_their_unit_by_size(ms, factor):
    times, divided = factor
    whole = ms // divided * divided
    assert times_in_ms(column([whole * times // divided]), None).tolist() == [whole]
    assert times_in_ms(column([str(whole * times // divided)]), None).tolist() == [whole]


def test_each_number_tells_its_own_unit():
    """An exchange went over from ms to µs within one year's files."""
    mixed = [NOON, (NOON + 60_000) * 1_000, None]
    assert times_in_ms(column(mixed), None).tolist() == [NOON, NOON + 60_000, UNREADABLE]


def test_a_given_unit_is_taken_at_its_word():
    assert times_in_ms(column([86_400]), "s").tolist() == [86_400_000]
    assert times_in_ms(column([86_400_000_000]), "ns").tolist() == [86_400]


def test_fractions_of_seconds():
    assert times_in_ms(column([NOON / 1_000 + 0.25]), None).tolist() == [NOON + 250]
    assert times_in_ms(column([f"{NOON / 1_000 + 0.25:.2f}"]), None).tolist() == [NOON + 250]
    assert times_in_ms(column([float("nan"), 1e300]), None).tolist() == [UNREADABLE] * 2


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-01 12:00",
        "2025-03-01T12:00:00",
        "2025-03-01T12:00:00Z",
        "2025-03-01T14:00:00+02:00",
        "2025-03-01 07:00:00-05:00",
        "2025-03-01 12:00:00.000000",
        "2025.03.01 12:00:00",
        "2025/03/01 12:00",
        "2025-03-01 12:00:00 UTC",
        " 2025-03-01 12:00 ",
    ],
)
def test_iso_times(text):
    assert times_in_ms(column([text]), None).tolist() == [NOON]
    # beside a cell that is no time, and beside one of another form
    beside = times_in_ms(column([text, "yesterday", None, "2025-03-01"]), None).tolist()
    assert beside == [NOON, UNREADABLE, UNREADABLE, parse_time("2025-03-01")]


def test_typed_times():
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert times_in_ms(column([moment]), None).tolist() == [NOON]
    assert times_in_ms(column([moment.replace(tzinfo=None)], pa.timestamp("ns")), None)[0] == NOON
    assert times_in_ms(column([date(2025, 3, 1)]), None)[0] == parse_time("2025-03-01")


def test_numbers_in_texts():
    assert floats(column(["1.5", "1e3", " 2 "])).tolist() == [1.5, 1000.0, 2.0]
    found = floats(column(["1.5", "n/a?", None]))
    assert found[0] == 1.5
    assert str(found[1:]) == "[nan nan]"
