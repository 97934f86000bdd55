"""The ledgers of many traders, continued together."""

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, cast

from ptn_backtest.errors import BacktestError
from ptn_backtest.ledger.builder import advance_ledgers
from ptn_backtest.ledger.checkpoint import PORTFOLIO, WINDOW_MS, PerfLedger
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.prices.table import PriceTable
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.trade_pairs import TradePair

if TYPE_CHECKING:
    from ptn_backtest.positions.position import Position

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


class PositionName(NamedTuple):
    """What a ledger reads of a position beside arrays."""

    position_uuid: str
    trade_pair: TradePair


@dataclass(frozen=True, slots=True)
class TraderUnit:
    """One trader's share of an update: pure input of `update_trader`.

    Attributes:
        timeline: its orders.
        state: where to continue.
        update_times_ms: ascending.
        keep_history: whether rules will look at the ledgers after each of these updates.
    """

    timeline: TraderTimeline
    state: LedgerState
    update_times_ms: Sequence[int]
    keep_history: bool = False

    def without_orders(self) -> "TraderUnit":
        """The same work with positions by name only, light to send: their orders are arrays."""
        names = tuple(PositionName(p.position_uuid, p.trade_pair) for p in self.timeline.positions)
        light = replace(self.timeline, positions=cast("tuple[Position, ...]", names))
        return replace(self, timeline=light)


@dataclass(frozen=True, slots=True)
class TraderOutcome:
    """What came of a unit.

    Attributes:
        state: after the update.
        history: the ledgers after each update, where they were asked for.
    """

    state: LedgerState
    history: LedgerHistory


@dataclass(frozen=True, slots=True)
class TraderUpdate:
    """What an update does to a trader: a pure function of its unit, for any process to call.

    Attributes:
        settings: what decides the figures.
        prices: candles and market hours of every pair traded.
        price_rows: {trade_pair_id: row in `prices`}.
    """

    settings: LedgerSettings
    prices: PriceTable
    price_rows: Mapping[str, int]

    def __call__(self, unit: TraderUnit) -> TraderOutcome | BacktestError:
        """What the update gives, or why it gives nothing."""
        try:
            state, history = advance_ledgers(
                unit.timeline,
                self.prices,
                self.price_rows,
                unit.update_times_ms,
                unit.state,
                portfolio_only=self.settings.portfolio_only,
                window_ms=self.settings.window_ms,
                drawdown_limit=self.settings.rulebook.eliminations.drawdown_limit,
                keep_history=unit.keep_history,
            )
        except BacktestError as error:
            return error
        return TraderOutcome(state, history)


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
    _trader_update: TraderUpdate | None = field(default=None, init=False, repr=False)

    def units(
        self,
        update_times_ms: Sequence[int],
        *,
        leave_out: Container[str] = (),
        keep_history: bool = False,
    ) -> list[TraderUnit]:
        """The work of an update through these times, a unit per trader, by hotkey.

        Args:
            update_times_ms: ascending.
            leave_out: traders whose ledgers stay as they are.
            keep_history: as in `TraderUnit`.
        """
        return [
            self.unit(hotkey, update_times_ms, keep_history=keep_history)
            for hotkey in sorted(self.timelines)
            if hotkey not in self.failed and hotkey not in leave_out
        ]

    def unit(
        self, hotkey: str, update_times_ms: Sequence[int], *, keep_history: bool = False
    ) -> TraderUnit:
        """One trader's unit."""
        state = self.states.get(hotkey, NEW)
        return TraderUnit(self.timelines[hotkey], state, update_times_ms, keep_history)

    @property
    def trader_update(self) -> TraderUpdate:
        """The function that updates a trader; the same object as long as nothing is replaced."""
        made = self._trader_update
        if made is None or made.prices is not self.prices or made.settings is not self.settings:
            made = TraderUpdate(self.settings, self.prices, self.price_rows)
            self._trader_update = made
        return made

    def update_trader(self, unit: TraderUnit) -> TraderOutcome | BacktestError:
        """What the update gives, or why it gives nothing; changes nothing here."""
        return self.trader_update(unit)

    def keep(self, hotkey: str, outcome: TraderOutcome | BacktestError) -> None:
        """Take over what `update_trader` gave."""
        if isinstance(outcome, BacktestError):
            log.error("trader %s is set aside: %s", hotkey, outcome)
            self.failed[hotkey] = str(outcome)
            self.states.pop(hotkey, None)
        else:
            self.states[hotkey] = outcome.state

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
