"""Candles as the engine reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS

Ranges: TypeAlias = Sequence[tuple[int, int]]
"""(start, end) in ms, in any order; they may overlap."""


class Timespan(StrEnum):
    """Length of a candle."""

    MINUTE = "minute"
    SECOND = "second"

    @property
    def ms(self) -> int:
        """Its length in ms."""
        return MINUTE_MS if self is Timespan.MINUTE else SECOND_MS


def merged_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times in ascending ranges that do not touch; empty ranges are left out."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles of one pair and timespan.

    Attributes:
        start_ms: start of each candle, ms, strictly ascending, multiples of the timespan.
        close: price at the candle's end.
    """

    start_ms: NDArray[np.int64]
    close: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start_ms)


class CandleSource(Protocol):
    """Where a replay reads candles from: the store on disk, or a bundle's file."""

    def describe(self) -> str:
        """The source in a few words."""
        ...

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        """Candles that start in [start_ms, end_ms]; empty where there are none."""
        ...


@runtime_checkable
class KnowsMissing(Protocol):
    """A source that also knows which candles do not exist where its candles come from."""

    def known_missing(
        self,
        trade_pair_id: str,
        timespan: Timespan,
        start_ms: int = -NEVER_MS,
        end_ms: int = NEVER_MS,
    ) -> Ranges:
        """Stretches [start, end) that touch [start_ms, end_ms], ascending and apart."""
        ...
