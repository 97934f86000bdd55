"""Positions of one trader as columns, the shape in which arithmetic reads them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import Rulebook

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class PositionColumns(NamedTuple):
    """n positions with m orders in all; position i owns orders `first[i]` to `first[i + 1]`.

    Per position: `first` (n + 1), `account_size` (USD), `pair_fee` and `spread_rate` (fractions),
    `carry_*` (the pair's `CarryRule`). Per order: `kind` (1 LONG, -1 SHORT, 0 FLAT), `leverage`
    (signed), `price`, `slippage` (fraction), `time_ms`, `src`.
    """

    first: Ints
    account_size: Floats
    pair_fee: Floats
    spread_rate: Floats
    carry_period_ms: Ints
    carry_phase_ms: Ints
    carry_factor: Floats
    carry_weekdays_only: NDArray[np.bool_]
    kind: Ints
    leverage: Floats
    price: Floats
    slippage: Floats
    time_ms: Ints
    src: Ints


class AccountingRules(NamedTuple):
    """The dates that position arithmetic turns on, ms."""

    fee_v4_ms: int
    fee_v6_ms: int
    slippage_from_ms: int


def accounting_rules(rulebook: Rulebook, use_slippage: bool | None) -> AccountingRules:
    """The rulebook's dates, with the run's choice for slippage."""
    return AccountingRules(
        fee_v4_ms=rulebook.fee_v4_ms,
        fee_v6_ms=rulebook.fee_v6_ms,
        slippage_from_ms=rulebook.slippage_from_ms(use_slippage),
    )


def position_columns(positions: Sequence[Position], rulebook: Rulebook) -> PositionColumns:
    """The columns of these positions, in the given order."""
    orders = [order for position in positions for order in position.orders]
    pairs = [position.trade_pair for position in positions]
    carry = [rulebook.carry(pair) for pair in pairs]
    counts = [len(position.orders) for position in positions]
    return PositionColumns(
        first=np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64),
        account_size=_floats([position.account_size for position in positions]),
        pair_fee=_floats([pair.fee for pair in pairs]),
        spread_rate=_floats([rulebook.spread_rate(pair) for pair in pairs]),
        carry_period_ms=_ints([rule.period_ms for rule in carry]),
        carry_phase_ms=_ints([rule.phase_ms for rule in carry]),
        carry_factor=_floats([rule.factor for rule in carry]),
        carry_weekdays_only=np.array([rule.weekdays_only for rule in carry], dtype=np.bool_),
        kind=_ints([order.order_type.sign for order in orders]),
        leverage=_floats([order.leverage for order in orders]),
        price=_floats([order.price for order in orders]),
        slippage=_floats([order.slippage for order in orders]),
        time_ms=_ints([order.processed_ms for order in orders]),
        src=_ints([order.src for order in orders]),
    )


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)
