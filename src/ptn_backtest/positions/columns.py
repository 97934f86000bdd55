"""Positions and orders as rows of arrays, the shape in which arithmetic reads them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import order_rows, spans
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.trade_pairs import TradePair

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.void]
"""Array of one of the row types below; compiled code reads fields as attributes."""
Row: TypeAlias = Any
"""One row of `Rows`."""

POSITION = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("pair", np.int64),
        ("stored", np.int64),
        ("account_size", np.float64),
        ("pair_fee", np.float64),
        ("spread_rate", np.float64),
        ("carry_period_ms", np.int64),
        ("carry_phase_ms", np.int64),
        ("carry_factor", np.float64),
        ("carry_weekdays_only", np.bool_),
    ]
)
"""A position: its orders are rows `first` to before `last`. `pair`: index among the trader's pairs.
`stored`: index as it was stored. `account_size`: USD. `pair_fee`, `spread_rate`: fractions.
`carry_*`: the pair's `CarryRule`."""


class PositionColumns(NamedTuple):
    """`positions` (rows of POSITION) and all their `orders` (rows of ORDER)."""

    positions: Rows
    orders: Rows

    @property
    def opened_ms(self) -> Ints:
        """Time of each position's first order."""
        times: Ints = self.orders["time_ms"][self.positions["first"]]
        return times

    def rearranged(self, order: NDArray[np.intp]) -> "PositionColumns":
        """The positions in this order, and their orders with them."""
        rows = self.positions[order]
        at = spans(rows["first"], rows["last"])
        counts = rows["last"] - rows["first"]
        rows["last"] = np.cumsum(counts)
        rows["first"] = rows["last"] - counts
        return PositionColumns(rows, self.orders[at])


class AccountingRules(NamedTuple):
    """The dates that position arithmetic turns on, ms."""

    fee_v4_ms: int
    carry_from_ms: int
    slippage_from_ms: int
    spread_until_ms: int


def accounting_rules(rulebook: Rulebook, use_slippage: bool | None) -> AccountingRules:
    """The rulebook's dates, with the run's choice for slippage."""
    return AccountingRules(
        fee_v4_ms=rulebook.fee_v4_ms,
        carry_from_ms=rulebook.carry_from_ms,
        slippage_from_ms=rulebook.slippage_from_ms(use_slippage),
        spread_until_ms=rulebook.spread_until_ms(use_slippage),
    )


def position_columns(positions: Sequence[Position], rulebook: Rulebook) -> PositionColumns:
    """The rows of these positions, in the given order; they are also "stored" in it."""
    counts = np.array([len(position.orders) for position in positions], dtype=np.int64)
    rows = np.zeros(len(positions), dtype=POSITION)
    rows["last"] = np.cumsum(counts)
    rows["first"] = rows["last"] - counts
    rows["stored"] = np.arange(len(positions))
    rows["account_size"] = [position.account_size for position in positions]
    # by its id: a pair itself is slow to look up
    pairs = {position.trade_pair.trade_pair_id: position.trade_pair for position in positions}
    place = {pair_id: i for i, pair_id in enumerate(pairs)}
    rows["pair"] = [place[position.trade_pair.trade_pair_id] for position in positions]
    terms = [_terms(pair, rulebook) for pair in pairs.values()]
    for name in terms[0] if terms else ():
        rows[name] = np.array([each[name] for each in terms])[rows["pair"]]
    return PositionColumns(rows, order_rows(position.orders for position in positions))


def _terms(pair: TradePair, rulebook: Rulebook) -> Mapping[str, float]:
    """What a rulebook charges on a pair, by the names of POSITION."""
    carry = rulebook.carry(pair)
    return {
        "pair_fee": pair.fee,
        "spread_rate": rulebook.spread_rate(pair),
        "carry_period_ms": carry.period_ms,
        "carry_phase_ms": carry.phase_ms,
        "carry_factor": carry.factor,
        "carry_weekdays_only": carry.weekdays_only,
    }
