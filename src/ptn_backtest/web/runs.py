"""A folder of runs: which there are, and how far those are that go on.

A name out of an address is only ever looked up among the folders that there are, so no name leads
anywhere else.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptn_backtest.errors import BacktestError, ConfigError
from ptn_backtest.results.run import Run, load_run
from ptn_backtest.results.run_folder import RUN_FILE
from ptn_backtest.results.states import STATES
from ptn_backtest.web.opened import OpenRun
from ptn_backtest.web.progress import Progress, progress_of
from ptn_backtest.web.recent import Recent

__all__ = ["UNFINISHED", "NoSuchRun", "RunSummary", "RunsFolder"]

UNFINISHED = "unfinished-"
"""How the folder of a run begins while it is under way."""
_MOST_OPEN = 6
_MOST_SUMMARIES = 1_000


class NoSuchRun(ConfigError):  # noqa: N818
    """A name that is none of a run in the folder."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in the list.

    Attributes:
        name: of its folder.
        finished: whether it was written to its end.
        progress: how far it is, while legs of it are to be done.
        error: why it cannot be read, or "".
        start_ms: first update.
        end_ms: last update.
        traders: how many.
        rulebook: what it was called, with the switches that were on.
        eliminations: how many left.
        created: when it was written, as run.json says.
        synthetic: whether data are made up.
        changed: of the folder, for the order of the list (seconds).
    """

    name: str
    finished: bool
    progress: Progress | None
    error: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    traders: int | None = None
    rulebook: str = ""
    switches: tuple[str, ...] = ()
    eliminations: int | None = None
    created: str = ""
    synthetic: bool = False
    changed: float = 0.0


@dataclass(slots=True)
class RunsFolder:
    """The runs below a folder, or the one run that the folder is.

    Attributes:
        root: the folder.
        candles: a candle store for price charts, in place of those that runs recorded.
    """

    root: Path
    candles: Path | None = None
    _open: Recent[OpenRun] = field(default_factory=lambda: Recent(_MOST_OPEN))
    _infos: Recent[RunSummary] = field(default_factory=lambda: Recent(_MOST_SUMMARIES))

    def folders(self) -> dict[str, Path]:
        """{name: folder} of everything that is a run or will be one.

        Raises:
            ConfigError: the folder cannot be read.
        """
        if _is_run(self.root):
            return {self.root.resolve().name: self.root}
        try:
            with os.scandir(self.root) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except OSError as error:
            raise ConfigError(
                f"{self.root} cannot be read: {error.strerror}. Give the folder that runs are "
                "written to (--output of `ptn-backtest run`)"
            ) from None
        return {name: self.root / name for name in names if _is_run(self.root / name)}

    def summaries(self) -> list[RunSummary]:
        """Every run, the newest first."""
        found = [self._summary(name, folder) for name, folder in self.folders().items()]
        return sorted(found, key=lambda one: (-one.changed, one.name))

    def names(self) -> list[str]:
        """The finished runs, by name."""
        return [name for name, folder in self.folders().items() if (folder / RUN_FILE).is_file()]

    def folder(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            NoSuchRun: there is none of that name.
        """
        folders = self.folders()
        if name not in folders:
            raise NoSuchRun(f"no run {name!r} in {self.root}")
        return folders[name]

    def open(self, name: str) -> OpenRun:
        """A finished run, read at most once while its folder stays the same.

        Raises:
            NoSuchRun: there is none of that name.
            ConfigError: it cannot be read.
        """
        folder = self.folder(name)
        return self._open.get(
            _version(folder), lambda: OpenRun(name, load_run(folder), self.candles)
        )

    def progress(self, name: str) -> Progress | None:
        """How far a run is that is under way; None where every leg is done.

        Raises:
            NoSuchRun: there is none of that name.
            ConfigError: its states cannot be read.
        """
        return progress_of(self.folder(name))

    def version(self, name: str) -> tuple[str, int, int]:
        """What tells one writing of a run from another."""
        return _version(self.folder(name))

    def _summary(self, name: str, folder: Path) -> RunSummary:
        finished = (folder / RUN_FILE).is_file()
        try:
            progress = progress_of(folder)
            if not finished:
                changed = progress.last_ms / 1_000 if progress else folder.stat().st_mtime
                return RunSummary(name, finished, progress, changed=changed)
            found = self._infos.get(
                (_version(folder), progress), lambda: _read_summary(name, folder, progress)
            )
        except (BacktestError, OSError) as error:
            return RunSummary(name, finished, None, error=str(error))
        return found


def _is_run(folder: Path) -> bool:
    return (folder / RUN_FILE).is_file() or (folder / STATES / "plan.json").is_file()


def _version(folder: Path) -> tuple[str, int, int]:
    try:
        about = (folder / RUN_FILE).stat()
    except OSError:
        return str(folder), 0, 0
    return str(folder), about.st_mtime_ns, about.st_ino


def _read_summary(name: str, folder: Path, progress: Progress | None) -> RunSummary:
    run: Run = load_run(folder)
    info, settings = run.info, run.info["settings"]
    return RunSummary(
        name=name,
        finished=True,
        progress=progress,
        start_ms=info["start_ms"],
        end_ms=info["end_ms"],
        traders=info["counts"].get("traders"),
        rulebook=_rulebook(settings),
        switches=tuple(
            switch.removeprefix("run_")
            for switch in ("run_challenge", "run_elimination", "run_scoring")
            if settings.get(switch)
        ),
        eliminations=len(info["eliminations"]),
        created=str(info["timings"].get("created", "")),
        synthetic=bool(info["synthetic"]),
        changed=(folder / RUN_FILE).stat().st_mtime,
    )


def _rulebook(settings: Mapping[str, Any]) -> str:
    found = settings.get("rulebook")
    name = found.get("name", "") if isinstance(found, Mapping) else found
    return name if isinstance(name, str) else json.dumps(name)
