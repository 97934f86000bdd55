"""A trader's ledger of one asset class: its pair ledgers of that class, added up."""

from collections.abc import Mapping

import numpy as np

from ptn_backtest.ledger.checkpoint import CHECKPOINT, PORTFOLIO, PerfLedger
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

_ADDED = (
    "n_updates",
    "gain",
    "loss",
    "spread_fee_loss",
    "carry_fee_loss",
    "pnl_gain",
    "pnl_loss",
)


def class_ledger(ledgers: Mapping[str, PerfLedger], category: TradePairCategory) -> PerfLedger:
    """The ledger of a trader's pairs of one class.

    Checkpoints with the same last update are added up. What cannot be added (value, drawdown,
    highest value, covered time) is that of the first pair ledger that has the checkpoint (quirk 26).

    Args:
        ledgers: {trade pair id: ledger}, in order of first trade; the portfolio's may be among them.
        category: the class.

    Returns:
        A ledger without checkpoints where the trader has none of this class.
    """
    own = [
        ledger
        for name, ledger in ledgers.items()
        if name != PORTFOLIO and TradePair.from_trade_pair_id(name).category is category
    ]
    if not own:
        return PerfLedger(initialization_time_ms=0, max_return=1.0, cps=np.zeros(0, CHECKPOINT))
    rows = np.concatenate([ledger.cps for ledger in own])
    # np.unique gives the first row of each time, and the rows stand in order of first trade
    _, first, group = np.unique(rows["last_update_ms"], return_index=True, return_inverse=True)
    cps = rows[first].copy()
    for name in _ADDED:
        cps[name] = np.bincount(group, weights=rows[name], minlength=len(cps))
    return PerfLedger(
        initialization_time_ms=min(ledger.initialization_time_ms for ledger in own),
        max_return=own[0].max_return,
        cps=cps,
        target_cp_duration_ms=own[0].target_cp_duration_ms,
        target_ledger_window_ms=own[0].target_ledger_window_ms,
    )
