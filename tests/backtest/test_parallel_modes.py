"""Every parallel mode gives the same run, byte by byte; errors and interruptions keep what is done."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.execution.contract import Serial, cut_evenly
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.errors import ExecutionError
from ptn_backtest.ledger.batch import (
    BuiltLedgers,
    LedgerBatch,
    LedgerSettings,
    in_order,
)
from ptn_backtest.ledger.columns import Resumed, taken
from ptn_backtest.ledger.estimate import estimated_ticks
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.state_columns import state_columns
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.ledger.timelines import joined
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import price_table
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.sources.bundled import START_MS, BundledPositionSource, bundled_candles
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import GivenCandles

PROCESSES = ParallelizationMode.MULTIPROCESSING
BTC = TradePair.from_trade_pair_id("BTCUSD")


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    return bundled_candles(tmp_path_factory.mktemp("parallel") / "candles")


@pytest.fixture(scope="module")
def positions() -> PositionManager:
    return PositionManager(convert(BundledPositionSource().read()).positions)


def made(positions: PositionManager, candles: CandleStore, **options: Any) -> BacktestManager:
    end_ms = START_MS + 5 * DAY_MS
    return BacktestManager(positions, candles, START_MS, end_ms, **options)


def run_files(folder: Path, config: BacktestConfig) -> dict[str, bytes]:
    """The run folder's files, run.json without its timings."""
    write_run(folder, run_backtest(config))
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    info = json.loads(files.pop("run.json"))
    assert info.pop("timings")
    return files | {"run.json": json.dumps(info).encode()}


@pytest.mark.parametrize("rules", [False, True], ids=["ledgers", "rules"])
def test_a_run_folder_is_the_same_in_processes(tmp_path, candles, rules):
    config = BacktestConfig(
        use_test_positions=True,
        candles=candles.root,
        run_challenge=rules,
        run_elimination=rules,
        run_scoring=rules,
    )
    serial = run_files(tmp_path / "serial", config)
    parallel = run_files(tmp_path / "parallel", replace(config, parallel_mode=PROCESSES))
    assert len(serial) > 5
    assert serial == parallel


def test_a_golden_folder_with_rules_is_the_same_in_processes(shared):
    """The reference's own replay with all rules, by day; see `tests.bundles` for its figures."""
    bundle = read_bundle(shared / "golden" / "daily_rules")
    given = bundle.settings
    managers = [
        BacktestManager(
            PositionManager(bundle.positions),
            bundle.candles,
            given.start_ms,
            given.end_ms,
            settings=LedgerSettings(given.rulebook, given.use_slippage),
            account_sizes=given.account_sizes,
            missing_candles="hold",
            update_times_ms=given.update_times_ms,
            parallel_mode=mode,
        )
        for mode in (ParallelizationMode.SERIAL, PROCESSES)
    ]
    for manager in managers:
        manager.run(run_challenge=True, run_elimination=True, run_scoring=True)
        manager.close()
    networks = [manager.network for manager in managers]
    assert len(networks[0].events) > 0
    assert repr(networks[0].events) == repr(networks[1].events)
    assert repr(networks[0].scores) == repr(networks[1].scores)
    states = [manager.perf_ledger_manager.states for manager in managers]
    assert list(states[0]) == list(states[1])
    assert all(states[0][h].to_dict() == states[1][h].to_dict() for h in states[0])


def test_updates_one_by_one_are_the_same_in_processes(positions, candles):
    whole, stepped = made(positions, candles), made(positions, candles, parallel_mode=PROCESSES)
    whole.run()
    pids = None
    for t_ms in stepped.update_times_ms:
        stepped.update(t_ms)
        now = stepped._execution.process_ids()
        assert pids in (None, now)  # the same processes all along
        pids = now
    stepped.close()
    states, ours = whole.perf_ledger_manager.states, stepped.perf_ledger_manager.states
    assert {h: s.to_dict() for h, s in states.items()} == {h: s.to_dict() for h, s in ours.items()}


def test_one_traders_error_is_reported_and_the_others_go_on(positions, candles):
    manager = made(positions, candles, parallel_mode=PROCESSES)
    manager.update(manager.update_times_ms[0])
    manager.update(manager.update_times_ms[3])
    ledgers = manager.perf_ledger_manager
    hotkey = max(ledgers.states, key=lambda each: ledgers.states[each].orders_seen)
    ledgers.states[hotkey] = replace(ledgers.states[hotkey], orders_seen=999)
    manager.update(manager.update_times_ms[4])
    manager.close()
    assert list(ledgers.failed) == [hotkey]
    assert "build its ledgers anew" in ledgers.failed[hotkey]
    others = [s for h, s in ledgers.states.items() if h != hotkey and s.ledgers]
    assert others
    assert {s.last_update_ms for s in others} == {manager.update_times_ms[4]}


class _StopsAfterTwo(Serial):
    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.begun: list[int] = []

    def map(self, update, batch, ticks) -> Iterator[Any]:
        del ticks
        # the last one first: what is done lies between what is not
        for i in (len(batch) - 2, *range(len(batch) - 2), len(batch) - 1):
            if len(self.begun) == 2:
                self.stop()
            part = batch.part([i])
            self.begun += part.traders.tolist()
            yield BuiltLedgers(part.traders, update(part))


