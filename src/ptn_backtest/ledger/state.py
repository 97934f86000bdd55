"""A trader's ledgers between updates: explicit, serialisable, complete.

Continuing from a stored state equals running through the same update times in one go, exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PerfLedger

STATE_VERSION = 2


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What an update leaves for the next one.

    Attributes:
        ledgers: {"portfolio" or trade pair id: ledger}, pairs in order of first trade.
        carry_cache: {position_uuid: (carry fee, time of its next change in ms)}.
        last_update_ms: time up to which orders are booked, None before the first order.
        orders_seen: number of orders booked, to notice a late one.
        breach: the first record, of those in the window, whose drawdown reached the limit; or None.
        liquidation: the record at which the portfolio reached 0, or None.
    """

    ledgers: Mapping[str, PerfLedger] = field(default_factory=dict)
    carry_cache: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    last_update_ms: int | None = None
    orders_seen: int = 0
    breach: Breach | None = None
    liquidation: Breach | None = None

    @property
    def liquidated_ms(self) -> int | None:
        """Time at which the portfolio reached 0, or None."""
        return self.liquidation.time_ms if self.liquidation else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; floats survive exactly through their shortest text."""
        return {
            "version": STATE_VERSION,
            "ledgers": {name: ledger.to_dict() for name, ledger in self.ledgers.items()},
            "carry_cache": {uuid: list(entry) for uuid, entry in self.carry_cache.items()},
            "last_update_ms": self.last_update_ms,
            "orders_seen": self.orders_seen,
            "breach": self.breach.to_dict() if self.breach else None,
            "liquidation": self.liquidation.to_dict() if self.liquidation else None,
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "LedgerState":
        """The state that `to_dict` described."""
        return LedgerState(
            ledgers={k: PerfLedger.from_dict(v) for k, v in fields["ledgers"].items()},
            carry_cache={k: (fee, ms) for k, (fee, ms) in fields["carry_cache"].items()},
            last_update_ms=fields["last_update_ms"],
            orders_seen=fields["orders_seen"],
            breach=Breach.from_dict(fields["breach"]) if fields["breach"] else None,
            liquidation=Breach.from_dict(fields["liquidation"]) if fields["liquidation"] else None,
        )


NEW = LedgerState()
