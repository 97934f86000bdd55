"""The replay: from a start to an end in legs, of each first the ledgers, then the rules."""

import logging
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from ptn_backtest.backtest.arguments import taken_candles, taken_mode, taken_positions, taken_time
from ptn_backtest.backtest.execution import ParallelizationMode, check_mode, open_execution
from ptn_backtest.backtest.leg_candles import LegCandles
from ptn_backtest.backtest.leg_keeping import LegKeeper, Recalled
from ptn_backtest.backtest.legs import Leg, LegNotes, LegStore, cut_into_legs, update_times
from ptn_backtest.backtest.network import Network, RuleSwitches
from ptn_backtest.backtest.planning import plan_prices
from ptn_backtest.backtest.watching import NobodyWatches, Watcher
from ptn_backtest.clock import DAY_MS, NEVER_MS, format_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.batch import (
    BuiltLedgers,
    LedgerBatch,
    LedgerSettings,
    in_order,
    same_work,
)
from ptn_backtest.ledger.book import DRAWDOWN
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.ledger.estimate import estimated_ticks
from ptn_backtest.ledger.manager import PerfLedgerManager
from ptn_backtest.ledger.timeline import build_timelines
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.changes import CandleChanges, KnowsChanges
from ptn_backtest.prices.fingerprint import NO_CANDLES
from ptn_backtest.prices.lookup import FoundPrice, price_at
from ptn_backtest.prices.table import PriceTable
from ptn_backtest.rules.events import Elimination
from ptn_backtest.sources.plagiarism import PlagiarismEvent

log = logging.getLogger(__name__)


