"""Candles as the engine reads them."""

from collections.abc import Iterable, Iterator, Sequence
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


Windows: TypeAlias = NDArray[np.int64]
"""Stretches of time as rows (start, end) in ms, both included, ascending and apart."""

NO_WINDOWS: Windows = np.empty((0, 2), dtype=np.int64)


def window(start_ms: int, end_ms: int) -> Windows:
    """One window; none where it would end before it starts."""
    return np.array([[start_ms, end_ms]][: start_ms <= end_ms], dtype=np.int64).reshape(-1, 2)


def clipped(windows: Windows, start_ms: int, end_ms: int) -> Windows:
    """What of these windows lies in [start_ms, end_ms]."""
    if end_ms < start_ms:
        return windows[:0]
    touching = (windows[:, 0] <= end_ms) & (windows[:, 1] >= start_ms)
    return np.clip(windows[touching], start_ms, end_ms)


def touches(windows: Windows, first_ms: int, last_ms: int) -> bool:
    """Whether one of these windows has a moment in [first_ms, last_ms]."""
    at = int(windows[:, 1].searchsorted(first_ms))
    return at < len(windows) and bool(windows[at, 0] <= last_ms)


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

    def between(self, start_ms: int, end_ms: int) -> "Candles":
        """Those that start in [start_ms, end_ms], not copied."""
        first = self.start_ms.searchsorted(start_ms)
        last = self.start_ms.searchsorted(end_ms, side="right")
        return Candles(self.start_ms[first:last], self.close[first:last])

    def within(self, windows: Windows) -> "Candles":
        """Those that start in one of these windows."""
        if not len(self):
            return self
        first = windows[:, 1].searchsorted(self.start_ms[0])
        last = windows[:, 0].searchsorted(self.start_ms[-1], side="right")
        edges = self.start_ms.searchsorted(np.add(windows[first:last], (0, 1)).ravel())
        edges = np.concatenate(([0], edges, [len(self)]))
        inside = np.repeat(np.arange(len(edges) - 1) % 2 == 1, edges[1:] - edges[:-1])
        return Candles(self.start_ms[inside], self.close[inside])


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


@runtime_checkable
class WindowedSource(Protocol):
    """A source that skips what lies between windows."""

    def read_around(
        self, trade_pair_id: str, timespan: Timespan, windows: Windows
    ) -> Iterator[Candles]:
        """Candles that start in one of these windows, and some between them, ascending, in parts."""
        ...


def read_around(
    source: CandleSource, trade_pair_id: str, timespan: Timespan, windows: Windows
) -> Iterator[Candles]:
    """Of any source the candles that start in one of these windows, and some between them, in parts."""
    if not len(windows):
        return
    if isinstance(source, WindowedSource):
        yield from source.read_around(trade_pair_id, timespan, windows)
    else:
        first_ms, last_ms = int(windows[0, 0]), int(windows[-1, 1])
        yield source.read(trade_pair_id, timespan, first_ms, last_ms)
