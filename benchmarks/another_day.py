"""What one more day costs on a history that has been replayed, in this process.

The day is the same in all measurements, the last of the network; the history before it is short or
long. A measurement runs the history, with its states stored, then continues the run by the day, as
`ptn-backtest continue` does, with and without `--states-only`; and it runs history and day at once,
to compare.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.replay import Seconds, config_of, timed_advance, timed_run
from benchmarks.workload import Workload
from ptn_backtest.cli.unfinished import begin_states, continued_states
from ptn_backtest.clock import DAY_MS
from ptn_backtest.results.run_folder import RUN_FILE
from ptn_backtest.results.states import StateFolder

_TABLES = ("checkpoints", "ledgers", "positions", "events", "scores")


def measure_another_day(work: Workload, n_days: int) -> dict[str, Any]:
    """Replay `n_days` before the last day, then continue by the last day.

    Positions that were closed before the history are left out, so that a short history is one.

    Returns:
        {"states": of the states alone, "day": of the continued run, "full": of the run at once}: each
        {"seconds", "cpu_seconds"} by phase. And what there was: days, legs of the history and of the day,
        traders, orders, bytes of the stored states.
    """
    last_ms = work.end_ms - DAY_MS
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = replace(
            config_of(work, folder), start_time_ms=last_ms - n_days * DAY_MS, history="range"
        )
        before = replace(config, end_time_ms=last_ms)
        timed_run(before, folder / "continued", begin_states(before, folder / "begun"))
        n_before = StateFolder(folder / "continued").n_done()
        shutil.copytree(folder / "continued", folder / "states only")
        states = StateFolder(folder / "states only")
        alone = timed_advance(config, states, continued_states(states, config))
        states = StateFolder(folder / "continued")
        day = timed_run(config, folder / "continued", continued_states(states, config))
        n_after = states.n_done()
        full = timed_run(config, folder / "full", begin_states(config, folder / "begun"))
        timed_run(config, folder / "states only", lambda _: StateFolder(folder / "states only"))
        for run in ("continued", "states only"):
            _refuse_differences(folder / run, folder / "full")
        info = json.loads((folder / "full" / RUN_FILE).read_text())
        stored = (folder / "continued" / "states").rglob("*")
        return {
            "days": n_days,
            "legs": (n_before, n_after - n_before),
            "traders": info["counts"]["traders"],
            "orders": info["counts"]["orders"],
            "state_bytes": sum(path.stat().st_size for path in stored if path.is_file()),
            "states": _figures(alone),
            "day": _figures(day),
            "full": _figures(full),
        }


def _figures(found: tuple[Seconds, Seconds]) -> dict[str, Seconds]:
    return {"seconds": found[0], "cpu_seconds": found[1]}


def _refuse_differences(mine: Path, theirs: Path) -> None:
    for table in _TABLES:
        one, other = (folder / f"{table}.parquet" for folder in (mine, theirs))
        if one.read_bytes() != other.read_bytes():
            raise SystemExit(f"{table}: a continued run differs from one at once")
