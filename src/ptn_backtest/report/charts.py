"""Curves as small inline SVG, by hand.

The page does not use matplotlib: the base installation draws it, 500 traders take seconds and a few
MB instead of minutes and tens of MB, and lines and text follow the page's fonts and colours, light
or dark. An SVG holds only lines, stretched to the width of the page; labels are HTML beside it, so
they keep their size on a phone. (PNG plots, where print quality counts, do use it: `plots`.)
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

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


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve over time, ready for the template.

    Attributes:
        line: path of the curve.
        area: path of the area between the curve and zero.
        zero: where the line of zero is, in units of the viewBox.
        x_ticks: times.
        y_ticks: percentages.
    """

    line: str
    area: str
    zero: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def return_chart(curve: EquityCurve, most: int = MOST_POINTS) -> Chart:
    """Return since the first order."""
    return _chart(curve.time_ms, curve.value - 1.0, most)


def drawdown_chart(curve: EquityCurve, most: int = MOST_POINTS) -> Chart:
    """Deepest drawdown of each checkpoint."""
    return _chart(curve.time_ms, curve.drawdown, most)


def sparkline(curve: EquityCurve, most: int = 60) -> str:
    """Path of the value alone, for a table's cell."""
    keep = thin(curve.value, most)
    low, high = _padded(curve.value, 1.0)
    return _path(_x(curve.time_ms)[keep], _scaled(curve.value[keep], high, low))


def thin(values: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Indices of at most `most` points that keep the ends and the highs and lows between."""
    if len(values) <= most:
        return np.arange(len(values))
    parts = np.array_split(np.arange(1, len(values) - 1), most // 2 - 1)
    extremes = [part[pick(values[part])] for part in parts for pick in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])


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


def _chart(time_ms: NDArray[np.int64], values: NDArray[np.float64], most: int) -> Chart:
    keep = thin(values, most)
    low, high = _padded(values, 0.0)
    x, y = _x(time_ms)[keep], _scaled(values[keep], high, low)
    zero = int(_scaled(np.zeros(1), high, low)[0])
    line = _path(x, y)
    start, end = int(time_ms[0]), int(time_ms[-1])
    return Chart(
        line=line,
        area=f"{line}V{zero}H{x[0]}Z",
        zero=zero,
        x_ticks=tuple(
            Tick(round(100 * (time - start) / max(end - start, 1), 2), label)
            for time, label in time_ticks(start, end)
        ),
        y_ticks=_percent_ticks(low, high),
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


def _path(x: NDArray[np.int64], y: NDArray[np.int64]) -> str:
    """Relative steps, which are short: M0 497l19 -13 18 4."""
    steps = " ".join(f"{a} {b}" for a, b in zip(np.diff(x), np.diff(y), strict=True))
    # a single checkpoint shows as a level
    return f"M{x[0]} {y[0]}l{steps}" if steps else f"M0 {y[0]}H{SIZE}"
