"""A trader's ledgers between updates: explicit, serialisable, complete.

Continuing from a stored state equals running through the same update times in one go, exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptn_backtest.ledger.checkpoint import PerfLedger

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What an update leaves for the next one.

    Attributes:
        ledgers: {"portfolio" or trade pair id: ledger}, pairs in order of first trade.
        carry_cache: {position_uuid: (carry fee, time of its next change in ms)}.
        last_update_ms: time up to which orders are booked, None before the first order.
        orders_seen: number of orders booked, to notice a late one.
        liquidated_ms: time at which the portfolio reached 0, or None.
    """

    ledgers: Mapping[str, PerfLedger] = field(default_factory=dict)
    carry_cache: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    last_update_ms: int | None = None
    orders_seen: int = 0
    liquidated_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; floats survive exactly through their shortest text."""
        return {
            "version": STATE_VERSION,
            "ledgers": {name: ledger.to_dict() for name, ledger in self.ledgers.items()},
            "carry_cache": {uuid: list(entry) for uuid, entry in self.carry_cache.items()},
            "last_update_ms": self.last_update_ms,
            "orders_seen": self.orders_seen,
            "liquidated_ms": self.liquidated_ms,
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "LedgerState":
        """The state that `to_dict` described."""
        return LedgerState(
            ledgers={k: PerfLedger.from_dict(v) for k, v in fields["ledgers"].items()},
            carry_cache={k: (fee, ms) for k, (fee, ms) in fields["carry_cache"].items()},
            last_update_ms=fields["last_update_ms"],
            orders_seen=fields["orders_seen"],
            liquidated_ms=fields["liquidated_ms"],
        )


NEW = LedgerState()
