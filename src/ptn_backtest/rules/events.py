"""What happens to traders under the network's rules, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from ptn_backtest.ledger.breach import Breach
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rules.bucket import Bucket

Figures: TypeAlias = Mapping[str, float | int | str | None]
"""What decided an event: {name: value}; units are in the names (`_ms`, `_usd`, `_percent`)."""


class EventKind(StrEnum):
    """What happened."""

    ENTERED = "ENTERED"
    PROMOTED = "PROMOTED"
    DEMOTED = "DEMOTED"
    PLAGIARISM_FLAGGED = "PLAGIARISM_FLAGGED"
    PLAGIARISM_CLEARED = "PLAGIARISM_CLEARED"
    FAILED = "FAILED"
    ELIMINATED = "ELIMINATED"
    POSITION_CLOSED = "POSITION_CLOSED"
    COLLATERAL_SLASHED = "COLLATERAL_SLASHED"


class EliminationReason(StrEnum):
    """Why a trader left, by the network's names."""

    FAILED_CHALLENGE_PERIOD_TIME = "FAILED_CHALLENGE_PERIOD_TIME"
    FAILED_CHALLENGE_PERIOD_DRAWDOWN = "FAILED_CHALLENGE_PERIOD_DRAWDOWN"
    MAX_TOTAL_DRAWDOWN = "MAX_TOTAL_DRAWDOWN"
    LIQUIDATED = "LIQUIDATED"
    PLAGIARISM = "PLAGIARISM"


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    Attributes:
        time_ms: of the evaluation; of the tick for a liquidation and what follows from it.
        miner_hotkey: whose.
        kind: what happened.
        from_bucket: where the trader stood, None before it entered.
        to_bucket: where it stands now, None once it has left.
        reason: an `EliminationReason`, or in a few words why; see `docs/rules.md`.
        figures: what decided it.
    """

    time_ms: int
    miner_hotkey: str
    kind: EventKind
    from_bucket: Bucket | None = None
    to_bucket: Bucket | None = None
    reason: str = ""
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Elimination:
    """One trader's end.

    Attributes:
        miner_hotkey: the trader.
        time_ms: as the network stamps it: the evaluation, or the tick of a liquidation.
        drawdown_percent: 2 decimals, -1 for time and plagiarism; 0 for a liquidation, as the network
            records it.
        reason: why.
        bucket: where the trader stood.
        breach: the exact moment, where a drawdown or liquidation is the reason and it is known.
        closing_prices: {trade pair id: price} of the positions that were open.
        returns: {position_uuid: return at close} of these, after they were closed.
    """

    miner_hotkey: str
    time_ms: int
    drawdown_percent: float
    reason: EliminationReason
    bucket: Bucket | None = None
    breach: Breach | None = None
    closing_prices: Mapping[str, FoundPrice] = field(default_factory=dict)
    returns: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` gives the same elimination back."""
        return {
            "miner_hotkey": self.miner_hotkey,
            "time_ms": self.time_ms,
            "drawdown_percent": self.drawdown_percent,
            "reason": self.reason.value,
            "bucket": self.bucket.value if self.bucket else None,
            "breach": self.breach.to_dict() if self.breach else None,
            "closing_prices": {
                pair: {name: getattr(price, name) for name in FoundPrice.__slots__}
                for pair, price in self.closing_prices.items()
            },
            "returns": dict(self.returns),
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "Elimination":
        """The elimination that `to_dict` described."""
        prices = fields["closing_prices"].items()
        return Elimination(
            miner_hotkey=fields["miner_hotkey"],
            time_ms=fields["time_ms"],
            drawdown_percent=fields["drawdown_percent"],
            reason=EliminationReason(fields["reason"]),
            bucket=Bucket(fields["bucket"]) if fields["bucket"] else None,
            breach=Breach.from_dict(fields["breach"]) if fields["breach"] else None,
            closing_prices={
                pair: FoundPrice(
                    price=found["price"],
                    candle_ms=found["candle_ms"],
                    timespan=Timespan(found["timespan"]),
                )
                for pair, found in prices
            },
            returns=dict(fields["returns"]),
        )
