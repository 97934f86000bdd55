"""Functions that tests give to worker processes, which import them by name."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Each:
    """A function of one unit, for a batch of them."""

    function: Callable[[Any], Any]

    def __call__(self, units: Sequence[Any], zeros: Any) -> list[Any]:
        del zeros
        return [self.function(unit) for unit in units]


def double(unit: int) -> int:
    return 2 * unit


def process_id(unit: int) -> int:
    time.sleep(0.01)
    return unit and os.getpid()


def die_once(unit: tuple[int, Path]) -> int:
    """Kill the process at unit 3, unless that happened before."""
    number, folder = unit
    died = folder / "died"
    if number == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_always(unit: int) -> int:
    if unit == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def leave(unit: int) -> int:
    os._exit(7 if unit else 8)


def slow(unit: int) -> int:
    time.sleep(0.2)
    return unit


def faulty(unit: int) -> float:
    return 1 / unit


def summed(unit: Any) -> float:
    return float(unit["array"].sum())


def one_more(unit: Any) -> Any:
    return unit + 1


@dataclass(frozen=True)
class Plus:
    """Adds an array to each unit of a batch."""

    array: NDArray[np.float64]

    def __call__(self, units: Sequence[float], zeros: Any) -> list[NDArray[np.float64]]:
        found = [zeros((2, len(self.array)), dtype=np.float64) for _ in units]
        for mine, unit in zip(found, units, strict=True):
            mine[:] += self.array + unit
        return [mine[1] for mine in found]
