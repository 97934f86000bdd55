"""A whole run: settings in, result out. Writing it is the business of `results`."""

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.execution import check_mode
from ptn_backtest.backtest.leg_keeping import LeaversNeeded
from ptn_backtest.backtest.legs import LegStore, update_times
from ptn_backtest.backtest.loading import Inputs, load_inputs
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.backtest.result import Advance, Liquidation, ReplayedPosition, RunResult
from ptn_backtest.backtest.watching import Watcher
from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.book import LIQUIDATION
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.manager import LedgerSettings, PerfLedgerManager
from ptn_backtest.positions.accounting import position_states, replay_orders
from ptn_backtest.positions.columns import accounting_rules, position_columns
from ptn_backtest.positions.order_log import LogPart, order_log
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import order_columns, order_rows
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.outline import PriceOutline, traded_outline
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.sources.plagiarism import PlagiarismEvent

log = logging.getLogger(__name__)

_AT_ONCE = 10_000  # positions


def run_backtest(
    config: BacktestConfig,
    watcher: Watcher | None = None,
    open_store: Callable[[Sequence[int]], LegStore] | None = None,
) -> RunResult:
    """Load, replay, and gather what the run knows.

    Args:
        config: the settings.
        watcher: told how far the ledgers are.
        open_store: gives the store of the replay's legs for its update times; None keeps none.

    Raises:
        ExecutionError: the parallel mode cannot be used here, or its workers died.
        BacktestError: the inputs cannot be read, or candles are missing.
    """
    check_mode(config.parallel_mode)  # before anything is loaded
    rulebook = config.load_rulebook()
    inputs = load_inputs(config)
    if not len(inputs.positions):
        return _empty_result(config, inputs, rulebook)
    store = open_store(_update_times(config, inputs)) if open_store else None
    manager, timings = _replay(config, rulebook, inputs, watcher, store)
    return _gather(config, inputs, manager, rulebook, timings)


def advance_backtest(
    config: BacktestConfig,
    open_store: Callable[[Sequence[int]], LegStore],
    watcher: Watcher | None = None,
    gone: Collection[str] = (),
) -> Advance:
    """Load, and replay what the store does not have yet; gather nothing of the run as a whole.

    In a fraction of the time of `run_backtest`: what was done before is not read back, but for what
    further legs need. A later `run_backtest` notices late orders of those who left, and has the
    same result as if there had been no advance.

    Args:
        config: the settings.
        open_store: as in `run_backtest`.
        watcher: told how far the ledgers are.
        gone: traders that left in legs that are stored; their positions need not be loaded.

    Raises:
        ExecutionError: the parallel mode cannot be used here, or its workers died.
        ConfigError: there is no position.
        BacktestError: the inputs cannot be read, or candles are missing.
    """
    check_mode(config.parallel_mode)
    rulebook = config.load_rulebook()
    inputs = load_inputs(config, leave_out=gone)
    if not len(inputs.positions):
        raise ConfigError(f"no position was loaded from {inputs.source}: there is nothing to go on")
    store = open_store(_update_times(config, inputs))
    try:
        manager, timings = _replay(config, rulebook, inputs, watcher, store, results=False)
    except LeaversNeeded:
        inputs = load_inputs(config)
        manager, timings = _replay(config, rulebook, inputs, watcher, store)
    network, legs = manager.network, store.legs()
    done = [t_ms for leg in legs[: manager.n_legs_before] for t_ms in leg]
    return Advance(
        from_ms=done[-1] if done else None,
        end_ms=manager.update_times_ms[-1],
        n_updates=len(manager.update_times_ms) - len(done),
        events=[event for event in network.events if not done or event.time_ms > done[-1]],
        failed_traders=manager.perf_ledger_manager.failed,
        warnings=(*inputs.warnings, *manager.warnings),
        timings={**inputs.timings, **timings},
    )


def _update_times(config: BacktestConfig, inputs: Inputs) -> Sequence[int]:
    return update_times(inputs.start_ms, inputs.end_ms, config.interval_ms)


