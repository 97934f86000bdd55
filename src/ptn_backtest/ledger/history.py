"""A trader's ledgers as each of several updates left them, without a copy of each."""

from dataclasses import dataclass, field

import numpy as np

from ptn_backtest.ledger.book import MARK
from ptn_backtest.ledger.checkpoint import CHECKPOINT, Checkpoints, PerfLedger
from ptn_backtest.positions.columns import Rows


@dataclass(frozen=True, slots=True)
class LedgerHistory:
    """The ledgers after each of several updates.

    A checkpoint before the newest one never changes again, so that all checkpoints and each update's
    newest one tell everything.

    Attributes:
        times_ms: update times, ascending.
        names: of the ledgers.
        cps: all their checkpoints, one array per ledger, with those that have left the window.
        newest: the newest checkpoint after each update (ledgers x updates).
        marks: which checkpoints the window had then, and the peak (ledgers x updates, `book.MARK`).
        init_ms: time of each ledger's first record.
        window_ms: time that checkpoints may cover.
    """

    times_ms: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    cps: tuple[Checkpoints, ...] = ()
    newest: Checkpoints = field(default_factory=lambda: np.empty((0, 0), CHECKPOINT))
    marks: Rows = field(default_factory=lambda: np.empty((0, 0), MARK))
    init_ms: tuple[int, ...] = ()
    window_ms: int = 0

    def __len__(self) -> int:
        return len(self.times_ms)

    def ledgers_after(self, k: int) -> dict[str, PerfLedger]:
        """{"portfolio" or trade pair id: ledger} after update k; {} before the first order.

        Without last known prices, which no rule asks for.
        """
        return {
            name: PerfLedger(
                initialization_time_ms=self.init_ms[i],
                max_return=float(mark["peak"]),
                cps=np.append(self.cps[i][mark["oldest"] : mark["used"] - 1], newest),
                target_ledger_window_ms=self.window_ms,
            )
            for i, (name, mark, newest) in enumerate(
                zip(self.names, self.marks[:, k], self.newest[:, k], strict=True)
            )
            if mark["used"] > 0
        }
