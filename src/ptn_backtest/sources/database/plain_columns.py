"""Positions and orders as Arrow columns by the database's plain driver, some thousand rows at a time.

Where the drivers of `bulk` are not installed, or cannot read a database. There is a Python object per
value, but only those of a few rows at a time, and none per record.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ptn_backtest.sources.database.bulk import NotInBulk, arrow_type, as_type
from ptn_backtest.sources.database.statements import Rows, Statements
from ptn_backtest.sources.records import PositionQuery

ROWS_AT_ONCE = 8_192
"""Rows that are Python objects at a time."""

_Table: TypeAlias = Any  # Arrow's; the stubs want to know what its columns hold
_Column: TypeAlias = Any

_KINDS: Mapping[pa.DataType, type] = {
    pa.string(): str,
    pa.float64(): float,
    pa.int64(): int,
    pa.bool_(): bool,
}
"""Our Arrow types, and what a driver gives for each of them."""


def fetch_columns(
    connection: Connection, statements: Statements, query: PositionQuery
) -> dict[str, _Table]:
    """{"positions": ..., "orders": ...}, in no order, as `bulk.BulkReader.fetch` gives them.

    Args:
        connection: sees one moment of the database.
        statements: of this database.
        query: what is asked for.

    Raises:
        NotInBulk: the driver fails, or gives values of other types.
    """
    return {
        table: _fetched(connection, rows, _schema(table, statements.names(table, query)))
        for table, rows in statements.apart(query).items()
    }


def _schema(table: str, names: Sequence[str]) -> pa.Schema:
    return pa.schema([pa.field(ours, arrow_type(table, ours)) for ours in names])


def _fetched(connection: Connection, statement: Rows, schema: pa.Schema) -> _Table:
    try:
        return pa.Table.from_batches(_batches(connection, statement, schema), schema)
    except DBAPIError as error:  # reading row by row tells what is wrong
        raise NotInBulk(f"{type(error.orig).__name__} of the driver") from None


def _batches(
    connection: Connection, statement: Rows, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    with connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for part in rows.partitions():
            columns = [
                _column(values, wanted)
                for values, wanted in zip(zip(*part, strict=True), schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], wanted: pa.DataType) -> _Column:
    """The values, all of them of this type or None."""
    kinds = {*map(type, values)} - {type(None)}
    if kinds - {_KINDS[wanted]}:
        if wanted != pa.bool_() or kinds != {int}:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise NotInBulk(f"a column has values of type {names} in place of {wanted}")
        return as_type(pa.array(values, pa.int64()), wanted)
    try:
        return pa.array(values, wanted)
    except (ValueError, OverflowError):  # no text of Unicode, more than 64 bits
        raise NotInBulk(f"a column has a value that is no {wanted}") from None
