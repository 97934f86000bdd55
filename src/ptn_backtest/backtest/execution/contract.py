"""What every parallel mode promises, and the simplest one that keeps the promise."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.batch import BuiltLedgers, LedgerBatch, LedgerUpdate
from ptn_backtest.positions.columns import Ints

TICKS_AT_ONCE = 1_000_000
"""What SERIAL does before it tells of it: a hundredth of a second. Larger parts take longer, because the
system gives large arrays new memory each time."""


class ParallelizationMode(IntEnum):
    """How traders are worked on; every mode gives the same result."""

    SERIAL = 0
    PYSPARK = 1
    MULTIPROCESSING = 2

    @classmethod
    def parse(cls, value: object) -> "ParallelizationMode":
        """A mode by itself, its name in any case, or its number, also as a text.

        Raises:
            ValueError: there is no such mode; the message lists those that there are.
        """
        text = str(value).strip().upper().removeprefix("PARALLELIZATIONMODE.")
        for mode in cls:
            if text in {mode.name, str(mode.value)} or value is mode:
                return mode
        names = ", ".join(f"{mode.name} ({mode.value})" for mode in cls)
        raise ValueError(f"{value!r} is not a parallel mode: use {names}")


class Room(Protocol):
    """Where arrays are made."""

    def __call__(self, count: int, kind: type[np.generic]) -> NDArray[Any]:
        """An array of so many numbers of a kind."""
        ...

    def close(self) -> None:
        """No batch will have these arrays any more; they stay as they are for whoever has them."""
        ...


class OrdinaryRoom:
    """Memory of this process."""

    def __call__(self, count: int, kind: type[np.generic]) -> NDArray[Any]:
        """As `numpy.empty`."""
        return np.empty(count, kind)

    def close(self) -> None:
        """Nothing is held."""


class Execution(Protocol):
    """Maps a pure function over traders, in parts of a batch."""

    def map(self, update: LedgerUpdate, batch: LedgerBatch, ticks: Ints) -> Iterator[BuiltLedgers]:
        """What came of each part of the batch, as they are done: in any order.

        What came before an error, or before an interruption, is valid.

        Args:
            update: the function.
            batch: what it is called with, in parts.
            ticks: estimated work of each trader, by which it is split (`ledger.estimate`).

        Raises:
            ExecutionError: the rest cannot be done.
        """
        ...

    def room(self) -> Room:
        """A new place for the prices of batches, where the mode wants to have them."""
        ...

    def process_ids(self) -> Sequence[int]:
        """Other processes of this machine that do the work."""
        ...

    def close(self) -> None:
        """Give back whatever is held; nothing is mapped after it."""
        ...


class Serial:
    """SERIAL: one part after the other, in this process."""

    def map(self, update: LedgerUpdate, batch: LedgerBatch, ticks: Ints) -> Iterator[BuiltLedgers]:
        """In the order of the traders."""
        for places in cut_evenly(ticks, 1 + int(ticks.sum()) // TICKS_AT_ONCE):
            part = batch.part(places)
            yield BuiltLedgers(part.traders, update(part))

    def room(self) -> Room:
        """Of this process."""
        return OrdinaryRoom()

    def process_ids(self) -> Sequence[int]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing is held."""


def cut_evenly(ticks: Ints, n_parts: int) -> list[Ints]:
    """Places of traders in at most so many stretches of about equal work, none of them empty.

    A trader with more work than a part is a part of its own, or at the end of one.
    """
    if not len(ticks):
        return []
    work = ticks + 1  # those without ticks have to be looked at, too
    middle = np.cumsum(work) - work // 2
    part = middle * n_parts // (work.sum() + 1)
    return np.split(np.arange(len(ticks)), np.flatnonzero(np.diff(part)) + 1)
