"""Positions that cannot be replayed: set aside with a reason, counted, never dropped."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a position was set aside."""

    UNREADABLE = "unreadable"
    MISSING_FIELD = "missing_field"
    UNKNOWN_TRADE_PAIR = "unknown_trade_pair"
    INVALID_PRICE = "invalid_price"
    INVALID_NUMBER = "invalid_number"
    INVALID_LEVERAGE = "invalid_leverage"
    INVALID_ORDER_TYPE = "invalid_order_type"
    INVALID_TIME = "invalid_time"
    NO_ORDERS = "no_orders"
    FIRST_ORDER_FLAT = "first_order_flat"
    DUPLICATE_POSITION = "duplicate_position"
    DUPLICATE_ORDER = "duplicate_order"
    ORDERS_OUT_OF_ORDER = "orders_out_of_order"
    ORDER_WITHOUT_POSITION = "order_without_position"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One position (or orphaned order) that was set aside.

    Attributes:
        reason: the kind of fault.
        detail: a sentence with the offending value.
        origin: where the row was found (table and key, or file).
        miner_hotkey: the trader, "" where unknown.
        position_uuid: the position's key, "" where unknown.
        order_uuid: the order at fault, "" where the position itself is.
        n_orders: how many orders were set aside with it.
    """

    reason: Reason
    detail: str
    origin: str
    miner_hotkey: str = ""
    position_uuid: str = ""
    order_uuid: str = ""
    n_orders: int = 0
