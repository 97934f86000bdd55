"""The risk profile: how much of a trader's result came from positions that were built recklessly.

Many positions are looked at together: their first orders, then their second ones, and so on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.positions.accounting import PositionState
from ptn_backtest.positions.columns import (
    Floats,
    Ints,
    PositionColumns,
    Rows,
    position_columns,
)
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.rulebook.scoring_rules import RiskProfileRules
from ptn_backtest.trade_pairs import TradePair

_RULES = RiskProfileRules()

Bools = NDArray[np.bool_]


class HeldPosition(NamedTuple):
    """A position as it is known at some time, with what its orders made of it."""

    position: Position
    state: PositionState


class OrderGroups(NamedTuple):
    """Orders of several positions, each with at least one.

    Attributes:
        rows: rows of ORDER, those of one position together and in their order.
        first: row of each position's first order.
        last: row of its last order.
    """

    rows: Rows
    first: Ints
    last: Ints

    @staticmethod
    def of(columns: PositionColumns) -> "OrderGroups":
        """The orders of some positions."""
        positions, orders = columns
        return OrderGroups(orders, positions["first"], positions["last"] - 1)

    @property
    def direction(self) -> Ints:
        """1 long, -1 short."""
        signs: Ints = self.rows["kind"][self.first]
        return signs

    def later(self) -> Iterator[tuple[Ints, Ints]]:
        """(positions with another order, its row): their second orders, then the third, ..."""
        which = np.arange(len(self.first))
        row = self.first
        while True:
            more = row < self.last[which]
            if not more.any():
                return
            which, row = which[more], row[more] + 1
            yield which, row

    def held(self) -> Floats:
        """|Leverage| held after each order."""
        total: Floats = self.rows["leverage"].copy()
        for _, row in self.later():
            total[row] += total[row - 1]
        return np.abs(total)


def risk_score(held: Iterable[HeldPosition], t_ms: int, rules: RiskProfileRules = _RULES) -> float:
    """Share of flagged positions among all that count, weighted by `return_at_close ^ 100`.

    What counts: closed positions that lasted a minute or more and were opened in the last 120 days.

    Returns:
        0 (none flagged) to 1 (all flagged).
    """
    counted = [each for each in held if _counts(each, t_ms, rules)]
    positions = [each.position for each in counted]
    orders = OrderGroups.of(position_columns(positions, DEFAULT_RULEBOOK))  # of any rulebook
    flagged = reckless(orders, [position.trade_pair for position in positions], rules)
    returns = np.array([each.state.return_at_close for each in counted])
    return flagged_share(flagged, log_weights(returns, rules))


def log_weights(returns: Floats, rules: RiskProfileRules = _RULES) -> Floats:
    """Logarithms of the weights of positions with these returns at close."""
    # a power of 100 overflows; a return of 0 has no logarithm
    logs: Floats = rules.return_power * np.log(np.maximum(returns, np.finfo(np.float64).tiny))
    return logs


def flagged_share(flagged: Bools, logs: Floats) -> float:
    """The share of flagged positions, from the logarithms of all positions' weights."""
    if not flagged.any():
        return 0.0
    weights = np.exp(logs - np.maximum.reduce(logs))
    return float(np.add.reduce(weights[flagged]) / np.add.reduce(weights))


def reckless(
    orders: OrderGroups, pairs: Sequence[TradePair], rules: RiskProfileRules = _RULES
) -> Bools:
    """Whether closed positions are flagged: losses chased, on high leverage, at uneven times.

    Args:
        orders: the positions' orders, of which the last one closes each.
        pairs: of each position.
        rules: from when on it is.
    """
    if not pairs:
        return np.zeros(0, dtype=bool)
    building = orders._replace(last=orders.last - 1)  # the last one closes it
    held = orders.held()
    chased = (losing_adds(building, rules) >= rules.losing_adds) | (
        losing_raises(building, rules) >= rules.losing_raises
    )
    leveraged = (margin_use(orders, held, pairs) >= rules.margin_use) | (
        leverage_ratio(building, held, rules) >= rules.leverage_ratio
    )
    flagged = chased & leveraged
    times_ms = orders.rows["time_ms"]
    for i in np.flatnonzero(flagged).tolist():
        mine = slice(orders.first[i], orders.last[i] + 1)
        flagged[i] = unevenness(times_ms[mine], held[mine], rules) >= rules.unevenness
    return flagged


