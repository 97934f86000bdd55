"""Curves as small inline SVG, by hand.

The page does not use matplotlib: the base installation draws it, 500 traders take seconds and a few
MB instead of minutes and tens of MB, and lines and text follow the page's fonts and colours, light
or dark. An SVG holds only lines, stretched to the width of the page; labels are HTML beside it, so
they keep their size on a phone. (PNG plots, where print quality counts, do use it: `plots`.)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.results.statistics import EquityCurve

SIZE = 1000
"""Width and height of every viewBox; the page stretches it."""
MOST_POINTS = 300
_LEAST_SPAN = 1e-4
"""A curve that hardly moves is not blown up beyond this height (fraction)."""


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
class Axes:
    """Labels at the edges of a chart: numbers on the left, times below."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def grid(self) -> str:
        """Path of a line at every label."""
        across = "".join(f"M0 {tick.place}H{SIZE}" for tick in self.y_ticks)
        return across + "".join(f"M{tick.place} 0V{SIZE}" for tick in self.x_ticks)


@dataclass(frozen=True, slots=True)
class Chart(Axes):
    """A curve over time, ready for the template.

    Attributes:
        line: path of the curve.
        area: path of the area between the curve and zero.
        zero: where the line of zero is, in units of the viewBox.
        limit: where a limit is, in units of the viewBox.
    """

    line: str
    area: str
    zero: int
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One of several curves or areas in a chart."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class SeriesChart(Axes):
    """Several curves, or areas that stand on each other, ready for the template.

    Attributes:
        series: in the order in which they are drawn.
    """

    series: tuple[Series, ...]


def return_chart(curve: EquityCurve, most: int = MOST_POINTS) -> Chart:
    """Return since the first order."""
    return _chart(curve.time_ms, curve.value - 1.0, most)


def drawdown_chart(
    curve: EquityCurve, most: int = MOST_POINTS, limit: float | None = None
) -> Chart:
    """Deepest drawdown of each checkpoint; a limit (fraction, 0.1 = 10 %) is drawn at -limit."""
    return _chart(curve.time_ms, curve.drawdown, most, None if limit is None else -limit)


def stack_chart(
    time_ms: NDArray[np.int64], counts: Mapping[str, NDArray[np.int64]], end_ms: int
) -> SeriesChart:
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
        Series(name, _steps(x, _scaled(top.astype(np.float64), high, 0.0)))
        for name, top in zip(counts, tops, strict=True)
        if counts[name].any()
    ]
    whole = sorted({int(tick) for tick in nice_ticks(0.0, high)})
    return SeriesChart(
        series=tuple(reversed(series)),  # the lower ones cover the higher ones
        x_ticks=_time_labels(int(edges[0]), int(edges[-1])),
        y_ticks=tuple(Tick(round(100 * (1 - n / high), 2), f"{n:,}") for n in whole),
    )


def line_chart(
    time_ms: NDArray[np.int64],
    lines: Mapping[str, NDArray[np.float64]],
    most: int = MOST_POINTS,
    *,
    best: float | None = None,
) -> SeriesChart:
    """Lines over time; where a value is NaN, a line has a gap.

    Args:
        time_ms: ascending.
        lines: {name: values}, at least one of them a number.
        most: points per line.
        best: for ranks: this value is at the top, and larger ones are below it; otherwise 0 is at
            the bottom.
    """
    keep = np.unique(np.linspace(0, len(time_ms) - 1, min(most, len(time_ms))).astype(np.int64))
    highest = max(float(np.fmax.reduce(values)) for values in lines.values())
    bottom = 0.0 if best is None else max(highest, best + 1)
    top = best if best is not None else highest * 1.06 or 1.0
    x = _x(time_ms)[keep]
    ticks = nice_ticks(min(top, bottom), max(top, bottom), 3)
    if best is not None:
        ticks = sorted({best, *(float(round(tick)) for tick in ticks if tick >= best)})
    return SeriesChart(
        series=tuple(
            Series(name, _gapped(x, values[keep], top, bottom)) for name, values in lines.items()
        ),
        x_ticks=_time_labels(int(time_ms[0]), int(time_ms[-1]), about=3),
        y_ticks=tuple(
            Tick(round(100 * (top - tick) / (top - bottom), 2) or 0.0, f"{tick:,.6g}")
            for tick in ticks
        ),
    )


def sparkline(curve: EquityCurve, most: int = 60) -> str:
    """Path of the value alone, for a table's cell."""
    keep = thin(curve.value, most)
    low, high = _padded(curve.value, 1.0)
    return _path(_x(curve.time_ms)[keep], _scaled(curve.value[keep], high, low))


