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


class Listed(list[Any]):
    """Units in a list."""

    def part(self, numbers: Sequence[int]) -> list[Any]:
        return [self[number] for number in numbers]


@dataclass(frozen=True)
class Shifted:
    """Numbers, to each of which an array is added."""

    array: NDArray[np.float64]
    numbers: Sequence[float]

    def part(self, numbers: Sequence[int]) -> list[tuple[NDArray[np.float64], float]]:
        return [(self.array, self.numbers[number]) for number in numbers]


@dataclass(frozen=True)
class Each:
    """A function of one unit, for a part of them."""

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
    """Adds another array to each sum of array and number."""

    array: NDArray[np.float64]

    def __call__(
        self, units: Sequence[tuple[NDArray[np.float64], float]], zeros: Any
    ) -> list[NDArray[np.float64]]:
        found = [zeros((2, len(self.array)), dtype=np.float64) for _ in units]
        for mine, (array, number) in zip(found, units, strict=True):
            mine[:] += self.array + array + number
        return [mine[1] for mine in found]
