"""How far a run is, on a terminal; nothing where the output is not one."""

import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_MEMORY_EVERY_S = 0.5


class ProgressBar:
    """A line with traders done, speed, memory and time left; see `backtest.watching.Watcher`."""

    def __init__(self, console: Console | None = None) -> None:
        """Show it on this console; on standard error by default."""
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._pids: Sequence[int] = ()
        self._begun = self._measured = 0.0
        self._n_done = self._n_traders = self._ticks = 0
        self._memory = ""

    def begin(self, leg: str, n_traders: int, ticks: int, process_ids: Sequence[int]) -> None:
        """Draw the line: of this leg's traders, and of the time to the end of the last leg."""
        if not self._console.is_terminal or not n_traders:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._pids, self._n_traders, self._n_done, self._ticks = process_ids, n_traders, 0, 0
        self._begun, self._measured = time.perf_counter(), 0.0
        self._task = self._bar.add_task(
            f"ledgers, leg {leg}", total=ticks, state=f"0 of {n_traders} traders"
        )
        self._bar.start()

    def done(self, n_traders: int, ticks: int) -> None:
        """Move on."""
        if self._bar is None:
            return
        self._n_done += n_traders
        self._ticks += ticks
        now = time.perf_counter()
        if now - self._measured > _MEMORY_EVERY_S:
            self._measured = now
            self._memory = f"{memory_bytes(self._pids) / 1e9:.1f} GB"
        speed = self._ticks / (now - self._begun) / 1e6
        state = (
            f"{self._n_done} of {self._n_traders} traders, {speed:.0f} M ticks/s, {self._memory}"
        )
        self._bar.update(self._task, advance=ticks, state=state)

    def end(self) -> None:
        """Wipe the line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def memory_bytes(process_ids: Sequence[int]) -> int:
    """Memory of this process and of these, shared pages counted once; our own peak if unknown."""
    try:
        return sum(_proportional_bytes(pid) for pid in (os.getpid(), *process_ids))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1_024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            return int(rest.split()[0]) * 1_024
    return 0
