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
from ptn_backtest.sources.record_table import RecordTable, python_rows
from ptn_backtest.sources.records import PositionRecord
from ptn_backtest.trade_pairs import TradePair

_Flags: TypeAlias = NDArray[np.bool_]
_Table: TypeAlias = Any  # an Arrow table; the stubs want to know what its columns hold

_SIGNS = pa.array([OrderType.FLAT, OrderType.LONG, OrderType.SHORT], pa.string())
"""Order types in such an order that their index, 2 taken as -1, is their sign."""


def judge_columns(table: RecordTable) -> Iterator[tuple[PositionRecord, Position | None]]:
    """Each record, with its position where it is plainly sound; its orders stay columns."""
    orders, sound_orders = _orders(table.orders)
    first, last = table.first[:-1], table.first[1:]
    unsound = np.concatenate(([0], np.cumsum(~sound_orders)))
    sound = _sound_fields(table.positions) & (first < last) & (unsound[first] == unsound[last])
    first = np.where(sound, first, 0)
    opening = orders.rows[first] if len(orders.rows) else np.zeros(len(first), dtype=ORDER)
    sound &= (opening["kind"] != 0) & (opening["price"] != 0)
    rows = python_rows(sound, opening["time_ms"], first, last)
    for record, (is_sound, open_ms, start, stop) in zip(table, rows, strict=True):
        yield record, _position(record, open_ms, orders, start, stop) if is_sound else None


def _position(
    record: PositionRecord, open_ms: int, orders: OrderColumns, start: int, stop: int
) -> Position:
    fields = record.fields
    return Position(
        fields["miner_hotkey"],
        fields["position_uuid"],
        TradePair.from_trade_pair_id(fields["trade_pair_id"]),
        open_ms,
        RecordedOrders(orders, start, stop),
        fields.get("account_size", 0.0),
        record.stored,
    )


def _sound_fields(positions: _Table) -> _Flags:
    known = pa.array([pair.trade_pair_id for pair in TradePair.all()])
    sound = _filled(positions, "miner_hotkey") & _filled(positions, "position_uuid")
    sound &= _flags(pc.is_in(positions.column("trade_pair_id"), value_set=known))
    sizes = _floats(positions, "account_size")
    sound &= (sizes >= 0) & (sizes < np.inf)
    return sound & _is_time(_ints(positions, "open_ms"))


def _orders(found: _Table) -> tuple[OrderColumns, _Flags]:
    """All orders as columns, and which of them are plainly sound."""
    rows = np.zeros(len(found), dtype=ORDER)
    kinds = pc.index_in(found.column("order_type"), value_set=_SIGNS)
    sound = _filled(found, "order_uuid") & _flags(pc.is_valid(kinds))
    for name in ("leverage", "price", "processed_ms"):
        sound &= _flags(pc.is_valid(found.column(name)))
    kind = pc.fill_null(kinds, 0).to_numpy().astype(np.int64)
    rows["kind"] = np.where(kind == 2, -1, kind)  # noqa: PLR2004 - see _SIGNS
    leverage = _floats(found, "leverage")
    leverage = np.where((rows["kind"] < 0) & (leverage > 0), -leverage, leverage)
    rows["leverage"] = leverage
    for name in ("price", "slippage"):
        rows[name] = _floats(found, name)
    rows["time_ms"] = _ints(found, "processed_ms")
    rows["src"] = _ints(found, "src")
    bid, ask = _floats(found, "bid"), _floats(found, "ask")
    for numbers in (leverage, rows["price"], rows["slippage"], bid, ask):
        sound &= np.isfinite(numbers)
    size = np.abs(leverage)
    sound &= (rows["kind"] == 0) | ((size >= MIN_LEVERAGE) & (size <= MAX_LEVERAGE))
    sound &= (rows["kind"] <= 0) | (leverage > 0)
    sound &= (rows["price"] > 0) | ((rows["price"] == 0) & np.isin(rows["src"], PRICELESS_SOURCES))
    sound &= _is_time(rows["time_ms"])
    uuids = found.column("order_uuid").combine_chunks()
    return OrderColumns(rows, bid, ask, uuids), sound


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
