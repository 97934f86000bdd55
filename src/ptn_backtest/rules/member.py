"""What an evaluation knows of one trader at its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import daily_returns
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.metrics import lowest_mdd
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.rules.scoring import Trader


@dataclass(frozen=True, slots=True)
class Member:
    """One trader of the network.

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

    @property
    def has_ledger(self) -> bool:
        """Whether there is a portfolio ledger with a checkpoint."""
        return PORTFOLIO in self.ledgers and len(self.ledgers[PORTFOLIO].cps) > 0

    @property
    def mdd(self) -> float:
        """Lowest value / running peak of the portfolio; 1.0 without a ledger."""
        return lowest_mdd(self.ledgers[PORTFOLIO]) if self.has_ledger else 1.0

    @property
    def full_days(self) -> int:
        """Full days of the portfolio ledger."""
        return len(daily_returns(self.ledgers[PORTFOLIO])[0]) if self.has_ledger else 0

    def has_closed_position(self, shortest_ms: int) -> bool:
        """Whether a position of at least this length was closed."""
        return any(
            held.state.close_ms is not None
            and held.state.close_ms - held.position.open_ms >= shortest_ms
            for held in self.positions
        )

    def in_bucket(self, bucket: Bucket) -> Trader:
        """The same as scoring sees it."""
        return Trader(self.ledgers, self.positions, self.account_size, bucket)
