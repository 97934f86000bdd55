"""From settings to the inputs of a replay: positions, account sizes, candles, times."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.clock import HOUR_MS, MINUTE_MS, format_time
from ptn_backtest.errors import ConfigError, SlippageError, some_of
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.quotes import with_quotes
from ptn_backtest.positions.slippage import with_slippage
from ptn_backtest.positions.what_if import apply_what_if
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.daily import market_lookup
from ptn_backtest.prices.lookup import price_at
from ptn_backtest.prices.quotes import quote_lookup
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.account_sizes import missing_account_sizes
from ptn_backtest.sources.locate import open_source
from ptn_backtest.sources.plagiarism import PlagiarismEvent, read_plagiarism_events
from ptn_backtest.sources.record_table import read_records
from ptn_backtest.sources.records import ListsTraders, PositionQuery, PositionSource

log = logging.getLogger(__name__)

_N_NAMED = 3

TEST_CANDLES = "test-candles"
"""Folder, in the output folder, of the candles that belong to the test positions."""

HOTKEYS_AT_MOST = 1_000
"""Of more traders all positions are read: so many names in a statement take longer."""

_LATEST_PRICE_MS = HOUR_MS
"""A delayed order is filled at a price of at most this age."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a replay reads.

    Attributes:
        source: the position source in words, without credentials.
        positions: those that can be replayed.
        conversion: what became of the records, with the rejected ones.
        account_sizes: {hotkey: [(update time in ms, USD), ...]}.
        candles: the candle store.
        start_ms: first update time.
        end_ms: last update time.
        synthetic: True where positions or candles are made up for tests.
        timings: {phase: seconds}.
        plagiarism_events: of the traders asked for, by time, then hotkey.
        warnings: sentences on what loading had to do without.
        changes: {name: count} of what was changed on the recorded orders, for run.json.
        order_findings: orders that the leverage cap or the order rules reduced or refused.
    """

    source: str
    positions: PositionManager
    conversion: Conversion
    account_sizes: Mapping[str, Sequence[tuple[int, float]]]
    candles: CandleStore
    start_ms: int
    end_ms: int
    synthetic: bool
    timings: Mapping[str, float]
    plagiarism_events: tuple[PlagiarismEvent, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: Mapping[str, int] = field(default_factory=dict)
    order_findings: tuple[OrderFinding, ...] = ()


def load_inputs(config: BacktestConfig, *, leave_out: Collection[str] = ()) -> Inputs:
    """Read everything that a run needs.

    Args:
        config: the settings.
        leave_out: traders whose positions are not needed; a source that cannot tell whose it has
            gives them all the same.

    Raises:
        SourceError: the positions, or the plagiarism events, cannot be read.
        CandleError: the candle store cannot be read.
        ConfigError: the time range is empty.
        InvalidPosition: `strict`, and a position would be set aside.
    """
    candles = open_candles(config)
    source = open_position_source(config)
    query = PositionQuery(
        start_ms=config.start_time_ms,
        end_ms=config.end_time_ms,
        hotkeys=_hotkeys(config, source, leave_out),
        history=config.history,
    )
    log.info(
        "loading positions from %s: start %s, end %s, hotkeys %s, history %s",
        source.describe(),
        _shown(query.start_ms),
        _shown(query.end_ms),
        "all" if query.hotkeys is None else ", ".join(query.hotkeys),
        query.history,
    )
    begun = time.perf_counter()
    # rows that are not columns are converted as they are read: never are all records in memory
    conversion = convert(
        read_records(source, query),
        split=config.split_positions,
        strict=config.strict,
        end_ms=query.end_ms,
    )
    account_sizes = source.read_account_sizes(query)
    everybody = replace(query, hotkeys=config.wanted_hotkeys)
    plagiarism_events, warnings = _plagiarism_events(config, source, everybody)
    loaded = time.perf_counter() - begun
    begun = time.perf_counter()
    smallest_usd = config.load_rulebook().accounts.smallest_usd
    warnings += conversion.oddities.notes()
    warnings += missing_account_sizes(source, account_sizes, smallest_usd)
    changed = _changed(config, conversion.positions, candles)
    changing = time.perf_counter() - begun
    positions = PositionManager(changed.positions)
    log.info("%d positions of %d traders in %.3f s", len(positions), len(positions.hotkeys), loaded)
    # of the positions as recorded, so that a what-if has the update times of the run it is held to
    start_ms, end_ms = time_range(config, conversion.positions, candles)
    return Inputs(
        source=source.describe(),
        positions=positions,
        conversion=conversion,
        account_sizes=account_sizes,
        candles=candles,
        start_ms=start_ms,
        end_ms=end_ms,
        synthetic=candles.synthetic or config.use_test_positions,
        timings={"load": loaded, "change": changing},
        plagiarism_events=plagiarism_events,
        warnings=warnings + changed.warnings + _unknown(config, conversion, leave_out),
        changes=changed.counts,
        order_findings=changed.findings,
    )


def _hotkeys(
    config: BacktestConfig, source: PositionSource, leave_out: Collection[str]
) -> tuple[str, ...] | None:
    """Whose positions are wanted; None means all."""
    wanted = config.wanted_hotkeys
    if not leave_out or not isinstance(source, ListsTraders):
        return wanted
    left = tuple(
        hotkey
        for hotkey in source.hotkeys()
        if hotkey not in leave_out and (wanted is None or hotkey in wanted)
    )
    return left if 0 < len(left) <= HOTKEYS_AT_MOST else wanted


def _plagiarism_events(
    config: BacktestConfig, source: PositionSource, query: PositionQuery
) -> tuple[tuple[PlagiarismEvent, ...], tuple[str, ...]]:
    """The events of the settings' file, else of the source; and what was set aside, in words."""
    if config.plagiarism_events is None:
        found = source.read_plagiarism_events(query)
    else:
        found = read_plagiarism_events(config.plagiarism_events).of_traders(query.hotkeys)
    log.info("%d plagiarism events, %d rows set aside", len(found.events), len(found.rejected))
    return found.events, tuple(f"no plagiarism event: {left}" for left in found.left_out())


