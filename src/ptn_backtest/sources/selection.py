"""What a `PositionQuery` means, for sources that hold their records in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.sources.numeric import whole_number
from ptn_backtest.sources.records import OrderRecord, PositionQuery, PositionRecord


def select(records: Iterable[PositionRecord], query: PositionQuery) -> Iterator[PositionRecord]:
    """The records asked for, by hotkey, then open time, then uuid; ties as they were found."""
    chosen = (clip(record, query) for record in records)
    return iter(sorted((record for record in chosen if record is not None), key=_place))


def clip(record: PositionRecord, query: PositionQuery) -> PositionRecord | None:
    """The record with its orders up to the query's end, or None where it is not asked for.

    A time that is missing or malformed excludes nothing: judging it is not a source's task. A
    position without a stored `close_ms` counts as open.
    """
    if query.hotkeys is not None and record.fields.get("miner_hotkey") not in query.hotkeys:
        return None
    if query.history == "range" and query.start_ms is not None:
        closed_ms = _ms(record.stored.get("close_ms"))
        if closed_ms and closed_ms < query.start_ms:
            return None
    if query.end_ms is None:
        return record
    opened_ms = open_time(record)
    if opened_ms is not None and opened_ms > query.end_ms:
        return None
    orders = [order for order in record.orders if not _after(order, query.end_ms)]
    if len(orders) == len(record.orders):
        return record
    return replace(record, orders=orders) if orders else None


def open_time(record: PositionRecord) -> int | None:
    """The stored `open_ms`, else the first order's time; None where neither is a time."""
    opened_ms = _ms(record.fields.get("open_ms"))
    if opened_ms is None and record.orders:
        opened_ms = _ms(record.orders[0].fields.get("processed_ms"))
    return opened_ms


def _after(order: OrderRecord, end_ms: int) -> bool:
    processed_ms = _ms(order.fields.get("processed_ms"))
    return processed_ms is not None and processed_ms > end_ms


def _place(record: PositionRecord) -> tuple[str, int, str]:
    opened_ms = open_time(record)
    return (
        str(record.fields.get("miner_hotkey") or ""),
        NEVER_MS if opened_ms is None else opened_ms,
        str(record.fields.get("position_uuid") or ""),
    )


def _ms(value: object) -> int | None:
    try:
        return None if value is None else whole_number(value)
    except ValueError:
        return None
