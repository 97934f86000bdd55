"""What the checkpoints of a ledger say: figures, curves and daily values.

Returns, drawdowns and fees are fractions (0.01 = 1 %), log returns natural logarithms, PnL is USD.
A ledger keeps a window of checkpoints. What follows from its last record (value, fees) counts since
the first order; what is summed over checkpoints (gain, loss, PnL, time) counts since `start_ms`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.result import Liquidation, ReplayedPosition, RunResult
from ptn_backtest.ledger.checkpoint import CHECKPOINT, PORTFOLIO, Checkpoints, PerfLedger
from ptn_backtest.ledger.daily import Dates, Floats, daily_pnl, daily_returns, start_ms

__all__ = [
    "Dates",
    "EquityCurve",
    "Floats",
    "LedgerSummary",
    "TraderSummary",
    "carry_fee",
    "covered_from_ms",
    "daily_pnl",
    "daily_returns",
    "equity_curve",
    "is_truncated",
    "max_drawdown",
    "pnl_usd",
    "rank_traders",
    "spread_fee",
    "summarize_ledger",
    "sums_of_many",
    "time_in_market",
    "total_return",
]


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """One ledger in a few figures.

    Attributes:
        start_ms: from when the checkpoints tell: the first order, or the start of the window.
        end_ms: time of the last record.
        truncated: whether older checkpoints have left the window.
        value: value at the last record, 1.0 = unchanged since the first order.
        total_return: `value` - 1.
        max_drawdown: deepest fall below the running peak, 0 = none.
        gain: sum of positive log changes.
        loss: sum of negative log changes, at most 0.
        spread_fee: fraction of the value that spread fees took since the first order.
        carry_fee: the same of carry fees.
        pnl_usd: profit and loss.
        time_in_market: fraction of start..end with an open position in an open market.
        n_updates: records that changed the value.
        n_checkpoints: checkpoints in the window.
    """

    start_ms: int
    end_ms: int
    truncated: bool
    value: float
    total_return: float
    max_drawdown: float
    gain: float
    loss: float
    spread_fee: float
    carry_fee: float
    pnl_usd: float
    time_in_market: float
    n_updates: int
    n_checkpoints: int


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """A ledger's value over time, one point per checkpoint; arrays of one length.

    Attributes:
        time_ms: last record of each checkpoint; the first order comes before as a point of its own
            while its checkpoint is in the window.
        value: value then.
        peak: running peak, at least 1.
        drawdown: deepest drawdown within the checkpoint, -0.05 = 5 % below the peak, 0 = none.
        lowest: (1 + drawdown) x peak, the lowest value in the checkpoint. Where the peak rose after
            the low within one checkpoint, the true low is below this.
    """

    time_ms: NDArray[np.int64]
    value: Floats
    peak: Floats
    drawdown: Floats
    lowest: Floats


@dataclass(frozen=True, slots=True)
class TraderSummary:
    """One trader in a few figures.

    Attributes:
        rank: 1 for the highest return; liquidated portfolios come last, whatever their last record.
        miner_hotkey: the trader.
        portfolio: its portfolio ledger in figures.
        positions: its replayed positions.
        n_open: how many of them are open.
        n_orders: orders of all of them.
        liquidation: when its portfolio reached 0, if it did.
    """

    rank: int
    miner_hotkey: str
    portfolio: LedgerSummary
    positions: tuple[ReplayedPosition, ...]
    n_open: int
    n_orders: int
    liquidation: Liquidation | None


def total_return(cps: Checkpoints) -> float:
    """Value at the last record - 1."""
    return float(cps["prev_portfolio_ret"][-1]) - 1.0


def max_drawdown(cps: Checkpoints) -> float:
    """Deepest fall below the running peak as a positive fraction, 0 = none."""
    return 1.0 - float(cps["mdd"].min())


def pnl_usd(cps: Checkpoints) -> float:
    """Profit and loss, USD."""
    return float(cps["pnl_gain"].sum() + cps["pnl_loss"].sum())


def spread_fee(cps: Checkpoints) -> float:
    """Fraction of the value taken by spread fees: 1 - product of the positions' spread factors.

    The same as 1 - exp(sum of `spread_fee_loss`) while every checkpoint is kept.
    """
    return 1.0 - float(cps["prev_portfolio_spread_fee"][-1])


def carry_fee(cps: Checkpoints) -> float:
    """Fraction of the value taken by carry fees; see `spread_fee`."""
    return 1.0 - float(cps["prev_portfolio_carry_fee"][-1])


def covered_from_ms(ledger: PerfLedger) -> int:
    """From when the checkpoints tell: the first order, or later where old ones were dropped."""
    return max(ledger.initialization_time_ms, int(start_ms(ledger.cps[:1])[0]))


def is_truncated(ledger: PerfLedger) -> bool:
    """Whether the checkpoint of the first order has left the window."""
    return covered_from_ms(ledger) > ledger.initialization_time_ms


def time_in_market(ledger: PerfLedger) -> float:
    """Fraction of the covered time with an open position in an open market."""
    covered = ledger.last_update_ms - covered_from_ms(ledger)
    return float(ledger.cps["open_ms"].sum()) / covered if covered > 0 else 0.0


def summarize_ledger(ledger: PerfLedger) -> LedgerSummary:
    """The figures of one ledger, which has at least one checkpoint."""
    cps = ledger.cps
    return LedgerSummary(
        start_ms=covered_from_ms(ledger),
        end_ms=ledger.last_update_ms,
        truncated=is_truncated(ledger),
        value=float(cps["prev_portfolio_ret"][-1]),
        total_return=total_return(cps),
        max_drawdown=max_drawdown(cps),
        gain=float(cps["gain"].sum()),
        loss=float(cps["loss"].sum()),
        spread_fee=spread_fee(cps),
        carry_fee=carry_fee(cps),
        pnl_usd=pnl_usd(cps),
        time_in_market=time_in_market(ledger),
        n_updates=int(cps["n_updates"].sum()),
        n_checkpoints=len(cps),
    )


def sums_of_many(ledgers: Sequence[PerfLedger]) -> dict[str, Floats]:
    """{column: its sum over the checkpoints of each ledger}, of all columns from `gain` on.

    These columns are numbers of one type beside each other, so that one look at a checkpoint adds all
    of them: a network has thousands of ledgers.
    """
    names = CHECKPOINT.names or ()
    first = names.index("gain")
    found = np.zeros((len(ledgers), len(names) - first))
    for row, ledger in enumerate(ledgers):
        numbers = np.ascontiguousarray(ledger.cps).view(np.float64).reshape(-1, len(names))
        numbers[:, first:].sum(axis=0, out=found[row])
    return dict(zip(names[first:], found.T, strict=True))


def equity_curve(ledger: PerfLedger) -> EquityCurve:
    """The value and its drawdown over time."""
    cps = ledger.cps
    time_ms, value = cps["last_update_ms"], cps["prev_portfolio_ret"]
    peak = np.maximum.accumulate(np.maximum(cps["mpv"], 1.0))
    drawdown = cps["mdd"] - 1.0
    if not is_truncated(ledger) and time_ms[0] > ledger.initialization_time_ms:
        time_ms = np.concatenate(([ledger.initialization_time_ms], time_ms))
        value = np.concatenate(([1.0], value))
        peak = np.concatenate(([1.0], peak))
        drawdown = np.concatenate(([0.0], drawdown))
    return EquityCurve(time_ms, value, peak, drawdown, (1.0 + drawdown) * peak)


def rank_traders(result: RunResult) -> list[TraderSummary]:
    """Every trader with a portfolio ledger, best return first, liquidated ones last."""
    positions: dict[str, list[ReplayedPosition]] = {}
    for hotkey, own in groupby(result.positions, attrgetter("position.miner_hotkey")):
        positions.setdefault(hotkey, []).extend(own)
    liquidations = {event.miner_hotkey: event for event in result.liquidations}
    figures = [
        (hotkey, summarize_ledger(ledgers[PORTFOLIO]))
        for hotkey, ledgers in result.ledgers.items()
        if PORTFOLIO in ledgers and len(ledgers[PORTFOLIO].cps)
    ]
    figures.sort(key=lambda row: (row[0] in liquidations, -row[1].total_return, row[0]))
    return [
        TraderSummary(
            rank=rank,
            miner_hotkey=hotkey,
            portfolio=portfolio,
            positions=(each := tuple(positions.get(hotkey, ()))),
            n_open=len(each) - sum(map(attrgetter("state.is_closed_position"), each)),
            n_orders=sum(map(len, map(attrgetter("position.orders"), each))),
            liquidation=liquidations.get(hotkey),
        )
        for rank, (hotkey, portfolio) in enumerate(figures, start=1)
    ]
