"""The network's position arithmetic: what orders make of a position.

Source of the formulas: `docs/arithmetic.md`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptn_backtest.compiled import compiled
from ptn_backtest.positions.columns import (
    AccountingRules,
    Floats,
    Ints,
    PositionColumns,
    accounting_rules,
    position_columns,
)
from ptn_backtest.positions.fees import carry_fee
from ptn_backtest.positions.order import OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook

_FLAT_KIND = 0
_UNPRICED = (1, 2)  # positions.order.PRICELESS_SOURCES, as the compiler wants them


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
        cumulative_entry_value: price x leverage, or, with slippage, USD (0 without account size).
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


class OrderStates(NamedTuple):
    """State of each position after each of its orders (m), and what closes it (per position, n).

    `held`: net leverage. `entry_price`: average. `close`: index of the closing order, -1 while open.
    `initial_entry`: E0, the divisor of every gain. The others are named as in `PositionState`.
    """

    current_return: Floats
    return_at_close: Floats
    held: Floats
    entry_price: Floats
    entry_value: Floats
    realized: Floats
    cumulative_leverage: Floats
    max_leverage: Floats
    spread_fee: Floats
    initial_entry: Floats
    close: Ints


def replay_orders(columns: PositionColumns, rules: AccountingRules) -> OrderStates:
    """Replay every position's orders; orders after the closing one repeat its state."""
    n, m = len(columns.first) - 1, len(columns.time_ms)
    states = OrderStates(
        current_return=np.empty(m),
        return_at_close=np.empty(m),
        held=np.empty(m),
        entry_price=np.empty(m),
        entry_value=np.empty(m),
        realized=np.empty(m),
        cumulative_leverage=np.empty(m),
        max_leverage=np.empty(m),
        spread_fee=np.empty(m),
        initial_entry=np.empty(n),
        close=np.full(n, -1, dtype=np.int64),
    )
    _replay_all(columns, rules, states)
    return states


def replay(
    position: Position, rulebook: Rulebook = DEFAULT_RULEBOOK, *, use_slippage: bool | None = None
) -> PositionState:
    """The state of a position after its last order.

    Args:
        position: at least one order; the first is not FLAT.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
    """
    rules = accounting_rules(rulebook, use_slippage)
    return position_states(
        [position], replay_orders(position_columns([position], rulebook), rules)
    )[0]


def position_states(positions: list[Position], states: OrderStates) -> list[PositionState]:
    """The last state of each position, from the states after each order."""
    last = np.cumsum([len(position.orders) for position in positions]) - 1
    return [_last_state(position, states, i, int(last[i])) for i, position in enumerate(positions)]


def _last_state(position: Position, states: OrderStates, i: int, last: int) -> PositionState:
    close = int(states.close[i])
    closed = close >= 0
    closing = position.orders[close - last - 1] if closed else None
    return PositionState(
        position_type=OrderType.FLAT if closed else position.orders[0].order_type,
        is_closed_position=closed,
        close_ms=closing.processed_ms if closing else None,
        current_return=float(states.current_return[last]),
        return_at_close=float(states.return_at_close[last]),
        net_leverage=float(states.held[last]),
        average_entry_price=float(states.entry_price[last]),
        initial_entry_price=float(states.initial_entry[i]),
        cumulative_entry_value=float(states.entry_value[last]),
        realized_pnl=float(states.realized[last]),
        cumulative_leverage=float(states.cumulative_leverage[last]),
        max_leverage_seen=float(states.max_leverage[last]),
        spread_fee=float(states.spread_fee[last]),
    )


@compiled
def _replay_all(columns: PositionColumns, rules: AccountingRules, out: OrderStates) -> None:
    for i in range(len(columns.first) - 1):
        _replay_one(columns, rules, out, i)


@compiled
def _replay_one(columns: PositionColumns, rules: AccountingRules, out: OrderStates, i: int) -> None:
    first, last = columns.first[i], columns.first[i + 1]
    for k in range(first, last):
        if out.close[i] >= 0:
            _repeat(out, k)
            continue
        if k == first:
            _open(columns, rules, out, i, k)
        closes = _closes(columns, out, first, k)
        if closes:
            out.close[i] = k
        _charge_spread(columns, out, i, first, k, closes)
        if closes and columns.src[k] in _UNPRICED:
            _close_unpriced(columns, rules, out, i, k)
            continue
        _value(columns, rules, out, i, first, k, closes)
        out.return_at_close[k] = out.current_return[k] * _fee(columns, rules, out, i, k, closes)


@compiled
def _repeat(out: OrderStates, k: int) -> None:
    out.current_return[k] = out.current_return[k - 1]
    out.return_at_close[k] = out.return_at_close[k - 1]
    out.held[k] = out.held[k - 1]
    out.entry_price[k] = out.entry_price[k - 1]
    out.entry_value[k] = out.entry_value[k - 1]
    out.realized[k] = out.realized[k - 1]
    out.cumulative_leverage[k] = out.cumulative_leverage[k - 1]
    out.max_leverage[k] = out.max_leverage[k - 1]
    out.spread_fee[k] = out.spread_fee[k - 1]


@compiled
def slipped(price: float, slippage: float, leverage: float) -> float:
    """Price after slippage: higher for a buyer, lower for a seller (and for a leverage of 0)."""
    return price * (1 + slippage) if leverage > 0 else price * (1 - slippage)


