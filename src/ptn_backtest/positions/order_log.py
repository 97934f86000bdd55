"""Every order of a run with what it made of its position, and what its slippage took."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ptn_backtest.positions.accounting import ORDER_STATE, Accounts
from ptn_backtest.positions.columns import Floats, Ints, PositionColumns, Rows
from ptn_backtest.positions.recorded_orders import ORDER, joined_rows

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
    gathered = [_gathered(part) for part in parts]
    if not gathered:
        return NO_ORDERS
    n_positions = np.array([len(bounds) for _, _, _, _, bounds in gathered])
    before = np.repeat(np.cumsum(n_positions) - n_positions, [len(one[0]) for one in gathered])
    own, from_close = (np.concatenate([one[at] for one in gathered]) for at in (0, 1))
    orders = joined_rows([one[2] for one in gathered], ORDER)
    after = joined_rows([one[3] for one in gathered], ORDER_STATE)
    position = own + before
    initial_entry = np.concatenate([bounds["initial_entry"] for *_, bounds in gathered])[position]
    sign = np.where(orders["leverage"] > 0, 1.0, -1.0)
    slipped = orders["price"] * (1 + sign * orders["slippage"])
    fill_price = np.where(orders["time_ms"] >= slippage_from_ms, slipped, orders["price"])
    changes = slippage_changes(
        orders, after, fill_price, initial_entry, closes=from_close == 0, counts=from_close <= 0
    )
    return OrderLog(position, orders, after, fill_price, changes)


def _gathered(part: LogPart) -> tuple[Ints, Ints, Rows, Rows, Rows]:
    """A part's orders by its sequence.

    Returns:
        Per order: place of its position; how many orders after the closing one it comes, below 0
        before it and while there is none; its row; the state after it. And the positions' bounds.
    """
    rows = part.columns.positions[part.sequence]
    bounds = part.accounts.bounds[part.sequence]
    counts = rows["last"] - rows["first"]
    position = np.repeat(np.arange(len(rows)), counts)
    places = np.arange(len(position)) + (rows["first"] - (np.cumsum(counts) - counts))[position]
    close = np.where(bounds["close"] < 0, rows["last"], bounds["close"])
    after = part.accounts.after[places]
    return position, places - close[position], part.columns.orders[places], after, bounds


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
