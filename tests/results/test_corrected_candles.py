"""A stored replay notices candles that were written since: its result is that of one that begins now."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ptn_backtest.backtest.leg_keeping import LeaversNeeded
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.clock import DAY_MS, MINUTE_MS, format_time
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.results.states import StateFolder
from tests.backtest.test_network import ALL, candles, month, positions
from tests.results.test_states import (
    TIMES,
    Stopped,
    all_of,
    built,
    flagged,
    legs_of,
    opened,
    stop_after,
)

__all__ = ["candles", "positions"]

CUT = legs_of(TIMES, 4)
CORRECTED_MS = TIMES[13] + DAY_MS // 2
"""In the fourth leg."""


@pytest.fixture
def store(candles: CandleStore, tmp_path: Path) -> CandleStore:
    """A copy of the candles, to be written to."""
    return CandleStore(Path(shutil.copytree(str(candles.root), tmp_path / "candles")))


def up_to(candles: CandleStore, before_ms: int, folder: Path) -> CandleStore:
    """Those that start before a time."""
    made = CandleStore.create(folder)
    for timespan in Timespan:
        for pair in candles.pairs(timespan):
            made.write(pair, timespan, candles.read_table(pair, timespan, end_ms=before_ms - 1))
    return made


def correct(store: CandleStore, at_ms: int) -> None:
    """Another close for an hour of minutes of every pair."""
    for pair in store.pairs(Timespan.MINUTE):
        old = store.read_table(pair, Timespan.MINUTE, at_ms, at_ms + 60 * MINUTE_MS)
        closes = pc.multiply(old["close"], 1.02)
        table = pa.table({"timestamp_ms": old["timestamp_ms"], "close": closes})
        store.write(pair, Timespan.MINUTE, table)


def at_once(
    positions: Sequence[Position], candles: CandleStore, folder: Path, times: Sequence[int] = TIMES
) -> dict[str, Any]:
    StateFolder.begin(folder, {}, legs_of(times, 4))
    manager = opened(folder, positions, candles)
    manager.run(**ALL)
    return all_of(manager)


def ends(manager: BacktestManager) -> set[int]:
    """Ends of the legs whose ledgers were built."""
    return {end_ms for _, end_ms in built(manager)}


@pytest.mark.parametrize("n_writes", [None, 1, 2])
def test_legs_from_a_correction_on_are_done_again(
    positions: list[Position],
    store: CandleStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    n_writes: int | None,
) -> None:
    before = at_once(positions, store, tmp_path / "run")
    correct(store, CORRECTED_MS)
    caplog.set_level("INFO")
    if n_writes is not None:
        stopped = opened(tmp_path / "run", positions, store)
        stop_after(stopped, n_writes)
        with pytest.raises(Stopped):
            stopped.run(**ALL)
    again = opened(tmp_path / "run", positions, store)
    assert f"everybody, as candles from {format_time(CORRECTED_MS)} on were written" in caplog.text
    first = 3 if n_writes is None else 4  # the leg that was stored before the stop holds
    assert ends(again) == {leg[-1] for leg in CUT[first:]}
    assert all_of(again) == at_once(positions, store, tmp_path / "fresh")
    assert all_of(again)["states"] != before["states"]
    assert ends(opened(tmp_path / "run", positions, store)) == set()


def test_candles_that_go_on_change_nothing_before(
    positions: list[Position], candles: CandleStore, tmp_path: Path
) -> None:
    """A run ends with its candles: the next ones begin exactly there."""
    whole = month(positions, candles)
    whole.run(**ALL)
    leaving = {e.time_ms for e in whole.network.state.eliminations.values()}
    n_times = next(n for n in range(18, 0, -1) if TIMES[n - 1] not in leaving)
    times = TIMES[:n_times]
    store = up_to(candles, times[-1], tmp_path / "candles")
    at_once(positions, store, tmp_path / "run", times)
    for timespan in Timespan:
        for pair in candles.pairs(timespan):  # some of them once more
            rest = candles.read_table(pair, timespan, times[-1] - 5 * MINUTE_MS)
            store.write(pair, timespan, rest)
    StateFolder(tmp_path / "run").extend([TIMES[n_times:]])
    again = opened(tmp_path / "run", positions, store)
    assert again.n_legs_before == len(legs_of(times, 4))
    assert ends(again) == {TIMES[-1]}
    told, fresh = all_of(again), at_once(positions, store, tmp_path / "fresh")
    told["warnings"] = fresh["warnings"]  # the first run said what it lacked
    assert told == fresh


def test_a_price_at_which_positions_were_closed_at_the_end_is_no_change_too_late(
    positions: list[Position], candles: CandleStore, tmp_path: Path
) -> None:
    """Who leaves at the end of the candles is closed at an older price than is known later."""
    whole = month(positions, candles)
    whole.run(**ALL)
    gone = whole.network.state.eliminations.values()
    held = [e for e in gone if e.time_ms in TIMES and any(whole.network.held[e.miner_hotkey])]
    end_ms = held[-1].time_ms
    times = [t for t in TIMES if t <= end_ms]
    store = up_to(candles, end_ms, tmp_path / "candles")
    at_once(positions, store, tmp_path / "run", times)
    for timespan in Timespan:
        for pair in candles.pairs(timespan):
            store.write(pair, timespan, candles.read_table(pair, timespan, end_ms, end_ms))
    again = opened(tmp_path / "run", positions, store)
    assert again.n_legs_before == len(legs_of(times, 4)) - 1
    built(again)
    assert all_of(again) == at_once(positions, store, tmp_path / "fresh", times)


def test_without_results_a_correction_asks_for_everybody(
    positions: list[Position], store: CandleStore, tmp_path: Path
) -> None:
    at_once(positions, store, tmp_path / "run")
    correct(store, CORRECTED_MS)
    gone = StateFolder(tmp_path / "run").gone()
    staying = [p for p in positions if p.miner_hotkey not in gone]
    assert 0 < len(staying) < len(positions)
    with pytest.raises(LeaversNeeded, match="orders or candles up to"):
        opened(tmp_path / "run", staying, store, flagged(positions), results=False)


def test_pairs_that_nobody_trades_do_not_matter(
    positions: list[Position], store: CandleStore, tmp_path: Path
) -> None:
    before = at_once(positions, store, tmp_path / "run")
    table = pa.table({"timestamp_ms": [CORRECTED_MS - CORRECTED_MS % MINUTE_MS], "close": [5.0]})
    assert store.write("DOGEUSD", Timespan.MINUTE, table).added
    again = opened(tmp_path / "run", positions, store)
    assert ends(again) == set()
    assert all_of(again) == before
