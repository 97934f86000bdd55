"""Periods that a store's files cover: months of minute candles, days of second candles."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan, Windows, touches
from ptn_backtest.prices.place import StorePath, reaching


def periods(timespan: Timespan, times_ms: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """The month (day, for seconds) of each time; as text it is the name of its file."""
    moments = times_ms.astype("datetime64[ms]")
    return moments.astype("datetime64[M]" if timespan is Timespan.MINUTE else "datetime64[D]")


def pieces_by_period(
    timespan: Timespan, start_ms: int, end_ms: int
) -> Iterator[tuple[str, tuple[int, int]]]:
    """A stretch in parts, one a period, with the period's name."""
    while start_ms < end_ms:
        name = str(periods(timespan, np.array([start_ms], dtype=np.int64))[0])
        bounds = _period_bounds(name, timespan)
        beyond = end_ms if bounds is None else min(bounds[1], end_ms)
        yield name, (start_ms, beyond)
        start_ms = beyond


def period_files(
    folder: StorePath, suffix: str, timespan: Timespan, windows: Windows
) -> list[StorePath]:
    """Files of a folder whose period has a moment in one of these windows, in time order."""
    with reaching(folder):
        if not folder.is_dir():
            return []
        # names, not paths: a year of second candles has many files, and is asked for many times
        if isinstance(folder, Path):
            names = os.listdir(folder)  # noqa: PTH208
        else:
            names = [path.name for path in folder.iterdir()]
    names = sorted(name for name in names if name.endswith(suffix))
    return [folder / name for name in names if _touched(folder, name, timespan, windows)]


def _touched(folder: StorePath, name: str, timespan: Timespan, windows: Windows) -> bool:
    bounds = _period_bounds(name.rpartition(".")[0], timespan)
    if bounds is None:
        raise CandleError(
            f"{folder / name} does not belong in a candle store: move it away, and import it with "
            "'ptn-backtest candles import'"
        )
    return touches(windows, bounds[0], bounds[1] - 1)


@cache
def _period_bounds(stem: str, timespan: Timespan) -> tuple[int, int] | None:
    """Begin of a file's period and of the next, ms; None where the name is no period."""
    period_type = periods(timespan, np.empty(0, dtype=np.int64)).dtype
    try:
        period = np.array([stem], dtype=period_type)
    except ValueError:
        return None
    if str(period[0]) != stem or np.isnat(period[0]):
        return None
    first, beyond = np.append(period, period + 1).astype("datetime64[ms]").astype(np.int64)
    return int(first), int(beyond)
