"""One building of a network's ledgers in this process: what the ledger phase took, here and in workers."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import Workload
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.locate import open_source
from ptn_backtest.sources.record_table import read_records

_MANAGER = "ptn_backtest.backtest.manager:BacktestManager"
_PLACES = {f"{_MANAGER}._update_ledgers": "ledgers", f"{_MANAGER}._bring_candles": "candles"}


def measure_building(work: Workload, mode: str) -> dict[str, Any]:
    """Build the ledgers, without rules, with workers that are ready.

    Args:
        work: the network.
        mode: name of a parallel mode.

    Returns:
        `wall`: seconds of the ledger phase by the clock; `here`, `workers`: seconds of processors, of this
        process and of each worker; `ledgers`: a digest of all ledgers.
    """
    positions = PositionManager(convert(read_records(open_source(work.url))).positions)
    manager = BacktestManager(
        positions,
        CandleStore(work.candles),
        work.start_ms,
        work.end_ms,
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
    return {
        "wall": watch.seconds[path],
        "here": watch.cpu_seconds[path],
        "workers": [end - begin for begin, end in zip(before, after, strict=True)],
        "ledgers": digest_of(manager.get_perf_ledgers()),
    }


def digest_of(ledgers: Mapping[str, Mapping[str, PerfLedger]]) -> str:
    """Of every byte of every checkpoint, and whose it is."""
    digest = hashlib.sha256()
    for hotkey, mine in ledgers.items():
        for name, ledger in mine.items():
            digest.update(f"{hotkey} {name} {len(ledger.cps)}\n".encode())
            digest.update(ledger.cps.tobytes())
    return digest.hexdigest()


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
