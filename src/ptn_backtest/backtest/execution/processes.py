"""MULTIPROCESSING: one process per processor, candles in memory that all of them share."""

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ptn_backtest.backtest.execution.pool import WorkerPool
from ptn_backtest.errors import BacktestError
from ptn_backtest.ledger.manager import TraderOutcome, TraderUnit, TraderUpdate
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline

BATCHES_PER_WORKER = 32
"""Small traders are given together, as much as this part of a worker's share: messages cost."""


@dataclass(frozen=True, slots=True)
class Part:
    """What differs from leg to leg in a trader's unit."""

    hotkey: str
    state: LedgerState
    update_times_ms: Sequence[int]
    keep_history: bool


@dataclass(frozen=True, slots=True)
class PartUpdate:
    """An update of traders whose orders were sent before.

    Attributes:
        update: the update.
        timelines: {hotkey: orders}, light.
    """

    update: TraderUpdate
    timelines: Mapping[str, TraderTimeline]

    def __call__(self, part: Part) -> TraderOutcome | BacktestError:
        """What the update gives for the trader."""
        timeline = self.timelines[part.hotkey]
        return self.update(
            TraderUnit(timeline, part.state, part.update_times_ms, part.keep_history)
        )


class Processes:
    """MULTIPROCESSING; `contract.Execution` says what it promises."""

    def __init__(self, n_traders: int) -> None:
        """Start the workers: one for every processor that this process may use."""
        self._n_workers = max(1, min(usable_processors(), n_traders))
        self._pool = WorkerPool(self._n_workers)
        self._sent: tuple[PartUpdate, Mapping[str, TraderTimeline]] | None = None
        self._closing = weakref.finalize(self, self._pool.close)

    def map(
        self, update: TraderUpdate, units: Sequence[TraderUnit], ticks: Sequence[int]
    ) -> Iterator[tuple[int, TraderOutcome | BacktestError]]:
        """The most work first, so that no worker is left alone with a large unit at the end."""

        def part(i: int) -> Part:
            unit = units[i]
            hotkey = unit.timeline.miner_hotkey
            return Part(hotkey, unit.state, unit.update_times_ms, unit.keep_history)

        return self._pool.map(
            self._part_update(update, units),
            part,
            batches_by_work(ticks, self._n_workers * BATCHES_PER_WORKER),
            lambda i: f"trader {units[i].timeline.miner_hotkey}",
        )

    def _part_update(self, update: TraderUpdate, units: Sequence[TraderUnit]) -> PartUpdate:
        """The same object as before, unless there are other candles or orders."""
        if self._sent is not None:
            made, sent = self._sent
            known = all(sent.get(u.timeline.miner_hotkey) is u.timeline for u in units)
            if known and made.update is update:
                return made
        timelines = {unit.timeline.miner_hotkey: unit.timeline for unit in units}
        light = {unit.timeline.miner_hotkey: unit.without_orders().timeline for unit in units}
        self._sent = PartUpdate(update, light), timelines
        return self._sent[0]

    def process_ids(self) -> Sequence[int]:
        """The workers'."""
        return self._pool.process_ids()

    def close(self) -> None:
        """End the workers; happens by itself when this is no longer used, or the program ends."""
        self._closing()


def batches_by_work(ticks: Sequence[int], n_batches: int) -> list[list[int]]:
    """Numbers of units, the most work first, in batches of about that many equal parts.

    A unit with more work than a part is a batch of its own.
    """
    part = sum(ticks) / n_batches
    batches: list[list[int]] = []
    left = 0.0
    for number in sorted(range(len(ticks)), key=lambda i: -ticks[i]):
        if not batches or ticks[number] > left:
            batches.append([])
            left = part
        batches[-1].append(number)
        left -= ticks[number]
    return batches


def usable_processors() -> int:
    """Processors that this process may run on (`taskset` limits them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
