"""How much faster processes build the ledgers of a network, side by side in one run.

    python -m benchmarks.parallel_modes network

The results are compared, byte by byte. Seconds are of the ledger phase, with workers that are ready.
On a busy machine the processor seconds tell more: this process and its busiest worker, one after the
other, are the longest that the phase takes on idle processors.
"""

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from statistics import median

from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import FOLDER, workload
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.locate import open_source

REPEATS = 5

_MANAGER = "ptn_backtest.backtest.manager:BacktestManager"
_PLACES = {f"{_MANAGER}._update_ledgers": "ledgers", f"{_MANAGER}._bring_candles": "candles"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a build took, in seconds: by the clock, and of processors here and in each worker."""

    wall: float
    here: float
    workers: tuple[float, ...]

    @property
    def in_turn(self) -> float:
        """Processor seconds of this process and of the busiest worker."""
        return self.here + max(self.workers, default=0.0)


def processor_seconds(process_id: int) -> float:
    """User and system time of this process so far (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(process_ids: Sequence[int]) -> None:
    """Until processes that were started use no processor, as they wait for work."""
    before = None
    while (used := [processor_seconds(pid) for pid in process_ids]) != before:
        before = used
        time.sleep(0.5)


def build(
    positions: PositionManager, candles: CandleStore, span: tuple[int, int], mode: str
) -> tuple[Cost, dict[str, dict[str, bytes]]]:
    """What one build took, and its ledgers."""
    manager = BacktestManager(
        positions,
        candles,
        *span,
        missing_candles="hold",
        parallel_mode=ParallelizationMode[mode],
    )
    watch, path = Stopwatch(), ("ledgers",)
    with closing(manager), watch.watching(_PLACES):
        workers = manager._execution.process_ids()  # noqa: SLF001 - to measure it
        wait_until_idle(workers)
        before = [processor_seconds(pid) for pid in workers]
        manager.run()
        after = [processor_seconds(pid) for pid in workers]
    ledgers = {
        hotkey: {name: ledger.cps.tobytes() for name, ledger in mine.items()}
        for hotkey, mine in manager.get_perf_ledgers().items()
    }
    used = tuple(end - begin for begin, end in zip(before, after, strict=True))
    return Cost(watch.seconds[path], watch.cpu_seconds[path], used), ledgers


def main() -> None:
    """Print a line per build, and the ratio of the quickest ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size", nargs="?", default="small")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    made = workload(given.size, folder=given.folder)
    positions = PositionManager(convert(open_source(made.url).read()).positions)
    candles = CandleStore(made.candles)
    costs: dict[str, list[Cost]] = {"SERIAL": [], "MULTIPROCESSING": []}
    first: dict[str, dict[str, bytes]] = {}
    build(positions, candles, (made.start_ms, made.end_ms), "SERIAL")  # may compile
    for _ in range(REPEATS):
        for mode, mine in costs.items():
            cost, ledgers = build(positions, candles, (made.start_ms, made.end_ms), mode)
            first = first or ledgers
            if ledgers != first:
                raise SystemExit(f"{mode}: other ledgers")
            mine.append(cost)
            workers = ", ".join(f"{seconds:.2f}" for seconds in cost.workers)
            print(f"{mode:<16}{cost.wall:>7.2f} s; processors {cost.here:.2f} s here, [{workers}]")
    for name, choose in (("best", min), ("median", median)):
        wall, used = (
            choose([each(cost) for cost in costs["SERIAL"]])
            / choose([each(cost) for cost in costs["MULTIPROCESSING"]])
            for each in (attrgetter("wall"), attrgetter("in_turn"))
        )
        print(f"{name}: {wall:.2f} times faster by the clock, {used:.2f} by processors in turn")


if __name__ == "__main__":
    main()