def thin(values: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Indices of at most `most` points that keep the ends and the highs and lows between."""
    if len(values) <= most:
        return np.arange(len(values))
    size, n_larger = divmod(len(values) - 2, most // 2 - 1)
    middle, end = 1 + n_larger * (size + 1), len(values) - 1
    kept = np.zeros(len(values), dtype=bool)
    kept[[0, end]] = True
    for begin, stop, width in ((1, middle, size + 1), (middle, end, size)):
        parts, begins = values[begin:stop].reshape(-1, width), np.arange(begin, stop, width)
        kept[begins + parts.argmin(axis=1)] = True
        kept[begins + parts.argmax(axis=1)] = True
    return np.flatnonzero(kept)


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


def _chart(
    time_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    most: int,
    limit: float | None = None,
) -> Chart:
    keep = thin(values, most)
    low, high = _padded(values if limit is None else np.append(values, limit), 0.0)
    x, y = _x(time_ms)[keep], _scaled(values[keep], high, low)
    zero = int(_scaled(np.zeros(1), high, low)[0])
    line = _path(x, y)
    start, end = int(time_ms[0]), int(time_ms[-1])
    return Chart(
        line=line,
        area=f"{line}V{zero}H{x[0]}Z",
        zero=zero,
        x_ticks=_time_labels(start, end),
        y_ticks=_percent_ticks(low, high),
        limit=None if limit is None else int(_scaled(np.array([limit]), high, low)[0]),
    )


@lru_cache(maxsize=1_000)
def _time_labels(start_ms: int, end_ms: int, about: int = 5) -> tuple[Tick, ...]:
    return tuple(
        Tick(round(100 * (time - start_ms) / max(end_ms - start_ms, 1), 2), label)
        for time, label in time_ticks(start_ms, end_ms, about)
    )


def _percent_ticks(low: float, high: float) -> tuple[Tick, ...]:
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    digits = max(0, math.ceil(-math.log10(step * 100) - 1e-9))
    return tuple(
        Tick(round(100 * (high - tick) / (high - low), 2), f"{100 * tick or 0.0:,.{digits}f}%")
        for tick in ticks
    )


def _padded(values: NDArray[np.float64], zero: float) -> tuple[float, float]:
    """The range of values with zero in it, and a little room where the curve is."""
    low, high = min(float(values.min()), zero), max(float(values.max()), zero)
    room = max((high - low) * 0.06, _LEAST_SPAN / 2)
    return (low - room if low < zero else low), (
        high + room if high > zero or low == zero else high
    )


def _x(time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    span = int(time_ms[-1] - time_ms[0])
    x: NDArray[np.int64] = (time_ms - time_ms[0]) * SIZE // max(span, 1)
    return x


def _scaled(values: NDArray[np.float64], top: float, bottom: float) -> NDArray[np.int64]:
    return np.rint((top - values) / (top - bottom) * SIZE).astype(np.int64)


def _steps(x: NDArray[np.int64], y: NDArray[np.int64]) -> str:
    """The area under a staircase: y[n] holds from x[n] to x[n + 1]."""
    stairs = "".join(f"V{height}H{until}" for height, until in zip(y, x[1:], strict=True))
    return f"M{x[0]} {SIZE}{stairs}V{SIZE}Z"


def _gapped(x: NDArray[np.int64], values: NDArray[np.float64], top: float, bottom: float) -> str:
    """A path per stretch of numbers; one number alone is a dot."""
    known = np.flatnonzero(~np.isnan(values))
    gaps = np.flatnonzero(np.diff(known) > 1) + 1
    paths = []
    for begin, end in pairwise([0, *gaps.tolist(), len(known)] if len(known) else ()):
        each = known[begin:end]
        y = _scaled(values[each], top, bottom)
        bends = np.ones(len(y), dtype=bool)  # points inside a level stretch draw nothing
        bends[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
        line = _path(x[each][bends], y[bends])
        paths.append(line if len(each) > 1 else f"M{x[each[0]]} {y[0]}h1")
    return "".join(paths)


def _path(x: NDArray[np.int64], y: NDArray[np.int64]) -> str:
    """Relative steps, which are short: M0 497l19 -13 18 4."""
    moves = zip(np.diff(x).tolist(), np.diff(y).tolist(), strict=True)
    steps = " ".join(f"{a} {b}" for a, b in moves)
    # a single checkpoint shows as a level
    return f"M{x[0]} {y[0]}l{steps}" if steps else f"M0 {y[0]}H{SIZE}"
