"""The moment at which a portfolio lost too much: what it was worth, and what it held."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DRAWDOWN_LIMIT: Final = 10.0
"""Percent; what a rulebook says replaces it."""


@dataclass(frozen=True, slots=True)
class HeldAtBreach:
    """One open position at the moment of a breach.

    Attributes:
        position_uuid: the position.
        trade_pair_id: its pair.
        leverage: signed.
        price: that it was valued at: the newest candle's close, or its last order's price where no
            candle came since.
        candle_ms: start of that candle; None where it is the order's price.
        return_at_close: value of the position with its fees, 1.0 = unchanged.
    """

    position_uuid: str
    trade_pair_id: str
    leverage: float
    price: float
    candle_ms: int | None
    return_at_close: float


@dataclass(frozen=True, slots=True)
class Breach:
    """The first record at which the drawdown reached the limit, or the value 0.

    Attributes:
        time_ms: time of the record (a tick, or an order).
        value: portfolio value.
        peak: running peak then, at least 1.
        positions: open positions then, in ledger order.
    """

    time_ms: int
    value: float
    peak: float
    positions: tuple[HeldAtBreach, ...]

    @property
    def drawdown(self) -> float:
        """Fall below the peak, a fraction."""
        return 1 - self.value / self.peak

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` gives the same breach back."""
        return {
            "time_ms": self.time_ms,
            "value": self.value,
            "peak": self.peak,
            "positions": [
                {name: getattr(held, name) for name in HeldAtBreach.__slots__}
                for held in self.positions
            ],
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "Breach":
        """The breach that `to_dict` described."""
        positions = tuple(HeldAtBreach(**held) for held in fields["positions"])
        return Breach(fields["time_ms"], fields["value"], fields["peak"], positions)
