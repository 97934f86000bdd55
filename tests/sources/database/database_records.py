"""Records to store in a database, and what counts as equal when they come back."""

from collections.abc import Sequence
from typing import Any

from ptn_backtest.sources.records import OrderRecord, PositionRecord

ALICE = "5" + "Alice" * 9 + "Al"
BOB = "5" + "Bob" * 15 + "Bo"


def order(uuid: str, processed_ms: int, **fields: Any) -> OrderRecord:
    found = {
        "order_uuid": uuid,
        "order_type": "LONG",
        "leverage": 0.1,
        "price": 83024.24000000001,
        "bid": 0.0,
        "ask": 0.1 + 0.2,
        "slippage": 1e-05,
        "processed_ms": processed_ms,
        "src": 0,
    }
    return OrderRecord(found | fields, f"made order {uuid}")


def position(
    uuid: str,
    hotkey: str = ALICE,
    *,
    open_ms: int = 1_000,
    close_ms: int | None = None,
    orders: Sequence[OrderRecord] | None = None,
    **fields: Any,
) -> PositionRecord:
    """A position; unless `orders` are given, one at its opening and one at its closing."""
    if orders is None:
        orders = [order(f"{uuid}-first", open_ms)]
        if close_ms:
            orders = [*orders, order(f"{uuid}-last", close_ms, order_type="FLAT", leverage=-0.1)]
    return PositionRecord(
        {
            "miner_hotkey": hotkey,
            "position_uuid": uuid,
            "trade_pair_id": "BTCUSD",
            "open_ms": open_ms,
            "account_size": 250_000.0,
        }
        | fields,
        orders,
        {
            "position_type": "LONG" if close_ms is None else "FLAT",
            "is_closed_position": close_ms is not None,
            "current_return": 1.0002379242929373,
            "return_at_close": 1 / 3,
            "net_leverage": 0.1,
            "average_entry_price": 83024.24,
            "cumulative_entry_value": 2604.4704088000003,
            "realized_pnl": -19.753483598651286,
        }
        | ({} if close_ms is None else {"close_ms": close_ms}),
        f"made {uuid}",
    )


def content(record: PositionRecord) -> tuple[Any, ...]:
    """All but the places where it was found; with types, since 1 == 1.0 == True."""
    stored = {name: value for name, value in record.stored.items() if value is not None}
    return (
        typed(record.fields),
        [typed(order.fields) for order in record.orders],
        typed(stored),
        record.orphan,
        record.error,
    )


def typed(fields: Any) -> dict[str, tuple[str, Any]]:
    return {name: (type(value).__name__, value) for name, value in fields.items()}


def uuids(records: Sequence[PositionRecord]) -> list[Any]:
    return [record.fields.get("position_uuid") for record in records]
