"""A position's orders as rows of arrays, which become `Order` objects when they are looked at."""

from collections.abc import Iterator, Sequence
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
