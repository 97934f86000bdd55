"""A source's records as columns: the same records as `PositionSource.read`, no object per row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.sources.records import (
    ALL,
    ORDER_FIELDS,
    POSITION_FIELDS,
    STORED_FIELDS,
    OrderRecord,
    PositionQuery,
    PositionRecord,
    PositionSource,
)

_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class RecordTable:
    """Positions with their orders, in the order of `PositionSource.read`; iterating gives records.

    Every position has a uuid, no position's and no order's uuid is there twice, and every order has
    its position. What stands in a record is a view, which costs nothing until it is looked at.

    Attributes:
        positions: a row per position; columns `POSITION_FIELDS` and `STORED_FIELDS`, null where
            the source has nothing, one chunk each.
        orders: a row per order, those of one position together and in stored order; columns
            `ORDER_FIELDS`, one chunk each; texts of a few kinds may be dictionaries.
        first: position i has the orders from row first[i] to before first[i + 1].
        position_table: what the source calls its table of positions.
        order_table: what the source calls its table of orders.
    """

    positions: pa.Table
    orders: pa.Table
    first: NDArray[np.int64]
    position_table: str
    order_table: str

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[PositionRecord]:
        columns = [self.positions.column(name).combine_chunks() for name in POSITION_FIELDS]
        for row, (*values, first, last) in enumerate(
            python_rows(*columns, self.first[:-1], self.first[1:])
        ):
            yield self._record(row, values, range(first, last))

    def __getitem__(self, row: int) -> PositionRecord:
        values = [self.positions.column(name)[row].as_py() for name in POSITION_FIELDS]
        return self._record(row, values, range(*self.first[row : row + 2].tolist()))

    def _record(self, row: int, values: Sequence[Any], orders: range) -> PositionRecord:
        found = zip(POSITION_FIELDS, values, strict=True)
        fields = {name: value for name, value in found if value is not None}
        return PositionRecord(
            fields,
            TableOrders(self, orders),
            TableRow(self.positions, row, STORED_FIELDS),
            f"{self.position_table} row {fields['position_uuid']}",
        )


@runtime_checkable
class TableSource(Protocol):
    """A source that may give its records as columns."""

    def read_table(self, query: PositionQuery = ALL) -> RecordTable | None:
        """The same records as `PositionSource.read`; None where they have to be read one by one."""
        ...


def read_records(source: PositionSource, query: PositionQuery = ALL) -> Iterable[PositionRecord]:
    """The records of a source, as columns where it can: the quick way to `positions.convert`.

    Raises:
        SourceError: the source cannot be read at all.
    """
    table = source.read_table(query) if isinstance(source, TableSource) else None
    return source.read(query) if table is None else table


def python_rows(*columns: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - Arrow's or NumPy's
    """The values of columns of one length, row by row.

    Not all at once: Python's garbage collector would go through them again and again.
    """
    for begin in range(0, len(columns[0]), _ROWS_AT_ONCE):
        part = slice(begin, begin + _ROWS_AT_ONCE)
        yield from zip(*(column[part].tolist() for column in columns), strict=True)


class TableRow(Mapping[str, Any]):
    """Some fields of one row, nulls left out."""

    __slots__ = ("_names", "_row", "_table")

    def __init__(self, table: pa.Table, row: int, names: Sequence[str]) -> None:
        self._table = table
        self._row = row
        self._names = names

    @property
    def names(self) -> Sequence[str]:
        """Which fields the row may have."""
        return self._names

    @property
    def place(self) -> tuple[pa.Table, int]:
        """The table that the row is of, and which one it is."""
        return self._table, self._row

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a row's value
        value = self._table.column(name)[self._row].as_py() if name in self._names else None
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        columns = ((name, self._table.column(name)) for name in self._names)
        return (name for name, column in columns if column[self._row].is_valid)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)  # one row, not the table


class TableOrders(Sequence[OrderRecord]):
    """The records of one position's orders."""

    __slots__ = ("_rows", "_table")

    def __init__(self, table: RecordTable, rows: range) -> None:
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> OrderRecord: ...
    @overload
    def __getitem__(self, index: slice) -> "TableOrders": ...
    def __getitem__(self, index: int | slice) -> "OrderRecord | TableOrders":
        if isinstance(index, slice):
            return TableOrders(self._table, self._rows[index])
        fields = dict(TableRow(self._table.orders, self._rows[index], ORDER_FIELDS))
        return OrderRecord(fields, f"{self._table.order_table} row {fields.get('order_uuid')}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple[type, tuple[list[OrderRecord]]]:
        return tuple, (list(self),)


def field_columns(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """{name: its value in each row, None where it is absent}; rows of a table are taken at once."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for _, group in groupby(rows, _table_id):
        some = list(group)
        taken = _taken([row for row in some if isinstance(row, TableRow)], names)
        for name in names:
            columns[name] += taken[name] if name in taken else [row.get(name) for row in some]
    return columns


def _table_id(row: Mapping[str, Any]) -> tuple[int, Sequence[str]]:
    """Which table and which of its columns a row is of."""
    return (id(row.place[0]), row.names) if isinstance(row, TableRow) else (0, ())


def _taken(rows: Sequence[TableRow], names: Sequence[str]) -> Mapping[str, list[Any]]:
    """These columns, where they have them, of rows that are all of one table."""
    if not rows:
        return {}
    table = rows[0].place[0].select([name for name in rows[0].names if name in names])
    table = table.take(pa.array([row.place[1] for row in rows], pa.int64()))
    return {name: table.column(name).to_pylist() for name in table.column_names}
