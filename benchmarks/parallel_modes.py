"""How much faster processes build the ledgers of a network, side by side in one run.

    python -m benchmarks.parallel_modes network

The results are compared, byte by byte. Seconds are of the ledger phase; on a busy machine look at
the processors' seconds too: their sum over the processors is the wall time of an idle machine.
"""

import argparse
import os
import time
from contextlib import closing
from pathlib import Path

from benchmarks.workload import FOLDER, workload
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.locate import open_source

REPEATS = 3


def processor_seconds(process_ids: list[int]) -> float:
    """User and system time of these processes so far (Linux)."""
    ticks = 0
    for pid in process_ids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def build(
    positions: PositionManager, candles: CandleStore, span: tuple[int, int], mode: str
) -> tuple[float, float, dict[str, dict[str, bytes]]]:
    """Seconds, processors' seconds, and the ledgers of one build."""
    manager = BacktestManager(
        positions,
        candles,
        *span,
        missing_candles="hold",
        parallel_mode=ParallelizationMode[mode],
    )
    with closing(manager):
        pids = [os.getpid(), *manager._execution.process_ids()]  # noqa: SLF001 - to measure it
        used, begun = processor_seconds(pids), time.perf_counter()
        manager.run()
        took, used = time.perf_counter() - begun, processor_seconds(pids) - used
    ledgers = {
        hotkey: {name: ledger.cps.tobytes() for name, ledger in mine.items()}
        for hotkey, mine in manager.get_perf_ledgers().items()
    }
    return took, used, ledgers


def main() -> None:
    """Print a line per build, and the ratio of the quickest ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size", nargs="?", default="small")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    made = workload(given.size, folder=given.folder)
    positions = PositionManager(convert(open_source(made.url).read()).positions)
    candles = CandleStore(made.candles)
    best = dict.fromkeys(("SERIAL", "MULTIPROCESSING"), float("inf"))
    first: dict[str, dict[str, bytes]] = {}
    for _ in range(REPEATS):
        for mode in best:
            span = made.start_ms, made.end_ms
            seconds, used, ledgers = build(positions, candles, span, mode)
            first = first or ledgers
            if ledgers != first:
                raise SystemExit(f"{mode}: other ledgers")
            best[mode] = min(best[mode], seconds)
            print(f"{mode:<16}{seconds:>8.2f} s{used:>8.2f} s of processors")
    print(f"ratio {best['SERIAL'] / best['MULTIPROCESSING']:.2f}")


if __name__ == "__main__":
    main()
