"""The network's position arithmetic: what orders make of a position.

Source of the formulas: `docs/arithmetic.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptn_backtest.compiled import compiled
from ptn_backtest.positions.columns import (
    AccountingRules,
    PositionColumns,
    Row,
    Rows,
    accounting_rules,
    position_columns,
)
from ptn_backtest.positions.fees import carry_fee
from ptn_backtest.positions.order import OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import KINDS
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook

_FLAT_KIND = 0
_PRICELESS = (1, 2)  # positions.order.PRICELESS_SOURCES, as the compiler wants them

ORDER_STATE = np.dtype(
    [
        ("current_return", np.float64),
        ("return_at_close", np.float64),
        ("held", np.float64),
        ("entry_price", np.float64),
        ("entry_value", np.float64),
        ("realized", np.float64),
        ("cumulative_leverage", np.float64),
        ("max_leverage", np.float64),
        ("spread_fee", np.float64),
    ]
)
"""A position after one of its orders: `held` is the net leverage, `entry_price` the average; the
others are named as in `PositionState`. Orders after the closing one repeat its state."""

BOUNDS = np.dtype([("initial_entry", np.float64), ("close", np.int64)])
"""Of a position: E0, the divisor of every gain, and the row of its closing order, -1 while open."""


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
        spread_fee: factor of the spread fee, at times when it is charged.
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


class Accounts(NamedTuple):
    """What orders made of positions.

    `after`: a row of ORDER_STATE per order. `bounds`: a row of BOUNDS per position.
    """

    after: Rows
    bounds: Rows


def replay_orders(columns: PositionColumns, rules: AccountingRules) -> Accounts:
    """Replay every position's orders."""
    accounts = Accounts(
        after=np.zeros(len(columns.orders), dtype=ORDER_STATE),
        bounds=np.zeros(len(columns.positions), dtype=BOUNDS),
    )
    _replay_all(columns, rules, accounts)
    return accounts


def replay(
    position: Position, rulebook: Rulebook = DEFAULT_RULEBOOK, *, use_slippage: bool | None = None
) -> PositionState:
    """The state of a position after its last order.

    Args:
        position: at least one order; the first is not FLAT.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
    """
    return replay_all([position], rulebook, use_slippage=use_slippage)[0]


def replay_all(
    positions: Sequence[Position],
    rulebook: Rulebook = DEFAULT_RULEBOOK,
    *,
    use_slippage: bool | None = None,
) -> list[PositionState]:
    """The state of each of many positions after its last order; as `replay` of one."""
    if not positions:
        return []
    columns = position_columns(positions, rulebook)
    rules = accounting_rules(rulebook, use_slippage)
    return position_states(columns, replay_orders(columns, rules))


def position_states(columns: PositionColumns, accounts: Accounts) -> list[PositionState]:
    """The last state of each position, from what its orders made of it."""
    positions, orders = columns
    close = accounts.bounds["close"]
    kind = np.where(close >= 0, _FLAT_KIND, orders["kind"][positions["first"]])
    found = (
        kind,
        close >= 0,
        orders["time_ms"][close],
        accounts.bounds["initial_entry"],
        accounts.after[positions["last"] - 1],
    )
    return [
        _state(KINDS[kind], close_ms if closed else None, initial_entry, after)
        for kind, closed, close_ms, initial_entry, after in zip(
            *(column.tolist() for column in found), strict=True
        )
    ]


def _state(
    position_type: OrderType,
    close_ms: int | None,
    initial_entry: float,
    after: tuple[float, ...],
) -> PositionState:
    """From a row of ORDER_STATE."""
    value, at_close, held, entry, entry_value, realized, cumulative, largest, spread_fee = after
    return PositionState(
        position_type=position_type,
        is_closed_position=close_ms is not None,
        close_ms=close_ms,
        current_return=value,
        return_at_close=at_close,
        net_leverage=held,
        average_entry_price=entry,
        initial_entry_price=initial_entry,
        cumulative_entry_value=entry_value,
        realized_pnl=realized,
        cumulative_leverage=cumulative,
        max_leverage_seen=largest,
        spread_fee=spread_fee,
    )


def carry_fee_at(
    position: Position, at_ms: int, rulebook: Rulebook = DEFAULT_RULEBOOK
) -> tuple[float, int]:
    """Carry fee of a position at a time, all its orders known, as (factor, next change in ms)."""
    columns = position_columns([position], rulebook)
    rules = accounting_rules(rulebook, use_slippage=None)
    return carry_at(columns, rules, replay_orders(columns, rules), 0, len(position.orders), at_ms)


@compiled
def carry_at(
    columns: PositionColumns,
    rules: AccountingRules,
    accounts: Accounts,
    i: int,
    known: int,
    at_ms: int,
) -> tuple[float, int]:
    """Carry fee of position i at a time (its close, if that is earlier) with `known` orders."""
    position = columns.positions[i]
    last = position.first + known
    close = accounts.bounds[i].close
    if 0 <= close < last:
        last = close + 1
        at_ms = min(at_ms, columns.orders[close].time_ms)
    return carry_fee(position, columns.orders, accounts.after, last, at_ms, rules.carry_from_ms)


