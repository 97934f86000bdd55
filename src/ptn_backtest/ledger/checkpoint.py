"""A performance ledger: checkpoints of 12 hours that sum up the value of a portfolio."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, HOUR_MS

CHECKPOINT_MS = 12 * HOUR_MS
WINDOW_MS = 120 * DAY_MS
PORTFOLIO = "portfolio"
"""Key of the ledger over all pairs, beside the ledgers by trade pair id."""

CHECKPOINT = np.dtype(
    [
        ("last_update_ms", np.int64),
        ("prev_portfolio_ret", np.float64),
        ("prev_portfolio_spread_fee", np.float64),
        ("prev_portfolio_carry_fee", np.float64),
        ("accum_ms", np.int64),
        ("open_ms", np.int64),
        ("n_updates", np.int64),
        ("gain", np.float64),
        ("loss", np.float64),
        ("spread_fee_loss", np.float64),
        ("carry_fee_loss", np.float64),
        ("mdd", np.float64),
        ("mpv", np.float64),
        ("pnl_gain", np.float64),
        ("pnl_loss", np.float64),
    ]
)
"""One checkpoint, a row of a ledger.

last_update_ms: time of the last record, ms. prev_portfolio_*: value and fee products there.
accum_ms: time covered. open_ms: time with an open market and an open position. n_updates: records
that changed the value. gain, loss: sums of positive and of negative changes of log value.
spread_fee_loss, carry_fee_loss: sums of changes of the log fee products. mdd: lowest value / running
peak (1.0 = no drawdown). mpv: highest value. pnl_gain, pnl_loss: USD.
"""

Checkpoints: TypeAlias = NDArray[np.void]
"""Array of dtype `CHECKPOINT`, in time order."""

_N_WORDS = CHECKPOINT.itemsize // 8

LastKnownPrices: TypeAlias = dict[str, tuple[float, int]]
"""{pair: (close, start of its candle in ms), pair + "_prev": the one before}."""


@dataclass(frozen=True, slots=True)
class PerfLedger:
    """The value of one portfolio (or of one pair's positions) over time.

    Attributes:
        initialization_time_ms: time of the first order.
        max_return: running peak of the value, at least 1.
        cps: checkpoints, oldest first, within the window.
        last_known_prices: newest candle of each open pair (portfolio ledger only).
        target_cp_duration_ms: 12 hours.
        target_ledger_window_ms: how much time the checkpoints may cover.
    """

    initialization_time_ms: int
    max_return: float
    cps: Checkpoints
    last_known_prices: LastKnownPrices = field(default_factory=dict)
    target_cp_duration_ms: int = CHECKPOINT_MS
    target_ledger_window_ms: int = WINDOW_MS

    @property
    def last_update_ms(self) -> int:
        """Time of the last record."""
        return int(self.cps["last_update_ms"][-1])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, by the names of `expected.json`; `from_dict` gives the same ledger back."""
        return {
            "initialization_time_ms": self.initialization_time_ms,
            "max_return": self.max_return,
            "target_cp_duration_ms": self.target_cp_duration_ms,
            "target_ledger_window_ms": self.target_ledger_window_ms,
            "cps": [dict(zip(CHECKPOINT.names or (), row.item(), strict=True)) for row in self.cps],
            "last_known_prices": {k: list(v) for k, v in self.last_known_prices.items()},
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> "PerfLedger":
        """The ledger that `to_dict` described."""
        names = CHECKPOINT.names or ()
        rows = [tuple(row[name] for name in names) for row in fields["cps"]]
        return PerfLedger(
            initialization_time_ms=fields["initialization_time_ms"],
            max_return=fields["max_return"],
            cps=np.array(rows, dtype=CHECKPOINT),
            last_known_prices={k: (p, ms) for k, (p, ms) in fields["last_known_prices"].items()},
            target_cp_duration_ms=fields["target_cp_duration_ms"],
            target_ledger_window_ms=fields["target_ledger_window_ms"],
        )


def words(cps: Checkpoints) -> NDArray[np.int64]:
    """Checkpoints as whole numbers, with an axis more: a view, so that writing to it writes them.

    NumPy copies and compares these twenty times as fast as rows of fields.
    """
    numbers: NDArray[np.int64] = cps.view(np.int64).reshape(*cps.shape, _N_WORDS)
    return numbers


def checkpoints_at(cps: Checkpoints, places: NDArray[np.int64]) -> Checkpoints:
    """A new array of those at these places."""
    return words(cps)[places].view(CHECKPOINT)[:, 0]


def copied(cps: Checkpoints) -> Checkpoints:
    """A new array of them."""
    return words(cps).copy().view(CHECKPOINT)[:, 0]
