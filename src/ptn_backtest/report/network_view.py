"""What the page shows of the network as a whole: who stood where over time, and what happened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.report import rule_wording
from ptn_backtest.report.charts import SeriesChart, stack_chart
from ptn_backtest.results.bucket_history import Stay, Stays, bucket_stays
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind

MOST_EVENTS = 1_000
"""Newest events listed; events.parquet has them all."""
MOST_STEPS = 200
"""Changes of counts that the chart draws; more are sampled."""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The network's part of the page.

    Attributes:
        now: (bucket or "out", how many stand there at the end).
        chart: counts over time; None where nobody entered.
        events: newest first, without what follows from an elimination.
        n_events: how many there are of these.
        kinds: (kind, its name, how many), to choose from.
        reasons: (reason in words, how many were eliminated for it).
    """

    now: Sequence[tuple[str, int]]
    chart: SeriesChart | None
    events: Sequence[Event]
    n_events: int
    kinds: Sequence[tuple[str, str, int]]
    reasons: Sequence[tuple[str, int]]


def network_view(result: RunResult) -> NetworkView:
    """What a run's rules did."""
    moves = rule_wording.moves(result.events)
    stays = bucket_stays(result.events)
    counted = Counter(event.kind for event in moves)
    why = Counter(
        rule_wording.reason(event.reason) for event in moves if event.kind is EventKind.ELIMINATED
    )
    return NetworkView(
        now=_now(result),
        chart=_count_chart(stays, result.end_ms) if stays else None,
        events=moves[::-1][:MOST_EVENTS],
        n_events=len(moves),
        kinds=[(k.value, name, counted[k]) for k, name in rule_wording.KINDS.items() if counted[k]],
        reasons=why.most_common(),
    )


def _now(result: RunResult) -> list[tuple[str, int]]:
    standing = Counter(one.bucket for one in result.standings.values())
    known = [(rule_wording.BUCKETS[bucket], standing[bucket]) for bucket in rule_wording.BUCKETS]
    return [*known, (rule_wording.OUT, len(result.eliminations))]


def _count_chart(stays: Stays, end_ms: int) -> SeriesChart:
    """How many stood in each bucket, and how many had left."""
    names: dict[Bucket | None, str] = dict(rule_wording.BUCKETS.items())
    names[None] = rule_wording.OUT
    rows = {bucket: row for row, bucket in enumerate(names)}
    changes = sorted(_changes(stays, rows))
    times, first = np.unique([time for time, _, _ in changes], return_index=True)
    steps = np.zeros((len(changes), len(names)), dtype=np.int64)
    for place, (_, row, change) in enumerate(changes):
        steps[place, row] = change
    counts = np.cumsum(np.add.reduceat(steps, first, axis=0), axis=0)
    if len(times) > MOST_STEPS:
        grid = np.linspace(times[0], end_ms, MOST_STEPS).astype(np.int64)
        counts, times = counts[np.searchsorted(times, grid, side="right") - 1], grid
    return stack_chart(times, {name: counts[:, rows[b]] for b, name in names.items()}, end_ms)


def _changes(
    stays: Mapping[str, Sequence[Stay]], rows: Mapping[Bucket | None, int]
) -> list[tuple[int, int, int]]:
    """(time, row of the bucket, +1 or -1) of every move."""
    changes = []
    for own in stays.values():
        for before, stay in zip((None, *own), own, strict=False):
            changes.append((stay.from_ms, rows[stay.bucket], 1))
            if before:
                changes.append((stay.from_ms, rows[before.bucket], -1))
    return changes
