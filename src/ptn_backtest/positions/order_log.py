"""Every order of a run with what it made of its position, and what its slippage took."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ptn_backtest.positions.accounting import ORDER_STATE, Accounts
from ptn_backtest.positions.columns import Floats, Ints, PositionColumns, Rows
from ptn_backtest.positions.recorded_orders import ORDER

__all__ = ["NO_ORDERS", "LogPart", "OrderLog", "order_log"]


class LogPart(NamedTuple):
    """Some positions with their accounts, and in which sequence a log has them."""

    columns: PositionColumns
    accounts: Accounts
    sequence: Ints


class OrderLog(NamedTuple):
    """Orders of many positions; arrays of one length, a position's orders one after another.

    position: place of the order's position in the log's sequence. orders: rows of ORDER. after: rows
    of ORDER_STATE; orders after the closing one repeat its state. fill_price: slipped where slippage
    counts. slippage_change: what the order's slippage did to the log value of its position, at most
    0 unless slippage is negative (`slippage_changes`).
    """

    position: Ints
    orders: Rows
    after: Rows
    fill_price: Floats
    slippage_change: Floats


NO_ORDERS = OrderLog(
    np.zeros(0, np.int64), np.zeros(0, ORDER), np.zeros(0, ORDER_STATE), np.zeros(0), np.zeros(0)
)


def order_log(parts: Iterable[LogPart], slippage_from_ms: int) -> OrderLog:
    """The orders of all parts, by their sequence.

    Args:
        parts: positions with their accounts.
        slippage_from_ms: slippage counts from here, as in the accounts.
    """
    logs = [_part_log(part, slippage_from_ms) for part in parts]
    if not logs:
        return NO_ORDERS
    sizes = np.array([n_positions for n_positions, _ in logs])
    offsets = np.cumsum(sizes) - sizes
    columns = [np.concatenate(column) for column in zip(*(log for _, log in logs), strict=True)]
    counts = [len(log.orders) for _, log in logs]
    return OrderLog(columns[0] + np.repeat(offsets, counts), *columns[1:])


def _part_log(part: LogPart, slippage_from_ms: int) -> tuple[int, OrderLog]:
    rows = part.columns.positions[part.sequence]
    bounds = part.accounts.bounds[part.sequence]
    counts = rows["last"] - rows["first"]
    position = np.repeat(np.arange(len(rows)), counts)
    first_places = np.cumsum(counts) - counts
    places = np.arange(len(position)) + (rows["first"] - first_places)[position]
    orders, after = part.columns.orders[places], part.accounts.after[places]
    sign = np.where(orders["leverage"] > 0, 1.0, -1.0)
    slipped = orders["price"] * (1 + sign * orders["slippage"])
    fill_price = np.where(orders["time_ms"] >= slippage_from_ms, slipped, orders["price"])
    close = bounds["close"][position]
    changes = slippage_changes(
        orders,
        after,
        fill_price,
        bounds["initial_entry"][position],
        closes=close == places,
        counts=(close < 0) | (places <= close),
    )
    return len(rows), OrderLog(position, orders, after, fill_price, changes)


def slippage_changes(
    orders: Rows,
    after: Rows,
    fill_price: Floats,
    initial_entry: Floats,
    *,
    closes: np.ndarray[tuple[int], np.dtype[np.bool_]],
    counts: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Floats:
    """What the slippage of each order did to the log value of its position.

    Whatever an order does, its fill price enters the gain only as
    `(price - fill price) x leverage / E0` (`docs/arithmetic.md`: the average entry, or the realized
    profit). So with M the position's value at the order's own price right after it, without fees, the
    same without the order's slippage is M less that, and the change is the log of their ratio. It is
    0 where either value is not above 0: then the position is lost.

    Args:
        orders: rows of ORDER.
        after: rows of ORDER_STATE.
        fill_price: of each order.
        initial_entry: E0 of each order's position.
        closes: whether it is the closing order.
        counts: False for orders after the closing one.
    """
    # positions that an order without a price closes keep their return
    priced = counts & (orders["price"] > 0)
    unrealized = (orders["price"] - after["entry_price"]) * after["held"]
    divisor = np.where(priced, initial_entry, 1.0)
    marked = 1 + (after["realized"] + unrealized) / divisor
    value = np.where(closes, after["current_return"], marked)
    cost = (orders["price"] - fill_price) * orders["leverage"] / divisor
    sound = priced & (value > 0) & (value - cost > 0)
    ratio = np.divide(cost, value, out=np.zeros(len(orders)), where=sound)
    changes: Floats = 0.0 - np.log1p(-ratio)
    return changes
