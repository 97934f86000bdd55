"""Judging a table of records: whole columns first, and row by row only what is not plainly sound.

What counts as sound here is narrower than in `conversion`, which has the last word on the rest.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ptn_backtest.positions.order import (
    LAST_MS,
    MAX_LEVERAGE,
    MIN_LEVERAGE,
    PRICELESS_SOURCES,
    OrderType,
)
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import ORDER, OrderColumns, RecordedOrders
from ptn_backtest.sources.record_table import RecordTable, TableRow, python_rows
from ptn_backtest.sources.records import STORED_FIELDS
from ptn_backtest.trade_pairs import TradePair

_Flags: TypeAlias = NDArray[np.bool_]
_Table: TypeAlias = Any  # an Arrow table; the stubs want to know what its columns hold

_SIGNS = pa.array([OrderType.FLAT, OrderType.LONG, OrderType.SHORT], pa.string())
"""Order types in such an order that their index, 2 taken as -1, is their sign."""


def judge_columns(table: RecordTable) -> Iterator[tuple[Position | None, bool]]:
    """Each record's position, where it is plainly sound; its orders stay columns.

    And whether its stored open time is another one than that of its first order.
    """
    orders, sound_orders = _orders(table.orders)
    first, last = table.first[:-1], table.first[1:]
    unsound = np.concatenate(([0], np.cumsum(~sound_orders)))
    sound = _sound_fields(table.positions) & (first < last) & (unsound[first] == unsound[last])
    first = np.where(sound, first, 0)
    opening = orders.rows[first] if len(orders.rows) else np.zeros(len(first), dtype=ORDER)
    sound &= (opening["kind"] != 0) & (opening["price"] != 0)
    opened, stored = opening["time_ms"], table.positions.column("open_ms")
    elsewhere = _flags(pc.not_equal(stored, pa.array(opened)))
    hotkeys, trader = _named(table.positions, "miner_hotkey")
    pairs, pair = _named(table.positions, "trade_pair_id")
    uuids = table.positions.column("position_uuid").combine_chunks()
    sizes = _floats(table.positions, "account_size")
    rows = python_rows(sound, elsewhere, trader, uuids, pair, opened, first, last, sizes)
    for row, (kept, moved, of, uuid, on, open_ms, start, stop, size) in enumerate(rows):
        if not kept:
            yield None, False
            continue
        position = Position(
            hotkeys[of],
            uuid,
            TradePair.from_trade_pair_id(pairs[on]),
            open_ms,
            RecordedOrders(orders, start, stop),
            size,
            TableRow(table.positions, row, STORED_FIELDS),
        )
        yield position, moved


def _named(positions: _Table, name: str) -> tuple[list[str], NDArray[np.int32]]:
    """The texts of a column, each once, and which of them each row has; 0 for null."""
    column = positions.column(name).combine_chunks().dictionary_encode()
    return column.dictionary.to_pylist(), pc.fill_null(column.indices, 0).to_numpy()


def _sound_fields(positions: _Table) -> _Flags:
    known = pa.array([pair.trade_pair_id for pair in TradePair.all()])
    sound = _filled(positions, "miner_hotkey") & _filled(positions, "position_uuid")
    sound &= _flags(pc.is_in(positions.column("trade_pair_id"), value_set=known))
    sizes = _floats(positions, "account_size")
    sound &= (sizes >= 0) & (sizes < np.inf)
    return sound & _is_time(_ints(positions, "open_ms"))


def _orders(found: _Table) -> tuple[OrderColumns, _Flags]:
    """All orders as columns, and which of them are plainly sound."""
    kinds = pc.index_in(found.column("order_type"), value_set=_SIGNS)
    sound = _filled(found, "order_uuid") & _flags(pc.is_valid(kinds))
    for name in ("leverage", "price", "processed_ms"):
        sound &= _flags(pc.is_valid(found.column(name)))
    kind = pc.fill_null(kinds, 0).to_numpy()
    kind = np.where(kind == 2, -1, kind)  # noqa: PLR2004 - see _SIGNS
    leverage = _floats(found, "leverage")
    leverage = np.where((kind < 0) & (leverage > 0), -leverage, leverage)
    price, slippage = _floats(found, "price"), _floats(found, "slippage")
    time_ms, src = _ints(found, "processed_ms"), _ints(found, "src")
    bid, ask = _floats(found, "bid"), _floats(found, "ask")
    for numbers in (leverage, price, slippage, bid, ask):
        sound &= np.isfinite(numbers)
    size = np.abs(leverage)
    sound &= (kind == 0) | ((size >= MIN_LEVERAGE) & (size <= MAX_LEVERAGE))
    sound &= (kind <= 0) | (leverage > 0)
    sound &= (price > 0) | ((price == 0) & np.isin(src, PRICELESS_SOURCES))
    sound &= _is_time(time_ms)
    rows = np.empty(len(found), dtype=ORDER)
    columns = (kind, leverage, price, slippage, time_ms, src)
    for name, column in zip(ORDER.names or (), columns, strict=True):
        rows[name] = column
    return OrderColumns(rows, bid, ask, found.column("order_uuid").combine_chunks()), sound


def _flags(found: Any) -> _Flags:  # noqa: ANN401 - Arrow's answers, null for an unknown one
    return np.asarray(pc.fill_null(found, False).to_numpy(), dtype=np.bool_)


def _filled(found: _Table, name: str) -> _Flags:
    return _flags(pc.not_equal(found.column(name), pa.scalar("")))


def _floats(found: _Table, name: str) -> NDArray[np.float64]:
    """A column of numbers, 0 for null."""
    return np.asarray(pc.fill_null(found.column(name), 0.0).to_numpy())


def _ints(found: _Table, name: str) -> NDArray[np.int64]:
    """A column of whole numbers, 0 for null."""
    return np.asarray(pc.fill_null(found.column(name), 0).to_numpy())


def _is_time(ms: NDArray[np.int64]) -> _Flags:
    return (ms >= 0) & (ms <= LAST_MS)
