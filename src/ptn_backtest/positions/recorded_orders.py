"""A position's orders as rows of arrays, which become `Order` objects when they are looked at."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.positions.order import Order, OrderType

ORDER = np.dtype(
    [
        ("kind", np.int64),
        ("leverage", np.float64),
        ("price", np.float64),
        ("slippage", np.float64),
        ("time_ms", np.int64),
        ("src", np.int64),
    ]
)
"""An order: `kind` is 1 LONG, -1 SHORT, 0 FLAT; `leverage` is signed; `slippage` a fraction."""

KINDS = {kind.sign: kind for kind in OrderType}

_Rows: TypeAlias = NDArray[np.void]
_NO_TABLE = 0


class OrderColumns(NamedTuple):
    """Orders of many positions: `rows` of ORDER, with what the arithmetic does not read.

    `bid` and `ask` are 0 where unknown; `uuids` is an Arrow array of texts.
    """

    rows: _Rows
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    uuids: pa.StringArray

    def part(self, start: int, stop: int) -> "OrderColumns":
        """The orders from one row to before another; nothing is copied."""
        return OrderColumns(
            self.rows[start:stop],
            self.bid[start:stop],
            self.ask[start:stop],
            self.uuids[start:stop],
        )


class RecordedOrders(Sequence[Order]):
    """Some orders of a table, in its order; equal to a tuple of the same orders."""

    __slots__ = ("_columns", "_first", "_last")

    def __init__(self, columns: OrderColumns, first: int, last: int) -> None:
        """Take rows `first` to before `last` of sound orders."""
        self._columns = columns
        self._first = first
        self._last = last

    @property
    def rows(self) -> _Rows:
        """The orders as rows of ORDER."""
        return self._columns.rows[self._first : self._last]

    @property
    def place(self) -> tuple[OrderColumns, int, int]:
        """The table that the orders are in, from which row, and to before which."""
        return self._columns, self._first, self._last

    def __len__(self) -> int:
        return self._last - self._first

    @overload
    def __getitem__(self, index: int) -> Order: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Order, ...]: ...
    def __getitem__(self, index: int | slice) -> Order | tuple[Order, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        at = range(self._first, self._last)[index]
        return next(_orders(self._columns.part(at, at + 1)))

    def __iter__(self) -> Iterator[Order]:
        return _orders(self._columns.part(self._first, self._last))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | RecordedOrders) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)  # these orders, not the table


def order_rows(orders: Sequence[Order]) -> _Rows:
    """Orders as rows of ORDER."""
    if isinstance(orders, RecordedOrders):
        return orders.rows
    found = [
        (o.order_type.sign, o.leverage, o.price, o.slippage, o.processed_ms, o.src) for o in orders
    ]
    return np.array(found, dtype=ORDER)


def order_columns(each: Sequence[Sequence[Order]]) -> OrderColumns:
    """The orders of many positions one after another, as columns.

    Those of one table are taken from it at once, without an object for any of them.
    """
    parts = [
        _columns_of(group) if table == _NO_TABLE else _taken(group)
        for table, group in groupby(each, key=_table_id)
    ]
    if not parts:
        return _columns_of([])
    return OrderColumns(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.bid for part in parts]),
        np.concatenate([part.ask for part in parts]),
        pa.concat_arrays([part.uuids for part in parts]),
    )


def _table_id(orders: Sequence[Order]) -> int:
    return id(orders.place[0]) if isinstance(orders, RecordedOrders) else _NO_TABLE


def _taken(group: Iterable[Sequence[Order]]) -> OrderColumns:
    """Orders that are all in one table."""
    recorded = [orders for orders in group if isinstance(orders, RecordedOrders)]
    bounds = [orders.place[1:] for orders in recorded]
    first, last = np.array(bounds, np.int64).T
    counts = last - first
    places = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    rows, bid, ask, uuids = recorded[0].place[0]
    return OrderColumns(rows[places], bid[places], ask[places], uuids.take(pa.array(places)))


def _columns_of(group: Iterable[Sequence[Order]]) -> OrderColumns:
    orders = list(chain.from_iterable(group))
    return OrderColumns(
        order_rows(orders),
        np.array([order.bid for order in orders], np.float64),
        np.array([order.ask for order in orders], np.float64),
        pa.array([order.order_uuid for order in orders], pa.string()),
    )


def _orders(columns: OrderColumns) -> Iterator[Order]:
    return (
        Order(str(uuid), KINDS[kind], leverage, price, time_ms, bid, ask, slippage, src)
        for uuid, (kind, leverage, price, slippage, time_ms, src), bid, ask in zip(
            columns.uuids.to_pylist(),
            columns.rows.tolist(),
            columns.bid.tolist(),
            columns.ask.tolist(),
            strict=True,
        )
    )