class BacktestManager:
    """Replays positions on candles and keeps the traders' ledgers.

    Examples:
        >>> manager = BacktestManager(positions, candles, start_ms, end_ms)  # doctest: +SKIP
        >>> manager.run()  # doctest: +SKIP
        >>> manager.get_perf_ledgers()["5F..."]["portfolio"].cps["mdd"]  # doctest: +SKIP

    Attributes:
        update_times_ms: every time at which ledgers are updated: the start, then one per interval,
            and the end. A ledger belongs to its sequence of update times.
        positions: positions as known at the end.
        perf_ledger_manager: the traders' ledgers.
        network: where the traders stand, and what the network's rules did.
        n_legs_before: legs that were done when it was made, in the store.
        candles_read: fingerprint of the candles of the legs that are done, where results are wanted.
        warnings: sentences on what the replay had to do without.
        timings: {phase: seconds} so far.
    """

    def __init__(
        self,
        positions: PositionManager | Iterable[Position],
        candles: CandleSource | Path | str,
        start_ms: int | str | datetime,
        end_ms: int | str | datetime,
        *,
        interval_ms: int = DAY_MS,
        settings: LedgerSettings = LedgerSettings(),  # noqa: B008 - it is frozen
        account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
        parallel_mode: ParallelizationMode | str | int = ParallelizationMode.SERIAL,
        missing_candles: Literal["error", "hold"] = "error",
        update_times_ms: Sequence[int] | None = None,
        plagiarism_events: Sequence[PlagiarismEvent] = (),
        watcher: Watcher | None = None,
        store: LegStore | None = None,
        results: bool = True,
    ) -> None:
        """Read the candles and make every trader's timeline; no ledger is built yet.

        Args:
            positions: all positions; orders after the end are left out.
            candles: where prices come from; a path or URL is that of a `CandleStore`.
            start_ms: first update time, ms or as `parse_time` reads it; orders before it are known from
                the beginning.
            end_ms: last update time, likewise.
            interval_ms: time between updates.
            settings: rulebook, slippage, window.
            account_sizes: {hotkey: [(update time in ms, USD), ...]}.
            parallel_mode: how traders are worked on, also by name or number; what it starts (processes, a Spark session)
                ends with `close`, or when the manager is no longer used.
            missing_candles: "error" or "hold" (the last value stays).
            update_times_ms: exact update times in place of start, end and interval.
            plagiarism_events: recorded ones, in time order.
            watcher: told how far the ledgers are.
            store: keeps the legs that are done, and decides the update times; those that it has
                already are not done again, except where orders or candles changed.
            results: False where only the store is to go on. Ledgers of those who left in legs that
                are done, and what happened in them, are then not read back, and their positions are
                not needed.

        Raises:
            ConfigError: the times are out of order, or an argument is of no kind that it can be.
            CandleError: there is no candle store at the path.
            InvalidPosition: one of the positions is something else.
            MissingCandles: with "error", where a position is open and minute candles are missing.
            ExecutionError: the parallel mode cannot be used here.
            LeaversNeeded: without `results`, legs are to be done again, or one is due that holds everybody,
                and the positions of those who left are not there.
        """
        mode = taken_mode(parallel_mode)
        check_mode(mode)
        candles, positions = taken_candles(candles), taken_positions(positions)
        start_ms, end_ms = taken_time("start_ms", start_ms), taken_time("end_ms", end_ms)
        times = tuple(update_times_ms or update_times(start_ms, end_ms, interval_ms))
        self._legs: Sequence[Leg] = store.legs() if store else cut_into_legs(times)
        self.update_times_ms = tuple(t_ms for leg in self._legs for t_ms in leg)
        end_ms = self.update_times_ms[-1]
        self.positions = PositionManager(up_to(positions, end_ms))
        self._watcher = watcher or NobodyWatches()
        self._done: tuple[LedgerBatch, list[BuiltLedgers]] | None = None
        self._without_rules = False  # ledgers went on, and the rules are not yet applied to them
        self.timings: dict[str, float] = {"candles": 0.0, "ledgers": 0.0, "rules": 0.0}
        traders = Traders(
            build_timelines(
                self.positions.by_hotkey(),
                account_sizes or {},
                settings.rulebook,
                use_slippage=settings.use_slippage,
            )
        )
        # before prices are read, so that processes get ready in the meantime
        self._execution = open_execution(mode, candles, traders)
        lookback_ms = settings.rulebook.eliminations.closing_price_ms

        @cache
        def closing_price(trade_pair_id: str, t_ms: int) -> FoundPrice | None:
            return price_at(candles, trade_pair_id, t_ms, lookback_ms)

        self.network = Network(settings, closing_price, plagiarism_events)
        self._results = results
        # known before candles are read: what is written from now on is a change
        changes = candles.changes() if isinstance(candles, KnowsChanges) else CandleChanges()
        self._keeper = (
            LegKeeper(store, traders, settings.window_ms, plagiarism_events, changes, results)
            if store
            else None
        )
        recalled = self._keeper.recall(self.network) if self._keeper else Recalled()
        self.n_legs_before = self._keeper.n_done if self._keeper else 0
        n_counted, self.candles_read = self.n_legs_before, NO_CANDLES
        if self._keeper and results:
            n_counted, self.candles_read = self._keeper.counted()
        planned = plan_prices(
            traders.timelines,
            candles,
            self.update_times_ms,
            after_ms=self._legs[n_counted - 1][-1] if n_counted else None,
            missing_candles=missing_candles,
            empty=self._execution.room(),  # until the end
        )
        self.perf_ledger_manager = PerfLedgerManager(
            settings=settings,
            traders=traders,
            prices=planned.table,
            price_rows=planned.rows,
            failed=recalled.failed,
        )
        if recalled.built:
            self.perf_ledger_manager.keep([recalled.built])
        counted = n_counted, self.candles_read
        self._candles = LegCandles(planned, self._legs, self._execution.room, counted)
        notes = recalled.notes
        self.warnings = list(notes.warnings)
        if notes.planned_until_ms != end_ms:
            self.warnings += [each for each in planned.warnings if each not in self.warnings]
        for leg in range(n_counted, self.n_legs_before):
            self.candles_read = self._candles.count(leg)
        if self._keeper and n_counted < self.n_legs_before:
            self._keeper.keep_notes(replace(notes, candles=self.candles_read))

    def __repr__(self) -> str:
        times, state = self.update_times_ms, self.network.state
        done = "nothing done" if state.time_ms is None else f"done to {format_time(state.time_ms)}"
        span = f"{format_time(times[0])} to {format_time(times[-1])} in {len(times)} updates"
        return f"<BacktestManager: {self.positions.counted()}, {span}, {done}>"

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
            ConfigError: another time, as candles were read for the update times only; or the legs
                of this replay are stored; or an earlier call was interrupted while rules were
                applied.
        """
        if self._keeper:
            raise ConfigError("this replay stores its legs: use run(), which stores them whole")
        if t_ms not in self.update_times_ms:
            raise ConfigError(
                f"{format_time(t_ms)} is not one of this replay's update times; hand the times that "
                "you want to BacktestManager(..., update_times_ms=...)"
            )
        self._refuse_halves()
        switches = RuleSwitches(run_challenge, run_elimination, run_scoring)
        batch, built = self._update_ledgers((t_ms,), switches)
        self._apply_rules(batch, built, switches)

    def run(
        self,
        *,
        run_challenge: bool = False,
        run_elimination: bool = False,
        run_scoring: bool = False,
    ) -> None:
        """Continue every ledger through all update times, and apply the rules at each.

        A ledger does not depend on other traders until the rules end it. So each trader goes through
        a leg, of many update times, in one piece; then the rules look at what every update left. The
        outcome is that of `update` called for each time in turn.

        Where ledgers were stopped by an error, or by an interruption, calling it again goes on with the
        traders that were not done.

        Raises:
            ExecutionError: workers died; the message names the trader.
            ConfigError: an earlier call was interrupted while rules were applied.
        """
        switches = RuleSwitches(run_challenge, run_elimination, run_scoring)
        for number, leg in enumerate(self._legs):
            done_ms = self.network.state.time_ms
            if done_ms is None or done_ms < leg[-1]:
                self._refuse_halves()
                self._run_leg(number, switches)

    def get_perf_ledgers(self, *, portfolio_only: bool = False) -> dict[str, dict[str, PerfLedger]]:
        """{hotkey: {"portfolio" or trade pair id: ledger}}, hotkeys sorted."""
        return self.perf_ledger_manager.get_perf_ledgers(portfolio_only=portfolio_only)

    def close(self) -> None:
        """End what the parallel mode started, and give back second candles; ledgers and network stay."""
        self._execution.close()
        self.perf_ledger_manager.prices = self._candles.give_back()

    @property
    def prices(self) -> PriceTable:
        """The candles that the replay reads; of second candles those of the leg that it is at."""
        return self.perf_ledger_manager.prices

    def _refuse_halves(self) -> None:
        """Refuse to go on where some rules were applied to the ledgers as they are now, and others not."""
        if self._without_rules:
            raise ConfigError(
                "rules were interrupted between two updates: make a new BacktestManager"
                + (", which goes on from its store" if self._keeper else "")
            )

    def _run_leg(self, number: int, switches: RuleSwitches) -> None:
        leg = self._legs[number]
        batch, built = self._update_ledgers(leg, switches, number)
        leavers = self._apply_rules(batch, built, switches)
        if self._keeper:
            self._keeper.keep_rules(
                number,
                self.network,
                batch,
                leavers,
                self.perf_ledger_manager.states,
                run_challenge=switches.run_challenge,
            )
        # before those of the next leg are read: two legs of them would be the most that memory holds
        self.perf_ledger_manager.prices = self._candles.give_back()

    def _update_ledgers(
        self, times_ms: Leg, switches: RuleSwitches, leg: int | None = None
    ) -> tuple[LedgerBatch, list[BuiltLedgers]]:
        """Continue the ledgers of everybody who is in the network; the work, and what came of it."""
        self._bring_candles(times_ms[-1], leg)
        begun = time.perf_counter()
        manager = self.perf_ledger_manager
        batch = manager.batch(
            times_ms,
            leave_out=self.network.state.eliminations,
            keep_history=switches.need_ledgers or self._keeper is not None,
        )
        known: Sequence[BuiltLedgers] = ()
        if self._keeper and leg is not None:
            known = self._keeper.begin(leg, batch, self.network)
        built = in_order(self._built(batch, known))
        manager.keep(built)
        self._without_rules = True
        if leg is not None and self._keeper:
            self._keeper.keep_ledgers(leg, batch, built, manager.failed, self._notes())
        took = time.perf_counter() - begun
        self.timings["ledgers"] += took
        shown = format_time(times_ms[-1])
        log.debug("ledgers of %d traders at %s after %.3f s", len(batch), shown, took)
        return batch, built

    def _notes(self) -> LegNotes:
        """What was read up to the end of a leg that is being done."""
        candles_read = self.candles_read if self._results else None
        return LegNotes(candles_read, tuple(self.warnings), self.update_times_ms[-1])

    def _bring_candles(self, until_ms: int, leg: int | None) -> None:
        """Have the candles of the updates up to a time; of a leg, also count them."""
        begun = time.perf_counter()
        if leg is not None and self._results:
            self.candles_read = self._candles.count(leg)
        done_ms = self.network.state.time_ms
        after_ms = -NEVER_MS if done_ms is None else done_ms
        self.perf_ledger_manager.prices = self._candles.bring(after_ms, until_ms)
        self.timings["candles"] += time.perf_counter() - begun

    def _built(self, batch: LedgerBatch, known: Sequence[BuiltLedgers]) -> list[BuiltLedgers]:
        """What comes of a batch; what is done when an error ends this is not done again."""
        if self._done is None or not same_work(self._done[0], batch):
            self._done = batch, []
        done = self._done[1]
        over = [part.traders for part in (*known, *done)]
        is_over = np.isin(batch.traders, np.concatenate([np.zeros(0, np.int64), *over]))
        waiting = batch.part(np.flatnonzero(~is_over))
        if len(waiting):
            self._build(waiting, done)
        self._done = None
        return [*known, *done]

    def _build(self, waiting: LedgerBatch, done: list[BuiltLedgers]) -> None:
        """Build these ledgers, and put each part to what is done as soon as it is."""
        ticks = estimated_ticks(self.perf_ledger_manager.traders.joined, waiting)
        self._begin_watching(waiting, int(ticks.sum()))
        try:
            update = self.perf_ledger_manager.ledger_update
            for part in self._execution.map(update, waiting, ticks):
                done.append(part)
                mine = ticks[np.searchsorted(waiting.traders, part.traders)]
                self._watcher.done(len(mine), int(mine.sum()))
        finally:
            self._watcher.end()

    def _begin_watching(self, waiting: LedgerBatch, ticks: int) -> None:
        """Tell the watcher how much there is to do: in this batch, and as much in later legs."""
        legs = [leg[-1] for leg in self._legs]
        until_ms = waiting.update_times_ms[-1]
        number = bisect_left(legs, until_ms)
        done_ms = legs[number - 1] if number else self.update_times_ms[0]
        share = (legs[-1] - done_ms) / max(until_ms - done_ms, 1)
        pids = self._execution.process_ids()
        of_how_many = f"{number + 1} of {len(legs)}"
        self._watcher.begin(of_how_many, len(waiting), int(ticks * share), pids)

    def _apply_rules(
        self, batch: LedgerBatch, built: Sequence[BuiltLedgers], switches: RuleSwitches
    ) -> list[BuiltLedgers]:
        """Apply the rules after each update; the ledgers, until then, of those who left."""
        begun = time.perf_counter()
        manager, times_ms = self.perf_ledger_manager, batch.update_times_ms
        done_ms = self.network.state.time_ms
        parts = [(manager.traders.timelines_at(one.traders), one.columns) for one in built]
        schedule = self.network.schedule(parts, times_ms, switches)
        leavers = []
        for k, t_ms in enumerate(times_ms):
            if done_ms is not None and t_ms <= done_ms:
                continue
            eliminations = self.network.evaluate(schedule, k, switches)
            if eliminations:
                leavers.append(self._end_ledgers(eliminations, batch, times_ms[: k + 1]))
            for elimination in eliminations:
                hotkey = elimination.miner_hotkey
                timeline = manager.timelines[hotkey]
                self.network.close(elimination, timeline, manager.states.loss(hotkey, DRAWDOWN))
        self._without_rules = False
        self.timings["rules"] += time.perf_counter() - begun
        return leavers

    def _end_ledgers(
        self, eliminations: Sequence[Elimination], batch: LedgerBatch, times_ms: Leg
    ) -> BuiltLedgers:
        """Build the ledgers of those who left anew, up to the update that they left with."""
        manager = self.perf_ledger_manager
        traders = manager.traders.places_of(one.miner_hotkey for one in eliminations)
        mine = batch.part(np.searchsorted(batch.traders, np.sort(traders)))
        until_then = replace(mine, update_times_ms=times_ms)
        ended = BuiltLedgers(until_then.traders, manager.ledger_update(until_then))
        manager.keep([ended])
        return ended
