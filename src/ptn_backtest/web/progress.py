"""How far a run is that is under way, from the legs that it has stored."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from ptn_backtest.clock import SECOND_MS
from ptn_backtest.results.states import STATES, StateFolder
from ptn_backtest.rules.standing import NetworkState

__all__ = ["Progress", "network_after", "progress_of"]

_LATEST = 8
"""Legs whose times tell how long one takes."""
_QUIET_LEGS = 6
_QUIET_MS = 60 * SECOND_MS
"""A run that stored nothing for this many times a leg, and this long, may have been interrupted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's legs.

    Attributes:
        n_done: legs that are stored.
        n_legs: legs of the run.
        start_ms: first update.
        until_ms: last update that is stored; None before the first leg is.
        end_ms: last update of the run.
        last_ms: when the last leg was stored, or the run began (time of the file system).
        leg_ms: what a leg takes; None before one is done.
    """

    n_done: int
    n_legs: int
    start_ms: int
    until_ms: int | None
    end_ms: int
    last_ms: int
    leg_ms: int | None

    @property
    def fraction(self) -> float:
        """Done, 0 to 1."""
        return self.n_done / self.n_legs if self.n_legs else 0.0

    def left_ms(self, now_ms: int) -> int | None:
        """Time to the end, if legs go on to take what they took; None where that is unknown."""
        if self.leg_ms is None:
            return None
        in_leg = min(max(now_ms - self.last_ms, 0), self.leg_ms)
        return (self.n_legs - self.n_done) * self.leg_ms - in_leg

    def quiet_ms(self, now_ms: int) -> int | None:
        """For how long nothing was stored, where that is longer than it should be."""
        since = now_ms - self.last_ms
        if since > max(_QUIET_MS, _QUIET_LEGS * (self.leg_ms or 0)):
            return since
        return None


def progress_of(run_folder: Path) -> Progress | None:
    """How far a run is; None where every leg is done, or none are stored.

    Raises:
        ConfigError: the states cannot be read.
    """
    plan = run_folder / STATES / "plan.json"
    if not plan.is_file():
        return None
    states = StateFolder(run_folder)
    legs, n_done = states.legs(), states.n_done()
    if not legs or n_done == len(legs):
        return None
    begun = _changed_ms(plan)
    times = [begun, *(_changed_ms(states.folder / f"{leg:04}.rules") for leg in range(n_done))]
    # legs of before a run was continued are older than its plan
    took = [late - early for early, late in pairwise(times) if late > early]
    return Progress(
        n_done=n_done,
        n_legs=len(legs),
        start_ms=legs[0][0],
        until_ms=legs[n_done - 1][-1] if n_done else None,
        end_ms=legs[-1][-1],
        last_ms=max(times),
        leg_ms=int(median(took[-_LATEST:])) if took else None,
    )


def network_after(run_folder: Path, leg: int) -> NetworkState | None:
    """Where everybody stood after a stored leg; None where that cannot be read any more."""
    path = run_folder / STATES / f"{leg:04}.rules" / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))["state"]
        return NetworkState.from_dict(state)
    except (OSError, ValueError, KeyError):
        return None


def _changed_ms(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError:  # it was done again in the meantime
        return 0
