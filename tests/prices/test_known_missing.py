"""What a store remembers of candles that do not exist at a provider."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_time
from ptn_backtest.errors import CandleError, MissingCandles, UnknownTradePair
from ptn_backtest.prices.candles import KnowsMissing, Timespan, merged_ranges
from ptn_backtest.prices.coverage import count_known_missing, missing_ranges, require_candles
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import minutes

MINUTE = Timespan.MINUTE
MONDAY = parse_time("2025-01-06")
MONTH_ENDS = parse_time("2025-02-01")


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


def add(store, *ranges, provider="massive", timespan=MINUTE):
    store.add_known_missing("BTCUSD", timespan, provider, ranges)


def test_a_store_knows_what_is_missing(store):
    assert isinstance(store, KnowsMissing)
    assert store.known_missing("BTCUSD", MINUTE) == []


def test_stretches_join_and_survive(store):
    add(store, (MONDAY, MONDAY + HOUR_MS))
    add(store, (MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS), (MONDAY + DAY_MS, MONDAY + DAY_MS))
    found = CandleStore(store.root).known_missing("BTCUSD", MINUTE)
    assert found == [(MONDAY, MONDAY + 2 * HOUR_MS)]
    assert store.known_missing("BTCUSD", Timespan.SECOND) == []
    assert store.known_missing("ETHUSD", MINUTE) == []


def test_providers_are_kept_apart(store):
    add(store, (MONDAY, MONDAY + HOUR_MS))
    add(store, (MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS), provider="ccxt:kraken")
    assert store.known_missing("BTCUSD", MINUTE, provider="massive") == [(MONDAY, MONDAY + HOUR_MS)]
    assert store.known_missing("BTCUSD", MINUTE) == [(MONDAY, MONDAY + 2 * HOUR_MS)]


def test_a_stretch_over_a_month_lies_in_two_files(store):
    stretch = (MONTH_ENDS - HOUR_MS, MONTH_ENDS + HOUR_MS)
    add(store, stretch)
    folder = store.root / "missing" / "minute" / "BTCUSD"
    assert sorted(path.name for path in folder.iterdir()) == ["2025-01.json", "2025-02.json"]
    assert json.loads((folder / "2025-02.json").read_text()) == {
        "format": "ptn-backtest known-missing candles",
        "version": 1,
        "missing": {"massive": [[MONTH_ENDS, MONTH_ENDS + HOUR_MS]]},
    }
    assert store.known_missing("BTCUSD", MINUTE) == [stretch]
    assert store.known_missing("BTCUSD", MINUTE, MONTH_ENDS + 1, MONTH_ENDS + 2) == [
        (MONTH_ENDS, stretch[1])
    ]


@settings(max_examples=50, deadline=None)
@given(
    added=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(1, 90)), max_size=12
    )
)
def test_it_remembers_just_what_was_added(tmp_path_factory, added):
    store = CandleStore.create(tmp_path_factory.mktemp("prices"))
    start = MONTH_ENDS - 200 * HOUR_MS
    ranges = [(n, start + a * HOUR_MS, start + (a + b) * HOUR_MS) for n, a, b in added]
    for name, first, last in ranges:
        add(store, (first, last), provider=name)
    for provider in ("a", "b", None):
        wanted = merged_ranges((a, b) for n, a, b in ranges if provider in (None, n))
        assert store.known_missing("BTCUSD", MINUTE, provider=provider) == wanted


def test_a_run_goes_on_and_says_so(store):
    store.write("BTCUSD", MINUTE, minutes(60, MONDAY))
    store.write("BTCUSD", MINUTE, minutes(60, MONDAY + 2 * HOUR_MS))
    needs = {"BTCUSD": [(MONDAY, MONDAY + 3 * HOUR_MS)]}
    with pytest.raises(MissingCandles, match="60 minute candles of 1 trade pair"):
        require_candles(store, needs)
    add(store, (MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS))
    assert require_candles(store, needs) == [
        (
            f"60 minute candles of 1 trade pair missing in {store.describe()}, and their provider has "
            "none; the last value was held:"
        ),
        "BTCUSD minute 2025-01-06 01:00 UTC .. 2025-01-06 02:00 UTC (60 candles)",
    ]


def test_what_is_missing_besides_still_stops_a_run(store):
    store.write("BTCUSD", MINUTE, minutes(60, MONDAY))
    add(store, (MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS))
    needs = {"BTCUSD": [(MONDAY, MONDAY + 3 * HOUR_MS)]}
    known, unknown = missing_ranges(store, needs)
    assert (known.known, known.n_candles) == (True, 60)
    assert (unknown.known, unknown.n_candles) == (False, 59)
    with pytest.raises(MissingCandles, match="59 minute candles"):
        require_candles(store, needs)
    warnings = require_candles(store, needs, "hold")
    assert [line.partition(" ")[0] for line in warnings] == ["60", "BTCUSD", "59", "BTCUSD"]


@pytest.mark.parametrize("timespan", list(Timespan))
def test_candles_are_counted_but_not_those_that_are_there(store, timespan):
    add(store, (MONDAY, MONDAY + 100 * timespan.ms), timespan=timespan)
    store.write("BTCUSD", timespan, minutes(10, MONDAY + 5 * timespan.ms, timespan.ms))
    assert count_known_missing(store, "BTCUSD", timespan) == 90


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "cannot be read"),
        ("[]", "is not of the format"),
        ('{"format": "ptn-backtest known-missing candles", "version": 2}', "is not of the format"),
        (
            '{"format": "ptn-backtest known-missing candles", "version": 1, "missing": [1]}',
            "lists no stretches",
        ),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(store, text, fault):
    add(store, (MONDAY, MONDAY + HOUR_MS))
    path = store.root / "missing" / "minute" / "BTCUSD" / "2025-01.json"
    path.write_text(text)
    with pytest.raises(CandleError, match=f"{fault}.*delete it") as failure:
        store.known_missing("BTCUSD", MINUTE)
    assert str(path) in str(failure.value)


def test_an_unknown_pair_is_refused(store):
    with pytest.raises(UnknownTradePair):
        store.add_known_missing("BTCUSDT", MINUTE, "massive", [(0, MINUTE_MS)])