def losing_adds(orders: OrderGroups, rules: RiskProfileRules = _RULES) -> Ints:
    """Orders of each position that enlarge it while it is losing.

    Losing: the price is worse than the mean of all prices so far, each order, reductions too,
    weighing its |leverage|.
    """
    direction, leverage, price = orders.direction, orders.rows["leverage"], orders.rows["price"]
    weight = np.maximum(np.abs(leverage[orders.first]), rules.floor)
    mean, count = price[orders.first], np.zeros(len(orders.first), dtype=np.int64)
    for which, row in orders.later():
        size, side = np.abs(leverage[row]), direction[which]
        count[which] += (leverage[row] * side > 0) & ((price[row] - mean[which]) * side < 0)
        total = weight[which] + size
        mean[which] = (mean[which] * weight[which] + price[row] * size) / total
        weight[which] = total
    return count


def losing_raises(orders: OrderGroups, rules: RiskProfileRules = _RULES) -> Ints:
    """Orders of each losing position that take its leverage beyond the mark, which they then move.

    The mark starts at the first order's |leverage|. Losing: the price is worse than the mean of
    all prices so far, weighted by signed leverage.
    """
    direction, leverage, price = orders.direction, orders.rows["leverage"], orders.rows["price"]
    held, value = leverage[orders.first], price[orders.first] * leverage[orders.first]
    mark, count = np.abs(held), np.zeros(len(orders.first), dtype=np.int64)
    for which, row in orders.later():
        mean = value[which] / np.where(held[which] == 0, rules.sum_floor, held[which])
        held[which] += leverage[row]
        value[which] += price[row] * leverage[row]
        losing = (price[row] - mean) * direction[which] < 0
        raised = losing & (np.abs(held[which]) > mark[which])
        mark[which] = np.where(raised, np.abs(held[which]), mark[which])
        count[which] += raised
    return count


def margin_use(orders: OrderGroups, held: Floats, pairs: Sequence[TradePair]) -> Floats:
    """Largest |leverage| held, as a share of the pair's range from smallest to largest."""
    least = np.array([pair.min_leverage for pair in pairs])
    most = np.array([pair.max_leverage for pair in pairs])
    used: Floats = (_over(np.maximum, orders, held) - least) / (most - least)
    return used


def leverage_ratio(orders: OrderGroups, held: Floats, rules: RiskProfileRules = _RULES) -> Floats:
    """Largest / smallest |leverage| held; 0 without an order."""
    largest, smallest = _over(np.maximum, orders, held), _over(np.minimum, orders, held)
    ratio = largest / np.maximum(smallest, rules.floor)
    return np.where(orders.last >= orders.first, ratio, 0.0)


def unevenness(times_ms: Ints, held: Floats, rules: RiskProfileRules = _RULES) -> float:
    """Mean |interval - mean interval| / mean interval of the orders up to the largest leverage."""
    n_timed = int(held.argmax()) + 1
    if n_timed < rules.min_timed_orders:
        return 0.0
    intervals = (times_ms[1:n_timed] - times_ms[: n_timed - 1]).astype(np.float64)
    ideal = np.add.reduce(intervals) / len(intervals)
    spread = np.add.reduce(np.abs(intervals - ideal)) / len(intervals)
    return float(spread / ideal) if ideal else 0.0


def _over(extreme: np.ufunc, orders: OrderGroups, held: Floats) -> Floats:
    """The extreme of what each position holds."""
    bounds = np.column_stack((orders.first, orders.last + 1))
    # every second stretch is a position; an empty one gives its first element
    values: Floats = extreme.reduceat(np.append(held, 0.0), bounds.ravel())[::2]
    return values


def _counts(held: HeldPosition, t_ms: int, rules: RiskProfileRules) -> bool:
    open_ms, close_ms = held.position.open_ms, held.state.close_ms
    return (
        close_ms is not None
        and close_ms - open_ms >= rules.min_duration_ms
        and open_ms >= t_ms - rules.window_ms
    )
