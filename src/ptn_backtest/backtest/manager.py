"""The replay: from a start to an end in steps, ledgers first, rules after them."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ptn_backtest.backtest.execution import ParallelizationMode, check_mode, open_execution
from ptn_backtest.backtest.network import Network, Progress, RuleSwitches
from ptn_backtest.backtest.watching import NobodyWatches, Watcher
from ptn_backtest.clock import DAY_MS, format_time
from ptn_backtest.errors import BacktestError, ConfigError
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.ledger.estimate import estimated_ticks
from ptn_backtest.ledger.manager import LedgerSettings, PerfLedgerManager, TraderOutcome, TraderUnit
from ptn_backtest.ledger.timeline import build_timelines, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.coverage import Ranges, require_candles
from ptn_backtest.prices.lookup import FoundPrice, price_at
from ptn_backtest.prices.table import PriceTable, price_table
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

_Outcome = TraderOutcome | BacktestError


class BacktestManager:
    """Replays positions on candles and keeps the traders' ledgers.

    Example:
        >>> manager = BacktestManager(positions, candles, start_ms, end_ms)  # doctest: +SKIP
        >>> manager.run()  # doctest: +SKIP
        >>> manager.get_perf_ledgers()["5F..."]["portfolio"].cps["mdd"]  # doctest: +SKIP

    Attributes:
        update_times_ms: every time at which ledgers are updated: the start, then one per interval,
            and the end. A ledger belongs to its sequence of update times.
        positions: positions as known at the end.
        perf_ledger_manager: the traders' ledgers.
        network: where the traders stand, and what the network's rules did.
        warnings: sentences on what the replay had to do without.
        timings: {phase: seconds} so far.
    """

    def __init__(
        self,
        positions: PositionManager,
        candles: CandleSource,
        start_ms: int,
        end_ms: int,
        *,
        interval_ms: int = DAY_MS,
        settings: LedgerSettings = LedgerSettings(),  # noqa: B008 - it is frozen
        account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
        parallel_mode: ParallelizationMode = ParallelizationMode.SERIAL,
        missing_candles: Literal["error", "hold"] = "error",
        update_times_ms: Sequence[int] | None = None,
        plagiarism_events: Sequence[PlagiarismEvent] = (),
        watcher: Watcher | None = None,
        candles_from_ms: int | None = None,
    ) -> None:
        """Read the candles and make every trader's timeline; no ledger is built yet.

        Args:
            positions: all positions; orders after the end are left out.
            candles: where prices come from.
            start_ms: first update time; orders before it are known from the beginning.
            end_ms: last update time.
            interval_ms: time between updates.
            settings: rulebook, slippage, window.
            account_sizes: {hotkey: [(update time in ms, USD), ...]}.
            parallel_mode: how traders are worked on; what it starts (processes, a Spark session)
                ends with `close`, or when the manager is no longer used.
            missing_candles: "error" or "hold" (the last value stays).
            update_times_ms: exact update times in place of start, end and interval.
            plagiarism_events: recorded ones, in time order.
            watcher: told how far the ledgers are.
            candles_from_ms: where given, no earlier candles are read: all ledgers are going to be
                continued from states whose last update this was, or begin later.

        Raises:
            ConfigError: the times are out of order.
            MissingCandles: with "error", where a position is open and minute candles are missing.
            ExecutionError: the parallel mode cannot be used here.
        """
        check_mode(parallel_mode)
        self.update_times_ms = tuple(update_times_ms or update_times(start_ms, end_ms, interval_ms))
        end_ms = self.update_times_ms[-1]
        self.positions = PositionManager(up_to(positions, end_ms))
        n_traders = len(self.positions.hotkeys)
        # first of all, so that processes get ready while timelines and prices are made
        self._execution = open_execution(parallel_mode, candles, n_traders=n_traders)
        self._watcher = watcher or NobodyWatches()
        self._done: dict[str, tuple[TraderUnit, _Outcome]] = {}
        timelines = build_timelines(
            self.positions.by_hotkey(),
            account_sizes or {},
            settings.rulebook,
            use_slippage=settings.use_slippage,
        )
        needs = open_ranges(timelines.values(), end_ms, candles_from_ms)
        self.warnings = list(require_candles(candles, needs, missing_candles))
        windows = second_windows(timelines.values(), self.update_times_ms, candles_from_ms)
        self.perf_ledger_manager = PerfLedgerManager(
            settings=settings,
            timelines=timelines,
            prices=price_table(
                candles,
                [TradePair.from_trade_pair_id(pair) for pair in needs],
                {pair: (held[0][0], end_ms) for pair, held in needs.items() if held},
                windows,
            ),
            price_rows={pair: row for row, pair in enumerate(needs)},
        )
        self.warnings += _without_seconds(needs, self.perf_ledger_manager.prices)
        self.timings: dict[str, float] = {"ledgers": 0.0, "rules": 0.0}
        lookback_ms = settings.rulebook.eliminations.closing_price_ms

        def closing_price(trade_pair_id: str, t_ms: int) -> FoundPrice | None:
            return price_at(candles, trade_pair_id, t_ms, lookback_ms)

        self.network = Network(settings, closing_price, plagiarism_events)

    def update(
        self,
        t_ms: int,
        *,
        run_challenge: bool = False,
        run_elimination: bool = False,
        run_scoring: bool = False,
    ) -> None:
        """Continue every ledger to one of the update times, and apply the rules there.

        Args:
            t_ms: one of `update_times_ms`; one that is over changes nothing.
            run_challenge: challenge period rules; otherwise everybody is in the main competition.
            run_elimination: elimination rules; otherwise nobody leaves.
            run_scoring: score all traders.

        Raises:
            ConfigError: another time; candles were read for the update times only.
        """
        if t_ms not in self.update_times_ms:
            raise ConfigError(
                f"{format_time(t_ms)} is not one of this replay's update times; hand the times that "
                "you want to BacktestManager(..., update_times_ms=...)"
            )
        self._update((t_ms,), RuleSwitches(run_challenge, run_elimination, run_scoring))

    def run(
        self,
        *,
        run_challenge: bool = False,
        run_elimination: bool = False,
        run_scoring: bool = False,
    ) -> None:
        """Continue every ledger through all update times, and apply the rules at each.

        A ledger does not depend on other traders until the rules end it. So each trader goes through
        all times in one piece, then the rules look at what every update left; the outcome is that
        of `update` called for each time in turn.

        Where it was stopped by an error, or by an interruption, calling it again goes on with the
        traders that were not done.

        Raises:
            ExecutionError: workers died; the message names the trader.
        """
        switches = RuleSwitches(run_challenge, run_elimination, run_scoring)
        self._update(self.update_times_ms, switches)

    def get_perf_ledgers(self, *, portfolio_only: bool = False) -> dict[str, dict[str, PerfLedger]]:
        """{hotkey: {"portfolio" or trade pair id: ledger}}, hotkeys sorted."""
        return self.perf_ledger_manager.get_perf_ledgers(portfolio_only=portfolio_only)

    def close(self) -> None:
        """End what the parallel mode started; ledgers and network stay."""
        self._execution.close()

    @property
    def prices(self) -> PriceTable:
        """The candles that the replay reads."""
        return self.perf_ledger_manager.prices

    def _update(self, times_ms: Sequence[int], switches: RuleSwitches) -> None:
        begun = time.perf_counter()
        progress = self._update_ledgers(times_ms, keep_history=switches.need_ledgers)
        built = time.perf_counter()
        evaluated_ms = self.network.state.time_ms
        for k, t_ms in enumerate(times_ms):
            if evaluated_ms is None or t_ms > evaluated_ms:
                self._evaluate(progress, times_ms, k, switches)
        self.timings["ledgers"] += built - begun
        self.timings["rules"] += time.perf_counter() - built
        log.debug(
            "ledgers of %d traders at %s after %.3f s, rules after %.3f s",
            len(progress),
            format_time(times_ms[-1]),
            built - begun,
            time.perf_counter() - built,
        )

    def _update_ledgers(
        self, times_ms: Sequence[int], *, keep_history: bool
    ) -> dict[str, Progress]:
        """Continue the ledgers of everybody who is in the network; {hotkey: what that gave}."""
        manager = self.perf_ledger_manager
        gone = self.network.state.eliminations
        units = manager.units(times_ms, leave_out=gone, keep_history=keep_history)
        outcomes = self._outcomes(units)
        progress = {}
        for unit, outcome in zip(units, outcomes, strict=True):
            hotkey = unit.timeline.miner_hotkey
            manager.keep(hotkey, outcome)
            if not isinstance(outcome, BacktestError):
                rules = manager.settings.rulebook.scoring
                progress[hotkey] = Progress(unit, outcome.history, outcome.state, rules)
        return progress

    def _outcomes(self, units: Sequence[TraderUnit]) -> list[_Outcome]:
        """What comes of each unit; what is done when an error ends this is not done again."""
        waiting = [unit for unit in units if self._known(unit) is None]
        ticks = [estimated_ticks(unit) for unit in waiting]
        self._watcher.begin(len(waiting), sum(ticks), self._execution.process_ids())
        try:
            update = self.perf_ledger_manager.trader_update
            for i, outcome in self._execution.map(update, waiting):
                self._done[waiting[i].timeline.miner_hotkey] = waiting[i], outcome
                self._watcher.done(ticks[i])
        finally:
            self._watcher.end()
        done, self._done = self._done, {}
        return [done[unit.timeline.miner_hotkey][1] for unit in units]

    def _known(self, unit: TraderUnit) -> _Outcome | None:
        """The outcome of an equal unit, from an update that was not finished."""
        before, outcome = self._done.get(unit.timeline.miner_hotkey, (None, None))
        same = (
            before is not None
            and before.state is unit.state
            and before.update_times_ms == unit.update_times_ms
            and before.keep_history == unit.keep_history
        )
        return outcome if same else None

    def _evaluate(
        self, progress: dict[str, Progress], times_ms: Sequence[int], k: int, switches: RuleSwitches
    ) -> None:
        """Apply the rules after update k; who leaves keeps the ledgers that it had then."""
        manager = self.perf_ledger_manager
        for elimination in self.network.evaluate(progress, k, times_ms[k], switches):
            hotkey = elimination.miner_hotkey
            unit = replace(progress[hotkey].unit, update_times_ms=times_ms[: k + 1])
            manager.keep(hotkey, manager.update_trader(unit))
            self.network.close(elimination, unit.timeline, manager.states[hotkey])


def _without_seconds(needs: Mapping[str, Ranges], prices: PriceTable) -> list[str]:
    """A sentence on pairs without any second candle: such a run is usual, but coarser."""
    lacking = [
        pair
        for (pair, held), row in zip(needs.items(), prices.rows, strict=True)
        if held and row["second_first"] == row["second_last"]
    ]
    sentence = (
        f"no second candles of {', '.join(lacking)}: around orders and updates, where the network "
        "looks every second, values hold between whole minutes"
    )
    return [sentence] if lacking else []


def update_times(start_ms: int, end_ms: int, interval_ms: int) -> list[int]:
    """The start, then one time per interval, and the end.

    Raises:
        ConfigError: the start is later than the end.
    """
    if start_ms > end_ms:
        raise ConfigError(
            f"the start ({format_time(start_ms)}) is later than the end ({format_time(end_ms)})"
        )
    times = list(range(start_ms, end_ms, interval_ms))
    return [*times, end_ms]