def test_what_is_done_is_kept_when_the_work_stops(positions, candles):
    def stop() -> None:
        raise ExecutionError("trader 5X: its worker died")

    whole, stopped = made(positions, candles), made(positions, candles)
    whole.run(run_elimination=True)
    first, second = _StopsAfterTwo(stop), _StopsAfterTwo(lambda: None)
    stopped._execution = first
    with pytest.raises(ExecutionError, match="trader 5X"):
        stopped.run(run_elimination=True)
    stopped._execution = second
    stopped.run(run_elimination=True)
    assert len(first.begun) == 2
    assert sorted(first.begun + second.begun) == list(range(len(stopped.positions.hotkeys)))
    assert pickle.dumps(stopped.network.events) == pickle.dumps(whole.network.events)
    states, ours = whole.perf_ledger_manager.states, stopped.perf_ledger_manager.states
    assert list(states) == list(ours)
    assert {h: s.to_dict() for h, s in states.items()} == {h: s.to_dict() for h, s in ours.items()}


@pytest.mark.parametrize("working", [False, True], ids=["at start", "at work"])
def test_ctrl_c_ends_a_run_without_a_trace(tmp_path, candles, working):
    """A real command in a session of its own, interrupted as a terminal does: the whole group."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "ptn_backtest.cli.main", "run", "--use-test-positions"),
            *("--candles", str(candles.root), "--parallel-mode", "MULTIPROCESSING"),
            *("--interval-ms", "60000", "--run-name", "stopped", "-vv"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        workers = _wait_for_workers(run.pid)
        assert run.stderr is not None
        # the first of more than a thousand legs is done
        while working and "ledgers of" not in run.stderr.readline():
            assert run.poll() is None
        os.killpg(run.pid, signal.SIGINT)
        _, told = run.communicate(timeout=300)
    assert run.returncode == 130
    assert told.strip().endswith("interrupted")
    assert "Traceback" not in told
    deadline = time.monotonic() + 300  # one that was just being started ends by itself
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not (tmp_path / "runs" / "stopped").exists()


def _wait_for_workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    if not children.exists():
        pytest.skip("this system does not list child processes")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [int(pid) for pid in children.read_text().split()]
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("no worker was started")


def ticks_of(opened: int, closed: int | None, times: list[int], last_ms: int | None = None) -> int:
    """The estimate for a trader with one position, that goes on from a time or is new."""
    orders = [Order("1", OrderType.LONG, 0.1, 100.0, opened)]
    if closed is not None:
        orders.append(Order("2", OrderType.FLAT, 0.0, 100.0, closed))
    timeline = build_timeline([Position("5T", "1", BTC, opened, tuple(orders))])
    traders = np.zeros(1, dtype=np.int64)
    before: tuple[Resumed, ...] = ()
    if last_ms is not None:
        state = LedgerState(last_update_ms=last_ms, orders_seen=1)
        before = (Resumed(state_columns(state, timeline), traders, traders),)
    no_prices = price_table(GivenCandles({}), [], {})
    batch = LedgerBatch(traders, before, tuple(times), no_prices)
    (ticks,) = estimated_ticks(joined([timeline]), batch).tolist()
    return int(ticks)


def test_the_estimate_counts_open_minutes_and_seconds_near_ends_of_steps():
    day = DAY_MS
    # open for a day, then closed; ends of steps while open: opening, close
    assert ticks_of(day, 2 * day, [5 * day]) == 1440 + 120
    # still open at the end: one update in between, one at the end
    assert ticks_of(day, None, [2 * day, 3 * day]) == 2 * 1440 + 2 * 120
    # opened after the last update
    assert ticks_of(9 * day, None, [5 * day]) == 0
    assert ticks_of(day, None, []) == 0
    # what is done up to day 2 leaves one day
    assert ticks_of(day, None, [3 * day], last_ms=2 * day) == 1440 + 120


def test_parts_hold_about_equal_work_and_every_trader_once():
    def cut(ticks: list[int], n_parts: int) -> list[list[int]]:
        return [places.tolist() for places in cut_evenly(np.array(ticks, np.int64), n_parts)]

    assert cut([99, 99, 49, 49, 99], 4) == [[0], [1], [2, 3], [4]]
    assert cut([999, 1, 1, 1], 3) == [[0], [1, 2, 3]]
    assert cut([], 10) == []
    assert cut([0, 0, 0], 1) == [[0, 1, 2]]
    assert cut([0, 0, 0], 10) == [[0], [1], [2]]


def test_how_traders_are_put_together_makes_no_difference(positions, candles):
    manager = made(positions, candles).perf_ledger_manager
    times_ms = (START_MS + DAY_MS, START_MS + DAY_MS + MINUTE_MS)
    manager.update(times_ms[:1])
    batch = manager.batch(times_ms, keep_history=True)
    whole = taken(manager.ledger_update(batch), np.arange(len(batch)))
    parts = [batch.part(places) for places in ([0, 2], [1], list(range(3, len(batch))))]
    built = [BuiltLedgers(part.traders, manager.ledger_update(part)) for part in parts[::-1]]
    (together,) = in_order(built)
    assert together.traders.tolist() == batch.traders.tolist()
    for mine, theirs in zip(together.columns, whole, strict=True):
        assert mine.tobytes() == theirs.tobytes()
