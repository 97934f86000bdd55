"""What a stretch of updates added to a trader's ledgers: small to store, and to send.

A checkpoint before the newest one never changes again. So a stretch is told by the checkpoints from
the newest of before on, and by where each update left the ledgers; with the state before, it gives
back the state after and the history between, exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import MARK
from ptn_backtest.ledger.checkpoint import (
    CHECKPOINT,
    PORTFOLIO,
    WINDOW_MS,
    Checkpoints,
    PerfLedger,
    one_after_the_other,
    words,
)
from ptn_backtest.ledger.history import LedgerHistory, after_no_change
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.columns import Ints, Row, Rows

_NO_CHECKPOINTS = np.empty(0, dtype=CHECKPOINT)


@dataclass(frozen=True, slots=True)
class LedgerDelta:
    """What came of a stretch of updates, without what was there before it.

    Attributes:
        summary: JSON-ready: `state` after it, without ledgers; `names`, `init_ms` of the ledgers that
            were kept, their `window_ms` and last known `prices`; `kept`: how many checkpoints of
            before each of them begins with, and `added`: how many follow. {} where the updates
            changed nothing.
        cps: the added checkpoints of all ledgers, one ledger after the other.
        marks: where each update left each ledger (updates x ledgers, `book.MARK`).
        earlier_at: places (in updates x ledgers, flat) where the newest checkpoint went on later.
        earlier: these newest checkpoints, as the update left them.
    """

    summary: Mapping[str, Any]
    cps: Checkpoints
    marks: Rows
    earlier_at: Ints
    earlier: Checkpoints


NO_CHANGE = LedgerDelta(
    {}, _NO_CHECKPOINTS, np.empty((0, 0), MARK), np.empty(0, np.int64), _NO_CHECKPOINTS
)
"""Of a trader whose ledgers ended before."""


@dataclass(frozen=True, slots=True)
class GrowingLedger:
    """Checkpoints in parts, which are joined when all of them are known.

    Attributes:
        parts: checkpoints, one part after the other.
        begin: how many of the first do not count any more.
    """

    parts: Sequence[Checkpoints]
    begin: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.parts)) - self.begin

    def continued(self, part: Checkpoints) -> "GrowingLedger":
        """With the newest checkpoint, which went on, replaced by those of `part`."""
        *done, newest = self.parts
        return GrowingLedger([*done, newest[:-1], part], self.begin)

    def window(self, mark: Row) -> "GrowingLedger":
        """Those that an update left: its mark tells which (`book.MARK`)."""
        if mark["used"] != len(self):
            return GrowingLedger([self.joined()[mark["oldest"] : mark["used"]]])
        return GrowingLedger(self.parts, self.begin + int(mark["oldest"]))

    def joined(self) -> Checkpoints:
        """All of them in one array."""
        return one_after_the_other(self.parts)[self.begin :]


def delta_of(
    before: LedgerState, after: LedgerState, history: LedgerHistory, *, whole: bool = False
) -> LedgerDelta:
    """What lies between two states.

    Args:
        before: the state that the updates began with.
        after: the state that they left.
        history: what each of them left; it must have been kept.
        whole: leave nothing to `before`, so that the delta can be applied to any state.
    """
    if history.marks is None or history.newest is None:
        return _whole_state(after) if whole else NO_CHANGE
    kept = [
        0 if whole or name not in before.ledgers else len(before.ledgers[name].cps) - 1
        for name in history.names
    ]
    added = [cps[n:] for cps, n in zip(history.cps, kept, strict=True)]
    newest = history.newest.ravel()
    # to the last bit, which is also quicker than field by field
    closing = words(_closing(history.cps, history.marks).ravel())
    earlier = np.flatnonzero((closing != words(newest)).any(axis=1))
    return LedgerDelta(
        summary=_summary(after, history.names, history.init_ms, kept, added),
        cps=one_after_the_other(added),
        marks=history.marks,
        earlier_at=earlier,
        earlier=newest[earlier],
    )


def state_after(before: LedgerState, *deltas: LedgerDelta) -> LedgerState:
    """The state that stretches of updates left, one after the other.

    Args:
        before: the state that `delta_of` was given; any state for a whole delta.
        deltas: what it gave, of each stretch.

    Raises:
        LedgerError: a delta belongs to another state.
    """
    changing = [delta for delta in deltas if delta.summary]
    if not changing:
        return before
    grown = {name: GrowingLedger([ledger.cps]) for name, ledger in before.ledgers.items()}
    for delta in changing[:-1]:
        each = zip(_grown(grown, delta), delta.marks[-1], strict=True)
        grown = {name: one.window(mark) for (name, one), mark in each if mark["used"] > 0}
    last = changing[-1]
    return _state(last, [one.joined() for _, one in _grown(grown, last)])


def apply_delta(
    before: LedgerState, delta: LedgerDelta, times_ms: Sequence[int]
) -> tuple[LedgerState, LedgerHistory]:
    """As `state_after`, and what each of the updates left."""
    if not delta.summary:
        return before, after_no_change(before, times_ms, LedgerHistory())
    cps = _joined(before, delta)
    after = _state(delta, cps)
    newest = _closing(cps, delta.marks)
    newest.reshape(-1)[delta.earlier_at] = delta.earlier
    history = LedgerHistory(
        times_ms=tuple(times_ms),
        before=before.ledgers,
        names=tuple(delta.summary["names"]),
        cps=cps,
        newest=newest,
        marks=delta.marks,
        init_ms=tuple(delta.summary["init_ms"]),
        window_ms=delta.summary["window_ms"],
    )
    return after, history


def _summary(
    after: LedgerState,
    names: Sequence[str],
    init_ms: Sequence[int],
    kept: Sequence[int],
    added: Sequence[Checkpoints],
) -> dict[str, Any]:
    portfolio = after.ledgers.get(PORTFOLIO)
    return {
        "state": replace(after, ledgers={}).to_dict(),
        "names": list(names),
        "init_ms": list(init_ms),
        "window_ms": portfolio.target_ledger_window_ms if portfolio else WINDOW_MS,
        "prices": {k: list(v) for k, v in portfolio.last_known_prices.items()} if portfolio else {},
        "kept": list(kept),
        "added": [len(cps) for cps in added],
    }


def _state(delta: LedgerDelta, cps: Sequence[Checkpoints]) -> LedgerState:
    summary = delta.summary
    prices = {key: (price, ms) for key, (price, ms) in summary["prices"].items()}
    each = zip(summary["names"], summary["init_ms"], cps, delta.marks[-1], strict=True)
    ledgers = {
        name: PerfLedger(
            initialization_time_ms=init_ms,
            max_return=float(mark["peak"]),
            cps=own[mark["oldest"] : mark["used"]],
            last_known_prices=prices if name == PORTFOLIO else {},
            target_ledger_window_ms=summary["window_ms"],
        )
        for name, init_ms, own, mark in each
        if mark["used"] > 0
    }
    return replace(LedgerState.from_dict(summary["state"]), ledgers=ledgers)


def _joined(before: LedgerState, delta: LedgerDelta) -> tuple[Checkpoints, ...]:
    """Each ledger's checkpoints: those kept of before, then those added."""
    old = {name: GrowingLedger([ledger.cps]) for name, ledger in before.ledgers.items()}
    return tuple(one.joined() for _, one in _grown(old, delta))