def _replay(
    config: BacktestConfig,
    rulebook: Rulebook,
    inputs: Inputs,
    watcher: Watcher | None,
    store: LegStore | None,
    *,
    results: bool = True,
) -> tuple[BacktestManager, dict[str, float]]:
    """A manager that has run, and {phase: seconds}."""
    begun = time.perf_counter()
    manager = BacktestManager(
        inputs.positions,
        inputs.candles,
        inputs.start_ms,
        inputs.end_ms,
        interval_ms=config.interval_ms,
        settings=LedgerSettings(
            rulebook=rulebook,
            use_slippage=config.use_slippage,
            portfolio_only=config.build_portfolio_ledgers_only,
            window_ms=config.target_ledger_window_ms,
        ),
        account_sizes=inputs.account_sizes,
        parallel_mode=config.parallel_mode,
        missing_candles=config.missing_candles,
        plagiarism_events=inputs.plagiarism_events,
        watcher=watcher,
        store=store,
        results=results,
    )
    prepared = time.perf_counter()
    with closing(manager):
        manager.run(
            run_challenge=config.run_challenge,
            run_elimination=config.run_elimination,
            run_scoring=config.run_scoring,
        )
    timings = {"prepare": prepared - begun, **manager.timings}
    log.info("seconds: %s", ", ".join(f"{name} {took:.3f}" for name, took in timings.items()))
    return manager, timings


def _gather(
    config: BacktestConfig,
    inputs: Inputs,
    manager: BacktestManager,
    rulebook: Rulebook,
    timings: dict[str, float],
) -> RunResult:
    ledgers = manager.perf_ledger_manager
    network = manager.network
    parts = list(_replayed(manager))
    replayed = [position for part, _ in parts for position in part]
    counts = {
        **inputs.conversion.counts,
        **inputs.changes,
        "traders": len(manager.positions.hotkeys),
        "positions": len(replayed),
        "orders": sum(len(each.position.orders) for each in replayed),
        "updates": len(manager.update_times_ms),
        "candles": manager.candles_read.n_candles,
    }
    return RunResult(
        settings=_settings(config, rulebook),
        source=inputs.source,
        inputs={
            "positions": positions_fingerprint(manager.positions),
            "candles": manager.candles_read.text,
            "plagiarism_events": plagiarism_fingerprint(inputs.plagiarism_events),
        },
        counts=counts,
        timings={**inputs.timings, **timings},
        start_ms=manager.update_times_ms[0],
        end_ms=manager.update_times_ms[-1],
        update_times_ms=manager.update_times_ms,
        ledgers=manager.get_perf_ledgers(),
        positions=replayed,
        orders=order_log(
            (part for _, part in parts), rulebook.slippage_from_ms(config.use_slippage)
        ),
        rejections=inputs.conversion.rejections,
        liquidations=list(liquidations(ledgers)),
        events=network.events,
        standings=network.state.standings,
        eliminations=list(network.state.eliminations.values()),
        scores=network.scores,
        competitions=network.competitions,
        order_findings=inputs.order_findings,
        failed_traders=ledgers.failed,
        warnings=[*inputs.warnings, *manager.warnings],
        synthetic=inputs.synthetic,
        prices=_prices(inputs.candles, manager, replayed),
    )


def _prices(
    candles: CandleSource, manager: BacktestManager, replayed: Sequence[ReplayedPosition]
) -> dict[str, PriceOutline]:
    first_ms: dict[str, int] = {}
    for one in replayed:
        pair, opened = one.position.trade_pair.trade_pair_id, one.position.open_ms
        first_ms[pair] = min(first_ms.get(pair, opened), opened)
    table, rows = manager.prices, manager.perf_ledger_manager.price_rows
    end_ms = manager.update_times_ms[-1]
    return {
        pair: traded_outline(candles, pair, table, rows[pair], first_ms[pair], end_ms)
        for pair in sorted(first_ms.keys() & rows.keys())
    }


def _settings(config: BacktestConfig, rulebook: Rulebook) -> dict[str, Any]:
    """The settings as run.json records them: the rulebook whole, not by its name."""
    return {**config.recorded(), "rulebook": rulebook.to_dict()}