@compiled
def slipped(price: float, slippage: float, leverage: float) -> float:
    """Price after slippage: higher for a buyer, lower for a seller (and for a leverage of 0)."""
    return price * (1 + slippage) if leverage > 0 else price * (1 - slippage)


@compiled
def _replay_all(columns: PositionColumns, rules: AccountingRules, accounts: Accounts) -> None:
    for i in range(len(columns.positions)):
        position, bounds = columns.positions[i], accounts.bounds[i]
        bounds.close = -1
        for k in range(position.first, position.last):
            if k > position.first:
                _carry_over(accounts.after[k], accounts.after[k - 1])
            if bounds.close < 0:
                _apply(columns, rules, accounts, i, k)


@compiled
def _carry_over(after: Row, before: Row) -> None:
    """Begin an order's state as the one before left it."""
    after.current_return = before.current_return
    after.return_at_close = before.return_at_close
    after.held = before.held
    after.entry_price = before.entry_price
    after.entry_value = before.entry_value
    after.realized = before.realized
    after.cumulative_leverage = before.cumulative_leverage
    after.max_leverage = before.max_leverage
    after.spread_fee = before.spread_fee


@compiled
def _apply(
    columns: PositionColumns, rules: AccountingRules, accounts: Accounts, i: int, k: int
) -> None:
    """Apply order k to position i, whose state after k so far is that of the order before."""
    position, order = columns.positions[i], columns.orders[k]
    after, bounds = accounts.after[k], accounts.bounds[i]
    slips = order.time_ms >= rules.slippage_from_ms
    fill = slipped(order.price, order.slippage, order.leverage) if slips else order.price
    kind = columns.orders[position.first].kind
    if k == position.first:
        bounds.initial_entry = fill
    held = after.held
    reached = held + order.leverage
    closes = order.kind == _FLAT_KIND or (reached <= 0 if kind > 0 else reached >= 0)
    # a change of leverage is taken between totals, so that its rounding is the network's
    after.cumulative_leverage += abs(held) if closes else abs(reached - held)
    after.spread_fee = 1 - position.spread_rate * after.cumulative_leverage
    if closes:
        bounds.close = k
        after.held = 0.0
    if closes and order.src in _PRICELESS:
        # the return stays, with the fees of the order before; of carry and spread, its carry fee
        asked_ms = columns.orders[k - 1].time_ms
        if asked_ms >= rules.fee_v4_ms:
            carry = carry_at(columns, rules, accounts, i, k + 1 - position.first, asked_ms)[0]
            spread = charged_spread(after, rules, order.time_ms)
            after.return_at_close = after.current_return * (carry * spread)
        return
    adds = order.kind == kind
    if k > position.first:
        gain = _gain(order, after, bounds, held, reached, fill, slips, closes or not adds)
        after.current_return = 0.0 if gain <= -1 else 1 + gain
    else:
        after.current_return = 1.0
    if not closes:
        _enter(order, after, position, held, reached, fill, slips, adds)
    after.return_at_close = after.current_return * _fee(columns, rules, accounts, i, k)


@compiled
def _gain(
    order: Row,
    after: Row,
    bounds: Row,
    held: float,
    reached: float,
    fill: float,
    slips: bool,
    realizes: bool,
) -> float:
    """Gain at the order's price, as a fraction of the first entry price."""
    if not slips:
        return (order.price - after.entry_price) * held / bounds.initial_entry
    if realizes:
        after.realized -= (fill - after.entry_price) * order.leverage
    remaining = reached if abs(reached) < abs(held) else held
    unrealized = (order.price - after.entry_price) * remaining
    return (after.realized + unrealized) / bounds.initial_entry


@compiled
def _enter(
    order: Row,
    after: Row,
    position: Row,
    held: float,
    reached: float,
    fill: float,
    slips: bool,
    adds: bool,
) -> None:
    """The new leverage, and the average entry where the order moves it."""
    after.held = reached
    after.max_leverage = max(after.max_leverage, abs(reached))
    if adds or not slips:
        after.entry_price = (after.entry_price * held + fill * order.leverage) / reached
        value = order.leverage * position.account_size if slips else order.price * order.leverage
        after.entry_value += value


@compiled
def _fee(
    columns: PositionColumns, rules: AccountingRules, accounts: Accounts, i: int, k: int
) -> float:
    """Factor of all fees right after order k, with every order up to it known."""
    position, after, at_ms = columns.positions[i], accounts.after[k], columns.orders[k].time_ms
    if at_ms < rules.fee_v4_ms:
        return 1 - position.pair_fee * after.max_leverage
    carry = carry_at(columns, rules, accounts, i, k + 1 - position.first, at_ms)[0]
    return carry * charged_spread(after, rules, at_ms)


@compiled
def charged_spread(after: Row, rules: AccountingRules, at_ms: int) -> float:
    """Factor of the spread fee at a time; a rulebook may end it when slippage begins."""
    return after.spread_fee if at_ms < rules.spread_until_ms else 1.0
