"""Splitting a recorded position that holds several trades in a row."""

from collections.abc import Sequence
from dataclasses import replace

from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position

_FLAT_LEVERAGE = 1e-9
"""A cumulative leverage below this is 0."""


def split_position(position: Position) -> list[Position]:
    """The trades of a position, each as a position of its own.

    A trade ends with an order that is FLAT, or after which the cumulative leverage is 0 or has
    changed sign, unless it is the first order or a FLAT one follows.

    Returns:
        The position itself where nothing is to be split. Else the parts: the first keeps the
        uuid, a later one takes that of its first order. The derived fields that were stored with
        the whole belong to none of the parts, so `stored` is empty.
    """
    ends = _trade_ends(position.orders)
    if not ends:
        return [position]
    starts = (0, *ends)
    parts = [position.orders[a:b] for a, b in zip(starts, (*ends, None), strict=True)]
    return [
        replace(
            position,
            position_uuid=orders[0].order_uuid if number else position.position_uuid,
            open_ms=orders[0].processed_ms,
            orders=orders,
            stored={},
        )
        for number, orders in enumerate(parts)
    ]


def _trade_ends(orders: Sequence[Order]) -> list[int]:
    """Where the next trade begins, for each trade but the last."""
    ends: list[int] = []
    if orders[0].order_type is OrderType.FLAT:
        return ends
    leverage = 0.0
    sign = 0
    for index, order in enumerate(orders[:-1]):
        leverage += order.leverage
        now = 0 if abs(leverage) < _FLAT_LEVERAGE else 1 if leverage > 0 else -1
        over = order.order_type is OrderType.FLAT or now in (0, -sign)
        if over and index > 0 and orders[index + 1].order_type is not OrderType.FLAT:
            ends.append(index + 1)
            leverage, now = 0.0, 0
        sign = now
    return ends
