"""MULTIPROCESSING: one process per processor, candles in memory that all of them share."""

import os
import weakref
from collections.abc import Iterator, Sequence

import numpy as np

from ptn_backtest.backtest.execution.contract import Room, cut_evenly
from ptn_backtest.backtest.execution.pool import WorkerPool
from ptn_backtest.ledger.batch import BuiltLedgers, LedgerBatch, LedgerUpdate
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.columns import Ints

PARTS_PER_WORKER = 8
"""Enough for the last ones to end at about the same time, and few enough not to count."""


class Processes:
    """MULTIPROCESSING; `contract.Execution` says what it promises."""

    def __init__(self, traders: Traders) -> None:
        """Start the workers: one for every processor that this process may use."""
        self._hotkeys = traders.hotkeys
        self._n_workers = max(1, min(usable_processors(), len(traders.hotkeys)))
        self._pool = WorkerPool(self._n_workers)
        self._closing = weakref.finalize(self, self._pool.close)

    def map(self, update: LedgerUpdate, batch: LedgerBatch, ticks: Ints) -> Iterator[BuiltLedgers]:
        """The most work first, so that no worker is left alone with a large part at the end."""
        parts = cut_evenly(ticks, self._n_workers * PARTS_PER_WORKER)
        parts.sort(key=lambda places: -int(ticks[places].sum()))
        results = self._pool.map(
            update,
            batch,
            [places.tolist() for places in parts],
            lambda place: f"trader {self._hotkeys[batch.traders[place]]}",
        )
        for places, columns in results:
            yield BuiltLedgers(batch.traders[np.array(places)], columns)

    def room(self) -> Room:
        """In memory that the workers share."""
        return self._pool.room()

    def process_ids(self) -> Sequence[int]:
        """The workers'."""
        return self._pool.process_ids()

    def close(self) -> None:
        """End the workers; happens by itself when this is no longer used, or the program ends."""
        self._closing()


def usable_processors() -> int:
    """Processors that this process may run on (`taskset` limits them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
