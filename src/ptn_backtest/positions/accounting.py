"""The network's position arithmetic: what orders make of a position."""

from dataclasses import dataclass

from ptn_backtest.positions.order import OrderType


@dataclass(frozen=True, slots=True)
class PositionState:
    """A position after its last order; every figure follows from the orders alone.

    Attributes:
        position_type: direction; FLAT once closed.
        is_closed_position: whether an order closed it.
        close_ms: time of the closing order, None while open.
        current_return: value without fees, 1.0 = unchanged; 0 = liquidated.
        return_at_close: value with fees at the last order.
        net_leverage: signed leverage now.
        average_entry_price: in the quote currency.
        initial_entry_price: price of the first order, slipped where slippage counts.
        cumulative_entry_value: see the position arithmetic in `docs/arithmetic.md`.
        realized_pnl: in price units x leverage.
        cumulative_leverage: sum of |leverage changes|, which the spread fee is charged on.
        max_leverage_seen: largest |leverage| held.
        spread_fee: factor of the spread fee.
    """

    position_type: OrderType
    is_closed_position: bool
    close_ms: int | None
    current_return: float
    return_at_close: float
    net_leverage: float
    average_entry_price: float
    initial_entry_price: float
    cumulative_entry_value: float
    realized_pnl: float
    cumulative_leverage: float
    max_leverage_seen: float
    spread_fee: float
