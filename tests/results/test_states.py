"""A stored replay continues to the same result: after a stop, with new orders, and with late ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.backtest import legs
from ptn_backtest.backtest.execution.contract import Serial
from ptn_backtest.backtest.leg_keeping import LeaversNeeded
from ptn_backtest.backtest.legs import Leg, StoredRules, update_times
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.batch import LedgerBatch, LedgerSettings, LedgerUpdate
from ptn_backtest.positions.columns import Ints
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.results.states import STATES, STATES_VERSION, StateFolder, share_states
from ptn_backtest.rules.events import Elimination
from ptn_backtest.rules.scoring import score
from ptn_backtest.rules.standing import NEW_NETWORK
from ptn_backtest.sources.bundled import END_MS, START_MS, BundledPositionSource
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.backtest.test_network import (
    ALL,
    SHORT,
    candles,
    month,
    plain,
    plain_scores,
    positions,
)

__all__ = ["candles", "positions"]

FIRST_MS = START_MS + 6 * HOUR_MS
TIMES = tuple(update_times(FIRST_MS, END_MS, DAY_MS))

Stored = Callable[..., BacktestManager]


def legs_of(times: Sequence[int], n_updates: int) -> list[Leg]:
    return [tuple(times[i : i + n_updates]) for i in range(0, len(times), n_updates)]


def flagged(positions: Sequence[Position]) -> list[PlagiarismEvent]:
    hotkeys = sorted({position.miner_hotkey for position in positions})
    return [PlagiarismEvent(hotkeys[-1], START_MS + 12 * DAY_MS + 5, flagged=True)]


def opened(
    folder: Path,
    positions: Sequence[Position],
    candles: CandleStore,
    events: Sequence[PlagiarismEvent] | None = None,
    *,
    results: bool = True,
) -> BacktestManager:
    return BacktestManager(
        PositionManager(positions),
        candles,
        0,
        0,
        settings=LedgerSettings(rulebook=SHORT),
        account_sizes=BundledPositionSource().read_account_sizes(),
        plagiarism_events=flagged(positions) if events is None else events,
        store=StateFolder(folder),
        results=results,
    )


def built(manager: BacktestManager) -> list[tuple[str, int]]:
    """Run with every rule; (hotkey, end of the leg) of the ledgers that were built."""
    units: list[tuple[str, int]] = []
    execution = manager._execution

    class Counting(Serial):
        def map(self, update: LedgerUpdate, batch: LedgerBatch, ticks: Ints) -> Any:
            hotkeys = manager.perf_ledger_manager.traders.hotkeys_at(batch.traders)
            units.extend((hotkey, batch.update_times_ms[-1]) for hotkey in hotkeys)
            return execution.map(update, batch, ticks)

        def close(self) -> None:
            execution.close()

    manager._execution = Counting()
    manager.run(**ALL)
    return units


def all_of(manager: BacktestManager) -> dict[str, Any]:
    return {
        **plain(manager),
        "events": list(manager.network.events),  # not as text: the order of figures is no figure
        "candles": manager.candles_read,
        "warnings": manager.warnings,
    }


@pytest.fixture(scope="module")
def through(positions: list[Position], candles: CandleStore) -> dict[str, Any]:
    manager = month(positions, candles)
    manager.run(**ALL)
    return all_of(manager)


class Stopped(Exception):  # noqa: N818
    """Somebody pulled the plug."""


def stop_after(manager: BacktestManager, n_writes: int) -> None:
    """Let the replay end in an error after so many writes of its store."""
    assert manager._keeper is not None
    store, left = manager._keeper.store, [n_writes]

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("keep"):
                left[0] -= 1
                if left[0] < 0:
                    raise Stopped
            return getattr(store, name)

    manager._keeper.store = Failing()


@pytest.mark.parametrize("n_updates", [1, 4, 7, 31])
def test_legs_of_any_length_make_no_difference(
    positions: list[Position],
    candles: CandleStore,
    through: Mapping[str, Any],
    tmp_path: Path,
    n_updates: int,
) -> None:
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, n_updates))
    manager = opened(tmp_path, positions, candles)
    manager.run(**ALL)
    assert all_of(manager) == through
    again = opened(tmp_path, positions, candles)
    assert built(again) == []
    assert all_of(again) == through


@pytest.mark.parametrize("n_writes", range(0, 12, 3))
def test_a_stopped_replay_goes_on_to_the_same_result(
    positions: list[Position],
    candles: CandleStore,
    through: Mapping[str, Any],
    tmp_path: Path,
    n_writes: int,
) -> None:
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, 5))
    manager = opened(tmp_path, positions, candles)
    stop_after(manager, n_writes)
    with pytest.raises(Stopped):
        manager.run(**ALL)
    again = opened(tmp_path, positions, candles)
    n_done = StateFolder(tmp_path).n_done()
    assert n_done == n_writes // 2
    units = built(again)
    assert {end for _, end in units} == {
        leg[-1] for leg in legs_of(TIMES, 5)[(n_writes + 1) // 2 :]
    }
    assert all_of(again) == through


@pytest.mark.parametrize(
    ("results", "whole_every"),
    [(True, 30), (False, 30), (False, 4)],
    ids=["with results", "states only", "states only, some of them whole"],
)
def test_day_by_day_is_at_once(
    positions: list[Position],
    candles: CandleStore,
    through: Mapping[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    results: bool,
    whole_every: int,
) -> None:
    """Each day with no more than the orders of then: what comes later makes no difference."""
    monkeypatch.setattr(legs, "WHOLE_EVERY", whole_every)
    StateFolder.begin(tmp_path, {}, [TIMES[:3]])
    n_refused = 0
    for i, t_ms in enumerate(TIMES[2:]):
        if i:
            StateFolder(tmp_path).extend([(t_ms,)])
        last = t_ms == TIMES[-1]
        gone = () if results or last else StateFolder(tmp_path).gone()
        known = [p for p in positions if p.open_ms <= t_ms]
        staying = [p for p in known if p.miner_hotkey not in gone]
        events = flagged(positions)
        try:
            manager = opened(tmp_path, staying, candles, events, results=results or last)
        except LeaversNeeded:
            n_refused += 1
            manager = opened(tmp_path, known, candles, events, results=False)
        units = built(manager)
        assert {end for _, end in units} == ({t_ms} if units else set())
    assert (n_refused > 0) == (whole_every == 4)
    told = all_of(manager)
    told["warnings"] = through["warnings"]  # each day says what it lacked
    assert told == through


def with_order(position: Position, i: int, **changes: Any) -> Position:
    orders = list(position.orders)
    orders[i] = replace(orders[i], **changes)
    return replace(position, orders=tuple(orders))


CHANGES: dict[str, Callable[[Position], list[Position]]] = {
    "an order at another time": lambda p: [
        with_order(p, 0, processed_ms=p.orders[0].processed_ms + 17_000)
    ],
    "an order at another price": lambda p: [with_order(p, 0, price=p.orders[0].price * 1.001)],
    "no such position any more": lambda _: [],
    "a trader who was not there": lambda p: [
        p,
        replace(p, miner_hotkey="5New", position_uuid="new"),
    ],
}


def changed(
    positions: Sequence[Position], change: str, left: Mapping[str, Elimination]
) -> tuple[str, list[Position]]:
    """Whose positions are others than before, and all positions then.

    The change is in the middle of the month, at a trader that stays for days after it.
    """
    at, found = next(
        (i, p)
        for i, p in enumerate(positions)
        if len(p.orders) > 1
        and p.orders[0].processed_ms > START_MS + 8 * DAY_MS
        and p.orders[1].processed_ms - p.orders[0].processed_ms > MINUTE_MS
        and left[p.miner_hotkey].time_ms > p.orders[0].processed_ms + 5 * DAY_MS
    )
    now = [*positions[:at], *CHANGES[change](found), *positions[at + 1 :]]
    return "5New" if "was not there" in change else found.miner_hotkey, now


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_late_rebuilds_one_trader_from_the_state_before(
    positions: list[Position], candles: CandleStore, tmp_path: Path, change: str
) -> None:
    mine, other, cut = tmp_path / "mine", tmp_path / "other", legs_of(TIMES, 4)
    events = flagged(positions)
    StateFolder.begin(mine, {}, cut)
    first = opened(mine, positions, candles)
    first.run(**ALL)
    hotkey, now = changed(positions, change, first.network.state.eliminations)
    StateFolder.begin(other, {}, cut)
    fresh = opened(other, now, candles, events)
    fresh.run(**ALL)
    again = opened(mine, now, candles, events)
    units = built(again)
    assert all_of(again) == all_of(fresh)
    assert all_of(again)["states"] != all_of(first)["states"]
    assert {h for h, _ in units} == {hotkey}
    if "was not there" not in change:  # its ledgers may be needed from the beginning, to be ranked
        assert min(end for _, end in units) > START_MS + 8 * DAY_MS
    assert built(opened(mine, now, candles, events)) == []


def test_without_results_a_late_order_asks_for_everybody(
    positions: list[Position], candles: CandleStore, tmp_path: Path
) -> None:
    whole = month(positions, candles)
    whole.run(**ALL)
    hotkey, now = changed(positions, "an order at another price", whole.network.state.eliminations)
    first_ms = next(
        t
        for t in TIMES
        if any(p not in now and p.orders[0].processed_ms < t - DAY_MS for p in positions)
    )
    StateFolder.begin(tmp_path, {}, legs_of([t for t in TIMES if t <= first_ms], 4))
    opened(tmp_path, positions, candles).run(**ALL)
    StateFolder(tmp_path).extend([tuple(t for t in TIMES if t > first_ms)])
    gone = StateFolder(tmp_path).gone()
    assert hotkey not in gone
    staying = [p for p in now if p.miner_hotkey not in gone]
    with pytest.raises(LeaversNeeded, match="all of the traders are needed"):
        opened(tmp_path, staying, candles, flagged(positions), results=False)
    staying = [p for p in positions if p.miner_hotkey not in gone]
    manager = opened(tmp_path, staying, candles, flagged(positions), results=False)
    assert manager.n_legs_before == StateFolder(tmp_path).n_done()


def test_a_late_plagiarism_event_is_noticed(
    positions: list[Position], candles: CandleStore, through: Mapping[str, Any], tmp_path: Path
) -> None:
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, 4))
    without = opened(tmp_path, positions, candles, [])
    without.run(**ALL)
    assert list(without.network.events) != through["events"]
    again = opened(tmp_path, positions, candles)
    built(again)
    assert all_of(again) == through


def test_rules_of_a_leg_without_anybody_survive(tmp_path: Path) -> None:
    folder = StateFolder.begin(tmp_path, {}, [(1, 2)])
    nobody = StoredRules(NEW_NETWORK, (), [score({}, 1), score({}, 2)], [score({}, 2)])
    folder.keep_rules(0, nobody)
    told = folder.rules(0)
    assert [one.time_ms for one in told.scores] == [1, 2]
    assert [plain_scores(one) for one in told.competitions] == [plain_scores(score({}, 2))]


def test_other_folders_share_the_states(
    positions: list[Position], candles: CandleStore, through: Mapping[str, Any], tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    StateFolder.begin(mine, {"a": 1}, legs_of(TIMES, 10))
    opened(mine, positions, candles).run(**ALL)
    (mine / STATES / ".0001.rules.left").mkdir()
    other.mkdir()
    share_states(mine, other)
    assert not list((other / STATES).glob(".*"))
    again = opened(other, positions, candles)
    assert built(again) == []
    assert all_of(again) == through


def test_a_damaged_part_says_what_to_remove(
    positions: list[Position], candles: CandleStore, through: Mapping[str, Any], tmp_path: Path
) -> None:
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, 10))
    opened(tmp_path, positions, candles).run(**ALL)
    part = tmp_path / STATES / "0001.ledgers"
    content = bytearray((part / "traders.arrow").read_bytes())
    content[-200:] = bytes(200)
    (part / "traders.arrow").write_bytes(content)
    with pytest.raises(ConfigError, match=r"Remove .*0001\.ledgers: what it holds"):
        opened(tmp_path, positions, candles)
    for path in part.iterdir():
        path.unlink()
    part.rmdir()
    again = opened(tmp_path, positions, candles)
    assert {end for _, end in built(again)} == {legs_of(TIMES, 10)[1][-1]}
    assert all_of(again) == through


def test_another_version_is_refused(tmp_path: Path) -> None:
    StateFolder.begin(tmp_path, {}, [(1,)])
    plan = tmp_path / STATES / "plan.json"
    plan.write_text(plan.read_text().replace(f'"version": {STATES_VERSION}', '"version": 9'))
    with pytest.raises(ConfigError, match="has version 9"):
        StateFolder(tmp_path)


def test_single_updates_are_refused_where_legs_are_stored(
    positions: list[Position], candles: CandleStore, tmp_path: Path
) -> None:
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, 10))
    with pytest.raises(ConfigError, match=r"use run\(\)"):
        opened(tmp_path, positions, candles).update(TIMES[0])


@pytest.mark.parametrize("stored", [True, False])
def test_rules_that_were_interrupted_are_not_taken_for_done(
    positions: list[Position],
    candles: CandleStore,
    through: Mapping[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored: bool,
) -> None:
    """Whoever left in the part that was done would be missing in the leg, or look at its end too early."""
    StateFolder.begin(tmp_path, {}, legs_of(TIMES, 10))
    manager = opened(tmp_path, positions, candles) if stored else month(positions, candles)
    close = manager.network.close

    def closing(elimination: Elimination, *rest: Any) -> None:
        close(elimination, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(manager.network), "close", lambda _, *given: closing(*given))
    with pytest.raises(KeyboardInterrupt):
        manager.run(**ALL)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="make a new BacktestManager"):
        manager.run(**ALL)
    if not stored:
        with pytest.raises(ConfigError, match="make a new BacktestManager"):
            manager.update(TIMES[-1], **ALL)
        return
    again = opened(tmp_path, positions, candles)
    again.run(**ALL)
    assert all_of(again) == through
