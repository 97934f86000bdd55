"""The ledgers of many traders, continued together."""

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import numpy as np

from ptn_backtest.ledger.batch import (
    BuiltLedgers,
    LedgerBatch,
    LedgerSettings,
    LedgerUpdate,
)
from ptn_backtest.ledger.builder import rows_of_pairs
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.states import LedgerStates
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.prices.table import PriceTable

__all__ = ["LedgerSettings", "PerfLedgerManager"]

log = logging.getLogger(__name__)


class PerfLedgerManager:
    """The ledgers of many traders.

    Attributes:
        settings: what decides the figures.
        traders: every order up to the end of the replay.
        prices: candles that the next update looks at, and market hours, of every pair traded.
        price_rows: {trade_pair_id: row in `prices`}.
        states: {hotkey: state}; put states in to continue from them.
        failed: {hotkey: message} of traders that could not be replayed; the others go on.
    """

    def __init__(
        self,
        settings: LedgerSettings,
        traders: Traders,
        prices: PriceTable,
        price_rows: Mapping[str, int],
        states: Mapping[str, LedgerState] = MappingProxyType({}),
        failed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Nothing is built yet; the arguments are the attributes of these names."""
        self.settings = settings
        self.traders = traders
        self.prices = prices
        self.price_rows = price_rows
        self.states = LedgerStates(traders.timelines, states)
        self.failed = dict(failed)

    @property
    def timelines(self) -> Mapping[str, TraderTimeline]:
        """{hotkey: orders}, by hotkey."""
        return self.traders.timelines

    @cached_property
    def ledger_update(self) -> LedgerUpdate:
        """The function that updates a batch."""
        rows = rows_of_pairs(list(self.timelines.values()), self.price_rows)
        return LedgerUpdate(self.settings, self.traders.joined, rows)

    def batch(
        self,
        update_times_ms: Sequence[int],
        *,
        leave_out: Container[str] = (),
        keep_history: bool = False,
    ) -> LedgerBatch:
        """The work of an update through these times; who cannot go on is set aside.

        Args:
            update_times_ms: ascending.
            leave_out: traders whose ledgers stay as they are.
            keep_history: as in `LedgerBatch`.
        """
        traders = []
        for place, hotkey in enumerate(self.traders.hotkeys):
            if hotkey in self.failed or hotkey in leave_out:
                continue
            late = self.states.late_orders(hotkey)
            if late is None:
                traders.append(place)
            else:
                self.set_aside(hotkey, str(late))
        places = np.array(traders, dtype=np.int64)
        before = self.states.resumed(self.traders.hotkeys_at(places))
        return LedgerBatch(places, before, tuple(update_times_ms), self.prices, keep_history)

    def set_aside(self, hotkey: str, message: str) -> None:
        """Go on without a trader."""
        log.error("trader %s is set aside: %s", hotkey, message)
        self.failed[hotkey] = message
        self.states.pop(hotkey, None)

    def keep(self, built: Iterable[BuiltLedgers]) -> None:
        """Take over what came of an update."""
        for traders, columns in built:
            self.states.keep(self.traders.hotkeys_at(traders), columns)

    def update(self, update_times_ms: Sequence[int]) -> None:
        """Continue every trader's ledgers through these times."""
        batch = self.batch(update_times_ms)
        if len(batch):
            self.keep([BuiltLedgers(batch.traders, self.ledger_update(batch))])

    def get_perf_ledgers(self, *, portfolio_only: bool = False) -> dict[str, dict[str, PerfLedger]]:
        """{hotkey: {"portfolio" or trade pair id: ledger}}, hotkeys sorted."""
        return {
            hotkey: {
                name: ledger
                for name, ledger in self.states[hotkey].ledgers.items()
                if name == PORTFOLIO or not portfolio_only
            }
            for hotkey in sorted(self.states)
            if self.states[hotkey].ledgers
        }
