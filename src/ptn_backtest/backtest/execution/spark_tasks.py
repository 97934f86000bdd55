"""What runs on Spark's executors: traders in, columns out, candles from the store by its path."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.ledger.batch import (
    LedgerBatch,
    LedgerSettings,
    LedgerUpdate,
)
from ptn_backtest.ledger.book import LAST_UPDATE, NONE_MS
from ptn_backtest.ledger.builder import rows_of_pairs
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, taken
from ptn_backtest.ledger.timeline import TraderTimeline, open_ranges
from ptn_backtest.ledger.timelines import joined
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair

RESULT_FIELDS = ", ".join(f"{name} binary" for name in LedgerColumns._fields)
"""Columns of the result, as Spark writes them: the arrays of `LedgerColumns`, as NumPy stores them."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every task is told: nothing of where positions came from.

    Attributes:
        settings: what decides the figures.
        store: folder or URL of the candle store.
    """

    settings: LedgerSettings
    store: str


def run_rows(job: Job, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Update the traders of one task.

    Args:
        job: what every task is told.
        batches: a column part, as `spark.part_row` made it.

    Returns:
        A row for every part: `RESULT_FIELDS`.

    Raises:
        RuntimeError: a trader, by name, met a fault of ours; Spark tries the task again.
    """
    for rows in batches:
        for row in rows.to_pylist():
            timelines, *work = pickle.loads(row["part"])  # noqa: S301 - by our own code
            columns = _built(timelines, *_update_of(job, timelines, *work))
            arrays = {name: [array.dumps()] for name, array in columns._asdict().items()}
            yield pa.RecordBatch.from_pydict(arrays)


def read_columns(row: Mapping[str, Any]) -> LedgerColumns:
    """The columns of a row of the result."""
    arrays = {name: pickle.loads(data) for name, data in row.items()}  # noqa: S301 - by our own code
    return LedgerColumns(**arrays)


def _built(
    timelines: Sequence[TraderTimeline], update: LedgerUpdate, part: LedgerBatch
) -> LedgerColumns:
    try:
        columns = update(part)
        return taken(columns, np.arange(columns.n_traders))  # without room in between
    except Exception:
        for place, timeline in enumerate(timelines):  # whose fault it is
            try:
                update(part.part([place]))
            except Exception as fault:
                raise RuntimeError(f"trader {timeline.miner_hotkey}: {fault!r}") from fault
        raise


def _update_of(
    job: Job,
    timelines: Sequence[TraderTimeline],
    before: tuple[Resumed, ...],
    update_times_ms: tuple[int, ...],
    keep_history: bool,
) -> tuple[LedgerUpdate, LedgerBatch]:
    """The update, and the work of all these traders with the candles that they need."""
    last_ms = np.full(len(timelines), NONE_MS)
    for columns, sources, places in before:
        last_ms[places] = columns.clock[sources, LAST_UPDATE]
    begun = last_ms != NONE_MS
    # a step begins where the state ends, with second candles
    times_ms = sorted({*update_times_ms, *last_ms[begun].tolist()})
    # candles from where the first of them goes on
    first_ms = [timeline.first_order_ms for timeline in timelines]
    from_ms = int(np.where(begun, last_ms, first_ms).min())
    opened = open_ranges(timelines, times_ms[-1], from_ms)
    needs = {pair: (held[0][0], times_ms[-1]) for pair, held in opened.items() if held}
    pairs = [TradePair.from_trade_pair_id(pair) for pair in opened]
    windows = second_windows(timelines, times_ms, from_ms)
    prices = price_table(CandleStore(job.store), pairs, needs, windows)
    rows = rows_of_pairs(timelines, {pair: row for row, pair in enumerate(opened)})
    traders = np.arange(len(timelines))
    return (
        LedgerUpdate(job.settings, joined(timelines), rows),
        LedgerBatch(traders, before, update_times_ms, prices, keep_history),
    )
