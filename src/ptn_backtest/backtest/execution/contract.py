"""What every parallel mode promises, and the simplest one that keeps the promise."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol

from ptn_backtest.errors import BacktestError
from ptn_backtest.ledger.manager import TraderOutcome, TraderUnit, TraderUpdate


class ParallelizationMode(IntEnum):
    """How traders are worked on; every mode gives the same result."""

    SERIAL = 0
    PYSPARK = 1
    MULTIPROCESSING = 2


class Execution(Protocol):
    """Maps a pure function over traders' units of work."""

    def map(
        self, update: TraderUpdate, units: Sequence[TraderUnit], ticks: Sequence[int]
    ) -> Iterator[tuple[int, TraderOutcome | BacktestError]]:
        """(place among the units, outcome) of each unit, as they are done: in any order.

        What came before an error, or before an interruption, is valid.

        Args:
            update: the function.
            units: what it is called with.
            ticks: estimated work of each, by which it is split (`ledger.estimate`).

        Raises:
            ExecutionError: the rest cannot be done.
        """
        ...

    def process_ids(self) -> Sequence[int]:
        """Other processes of this machine that do the work."""
        ...

    def close(self) -> None:
        """Give back whatever is held; nothing is mapped after it."""
        ...


class Serial:
    """SERIAL: one trader after the other, in this process."""

    def map(
        self, update: TraderUpdate, units: Sequence[TraderUnit], ticks: Sequence[int]
    ) -> Iterator[tuple[int, TraderOutcome | BacktestError]]:
        """In the order of the units."""
        del ticks
        return enumerate(map(update, units))

    def process_ids(self) -> Sequence[int]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing is held."""
