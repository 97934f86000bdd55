"""Legs of ledgers as Arrow rows: a trader each, arrays as bytes."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.backtest.legs import StoredTrader
from ptn_backtest.ledger.book import MARK
from ptn_backtest.ledger.checkpoint import CHECKPOINT
from ptn_backtest.ledger.delta import LedgerDelta
from ptn_backtest.results.parquet import table_schema

TRADERS = table_schema(
    [("miner_hotkey", pa.string()), ("orders", pa.string()), ("until_ms", pa.int64())],
    nullable=[
        ("error", pa.string()),
        ("summary", pa.string()),
        ("cps", pa.large_binary()),
        ("marks", pa.large_binary()),
        ("earlier_at", pa.large_binary()),
        ("earlier", pa.large_binary()),
    ],
)
"""A `StoredTrader`; its delta's summary as JSON, null without a delta."""

_DTYPES = {"cps": CHECKPOINT, "earlier_at": np.dtype(np.int64), "earlier": CHECKPOINT}


def trader_rows(ledgers: Mapping[str, StoredTrader]) -> pa.Table:
    """A row per trader."""
    stored = list(ledgers.values())
    deltas = [row.delta for row in stored]
    columns: dict[str, Any] = {
        "miner_hotkey": list(ledgers),
        "orders": [row.orders for row in stored],
        "until_ms": [row.until_ms for row in stored],
        "error": [row.error for row in stored],
        "summary": [delta and json.dumps(delta.summary) for delta in deltas],
        **{
            name: [None if delta is None else getattr(delta, name).tobytes() for delta in deltas]
            for name in ("marks", *_DTYPES)
        },
    }
    return pa.Table.from_pydict(columns, schema=TRADERS)


def traders_of(table: pa.Table, without: Collection[str] = frozenset()) -> dict[str, StoredTrader]:
    """{hotkey: what its row says}, but for some traders."""
    return {
        row["miner_hotkey"]: StoredTrader(
            orders=row["orders"],
            until_ms=row["until_ms"],
            delta=_delta(row),
            error=row["error"],
        )
        for row in _rows(table, without)
    }


def delta_rows(deltas: Mapping[str, LedgerDelta]) -> pa.Table:
    """A row per trader that tells nothing but its delta."""
    return trader_rows({h: StoredTrader("", 0, delta) for h, delta in deltas.items()})


def deltas_of(table: pa.Table) -> dict[str, LedgerDelta]:
    """{hotkey: delta} of such rows."""
    deltas = {hotkey: row.delta for hotkey, row in traders_of(table).items()}
    return {hotkey: delta for hotkey, delta in deltas.items() if delta is not None}


def _rows(table: pa.Table, without: Collection[str]) -> Iterable[dict[str, Any]]:
    """The rows, with buffers in place of copied bytes."""
    columns = {name: table[name].combine_chunks() for name in table.schema.names}
    for i, hotkey in enumerate(columns["miner_hotkey"].to_pylist()):
        if hotkey in without:
            continue
        yield {
            name: column[i].as_buffer()
            if pa.types.is_large_binary(column.type)
            else column[i].as_py()
            for name, column in columns.items()
        }


def _delta(row: Mapping[str, Any]) -> LedgerDelta | None:
    if row["summary"] is None:
        return None
    summary = json.loads(row["summary"])
    arrays = {name: np.frombuffer(row[name], dtype) for name, dtype in _DTYPES.items()}
    marks = np.frombuffer(row["marks"], MARK)
    n_ledgers = len(summary.get("names", ()))
    shape = (-1, n_ledgers) if n_ledgers else (0, 0)
    return LedgerDelta(summary=summary, marks=marks.reshape(shape), **arrays)
