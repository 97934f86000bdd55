"""What one more day costs on a history that has been replayed, in this process.

The day is the same in all measurements, the last of the network; the history before it is short or
long. A measurement builds ledgers up to the day, stores their states as JSON, reads them back, and
continues from them. Rules are off: their state is not stored yet.
"""

import json
import time
from typing import Any

from benchmarks.replay import config_of
from benchmarks.workload import Workload
from ptn_backtest.backtest.loading import Inputs, load_inputs
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.manager import PositionManager


def measure_another_day(work: Workload, n_days: int) -> dict[str, Any]:
    """Replay `n_days` before the last day, then continue by the last day.

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
    full, full_plan = _manager(inputs, positions, times)
    full.run()
    history, _ = _manager(inputs, positions, times[:-1])
    history.run()
    stored = {
        hotkey: json.dumps(state.to_dict())
        for hotkey, state in history.perf_ledger_manager.states.items()
    }
    more, plan = _manager(inputs, positions, times[-1:], candles_from_ms=times[-2])
    more.perf_ledger_manager.states.update(
        (hotkey, LedgerState.from_dict(json.loads(text))) for hotkey, text in stored.items()
    )
    more.run()
    _refuse_differences(more, full)
    moments = [order.processed_ms for position in positions for order in position.orders]
    return {
        "days": n_days,
        "traders": len(positions.hotkeys),
        "positions": len(positions),
        "orders": len(moments),
        "orders_of_the_day": sum(moment > last_ms for moment in moments),
        "full_plan": full_plan,
        "full_ledgers": full.timings["ledgers"],
        "plan": plan,
        "ledgers": more.timings["ledgers"],
        "state_bytes": sum(map(len, stored.values())),
    }


def _manager(
    inputs: Inputs, positions: PositionManager, times: list[int], candles_from_ms: int | None = None
) -> tuple[BacktestManager, float]:
    begun = time.perf_counter()
    manager = BacktestManager(
        positions,
        inputs.candles,
        times[0],
        times[-1],
        account_sizes=inputs.account_sizes,
        missing_candles="hold",
        update_times_ms=times,
        candles_from_ms=candles_from_ms,
    )
    return manager, time.perf_counter() - begun


def _refuse_differences(more: BacktestManager, full: BacktestManager) -> None:
    for hotkey, state in full.perf_ledger_manager.states.items():
        if more.perf_ledger_manager.states[hotkey].to_dict() != state.to_dict():
            raise SystemExit(f"{hotkey}: a continued ledger differs from one built at once")