@compiled
def _open(
    columns: PositionColumns, rules: AccountingRules, out: OrderStates, i: int, k: int
) -> None:
    price = columns.price[k]
    if columns.time_ms[k] >= rules.slippage_from_ms:
        price = slipped(price, columns.slippage[k], columns.leverage[k])
    out.initial_entry[i] = price


@compiled
def _closes(columns: PositionColumns, out: OrderStates, first: int, k: int) -> bool:
    if columns.kind[k] == _FLAT_KIND:
        return True
    held = out.held[k - 1] if k > first else 0.0
    after = held + columns.leverage[k]
    return after <= 0 if columns.kind[first] > 0 else after >= 0


@compiled
def _charge_spread(
    columns: PositionColumns, out: OrderStates, i: int, first: int, k: int, closes: bool
) -> None:
    held = out.held[k - 1] if k > first else 0.0
    before = out.cumulative_leverage[k - 1] if k > first else 0.0
    # a change of leverage is taken between totals, so that its rounding is the network's
    change = abs(held) if closes else abs((held + columns.leverage[k]) - held)
    out.cumulative_leverage[k] = before + change
    out.spread_fee[k] = 1 - columns.spread_rate[i] * out.cumulative_leverage[k]


@compiled
def _close_unpriced(
    columns: PositionColumns, rules: AccountingRules, out: OrderStates, i: int, k: int
) -> None:
    """Close without a price: the return stays, with the carry of the order before."""
    out.current_return[k] = out.current_return[k - 1]
    out.held[k] = 0.0
    out.entry_price[k] = out.entry_price[k - 1]
    out.entry_value[k] = out.entry_value[k - 1]
    out.realized[k] = out.realized[k - 1]
    out.max_leverage[k] = out.max_leverage[k - 1]
    carry = carry_at(columns, rules, out, i, k + 1, True, columns.time_ms[k - 1])[0]
    out.return_at_close[k] = out.current_return[k] * (carry * out.spread_fee[k])


@compiled
def _value(
    columns: PositionColumns,
    rules: AccountingRules,
    out: OrderStates,
    i: int,
    first: int,
    k: int,
    closes: bool,
) -> None:
    """Gain at the order's price, then the new leverage, average entry and entry value."""
    leverage, price = columns.leverage[k], columns.price[k]
    held, entry, value, realized, seen = 0.0, 0.0, 0.0, 0.0, 0.0
    if k > first:
        held, entry, value = out.held[k - 1], out.entry_price[k - 1], out.entry_value[k - 1]
        realized, seen = out.realized[k - 1], out.max_leverage[k - 1]
    after = held + leverage
    slips = columns.time_ms[k] >= rules.slippage_from_ms
    fill = slipped(price, columns.slippage[k], leverage) if slips else price
    adds = columns.kind[k] == columns.kind[first]
    gain = 0.0
    if k > first:
        remaining = held
        if slips:
            if closes or not adds:
                realized -= (fill - entry) * leverage
            remaining = after if abs(after) < abs(held) else held
            gain = (realized + (price - entry) * remaining) / out.initial_entry[i]
        else:
            gain = (price - entry) * held / out.initial_entry[i]
    if not closes and (adds or not slips):
        entry = (entry * held + fill * leverage) / after
        value += leverage * columns.account_size[i] if slips else price * leverage
    out.current_return[k] = 0.0 if gain <= -1 else 1 + gain
    out.held[k] = 0.0 if closes else after
    out.entry_price[k] = entry
    out.entry_value[k] = value
    out.realized[k] = realized
    out.max_leverage[k] = max(seen, abs(out.held[k]))


@compiled
def _fee(
    columns: PositionColumns,
    rules: AccountingRules,
    out: OrderStates,
    i: int,
    k: int,
    closes: bool,
) -> float:
    """Factor of all fees right after order k, with every order up to it known."""
    if columns.time_ms[k] < rules.fee_v4_ms:
        return 1 - columns.pair_fee[i] * out.max_leverage[k]
    return (
        carry_at(columns, rules, out, i, k + 1, closes, columns.time_ms[k])[0] * out.spread_fee[k]
    )


@compiled
def carry_at(
    columns: PositionColumns,
    rules: AccountingRules,
    states: OrderStates,
    i: int,
    last: int,
    closed: bool,
    at_ms: int,
) -> tuple[float, int]:
    """`fees.carry_fee` of position i, with its orders before index `last` known."""
    return carry_fee(
        columns.time_ms,
        states.held,
        columns.first[i],
        last,
        closed,
        at_ms,
        rules.fee_v6_ms,
        columns.carry_period_ms[i],
        columns.carry_phase_ms[i],
        columns.carry_factor[i],
        columns.carry_weekdays_only[i],
    )


def carry_fee_at(
    position: Position, at_ms: int, rulebook: Rulebook = DEFAULT_RULEBOOK
) -> tuple[float, int]:
    """Carry fee of a position at a time, all its orders known, as (factor, next change in ms)."""
    columns = position_columns([position], rulebook)
    rules = accounting_rules(rulebook, use_slippage=None)
    states = replay_orders(columns, rules)
    close = int(states.close[0])
    last = close + 1 if close >= 0 else len(position.orders)
    return carry_at(columns, rules, states, 0, last, close >= 0, at_ms)
