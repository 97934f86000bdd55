"""A trader's ledgers as each of several updates left them, without a copy of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.book import MARK, Book
from ptn_backtest.ledger.checkpoint import Checkpoints, PerfLedger
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.columns import Ints, Rows


@dataclass(frozen=True, slots=True)
class LedgerHistory:
    """The ledgers after each of several updates.

    A checkpoint before the newest one never changes again, so that all checkpoints and each update's
    newest one tell everything.

    Attributes:
        times_ms: update times, ascending.
        before: {ledger name: ledger} at the updates that changed nothing, which come first.
        names: ledgers of the other updates.
        cps: all their checkpoints, one array per ledger, with those that have left the window.
        newest: the newest checkpoint after each of these updates (updates x ledgers).
        marks: which checkpoints the window had then, and the peak (updates x ledgers, `book.MARK`).
        init_ms: time of each ledger's first record.
        window_ms: time that checkpoints may cover.
    """

    times_ms: tuple[int, ...] = ()
    before: Mapping[str, PerfLedger] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    cps: tuple[Checkpoints, ...] = ()
    newest: Checkpoints | None = None
    marks: Rows | None = None
    init_ms: tuple[int, ...] = ()
    window_ms: int = 0

    def __len__(self) -> int:
        return len(self.times_ms)

    @property
    def n_kept(self) -> int:
        """Updates that changed something; they come last."""
        return 0 if self.marks is None else len(self.marks)

    def exists(self, ledger: int) -> NDArray[np.bool_]:
        """Whether a ledger (by its place) had a record after each of these updates."""
        return self._marks(ledger)["used"] > 0

    def oldest(self, ledger: int) -> Ints:
        """Place of its oldest checkpoint in the window after each of these updates."""
        places: Ints = self._marks(ledger)["oldest"]
        return places

    def lowest_mdds(self, ledger: int) -> NDArray[np.float64]:
        """Lowest mdd of its checkpoints in the window after each of these updates; 1 before any."""
        marks = self._marks(ledger)
        newest = np.ones(len(marks)) if self.newest is None else self.newest["mdd"][:, ledger]
        done = np.append(self.cps[ledger]["mdd"], np.inf)
        bounds = np.column_stack((marks["oldest"], np.maximum(marks["used"] - 1, marks["oldest"])))
        # every second stretch is a window; an empty one gives its first element, which is not meant
        lowest = np.minimum.reduceat(done, bounds.ravel())[::2]
        lowest[bounds[:, 0] == bounds[:, 1]] = np.inf
        return np.where(marks["used"] > 0, np.minimum(lowest, newest), 1.0)

    def _marks(self, ledger: int) -> Rows:
        if self.marks is None:
            return np.zeros(0, dtype=MARK)
        return self.marks[:, ledger]

    def all_checkpoints(self) -> dict[str, PerfLedger]:
        """{ledger name: ledger with every checkpoint it ever had} after the last update."""
        return {
            name: PerfLedger(self.init_ms[i], 1.0, self.cps[i])
            for i, name in enumerate(self.names)
            if len(self.cps[i])
        }

    def ledgers_after(self, k: int) -> dict[str, PerfLedger]:
        """{"portfolio" or trade pair id: ledger} after update k; {} before the first order.

        Without last known prices, which no rule asks for.
        """
        n_before = len(self.times_ms) - self.n_kept
        if k < n_before or self.newest is None or self.marks is None:
            return dict(self.before)
        return {
            name: PerfLedger(
                initialization_time_ms=self.init_ms[i],
                max_return=float(mark["peak"]),
                cps=np.append(self.cps[i][mark["oldest"] : mark["used"] - 1], newest),
                target_ledger_window_ms=self.window_ms,
            )
            for i, (name, mark, newest) in enumerate(
                zip(self.names, self.marks[k - n_before], self.newest[k - n_before], strict=True)
            )
            if mark["used"] > 0
        }


def book_history(book: Book, names: Sequence[str], times_ms: Sequence[int]) -> LedgerHistory:
    """What the kernel kept after each of these updates."""
    if not times_ms:
        return LedgerHistory()
    used = book.ledgers["used"]
    return LedgerHistory(
        times_ms=tuple(times_ms),
        names=tuple(names),
        cps=tuple(book.cps[i, : used[i]] for i in range(len(names))),
        newest=book.newest,
        marks=book.marks,
        init_ms=tuple(int(ms) for ms in book.ledgers["init_ms"]),
        window_ms=int(book.losses["window_ms"][0]),
    )


def after_no_change(
    state: LedgerState, times_ms: Iterable[int], history: LedgerHistory
) -> LedgerHistory:
    """The history with updates before it that changed nothing, because they were done already."""
    return replace(history, times_ms=(*times_ms, *history.times_ms), before=state.ledgers)
