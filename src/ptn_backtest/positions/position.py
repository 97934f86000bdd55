"""A position: orders of one trader on one pair, from the first until flat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptn_backtest.positions.order import Order
from ptn_backtest.trade_pairs import TradePair


@dataclass(frozen=True, slots=True)
class Position:
    """What was recorded of a position; everything else follows from its orders.

    `positions.accounting.replay` computes returns, leverage and profit.

    Attributes:
        miner_hotkey: the trader.
        position_uuid: the position's key.
        trade_pair: the instrument.
        open_ms: time of the first order, ms.
        orders: at least one, in time order; a tuple, or `RecordedOrders`, which equals one.
        account_size: USD; 0 where it was not recorded (then C, the cumulative entry value, is 0).
        stored: the derived fields that the source held, for comparison only.
    """

    miner_hotkey: str
    position_uuid: str
    trade_pair: TradePair
    open_ms: int
    orders: Sequence[Order]
    account_size: float = 0.0
    stored: Mapping[str, Any] = field(default_factory=dict, compare=False)
