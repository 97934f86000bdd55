"""What one more day costs on a history that has been replayed, in this process.

The day is the same in all measurements, the last of the network; the history before it is short or
long. A measurement builds ledgers up to the day, stores their states as JSON, reads them back, and
continues from them. Rules are off: their state is not stored yet.
"""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.replay import config_of
from benchmarks.workload import Workload
from ptn_backtest.backtest.loading import Inputs, load_inputs
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.manager import PositionManager

_Made = TypeVar("_Made")


def measure_another_day(work: Workload, n_days: int, clock: str = "seconds") -> dict[str, Any]:
    """Replay `n_days` before the last day, then continue by the last day.

    Args:
        work: the network.
        n_days: length of the history.
        clock: "seconds" that pass, or "cpu_seconds" that this process is at work.

    Returns:
        Seconds: `full_plan` and `full_ledgers` of the history with the day, built at once; `plan`
        (timelines and candles) and `ledgers` of the day alone, from the states. Loading the
        positions is in none of them. And what there was: positions, orders, orders of the day.
    """
    inputs = load_inputs(config_of(work, work.candles.parent))
    last_ms = work.end_ms - DAY_MS
    begin_ms = last_ms - n_days * DAY_MS
    positions = PositionManager([p for p in inputs.positions if p.open_ms >= begin_ms])
    times = list(range(begin_ms + DAY_MS, work.end_ms + 1, DAY_MS))
    now = time.process_time if clock == "cpu_seconds" else time.perf_counter
    full, full_plan = _timed(now, lambda: _manager(inputs, positions, times))
    _, full_ledgers = _timed(now, full.run)
    history = _manager(inputs, positions, times[:-1])
    history.run()
    stored = {
        hotkey: json.dumps(state.to_dict())
        for hotkey, state in history.perf_ledger_manager.states.items()
    }
    more, plan = _timed(
        now, lambda: _manager(inputs, positions, times[-1:], candles_from_ms=times[-2])
    )
    more.perf_ledger_manager.states.update(
        (hotkey, LedgerState.from_dict(json.loads(text))) for hotkey, text in stored.items()
    )
    _, ledgers = _timed(now, more.run)
    _refuse_differences(more, full)
    moments = [order.processed_ms for position in positions for order in position.orders]
    return {
        "days": n_days,
        "traders": len(positions.hotkeys),
        "positions": len(positions),
        "orders": len(moments),
        "orders_of_the_day": sum(moment > last_ms for moment in moments),
        "full_plan": full_plan,
        "full_ledgers": full_ledgers,
        "plan": plan,
        "ledgers": ledgers,
        "state_bytes": sum(map(len, stored.values())),
    }


def _manager(
    inputs: Inputs, positions: PositionManager, times: list[int], candles_from_ms: int | None = None
) -> BacktestManager:
    return BacktestManager(
        positions,
        inputs.candles,
        times[0],
        times[-1],
        account_sizes=inputs.account_sizes,
        missing_candles="hold",
        update_times_ms=times,
        candles_from_ms=candles_from_ms,
    )


def _timed(now: Callable[[], float], work: Callable[[], _Made]) -> tuple[_Made, float]:
    begun = now()
    made = work()
    return made, now() - begun


def _refuse_differences(more: BacktestManager, full: BacktestManager) -> None:
    for hotkey, state in full.perf_ledger_manager.states.items():
        if more.perf_ledger_manager.states[hotkey].to_dict() != state.to_dict():
            raise SystemExit(f"{hotkey}: a continued ledger differs from one built at once")
