"""One map over traders; how it is run is a mode."""

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import TypeVar

from ptn_backtest.errors import NotAvailableYet

_Unit = TypeVar("_Unit")
_Result = TypeVar("_Result")


class ParallelizationMode(IntEnum):
    """How traders are worked on; every mode gives the same result."""

    SERIAL = 0
    PYSPARK = 1
    MULTIPROCESSING = 2


def check_mode(mode: ParallelizationMode) -> None:
    """Refuse a mode that this version does not have, before anything is loaded.

    Raises:
        NotAvailableYet: the mode is not SERIAL.
    """
    if mode is not ParallelizationMode.SERIAL:
        raise NotAvailableYet(
            f"parallel_mode = {mode.name} is not in this version; use parallel_mode = SERIAL (0)"
        )


def map_traders(
    mode: ParallelizationMode, work: Callable[[_Unit], _Result], units: Iterable[_Unit]
) -> Iterator[_Result]:
    """Apply a pure function to each trader's unit of work, results in the order of the units."""
    check_mode(mode)
    yield from map(work, units)
