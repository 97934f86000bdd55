"""What the page shows of the network as a whole: who stood where over time, and what happened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import DAY_MS
from ptn_backtest.report import rule_wording
from ptn_backtest.report.charts import StackChart, stack_chart
from ptn_backtest.results.bucket_history import Stay, Stays, bucket_stays
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind

MOST_EVENTS = 600
"""Newest events listed; events.parquet has them all."""
MOST_STEPS = 200
"""Changes of counts that the chart draws; more are sampled."""
MOST_BARS = 120
"""Of promotions, demotions and eliminations: a bar is a day, or several in a long run."""
MOVES = (EventKind.PROMOTED, EventKind.DEMOTED, EventKind.ELIMINATED)


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The network's part of the page.

    Attributes:
        now: (bucket or "out", how many stand there at the end).
        chart: counts over time; None where nobody entered.
        moves: promotions, demotions and eliminations over time; None where there were none.
        events: newest first, without what follows from an elimination.
        n_events: how many there are of these.
        kinds: (kind, its name, how many), to choose from.
        reasons: (reason in words, how many were eliminated for it).
    """

    now: Sequence[tuple[str, int]]
    chart: StackChart | None
    moves: StackChart | None
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
        chart=stack_chart(*bucket_counts(stays, result.end_ms, MOST_STEPS), result.end_ms)
        if stays
        else None,
        moves=_move_chart(moves, result.start_ms, result.end_ms),
        events=moves[::-1][:MOST_EVENTS],
        n_events=len(moves),
        kinds=[(k.value, name, counted[k]) for k, name in rule_wording.KINDS.items() if counted[k]],
        reasons=why.most_common(),
    )


def _now(result: RunResult) -> list[tuple[str, int]]:
    standing = Counter(one.bucket for one in result.standings.values())
    known = [(rule_wording.BUCKETS[bucket], standing[bucket]) for bucket in rule_wording.BUCKETS]
    return [*known, (rule_wording.OUT, len(result.eliminations))]


def bucket_counts(
    stays: Stays, end_ms: int, most: int
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """How many stood in each bucket over time, and how many had left.

    Args:
        stays: of at least one trader.
        end_ms: of the run.
        most: times; where there are more changes, they are sampled.

    Returns:
        Times (ms) from which counts hold, ascending; {bucket or "out": counts}.
    """
    names: dict[Bucket | None, str] = dict(rule_wording.BUCKETS.items())
    names[None] = rule_wording.OUT
    rows = {bucket: row for row, bucket in enumerate(names)}
    changes = sorted(_changes(stays, rows))
    times, first = np.unique([time for time, _, _ in changes], return_index=True)
    steps = np.zeros((len(changes), len(names)), dtype=np.int64)
    for place, (_, row, change) in enumerate(changes):
        steps[place, row] = change
    counts = np.cumsum(np.add.reduceat(steps, first, axis=0), axis=0)
    if len(times) > most:
        grid = np.linspace(times[0], end_ms, most).astype(np.int64)
        counts, times = counts[np.searchsorted(times, grid, side="right") - 1], grid
    return times, {name: counts[:, rows[bucket]] for bucket, name in names.items()}


def _move_chart(moves: Sequence[Event], start_ms: int, end_ms: int) -> StackChart | None:
    """How many were promoted, demoted and eliminated, by so many whole days that bars can be seen."""
    found = [event for event in moves if event.kind in MOVES]
    if not found:
        return None
    begin_ms = min(start_ms, found[0].time_ms)
    begin_ms -= begin_ms % DAY_MS
    n_days = (end_ms - begin_ms) // DAY_MS + 1
    width_ms = -(-n_days // MOST_BARS) * DAY_MS
    n_bars = (end_ms - begin_ms) // width_ms + 1
    counts = {kind: np.zeros(n_bars, np.int64) for kind in MOVES}
    for event in found:
        counts[event.kind][(event.time_ms - begin_ms) // width_ms] += 1
    return stack_chart(
        begin_ms + np.arange(n_bars) * width_ms,
        {rule_wording.KINDS[kind]: each for kind, each in counts.items()},
        begin_ms + n_bars * width_ms,
    )


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
