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
_Ints: TypeAlias = NDArray[np.int64]


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
    """Some orders of a table, in its order; equal to a tuple of the same orders.

    Attributes:
        columns: the table; its orders from row `first` to before `last` are these.
    """

    __slots__ = ("columns", "first", "last")

    def __init__(self, columns: OrderColumns, first: int, last: int) -> None:
        """Take rows `first` to before `last` of sound orders."""
        self.columns = columns
        self.first = first
        self.last = last

    def up_to(self, end_ms: int) -> "RecordedOrders":
        """Those up to a time; these orders themselves where none is later."""
        times = self.columns.rows["time_ms"][self.first : self.last]
        if times[-1] <= end_ms:
            return self
        known = int(times.searchsorted(end_ms, side="right"))
        return RecordedOrders(self.columns, self.first, self.first + known)

    def __len__(self) -> int:
        return self.last - self.first

    @overload
    def __getitem__(self, index: int) -> Order: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Order]: ...
    def __getitem__(self, index: int | slice) -> Order | Sequence[Order]:
        at = range(self.first, self.last)[index]
        if isinstance(at, int):
            return next(_orders(self.columns.part(at, at + 1)))
        if at.step == 1:
            return RecordedOrders(self.columns, at.start, at.start + len(at))
        return tuple(self)[index]

    def __iter__(self) -> Iterator[Order]:
        return _orders(self.columns.part(self.first, self.last))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | RecordedOrders) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)  # these orders, not the table


def order_rows(orders: Iterable[Sequence[Order]]) -> _Rows:
    """The orders of many positions as rows of ORDER, one position after the other."""
    parts = []
    for _, some in groupby(orders, _table):
        together = list(some)
        recorded = [each for each in together if isinstance(each, RecordedOrders)]
        rows = recorded[0].columns.rows[_places(recorded)] if recorded else _object_rows(together)
        parts.append(rows)
    return joined_rows(parts, ORDER)


def last_times_ms(orders: Iterable[Sequence[Order]]) -> _Ints:
    """Time of the last order of each of many positions; those in one table are looked up at once."""
    parts = [np.zeros(0, np.int64)]
    for _, some in groupby(orders, _table):
        together = list(some)
        recorded = [each for each in together if isinstance(each, RecordedOrders)]
        if recorded:
            times_ms = recorded[0].columns.rows["time_ms"]
            parts.append(times_ms[[each.last - 1 for each in recorded]])
        else:
            parts.append(np.array([each[-1].processed_ms for each in together], np.int64))
    return np.concatenate(parts)


def joined_rows(parts: Sequence[NDArray[Any]], kind: np.dtype[Any]) -> NDArray[Any]:
    """Rows of one type one after another; as bytes, since NumPy compares fields for each part."""
    plain = np.dtype((np.void, kind.itemsize))
    none = np.empty((0, *parts[0].shape[1:]) if parts else 0, dtype=plain)
    return np.concatenate([none, *(np.ascontiguousarray(p).view(plain) for p in parts)]).view(kind)


def spans(first: _Ints, last: _Ints) -> _Ints:
    """The whole numbers from first[0] to before last[0], then those from first[1], and so on."""
    counts = last - first
    begin = np.cumsum(counts) - counts
    return np.repeat(first - begin, counts) + np.arange(counts.sum())


def _table(orders: Sequence[Order]) -> int:
    """Which table the orders are in; 0 for objects."""
    return id(orders.columns) if isinstance(orders, RecordedOrders) else 0


def _places(orders: Sequence[RecordedOrders]) -> _Ints:
    """Rows of the table that these positions' orders are in, position by position."""
    return spans(*np.array([(each.first, each.last) for each in orders], np.int64).T)


def _object_rows(orders: Iterable[Sequence[Order]]) -> _Rows:
    found = [
        (o.order_type.sign, o.leverage, o.price, o.slippage, o.processed_ms, o.src)
        for each in orders
        for o in each
    ]
    return np.array(found, dtype=ORDER)


def order_columns(each: Iterable[Sequence[Order]]) -> OrderColumns:
    """The orders of many positions one after another, as columns.

    Those of one table are taken from it at once, without an object for any of them.
    """
    parts = [_columns_of(())]
    for _, some in groupby(each, _table):
        together = list(some)
        recorded = [orders for orders in together if isinstance(orders, RecordedOrders)]
        parts.append(_taken(recorded) if recorded else _columns_of(together))
    return OrderColumns(
        joined_rows([part.rows for part in parts], ORDER),
        np.concatenate([part.bid for part in parts]),
        np.concatenate([part.ask for part in parts]),
        pa.concat_arrays([part.uuids for part in parts]),
    )


def _taken(orders: Sequence[RecordedOrders]) -> OrderColumns:
    """Of positions in one table."""
    at = _places(orders)
    rows, bid, ask, uuids = orders[0].columns
    return OrderColumns(rows[at], bid[at], ask[at], uuids.take(pa.array(at, pa.int64())))


def _columns_of(each: Iterable[Sequence[Order]]) -> OrderColumns:
    orders = list(chain.from_iterable(each))
    return OrderColumns(
        _object_rows([orders]),
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
