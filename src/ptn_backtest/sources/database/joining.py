"""Columns of positions and of orders, fetched in no order, joined to a table of records."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ptn_backtest.sources.database.bulk import NotInBulk, arrow_type
from ptn_backtest.sources.record_table import RecordTable
from ptn_backtest.sources.records import (
    ORDER_FIELDS,
    POSITION_FIELDS,
    STORED_FIELDS,
    PositionQuery,
)

_Table: TypeAlias = Any  # an Arrow table; the stubs want to know what its columns hold
_Array: TypeAlias = Any
_LAST = np.iinfo(np.int64).max


def join(
    positions: _Table,
    orders: _Table,
    query: PositionQuery,
    position_table: str,
    order_table: str,
) -> RecordTable:
    """The records of `DatabasePositionOrderSource.read`.

    Args:
        positions: `Statements.positions_alone`, columns by our names.
        orders: `Statements.orders_alone`.
        query: what was asked for.
        position_table: what the database calls its table of positions.
        order_table: what it calls its table of orders.

    Raises:
        NotInBulk: there are orders without a position, or it takes a look at single rows to tell
            which positions are asked for.
    """
    _check_traders(positions, query)
    uuids = positions.column("position_uuid")
    # both as they were fetched: orders are mostly stored as their positions are, and found quickly
    of = pc.index_in(orders.column("position_uuid"), value_set=uuids)
    if of.null_count or uuids.null_count:
        raise NotInBulk("there are orders without a position")
    rows = _read_order(positions)
    positions = positions.take(pa.array(rows))
    place = np.empty(len(rows), dtype=np.int32)
    place[rows] = np.arange(len(rows))
    owners = place[of.to_numpy()]
    if query.end_ms is not None:
        positions, orders, owners = _until(query.end_ms, positions, orders, owners)
    counts = np.bincount(owners, minlength=len(positions))
    if query.end_ms is not None and not counts.all():
        raise NotInBulk("there are positions without orders up to the end")
    times = [n for n in ("processed_ms", "sequence") if n in orders.column_names]
    keys = [owners, *(_nulls_last(orders, name) for name in times)]
    stored_order = pa.array(_rows_by(keys, orders.column("order_uuid")))
    return RecordTable(
        _complete("positions", positions, (*POSITION_FIELDS, *STORED_FIELDS)),
        _complete("orders", orders, ORDER_FIELDS, stored_order),
        np.concatenate(([0], np.cumsum(counts))),
        position_table,
        order_table,
    )


def _read_order(positions: _Table) -> NDArray[np.int64]:
    """Rows by hotkey, open time and uuid."""
    keys = [_ranks(positions, "miner_hotkey"), _nulls_last(positions, "open_ms")]
    return _rows_by(keys, positions.column("position_uuid"))


def _check_traders(positions: _Table, query: PositionQuery) -> None:
    """A server's collation may have let others through."""
    if query.hotkeys is not None:
        wanted = pa.array(query.hotkeys, pa.string())
        known = pc.is_in(positions.column("miner_hotkey"), value_set=wanted)
        if not pc.all(known, min_count=0).as_py():
            raise NotInBulk("the server gave other traders too")


def _until(
    end_ms: int, positions: _Table, orders: _Table, owners: NDArray[np.int32]
) -> tuple[_Table, _Table, NDArray[np.int32]]:
    """Without the positions opened later."""
    opened = positions.column("open_ms")
    if opened.null_count:
        raise NotInBulk("there are positions without open_ms")
    known = opened.to_numpy() <= end_ms
    if known.all():
        return positions, orders, owners
    kept = known[owners]
    place = np.cumsum(known, dtype=np.int32) - 1
    return positions.filter(known), orders.filter(kept), place[owners[kept]]


def _rows_by(keys: list[NDArray[Any]], texts: _Array) -> NDArray[np.int64]:
    """Rows by numbers, the first before the next; equal ones by text, code point by code point."""
    one = _as_one(keys)
    if one is not None:
        keys = [one]
        rows = np.argsort(one)  # equal ones in any order
    else:
        rows = np.lexsort(keys[::-1])
    ties = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for key in keys:
        found = key[rows]
        ties &= found[1:] == found[:-1]
    if ties.any():
        by_text = np.empty(len(rows), dtype=np.int64)
        by_text[pc.sort_indices(texts).to_numpy()] = np.arange(len(rows))
        rows = np.lexsort([by_text, *keys[::-1]])
    return rows


def _ranks(positions: _Table, name: str) -> NDArray[np.int64]:
    """The place of each text among all that there are; nulls last."""
    column = positions.column(name).combine_chunks().dictionary_encode()
    ranks = np.empty(len(column.dictionary) + 1, dtype=np.int64)
    ranks[pc.sort_indices(column.dictionary).to_numpy()] = np.arange(len(column.dictionary))
    ranks[-1] = len(column.dictionary)
    indices = column.indices.fill_null(len(column.dictionary))
    return np.asarray(ranks[indices.to_numpy()])


def _as_one(keys: Sequence[NDArray[Any]]) -> NDArray[np.int64] | None:
    """One number per row that sorts as these keys do, the first before the next; None if too large."""
    one = np.zeros(len(keys[0]), dtype=np.int64)
    size = 1
    for key in keys:
        low, high = (int(key.min()), int(key.max())) if len(key) else (0, 0)
        span = high - low + 1
        size *= span
        if size > _LAST:
            return None
        one *= span
        one += key
        one -= low
    return one


def _nulls_last(orders: _Table, name: str) -> NDArray[np.int64]:
    column = orders.column(name)
    if column.null_count and pc.max(column).as_py() == _LAST:
        raise NotInBulk("no number is left to stand for null")
    return np.asarray(column.fill_null(_LAST).to_numpy())


def _complete(table: str, found: _Table, names: Sequence[str], rows: _Array = None) -> pa.Table:
    """These columns of these rows, in one chunk each; null where the database has none."""

    def column(name: str) -> _Array:
        if name not in found.column_names:
            return pa.nulls(len(found)).cast(arrow_type(table, name))
        there = found.column(name)
        if name == "order_type":
            there = there.dictionary_encode()  # rearranging its three texts is dear
        return (there if rows is None else there.take(rows)).combine_chunks()

    return pa.table({name: column(name) for name in names})
