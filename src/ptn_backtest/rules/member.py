"""What an evaluation knows of one trader at its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.record import record_of
from ptn_backtest.rules.records import Records, side_by_side
from ptn_backtest.rules.risk_profile import HeldPosition


class NetworkMember(Protocol):
    """One trader of the network, wherever it comes from; what it is scored on are `Records`."""

    @property
    def first_order_ms(self) -> int | None:
        """Time of the first order, None if it is yet to come."""
        ...

    @property
    def liquidation(self) -> Breach | None:
        """The record at which the portfolio reached 0, where it has by now."""
        ...

    @property
    def collateral_theta(self) -> float | None:
        """What of it may be slashed, None where it is unknown."""
        ...

    def has_closed_position(self, shortest_ms: int) -> bool:
        """Whether a position of at least this length was closed."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A trader from its ledgers and positions.

    Attributes:
        ledgers: {"portfolio" or trade pair id: ledger} as updated to the evaluation, pairs in order
            of first trade; {} before the first order.
        positions: those known at the time that may count: the closed ones, with their states then.
        account_size: USD, in force at the time.
        first_order_ms: time of the first order, None if it is yet to come.
        liquidation: the record at which the portfolio reached 0, where it has by now.
        collateral_theta: what of it may be slashed, None where it is unknown.
    """

    ledgers: Mapping[str, PerfLedger] = field(default_factory=dict)
    positions: Sequence[HeldPosition] = ()
    account_size: float = 0.0
    first_order_ms: int | None = None
    liquidation: Breach | None = None
    collateral_theta: float | None = None

    def has_closed_position(self, shortest_ms: int) -> bool:
        """Whether a position of at least this length was closed."""
        return any(
            held.state.close_ms is not None
            and held.state.close_ms - held.position.open_ms >= shortest_ms
            for held in self.positions
        )


def records_of(members: Mapping[str, Member], t_ms: int, rules: ScoringRules) -> Records:
    """The records of the members with a ledger, at the evaluation's time."""
    found = {
        hotkey: record_of(one.ledgers, one.positions, one.account_size, t_ms, rules)
        for hotkey, one in members.items()
        if PORTFOLIO in one.ledgers and len(one.ledgers[PORTFOLIO].cps)
    }
    return side_by_side(found, rules.asset_classes)
