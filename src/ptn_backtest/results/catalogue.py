"""The tables of a run folder by name: their files, schemas, and what each column means.

Units and descriptions are in `data/run_tables.csv`, where a row without a column describes the table.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pyarrow as pa

from ptn_backtest.results import rule_tables, tables
from ptn_backtest.results.attribution import ATTRIBUTION
from ptn_backtest.results.order_table import ORDERS
from ptn_backtest.results.parquet import table_schema

__all__ = ["ELIMINATIONS", "TIME_UNIT", "Column", "Table", "catalogue"]

TIME_UNIT = "time ms"
"""Unit of a moment: milliseconds since 1970-01-01 UTC. Lengths of time have the unit "ms"."""

ELIMINATIONS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("time_ms", pa.int64()),
        ("reason", pa.string()),
        ("drawdown_percent", pa.float64()),
    ],
    nullable=[
        ("bucket", pa.string()),
        ("breach_ms", pa.int64()),
        ("breach_value", pa.float64()),
        ("breach_peak", pa.float64()),
    ],
)
"""Who left, from run.json: the one table that is no file of its own."""

_SCHEMAS = {
    "ledgers": tables.LEDGERS,
    "checkpoints": tables.CHECKPOINTS,
    "attribution": ATTRIBUTION,
    "positions": tables.POSITIONS,
    "orders": ORDERS,
    "rejected": tables.REJECTED,
    "events": rule_tables.EVENTS,
    "scores": rule_tables.SCORES,
    "eliminations": ELIMINATIONS,
    "order_findings": rule_tables.ORDER_FINDINGS,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: as in the file.
        kind: its Arrow type in words, such as "int64".
        unit: what a number counts, or "".
        description: one sentence.
    """

    name: str
    kind: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a run folder.

    Attributes:
        name: also its file's, without the ending.
        description: what a row is.
        schema: its exact schema.
        columns: in the order of the file.
    """

    name: str
    description: str
    schema: pa.Schema
    columns: tuple[Column, ...]


@cache
def catalogue() -> Mapping[str, Table]:
    """{name: table} of everything that a run folder holds as rows."""
    text = files("ptn_backtest").joinpath("data/run_tables.csv").read_text(encoding="utf-8")
    said = {(row["table"], row["column"]): row for row in csv.DictReader(text.splitlines())}
    return {
        name: Table(
            name,
            said[name, ""]["description"],
            schema,
            tuple(
                Column(field.name, _kind(field.type), own["unit"], own["description"])
                for field in schema
                for own in [said[name, field.name]]
            ),
        )
        for name, schema in _SCHEMAS.items()
    }


def _kind(kind: pa.DataType) -> str:
    return "list" if pa.types.is_list(kind) else str(kind)
