"""What runs on Spark's executors: rows in, rows out, candles from the store by its path."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ptn_backtest.ledger.manager import LedgerSettings, TraderUnit, TraderUpdate
from ptn_backtest.ledger.timeline import open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair

RESULT_FIELDS = "number long, outcome binary"
"""Columns of the result, as Spark writes them."""


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
        batches: columns number and unit, as `spark.unit_rows` made them.

    Returns:
        A batch for every trader: number, outcome.

    Raises:
        RuntimeError: a trader, by name, met a fault of ours; Spark tries the task again.
    """
    units: dict[int, TraderUnit] = {}
    for batch in batches:
        for row in batch.to_pylist():
            units[row["number"]] = pickle.loads(row["unit"])  # noqa: S301 - pickled by our own code
    if not units:
        return
    update = _update_of(job, list(units.values()))
    for number, unit in units.items():
        try:
            outcome = update(unit)
        except Exception as fault:
            raise RuntimeError(f"trader {unit.timeline.miner_hotkey}: {fault!r}") from fault
        yield pa.RecordBatch.from_pydict(
            {"number": [number], "outcome": [pickle.dumps(outcome, 5)]}
        )


def _update_of(job: Job, units: list[TraderUnit]) -> TraderUpdate:
    """The update, with the candles that these traders need."""
    # a step begins where the state ends, with second candles
    states = [unit.state.last_update_ms for unit in units]
    times_ms = sorted({*units[0].update_times_ms, *(ms for ms in states if ms is not None)})
    timelines = [unit.timeline for unit in units]
    # candles from where the first of them goes on
    begins = zip(states, timelines, strict=True)
    from_ms = min(t.first_order_ms if ms is None else ms for ms, t in begins)
    opened = open_ranges(timelines, times_ms[-1], from_ms)
    needs = {pair: (held[0][0], times_ms[-1]) for pair, held in opened.items() if held}
    pairs = [TradePair.from_trade_pair_id(pair) for pair in opened]
    windows = second_windows(timelines, times_ms, from_ms)
    return TraderUpdate(
        job.settings,
        price_table(CandleStore(job.store), pairs, needs, windows),
        {pair: row for row, pair in enumerate(opened)},
    )
