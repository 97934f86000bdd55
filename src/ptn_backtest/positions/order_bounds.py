"""What one order may do to the leverage of its position and of the portfolio, and what is left of it.

`order_checks` walks all of a trader's orders with it; `docs/order-rules.md` has the rules in words.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from ptn_backtest.positions.order import MIN_LEVERAGE
from ptn_backtest.rulebook.leverage_rules import LeverageRules
from ptn_backtest.trade_pairs import TradePair

SAME_LEVERAGE = 1e-9
"""Leverages closer than this are the same: they are sums of fractions that floats cannot hold."""


class OrderRule(StrEnum):
    """Why the network does not take an order as it is."""

    BLOCKED_PAIR = "blocked_pair"
    RETIRED_PAIR = "retired_pair"
    POSITION_LEVERAGE = "position_leverage"
    PORTFOLIO_LEVERAGE = "portfolio_leverage"
    SMALLEST_LEVERAGE = "smallest_leverage"
    FLIP = "flip"
    MAX_ORDERS = "max_orders"
    NO_POSITION = "no_position"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one order may do.

    Attributes:
        blocked: whether the pair takes no orders at all.
        largest: largest |leverage| of the position; 0 where the pair is retired.
        smallest: smallest |leverage| of the position.
        room: |leverage| that the portfolio's cap leaves.
    """

    blocked: bool
    largest: float
    smallest: float
    room: float


def bounds_of(
    pair: TradePair,
    t_ms: int,
    rules: LeverageRules | None,
    *,
    portfolio: float,
    leverage_cap: float,
) -> Bounds:
    """What an order on a pair may do at a time.

    Args:
        pair: what it trades.
        t_ms: its time, ms.
        rules: None for the cap alone.
        portfolio: leverage of all the trader's open positions before the order, multiplied.
        leverage_cap: largest |leverage| of a position whatever the rules say.
    """
    if rules is None:
        return Bounds(blocked=False, largest=leverage_cap, smallest=0.0, room=math.inf)
    multiplier = rules.multiplier(pair)
    return Bounds(
        blocked=rules.is_blocked(pair),
        largest=min(rules.largest(pair, t_ms), leverage_cap),
        smallest=rules.smallest(pair, t_ms),
        room=(rules.portfolio_cap(t_ms) - portfolio) / multiplier if multiplier else math.inf,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an order that does not keep the bounds.

    Attributes:
        rule: the bound.
        leverage: signed, what is left of it; None where it is refused.
        said: why, in words.
    """

    rule: OrderRule
    leverage: float | None
    said: str


def judge(leverage: float, held: float, bounds: Bounds) -> Verdict | None:
    """What the bounds say to an order that does not close; None where it may stay as it is.

    Only adding is reduced. An order that takes a position nearer to a bound that it is beyond is
    welcome, as long as it does not fall below the smallest.

    Args:
        leverage: of the order, signed; not 0.
        held: by the position before it, signed; 0 where the order opens it.
        bounds: see `bounds_of`.
    """
    if bounds.blocked:
        return Verdict(OrderRule.BLOCKED_PAIR, None, "the pair is blocked: refused")
    reached, adds = abs(held + leverage), abs(held + leverage) > abs(held)
    if adds:
        own_room = bounds.largest - abs(held)
        room = min(own_room, bounds.room)
        if abs(leverage) > room + SAME_LEVERAGE:
            return _reduced(leverage, held, bounds, room)
        if abs(leverage) >= room - SAME_LEVERAGE:
            return None  # all that there was room for, be it less than the smallest
    if reached < bounds.smallest - SAME_LEVERAGE and (held == 0 or not adds):
        said = (
            f"it would leave {reached:g}, below the smallest leverage {bounds.smallest:g}: refused"
        )
        return Verdict(OrderRule.SMALLEST_LEVERAGE, None, said)
    return None


def _reduced(leverage: float, held: float, bounds: Bounds, room: float) -> Verdict:
    if bounds.largest == 0:
        return Verdict(OrderRule.RETIRED_PAIR, None, "the pair is retired: refused")
    if bounds.room < bounds.largest - abs(held):
        rule = OrderRule.PORTFOLIO_LEVERAGE
        bound = f"the portfolio has room for {max(room, 0.0):g} more"
    else:
        rule = OrderRule.POSITION_LEVERAGE
        bound = f"{abs(held):g} are held, the largest leverage is {bounds.largest:g}"
    if room < MIN_LEVERAGE:
        return Verdict(rule, None, f"{bound}: refused")
    return Verdict(rule, math.copysign(room, leverage), f"{bound}: reduced to {room:g}")
