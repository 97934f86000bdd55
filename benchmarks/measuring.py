"""One measurement, in a process of its own: what it is comes as JSON, and so does what was found.

Peak memory is a process's own, and nothing that an earlier measurement left in memory helps a later
one.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.another_day import measure_another_day
from benchmarks.building import measure_building
from benchmarks.replay import config_of, measure_replay, warm_up
from benchmarks.ticks import least_seconds, work_of
from benchmarks.workload import Workload
from ptn_backtest.backtest.legs import update_times
from ptn_backtest.backtest.loading import load_inputs
from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.timeline import build_timeline

ROOT = Path(__file__).parents[1]


def measured(
    what: str,
    work: Workload,
    *,
    warm: bool = True,
    **options: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """Run one of `MEASUREMENTS` in a new process, and give what it found.

    Args:
        what: the measurement.
        work: the network.
        warm: first run the test positions, so that compiled code is loaded.
        options: what the measurement takes beside the network.

    Raises:
        SystemExit: it failed; its messages are on the standard error.
    """
    fields = {**asdict(work), "candles": str(work.candles)}
    asked = json.dumps({"what": what, "work": fields, "warm": warm, "options": options})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measuring"],
        input=asked,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the measurement {what!r} of {work.name} failed")
    found = json.loads(done.stdout.splitlines()[-1])
    return dict(found)


def measure_least_work(work: Workload, ended_ms: dict[str, int], repeats: int) -> dict[str, Any]:
    """Ticks of the network's portfolios up to each trader's end, and the least seconds for them.

    `every_least_seconds` is that for all ledgers, those by pair included, as the kernel builds them.
    """
    inputs = load_inputs(config_of(work, work.candles.parent))
    timelines = [build_timeline(mine) for mine in inputs.positions.by_hotkey().values()]
    times = update_times(inputs.start_ms, inputs.end_ms, DAY_MS)
    ticks = work_of(timelines, times, ended_ms)
    by_pair = work_of(timelines, times, ended_ms, by_pair=True)
    least = least_seconds(ticks, repeats)
    return {
        "ticks": ticks.n_ticks,
        "valuations": ticks.n_valuations,
        "pair_ticks": by_pair.n_ticks,
        "least_seconds": least,
        "every_least_seconds": least + least_seconds(by_pair, repeats),
    }


def _replay(work: Workload, folder: str) -> dict[str, Any]:
    return measure_replay(work, Path(folder))


MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "replay": _replay,
    "least_work": measure_least_work,
    "another_day": measure_another_day,
    "building": measure_building,
}


def main() -> None:
    """Do what the standard input asks for."""
    asked = json.loads(sys.stdin.read())
    fields = asked["work"]
    work = Workload(**{**fields, "candles": Path(fields["candles"])})
    warm_up_seconds = warm_up() if asked["warm"] else 0.0
    found = MEASUREMENTS[asked["what"]](work, **asked["options"])
    print(json.dumps({**found, "warm_up_seconds": warm_up_seconds}))


if __name__ == "__main__":
    main()
