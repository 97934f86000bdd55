"""A trader's ledgers as each of several updates left them, without a copy of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import Book
from ptn_backtest.ledger.checkpoint import Checkpoints, PerfLedger
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.columns import Rows


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

    def marks_after(self, k: int) -> Rows | None:
        """Which checkpoints each ledger had after update k; None where the update changed nothing."""
        n_before = len(self.times_ms) - (0 if self.marks is None else len(self.marks))
        return None if self.marks is None or k < n_before else self.marks[k - n_before]

    def mdd_after(self, k: int, ledger: int) -> float:
        """Lowest mdd of the checkpoints that a ledger (by its place) had after update k.

        Only where there are marks after this update, and the ledger was in use.
        """
        mark = self.marks_after(k)
        if mark is None or self.newest is None:
            raise LedgerError(f"no ledger was kept after update {k}")
        newest = self.newest[k - len(self.times_ms)]["mdd"][ledger]
        done = self.cps[ledger]["mdd"][mark["oldest"][ledger] : mark["used"][ledger] - 1]
        return float(min(newest, done.min())) if len(done) else float(newest)

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
        n_before = len(self.times_ms) - (0 if self.marks is None else len(self.marks))
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
