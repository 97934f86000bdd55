"""What was written to a store is told, so that a reader learns what changed since."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, MINUTE_MS, NEVER_MS
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.changes import CHANGES_FILE, KnowsChanges
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import JANUARY_31, minutes, table

MINUTE, SECOND = Timespan


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore.create(tmp_path / "candles")


def test_a_store_tells_what_was_written_since(store: CandleStore) -> None:
    assert isinstance(store, KnowsChanges)
    assert store.changes().first_since("") == {}
    store.write("BTCUSD", MINUTE, minutes(3))
    store.write("ETHUSD", SECOND, table([JANUARY_31 + 1_000], [5.0]))
    known = store.changes().known
    assert store.changes().first_since("") == {"BTCUSD": JANUARY_31, "ETHUSD": JANUARY_31 + 1_000}
    assert store.changes().first_since(known) == {}
    # what is there already is no change, what is new after it is one from there on
    store.write("BTCUSD", MINUTE, minutes(5))
    assert store.changes().first_since(known) == {"BTCUSD": JANUARY_31 + 3 * MINUTE_MS}
    store.write("BTCUSD", MINUTE, table([JANUARY_31 + MINUTE_MS], [7.0]))
    assert store.changes().first_since(known) == {"BTCUSD": JANUARY_31 + MINUTE_MS}
    # over two months, of which the later one is written first or last
    store.write("BTCUSD", MINUTE, table([JANUARY_31 + 40 * DAY_MS, JANUARY_31 - DAY_MS], [1.0] * 2))
    assert store.changes().first_since(known) == {"BTCUSD": JANUARY_31 - DAY_MS}


def test_only_closes_count(store: CandleStore) -> None:
    store.write("BTCUSD", MINUTE, minutes(3))
    known = store.changes().known
    written = store.write("BTCUSD", MINUTE, minutes(3).append_column("high", pa.array([200.0] * 3)))
    assert written.changed == 3
    assert store.changes().first_since(known) == {}


def test_a_line_that_was_cut_off_does_not_spoil_the_next(store: CandleStore) -> None:
    store.write("BTCUSD", MINUTE, minutes(1))
    with (store.root / CHANGES_FILE).open("a") as file:
        file.write("ETHUSD,min")
    known = store.changes().known
    store.write("SOLUSD", MINUTE, minutes(1))
    assert store.changes().first_since("").keys() == {"BTCUSD", "SOLUSD"}
    assert store.changes().first_since(known).keys() == {"SOLUSD"}


def test_everything_changed_in_another_store_and_in_one_that_was_set_back(
    store: CandleStore, tmp_path: Path
) -> None:
    store.write("BTCUSD", MINUTE, minutes(1))
    early = store.changes()
    store.write("BTCUSD", MINUTE, minutes(2))
    late = store.changes()
    other = CandleStore.create(tmp_path / "other")
    other.write("ETHUSD", MINUTE, minutes(2000, step_ms=DAY_MS))
    assert len(other.changes().text) > len(late.text)
    for since in (early.first_since(late.known), other.changes().first_since(late.known)):
        assert since["BTCUSD"] == since["EURUSD"] == -NEVER_MS
    assert late.first_since(early.known) == {"BTCUSD": JANUARY_31 + MINUTE_MS}


@settings(deadline=None, max_examples=25)
@given(
    writes=st.lists(
        st.dictionaries(st.integers(0, 12), st.integers(1, 3), min_size=1, max_size=4), max_size=6
    )
)
def test_no_change_is_missed(
    writes: list[dict[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever closes differ from those that a reader knew start at the time that it is told, or later."""
    store = CandleStore.create(tmp_path_factory.mktemp("changes") / "candles")
    known: list[tuple[str, dict[int, float]]] = []
    for write in writes:
        known.append((store.changes().known, closes_of(store)))
        times = [JANUARY_31 + 20_000 * MINUTE_MS * k for k in write]
        store.write("BTCUSD", MINUTE, table(times, [float(close) for close in write.values()]))
    now = closes_of(store)
    for place, before in known:
        differing = [ms for ms in now if before.get(ms) != now[ms]]
        told = store.changes().first_since(place).get("BTCUSD", NEVER_MS)
        assert told <= min(differing, default=NEVER_MS)


def closes_of(store: CandleStore) -> dict[int, float]:
    candles = store.read("BTCUSD", MINUTE, -NEVER_MS, NEVER_MS)
    return dict(zip(candles.start_ms.tolist(), candles.close.tolist(), strict=True))
