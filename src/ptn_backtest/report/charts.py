"""Counts over time as small inline SVG, by hand: what stands on the page without its script.

An SVG holds only areas, stretched to the width of the page; labels are HTML beside it, so they keep their
size on a phone. Curves of traders are drawn by the page's script, from data (`page_data`). PNG plots,
where print quality counts, use matplotlib: `plots`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, HOUR_MS

SIZE = 1000
"""Width and height of every viewBox; the page stretches it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label beside a chart, at `at` percent from its left or top edge."""

    at: float
    label: str

    @property
    def place(self) -> int:
        """Where its line is, in units of the viewBox."""
        return round(self.at * SIZE / 100)


@dataclass(frozen=True, slots=True)
class Area:
    """One of several areas in a chart."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class StackChart:
    """Areas that stand on each other, ready for the template.

    Attributes:
        series: in the order in which they are drawn.
        x_ticks: times below.
        y_ticks: numbers on the left.
    """

    series: tuple[Area, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def grid(self) -> str:
        """Path of a line at every label."""
        across = "".join(f"M0 {tick.place}H{SIZE}" for tick in self.y_ticks)
        return across + "".join(f"M{tick.place} 0V{SIZE}" for tick in self.x_ticks)


def stack_chart(
    time_ms: NDArray[np.int64], counts: Mapping[str, NDArray[np.int64]], end_ms: int
) -> StackChart:
    """How many there are of each kind, stacked; a count holds until the next time, or the end.

    Args:
        time_ms: when counts change, ascending.
        counts: {name: counts}, from the bottom up.
        end_ms: where the chart ends.
    """
    edges = np.append(time_ms, max(end_ms, int(time_ms[-1])))
    x = _x(edges)
    tops = np.cumsum(list(counts.values()), axis=0)
    high = max(float(tops[-1].max()), 1.0)
    series = [
        Area(name, _steps(x, _heights(top, high)))
        for name, top in zip(counts, tops, strict=True)
        if counts[name].any()
    ]
    whole = sorted({int(tick) for tick in nice_ticks(0.0, high)})
    return StackChart(
        series=tuple(reversed(series)),  # the lower ones cover the higher ones
        x_ticks=_time_labels(int(edges[0]), int(edges[-1])),
        y_ticks=tuple(Tick(round(100 * (1 - n / high), 2), f"{n:,}") for n in whole),
    )


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) within [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def time_ticks(start_ms: int, end_ms: int, about: int = 5) -> list[tuple[int, str]]:
    """Round UTC times within [start, end] with their labels; the year where it is new."""
    span = end_ms - start_ms
    step = next(
        (hours * HOUR_MS for hours in (1, 2, 6, 12) if hours * HOUR_MS * about >= span),
        math.ceil(span / about / DAY_MS) * DAY_MS,
    )
    ticks, year = [], 0
    for time_ms in range(-(-start_ms // step) * step, end_ms + 1, step):
        moment = datetime.fromtimestamp(time_ms // 1000, tz=UTC)
        label = (
            f"{moment.day} {moment:%b}" if step >= DAY_MS or not moment.hour else f"{moment:%H:%M}"
        )
        if moment.year != year and ":" not in label:
            label, year = f"{label} {moment.year}", moment.year
        ticks.append((time_ms, label))
    return ticks


def _time_labels(start_ms: int, end_ms: int) -> tuple[Tick, ...]:
    return tuple(
        Tick(round(100 * (time - start_ms) / max(end_ms - start_ms, 1), 2), label)
        for time, label in time_ticks(start_ms, end_ms)
    )


def _x(time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    span = int(time_ms[-1] - time_ms[0])
    x: NDArray[np.int64] = (time_ms - time_ms[0]) * SIZE // max(span, 1)
    return x


def _heights(counts: NDArray[np.int64], high: float) -> NDArray[np.int64]:
    heights: NDArray[np.int64] = np.rint((high - counts) / high * SIZE).astype(np.int64)
    return heights


def _steps(x: NDArray[np.int64], y: NDArray[np.int64]) -> str:
    """The area under a staircase: y[n] holds from x[n] to x[n + 1]."""
    stairs = "".join(f"V{height}H{until}" for height, until in zip(y, x[1:], strict=True))
    return f"M{x[0]} {SIZE}{stairs}V{SIZE}Z"