@dataclass(frozen=True, slots=True)
class _Changed:
    """Positions with the changes that the settings ask for."""

    positions: Sequence[Position]
    warnings: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[OrderFinding, ...] = ()

    def further(
        self,
        positions: Sequence[Position],
        warnings: tuple[str, ...],
        counts: Mapping[str, int],
        findings: tuple[OrderFinding, ...] = (),
    ) -> "_Changed":
        """These positions in place of ours, with what was said of both."""
        return _Changed(
            positions,
            self.warnings + warnings,
            {**self.counts, **counts},
            self.findings + findings,
        )


def _changed(
    config: BacktestConfig, recorded: Sequence[Position], candles: CandleStore
) -> _Changed:
    """What-if, then bid and ask, then slippage.

    Bid, ask and slippage are those of the order as it would have been sent: at its time and of its
    size in the what-if.
    """
    changed = _Changed(recorded)
    if config.what_if:
        changed = _with_what_if(config, changed, candles)
    if config.fetch_slippage_data:
        positions, quotes = with_quotes(changed.positions, quote_lookup(candles))
        for warning in quotes.warnings:
            log.warning("%s", warning)
        changed = changed.further(positions, quotes.warnings, quotes.counts)
    if config.fetch_slippage_data or config.recalculate_slippage:
        changed = _with_slippage(config, changed, candles)
    return changed


def _with_what_if(config: BacktestConfig, before: _Changed, candles: CandleStore) -> _Changed:
    def price(trade_pair_id: str, t_ms: int) -> float | None:
        found = price_at(candles, trade_pair_id, t_ms, _LATEST_PRICE_MS)
        return None if found is None else found.price

    rules = config.load_rulebook().leverage
    positions, report = apply_what_if(before.positions, config.what_if, rules, price)
    return before.further(positions, report.warnings, report.counts, report.findings)


def _with_slippage(config: BacktestConfig, before: _Changed, candles: CandleStore) -> _Changed:
    """Slippage by the rules: of every order, or of those that have none.

    Raises:
        SlippageError: `strict`, and an order's slippage cannot be computed.
    """
    positions, report = with_slippage(
        before.positions,
        market_lookup(candles),
        config.load_rulebook().slippage,
        capital=config.capital,
        recalculate=config.recalculate_slippage,
    )
    if config.strict and report.n_unfilled:
        raise SlippageError("\n".join(report.warnings))
    counts = {"slippage_computed": report.n_computed, "slippage_changed": report.n_changed}
    return before.further(positions, report.warnings, counts)


def _unknown(
    config: BacktestConfig, conversion: Conversion, leave_out: Collection[str]
) -> tuple[str, ...]:
    """A sentence on traders that were asked for and have no position, where others have."""
    known = {one.miner_hotkey for one in conversion.positions}
    known |= {one.miner_hotkey for one in conversion.rejections}
    lacking = sorted(set(config.wanted_hotkeys or ()) - known - set(leave_out))
    if not (known and lacking):
        return ()
    named = some_of(lacking, _N_NAMED)
    return (f"no position of {named}: check these hotkeys, which must be whole",)


def open_position_source(config: BacktestConfig) -> PositionSource:
    """The source that the settings choose."""
    if config.use_test_positions:
        return open_source("test")
    if config.positions_path is not None:
        path = str(config.positions_path)
        # a folder of that name: a `Path` keeps no "./" that would tell it from the word
        return open_source("./database" if path == "database" else path)
    if config.database_mapping is not None and not config.database_url:
        raise ConfigError(
            f"the mapping {config.database_mapping} is for a database, and none is named: set "
            "PTN_BACKTEST_DATABASE_URL, or database_url (without one the package taoshi.ts.ptn is asked, "
            "which takes no mapping)"
        )
    return open_source(config.database_url or "taoshi", mapping=config.database_mapping)


def open_candles(config: BacktestConfig) -> CandleStore:
    """The candle store of the settings; the test positions bring their own."""
    if config.candles is not None:
        return CandleStore(config.candles)
    from ptn_backtest.sources.bundled import bundled_candles  # noqa: PLC0415 - rarely wanted

    return bundled_candles(Path(config.output) / TEST_CANDLES)


def time_range(
    config: BacktestConfig, positions: Sequence[Position], candles: CandleStore
) -> tuple[int, int]:
    """The settings' start and end; else the first order, and the end of the candles."""
    if not positions:
        return config.start_time_ms or 0, config.end_time_ms or config.start_time_ms or 0
    start_ms, end_ms = config.start_time_ms, config.end_time_ms
    if start_ms is None:
        start_ms = min(position.open_ms for position in positions)
    if end_ms is None:
        pairs = {position.trade_pair.trade_pair_id for position in positions}
        extents = [candles.extent(pair, Timespan.MINUTE) for pair in sorted(pairs)]
        ends = [extent.last_ms + MINUTE_MS for extent in extents if extent is not None]
        end_ms = max(ends) if ends else max(each.orders[-1].processed_ms for each in positions)
    if start_ms > end_ms:
        raise ConfigError(
            f"nothing to replay: the start ({format_time(start_ms)}) is later than the end "
            f"({format_time(end_ms)}) of the candles; set start_time_ms or end_time_ms"
        )
    return start_ms, end_ms


def _shown(time_ms: int | None) -> str:
    return "open" if time_ms is None else format_time(time_ms)
