"""A whole replay of a network in this process: seconds by phase, counts, peak memory."""

import json
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import Workload
from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.legs import LegStore
from ptn_backtest.backtest.run import advance_backtest, run_backtest
from ptn_backtest.cli.collecting import collect_rarely
from ptn_backtest.cli.unfinished import begin_states
from ptn_backtest.report.html import write_report
from ptn_backtest.results.run_folder import RUN_FILE, write_run
from ptn_backtest.results.states import StateFolder

Seconds: TypeAlias = dict[str, float]
"""{phase: seconds}."""

_DATABASE = "ptn_backtest.sources.database.source:DatabasePositionOrderSource"
_MANAGER = "ptn_backtest.backtest.manager:BacktestManager"
_KEEPER = "ptn_backtest.backtest.leg_keeping:LegKeeper"
_PLACES = {
    "ptn_backtest.backtest.run:load_inputs": "change",
    f"{_DATABASE}.read": "load",
    f"{_DATABASE}.read_table": "load",
    f"{_DATABASE}.read_account_sizes": "load",
    f"{_DATABASE}.read_plagiarism_events": "load",
    "ptn_backtest.backtest.loading:convert": "convert",
    f"{_MANAGER}.__init__": "plan",
    f"{_MANAGER}._bring_candles": "plan",
    f"{_MANAGER}.run": "rules",
    f"{_MANAGER}._update_ledgers": "ledgers",
    f"{_KEEPER}.recall": "recall",
    f"{_KEEPER}.keep_ledgers": "store",
    f"{_KEEPER}.keep_rules": "store",
    "ptn_backtest.ledger.builder:run_updates": "kernel",
}

PHASES = {
    "load": "the database, as columns or as records",
    "convert": "records judged, as positions",
    "change": "what-if and slippage, which are off, and the time range",
    "plan": "timelines, candles and their check",
    "recall": "what was done before, out of stored states",
    "kernel": "compiled: every tick of every ledger",
    "ledgers": "Python around the kernel: state in, state and history out",
    "rules": "challenge, eliminations, scores; and anew the ledgers of those who leave",
    "store": "what is done, so that the run can be continued",
    "gather": "fingerprints, states of all positions, counts",
    "write": "run folder",
    "report": "report.html",
}
"""The phases of a run in their order, and what is in them."""


def config_of(work: Workload, output: Path) -> BacktestConfig:
    """The settings of a measured run: daily, all rules on."""
    return BacktestConfig(
        use_database_positions=True,
        database_url=work.url,
        candles=work.candles,
        start_time_ms=work.start_ms,
        end_time_ms=work.end_ms,
        run_challenge=True,
        run_elimination=True,
        run_scoring=True,
        missing_candles="hold",
        output=output,
        overwrite=True,
    )


def measure_replay(work: Workload, folder: Path) -> dict[str, Any]:
    """Replay the network, and write run folder and report.

    Returns:
        `seconds` and `cpu_seconds` by phase; peak_bytes of this process; the counts of the run, and
        how many traders were eliminated and liquidated.
    """
    config = config_of(work, folder.parent)
    unfinished = folder.with_name("unfinished")
    seconds, cpu_seconds = timed_run(config, folder, begin_states(config, unfinished))
    info = json.loads((folder / RUN_FILE).read_text())
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": _peak_bytes(),
        "counts": info["counts"],
        "eliminations": len(info["eliminations"]),
        "liquidations": len(info["liquidations"]),
    }


def timed_run(
    config: BacktestConfig, folder: Path, open_store: Callable[[Sequence[int]], LegStore]
) -> tuple[Seconds, Seconds]:
    """Replay with stored states, write run folder and report; seconds and CPU seconds by phase."""
    watch = Stopwatch()
    opened: list[LegStore] = []

    def remembered(times_ms: Sequence[int]) -> LegStore:
        opened.append(open_store(times_ms))
        return opened[0]

    collect_rarely()  # as the command does
    with watch.watching(_PLACES), watch.phase("gather"):
        result = run_backtest(config, open_store=remembered)
        with watch.phase("write"):
            (store,) = opened
            states = store.folder.parent if isinstance(store, StateFolder) else None
            write_run(folder, result, overwrite=True, states_of=states)
        with watch.phase("report"):
            write_report(folder, result)
    return _by_phase(watch.seconds), _by_phase(watch.cpu_seconds)


def timed_advance(
    config: BacktestConfig, states: StateFolder, open_store: Callable[[Sequence[int]], LegStore]
) -> tuple[Seconds, Seconds]:
    """Go on with stored states and write nothing else, as `continue --states-only` does."""
    watch = Stopwatch()
    collect_rarely()
    with watch.watching(_PLACES), watch.phase("gather"):
        advance_backtest(config, open_store, gone=states.gone())
    return _by_phase(watch.seconds), _by_phase(watch.cpu_seconds)


def _peak_bytes() -> int:
    """Most memory that this process had; what `getrusage` says begins with that of its parent."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def warm_up() -> float:
    """Load what is compiled, by a run of the test positions; seconds that it took."""
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        output = Path(folder)
        result = run_backtest(BacktestConfig(use_test_positions=True, output=output))
        write_report(write_run(output / "run", result), result)
    return time.perf_counter() - begun


def _by_phase(seconds: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    total = dict.fromkeys(PHASES, 0.0)
    for path, took in seconds.items():
        # the rules build the ledgers of those who leave a second time
        total["rules" if path[-2:] == ("rules", "kernel") else path[-1]] += took
    return total