def _grown(
    old: Mapping[str, GrowingLedger], delta: LedgerDelta
) -> Iterator[tuple[str, GrowingLedger]]:
    """(name, its checkpoints) of a delta's ledgers: those kept of before, then those added.

    Raises:
        LedgerError: the delta belongs to another state.
    """
    summary = delta.summary
    parts = np.split(delta.cps, np.cumsum(summary["added"])[:-1])
    for name, part, kept in zip(summary["names"], parts, summary["kept"], strict=True):
        there = len(old[name]) if kept and name in old else 0
        if kept and there != kept + 1:
            raise LedgerError(
                f"ledger {name}: what was stored continues {kept + 1} checkpoints, but the state "
                f"has {there}; build the ledgers anew"
            )
        yield name, old[name].continued(part) if kept else GrowingLedger([part])


def _closing(cps: Sequence[Checkpoints], marks: Rows) -> Checkpoints:
    """Every update's newest checkpoint as it is in the end (updates x ledgers)."""
    closing = np.zeros(marks.shape, dtype=CHECKPOINT)
    used, numbers = marks["used"], words(closing)
    for i, own in enumerate(cps):
        there = used[:, i] > 0
        numbers[there, i] = words(own)[used[there, i] - 1]
    return closing


def _whole_state(state: LedgerState) -> LedgerDelta:
    """A state that no update changes any more, as a delta that can be applied to any other."""
    names, ledgers = list(state.ledgers), list(state.ledgers.values())
    marks = np.zeros((1, len(names)), dtype=MARK)
    marks["used"] = [[len(ledger.cps) for ledger in ledgers]]
    marks["peak"] = [[ledger.max_return for ledger in ledgers]]
    cps = [ledger.cps for ledger in ledgers]
    init_ms = [ledger.initialization_time_ms for ledger in ledgers]
    return LedgerDelta(
        summary=_summary(state, names, init_ms, [0] * len(names), cps),
        cps=one_after_the_other(cps),
        marks=marks,
        earlier_at=NO_CHANGE.earlier_at,
        earlier=_NO_CHECKPOINTS,
    )