def _empty_result(config: BacktestConfig, inputs: Inputs, rulebook: Rulebook) -> RunResult:
    return RunResult(
        settings=_settings(config, rulebook),
        source=inputs.source,
        inputs={"positions": positions_fingerprint([]), "candles": ""},
        counts={**inputs.conversion.counts, **inputs.changes},
        timings=inputs.timings,
        start_ms=inputs.start_ms,
        end_ms=inputs.end_ms,
        update_times_ms=(),
        ledgers={},
        positions=(),
        rejections=inputs.conversion.rejections,
        warnings=[*inputs.warnings, "no position was loaded"],
        synthetic=inputs.synthetic,
    )


def _replayed(manager: BacktestManager) -> Iterator[tuple[list[ReplayedPosition], LogPart]]:
    """Each trader's positions with their states, by open time; of those who left, as that left them."""
    settings = manager.perf_ledger_manager.settings
    rules = accounting_rules(settings.rulebook, settings.use_slippage)
    timelines = manager.perf_ledger_manager.timelines
    for hotkey in sorted(timelines):
        timeline = timelines[hotkey]
        left = manager.network.held.get(hotkey)
        if left is None:
            columns, accounts = timeline.arrays.columns, timeline.arrays.accounts
            states = position_states(columns, accounts)
            replayed = list(map(ReplayedPosition, timeline.positions, states))
        else:
            replayed = [ReplayedPosition(*one) for one in left]
            columns = position_columns([one.position for one in replayed], settings.rulebook)
            accounts = replay_orders(columns, rules)
        keys = [(each.position.open_ms, each.position.position_uuid) for each in replayed]
        sequence = sorted(range(len(replayed)), key=keys.__getitem__)
        part = LogPart(columns, accounts, np.array(sequence, np.int64))
        yield [replayed[i] for i in sequence], part


def liquidations(ledgers: PerfLedgerManager) -> Iterable[Liquidation]:
    """Every portfolio that reached 0, by hotkey."""
    for hotkey in sorted(ledgers.states):
        lost = ledgers.states.loss(hotkey, LIQUIDATION)
        if lost is not None:
            portfolio = ledgers.states[hotkey].ledgers[PORTFOLIO]
            yield Liquidation(
                miner_hotkey=hotkey,
                elimination_ms=lost.time_ms,
                last_known_prices=portfolio.last_known_prices,
                previous_return=float(portfolio.cps["prev_portfolio_ret"][-1]),
            )


def plagiarism_fingerprint(events: Iterable[PlagiarismEvent]) -> str:
    """SHA-256 over recorded plagiarism events, in order; "" without any."""
    rows = [(event.miner_hotkey, event.time_ms, event.flagged) for event in events]
    return hashlib.sha256(repr(rows).encode()).hexdigest() if rows else ""


def positions_fingerprint(positions: Iterable[Position]) -> str:
    """SHA-256 over what the replay uses of the positions, in order; see `docs/run-folder.md`."""
    known = list(positions)
    # a part of them at a time, so that their orders are not all in memory a second time
    parts = [
        [position.orders for position in known[first : first + _AT_ONCE]]
        for first in range(0, len(known), _AT_ONCE)
    ]
    uuids = [order_columns(part).uuids for part in parts]
    digest = hashlib.sha256()
    for texts in (
        [position.miner_hotkey for position in known],
        [position.position_uuid for position in known],
        [position.trade_pair.trade_pair_id for position in known],
        pa.concat_arrays([pa.array([], pa.string()), *uuids]),
    ):
        encoded: Any = pa.array(texts, pa.string())
        whole = pa.ListArray.from_arrays(pa.array([0, len(encoded)], pa.int32()), encoded)
        digest.update(np.array(len(encoded), "<i8").tobytes())
        digest.update(pc.binary_length(encoded).to_numpy().astype("<i8").tobytes())
        one: Any = pc.binary_join(whole, "")
        digest.update(one[0].as_buffer())
    n_orders = [len(position.orders) for position in known]
    account_sizes = [position.account_size for position in known]
    digest.update(np.array(n_orders, "<i8").tobytes())
    digest.update(np.array(account_sizes, "<f8").tobytes())
    for part in parts:
        rows = order_rows(part)
        digest.update(rows.astype(rows.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
