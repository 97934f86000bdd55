"""The risk profile: how much of a trader's result came from positions that were built recklessly."""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.positions.accounting import PositionState
from ptn_backtest.positions.order import Order
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook.scoring_rules import RiskProfileRules

_RULES = RiskProfileRules()


class HeldPosition(NamedTuple):
    """A position as it is known at some time, with what its orders made of it."""

    position: Position
    state: PositionState


def risk_score(held: Iterable[HeldPosition], t_ms: int, rules: RiskProfileRules = _RULES) -> float:
    """Share of flagged positions among all that count, weighted by `return_at_close ^ 100`.

    What counts: closed positions that lasted a minute or more and were opened in the last 120 days.

    Returns:
        0 (none flagged) to 1 (all flagged).
    """
    counted = [each for each in held if _counts(each, t_ms, rules)]
    flagged = np.array([is_reckless(each.position, rules) for each in counted], dtype=bool)
    if not flagged.any():
        return 0.0
    returns = np.array([each.state.return_at_close for each in counted])
    # a power of 100 overflows; a return of 0 has no logarithm
    logs = rules.return_power * np.log(np.maximum(returns, np.finfo(np.float64).tiny))
    weights = position_weights(logs)
    return float(weights[flagged].sum() / weights.sum())


def position_weights(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of positions from their logarithms, the largest 1."""
    weights: NDArray[np.float64] = np.exp(logs - logs.max())
    return weights


def is_reckless(position: Position, rules: RiskProfileRules = _RULES) -> bool:
    """Whether a closed position is flagged: losses chased, on high leverage, at uneven times."""
    orders = position.orders
    open_orders = orders[:-1]  # the last one closes it
    pair = position.trade_pair
    chased = (
        losing_adds(open_orders, rules) >= rules.losing_adds
        or losing_raises(open_orders, rules) >= rules.losing_raises
    )
    leveraged = (
        margin_use(orders, pair.min_leverage, pair.max_leverage) >= rules.margin_use
        or leverage_ratio(open_orders, rules) >= rules.leverage_ratio
    )
    return chased and leveraged and unevenness(orders, rules) >= rules.unevenness


def losing_adds(orders: Sequence[Order], rules: RiskProfileRules = _RULES) -> int:
    """Orders that enlarge a losing position.

    Losing: the price is worse than the mean of all prices so far, each order, reductions too,
    weighing its |leverage|.
    """
    if not orders:
        return 0
    direction = _direction(orders)
    weight = max(abs(orders[0].leverage), rules.floor)
    mean, count = orders[0].price, 0
    for order in orders[1:]:
        size = abs(order.leverage)
        if order.leverage * direction > 0 and (order.price - mean) * direction < 0:
            count += 1
        mean = (mean * weight + order.price * size) / (weight + size)
        weight += size
    return count


def losing_raises(orders: Sequence[Order], rules: RiskProfileRules = _RULES) -> int:
    """Orders of a losing position that take its leverage beyond the mark, which they then move.

    The mark starts at the first order's |leverage|. Losing: the price is worse than the mean of
    all prices so far, weighted by signed leverage.
    """
    if not orders:
        return 0
    direction = _direction(orders)
    held, value = orders[0].leverage, orders[0].price * orders[0].leverage
    mark, count = abs(held), 0
    for order in orders[1:]:
        mean = value / (held or rules.sum_floor)
        held += order.leverage
        value += order.price * order.leverage
        if (order.price - mean) * direction < 0 and abs(held) > mark:
            mark, count = abs(held), count + 1
    return count


def margin_use(orders: Sequence[Order], min_leverage: float, max_leverage: float) -> float:
    """Largest |leverage| held, as a share of the pair's range from smallest to largest."""
    return (max(_held(orders)) - min_leverage) / (max_leverage - min_leverage)


def leverage_ratio(orders: Sequence[Order], rules: RiskProfileRules = _RULES) -> float:
    """Largest / smallest |leverage| held."""
    held = _held(orders)
    return max(held) / max(min(held), rules.floor) if held else 0.0


def unevenness(orders: Sequence[Order], rules: RiskProfileRules = _RULES) -> float:
    """Mean |interval - mean interval| / mean interval of the orders up to the largest leverage."""
    held = _held(orders)
    times = [order.processed_ms for order in orders[: held.index(max(held)) + 1]]
    if len(times) < rules.min_timed_orders:
        return 0.0
    intervals = np.array([later - earlier for earlier, later in pairwise(times)], dtype=np.float64)
    ideal = float(intervals.mean())
    return float(np.abs(intervals - ideal).mean()) / ideal if ideal else 0.0


def _counts(held: HeldPosition, t_ms: int, rules: RiskProfileRules) -> bool:
    open_ms, close_ms = held.position.open_ms, held.state.close_ms
    return (
        close_ms is not None
        and close_ms - open_ms >= rules.min_duration_ms
        and open_ms >= t_ms - rules.window_ms
    )


def _direction(orders: Sequence[Order]) -> int:
    return orders[0].order_type.sign


def _held(orders: Sequence[Order]) -> list[float]:
    """|Leverage| held after each order."""
    return [abs(total) for total in accumulate(order.leverage for order in orders)]
