"""Where two candle stores disagree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ptn_backtest.clock import DAY_MS, NEVER_MS
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.store import CandleStore

TOLERANCE = 0.001
"""Closes that differ by more than this fraction differ; venues are usually nearer to each other."""

_CHUNK_MS = 31 * DAY_MS


@dataclass(frozen=True, slots=True)
class DifferingCandle:
    """A candle whose close differs: its start in ms, and both closes."""

    start_ms: int
    a: float
    b: float

    @property
    def fraction(self) -> float:
        """|b / a - 1|."""
        return abs(self.b / self.a - 1)


@dataclass(frozen=True, slots=True)
class SeriesDifference:
    """One pair and timespan in both stores.

    Attributes:
        trade_pair_id: the pair.
        timespan: length of the candles.
        n_both: candles in both.
        n_only_a: candles in the first alone.
        n_only_b: candles in the second alone.
        n_differing: of those in both, closes further apart than the tolerance.
        largest: the largest |b / a - 1|.
        mean: the mean of it.
        differing: the candles that differ, the worst first, as many as were asked for.
    """

    trade_pair_id: str
    timespan: Timespan
    n_both: int
    n_only_a: int
    n_only_b: int
    n_differing: int
    largest: float
    mean: float
    differing: Sequence[DifferingCandle]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        candles = [{**asdict(each), "fraction": each.fraction} for each in self.differing]
        return {**asdict(self), "differing": candles}


def compare_stores(
    a: CandleStore,
    b: CandleStore,
    *,
    trade_pair_ids: Iterable[str] | None = None,
    timespans: Iterable[Timespan] = tuple(Timespan),
    start_ms: int = -NEVER_MS,
    end_ms: int = NEVER_MS,
    tolerance: float = TOLERANCE,
    limit: int = 20,
) -> list[SeriesDifference]:
    """Compare the closes of two stores, pair by pair; a series that neither has is left out.

    Args:
        a: one store.
        b: the other.
        trade_pair_ids: which pairs; None means all that either has.
        timespans: which timespans.
        start_ms: start of the range.
        end_ms: end of the range, included.
        tolerance: fraction of the first store's close.
        limit: how many differing candles to keep for each series.

    Raises:
        CandleError: a store is damaged.
    """
    pairs = sorted({*a.pairs(), *b.pairs()}) if trade_pair_ids is None else trade_pair_ids
    lengths = tuple(timespans)
    return [
        found
        for pair in pairs
        for timespan in lengths
        if (found := _compared(a, b, pair, timespan, (start_ms, end_ms), tolerance, limit))
    ]


def _compared(
    a: CandleStore,
    b: CandleStore,
    pair: str,
    timespan: Timespan,
    bounds: tuple[int, int],
    tolerance: float,
    limit: int,
) -> SeriesDifference | None:
    counts = np.zeros(4, dtype=np.int64)  # both, only a, only b, differing
    total = largest = 0.0
    worst: list[DifferingCandle] = []
    for mine, other in _pieces(a, b, pair, timespan, bounds):
        common, in_a, in_b = np.intersect1d(
            mine.start_ms, other.start_ms, assume_unique=True, return_indices=True
        )
        apart = np.abs(other.close[in_b] / mine.close[in_a] - 1)
        beyond = np.flatnonzero(apart > tolerance)
        n_both = len(common)
        counts += (n_both, len(mine) - n_both, len(other) - n_both, len(beyond))
        total += float(apart.sum())
        largest = max(largest, float(apart.max(initial=0.0)))
        order = beyond[np.argsort(-apart[beyond], kind="stable")][:limit]
        worst += [
            DifferingCandle(int(common[i]), float(mine.close[in_a[i]]), float(other.close[in_b[i]]))
            for i in order
        ]
        worst = sorted(worst, key=lambda each: (-each.fraction, each.start_ms))[:limit]
    n_both, only_a, only_b, differing = (int(n) for n in counts)
    if not n_both + only_a + only_b:
        return None
    mean = total / n_both if n_both else 0.0
    return SeriesDifference(
        pair, timespan, n_both, only_a, only_b, differing, largest, mean, tuple(worst)
    )


def _pieces(
    a: CandleStore, b: CandleStore, pair: str, timespan: Timespan, bounds: tuple[int, int]
) -> Iterator[tuple[Candles, Candles]]:
    """Both stores' candles a month at a time: a year of seconds of both is a gigabyte."""
    extents: Mapping[str, Any] = {"a": a.extent(pair, timespan), "b": b.extent(pair, timespan)}
    held = [each for each in extents.values() if each is not None]
    if not held:
        return
    start = max(bounds[0], min(each.first_ms for each in held))
    end = min(bounds[1], max(each.last_ms for each in held))
    while start <= end:
        last = min(start + _CHUNK_MS - 1, end)
        yield a.read(pair, timespan, start, last), b.read(pair, timespan, start, last)
        start = last + 1
