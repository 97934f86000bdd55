"""The ledgers of many traders, continued together."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ptn_backtest.errors import BacktestError
from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.checkpoint import PORTFOLIO, WINDOW_MS, PerfLedger
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.prices.table import PriceTable
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What decides the figures of a ledger, beside orders and prices.

    Attributes:
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
        portfolio_only: build no ledgers by pair.
        window_ms: time that a ledger's checkpoints may cover.
    """

    rulebook: Rulebook = DEFAULT_RULEBOOK
    use_slippage: bool | None = None
    portfolio_only: bool = False
    window_ms: int = WINDOW_MS


@dataclass(frozen=True, slots=True)
class TraderUnit:
    """One trader's share of an update: pure input of `update_trader`."""

    timeline: TraderTimeline
    state: LedgerState
    update_times_ms: Sequence[int]


@dataclass(slots=True)
class PerfLedgerManager:
    """The ledgers of many traders.

    Attributes:
        settings: what decides the figures.
        timelines: {hotkey: every order up to the end of the replay}.
        prices: candles and market hours of every pair traded.
        price_rows: {trade_pair_id: row in `prices`}.
        states: {hotkey: state}; hand in stored states to continue from them.
        failed: {hotkey: message} of traders that could not be replayed; the others go on.
    """

    settings: LedgerSettings
    timelines: Mapping[str, TraderTimeline]
    prices: PriceTable
    price_rows: Mapping[str, int]
    states: dict[str, LedgerState] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def units(self, update_times_ms: Sequence[int]) -> list[TraderUnit]:
        """The work of an update through these times, a unit per trader, by hotkey."""
        return [
            TraderUnit(self.timelines[hotkey], self.states.get(hotkey, NEW), update_times_ms)
            for hotkey in sorted(self.timelines)
            if hotkey not in self.failed
        ]

    def update_trader(self, unit: TraderUnit) -> LedgerState | BacktestError:
        """The trader's state after the update, or why there is none; changes nothing here."""
        try:
            return update_ledgers(
                unit.timeline,
                self.prices,
                self.price_rows,
                unit.update_times_ms,
                unit.state,
                portfolio_only=self.settings.portfolio_only,
                window_ms=self.settings.window_ms,
            )
        except BacktestError as error:
            return error

    def keep(self, hotkey: str, outcome: LedgerState | BacktestError) -> None:
        """Take over what `update_trader` gave."""
        if isinstance(outcome, BacktestError):
            log.error("trader %s is set aside: %s", hotkey, outcome)
            self.failed[hotkey] = str(outcome)
        else:
            self.states[hotkey] = outcome

    def update(self, update_times_ms: Sequence[int]) -> None:
        """Continue every trader's ledgers through these times, one trader after the other."""
        for unit in self.units(update_times_ms):
            self.keep(unit.timeline.miner_hotkey, self.update_trader(unit))

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
