"""The full days of many traders' ledgers in one table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, Checkpoints
from ptn_backtest.positions.columns import Floats, Ints

_ADDED = ("gain", "loss", "pnl_gain", "pnl_loss")


@dataclass(frozen=True, slots=True)
class DayTable:
    """Full days by trader, then date; arrays of one length.

    Attributes:
        trader: number of the trader.
        day: days since 1970.
        returns: log return.
        pnl: USD.
    """

    trader: Ints
    day: Ints
    returns: Floats
    pnl: Floats

    def place(self, trader: Ints, day: Ints) -> Ints:
        """Where a trader's days from a day on begin; the arguments broadcast."""
        begin, end = self.day.min(initial=0), self.day.max(initial=0) + 1
        span = end - begin + 1
        keys = self.trader * span + self.day - begin
        places: Ints = np.searchsorted(keys, trader * span + np.clip(day, begin, end) - begin)
        return places


def day_table(ledgers: Sequence[tuple[int, Checkpoints]]) -> DayTable:
    """The full days of traders; see `ledger.daily`.

    Args:
        ledgers: (number of the trader, checkpoints), the traders ascending. Several of one trader are
            in order of first trade, and added up as in `class_ledger`.
    """
    trader = np.repeat(
        np.array([number for number, _ in ledgers], dtype=np.int64),
        [len(cps) for _, cps in ledgers],
    )
    columns = {
        name: np.concatenate([np.zeros(0, kind), *(cps[name] for _, cps in ledgers)])
        for kind, names in ((np.int64, ("last_update_ms", "accum_ms")), (np.float64, _ADDED))
        for name in names
    }
    end_ms, accum_ms = columns["last_update_ms"], columns["accum_ms"]
    _, first, group = np.unique(_keys(trader, end_ms), return_index=True, return_inverse=True)
    gain, loss, pnl_gain, pnl_loss = (np.bincount(group, weights=columns[n]) for n in _ADDED)
    full = accum_ms[first] == CHECKPOINT_MS
    trader, day = trader[first][full], (end_ms[first][full] - CHECKPOINT_MS) // DAY_MS
    _, first, group, halves = np.unique(
        _keys(trader, day), return_index=True, return_inverse=True, return_counts=True
    )
    # two full checkpoints of half a day make a full day
    whole = halves * CHECKPOINT_MS == DAY_MS
    return DayTable(
        trader=trader[first][whole],
        day=day[first][whole],
        returns=np.bincount(group, weights=(gain + loss)[full])[whole],
        pnl=np.bincount(group, weights=(pnl_gain + pnl_loss)[full])[whole],
    )


def _keys(trader: Ints, time: Ints) -> Ints:
    """Numbers that are in order of traders, then times."""
    begin = time.min(initial=0)
    keys: Ints = trader * (time.max(initial=0) - begin + 1) + time - begin
    return keys
