"""From settings to the inputs of a replay: positions, account sizes, candles, times."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.clock import MINUTE_MS, format_time
from ptn_backtest.errors import ConfigError, SlippageError
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.slippage import with_slippage
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.daily import market_lookup
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.locate import open_source
from ptn_backtest.sources.records import PositionQuery, PositionSource

log = logging.getLogger(__name__)

TEST_CANDLES = "test-candles"
"""Folder, in the output folder, of the candles that belong to the test positions."""


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
        warnings: sentences on what loading had to do without.
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
    warnings: tuple[str, ...] = ()


def load_inputs(config: BacktestConfig) -> Inputs:
    """Read everything that a run needs.

    Raises:
        SourceError: the positions cannot be read.
        CandleError: the candle store cannot be read.
        ConfigError: the time range is empty.
        InvalidPosition: `strict`, and a position would be set aside.
    """
    candles = open_candles(config)
    source = open_position_source(config)
    query = PositionQuery(
        start_ms=config.start_time_ms,
        end_ms=config.end_time_ms,
        hotkeys=config.wanted_hotkeys,
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
    # reading and converting go hand in hand, so that records are never all in memory
    conversion = convert(source.read(query), split=config.split_positions, strict=config.strict)
    account_sizes = source.read_account_sizes(query)
    loaded = time.perf_counter() - begun
    warnings: tuple[str, ...] = ()
    replayed = conversion.positions
    if config.recalculate_slippage:
        replayed, warnings = _recalculated(config, replayed, candles)
    positions = PositionManager(replayed)
    log.info("%d positions of %d traders in %.3f s", len(positions), len(positions.hotkeys), loaded)
    start_ms, end_ms = _time_range(config, positions, candles)
    return Inputs(
        source=source.describe(),
        positions=positions,
        conversion=conversion,
        account_sizes=account_sizes,
        candles=candles,
        start_ms=start_ms,
        end_ms=end_ms,
        synthetic=candles.synthetic or config.use_test_positions,
        timings={"load": loaded},
        warnings=warnings,
    )


def _recalculated(
    config: BacktestConfig, positions: list[Position], candles: CandleStore
) -> tuple[list[Position], tuple[str, ...]]:
    """The positions with every order's slippage computed anew, and what that had to do without.

    Raises:
        SlippageError: `strict`, and an order's slippage cannot be computed.
    """
    begun = time.perf_counter()
    changed, report = with_slippage(
        positions, market_lookup(candles), capital=config.capital, recalculate=True
    )
    log.info(
        "slippage of %d orders computed, %d changed, in %.3f s",
        report.n_computed,
        report.n_changed,
        time.perf_counter() - begun,
    )
    if config.strict and report.n_unfilled:
        raise SlippageError("\n".join(report.warnings))
    return changed, report.warnings


def open_position_source(config: BacktestConfig) -> PositionSource:
    """The source that the settings choose."""
    if config.use_test_positions:
        return open_source("test")
    if config.positions_path is not None:
        return open_source(str(config.positions_path))
    return open_source(config.database_url or "taoshi", mapping=config.database_mapping)


def open_candles(config: BacktestConfig) -> CandleStore:
    """The candle store of the settings; the test positions bring their own."""
    if config.candles is not None:
        return CandleStore(config.candles)
    from ptn_backtest.sources.bundled import bundled_candles  # noqa: PLC0415 - rarely wanted

    return bundled_candles(Path(config.output) / TEST_CANDLES)


def _time_range(
    config: BacktestConfig, positions: PositionManager, candles: CandleStore
) -> tuple[int, int]:
    """The settings' start and end; else the first order, and the end of the candles."""
    orders_ms = [order.processed_ms for position in positions for order in position.orders]
    if not orders_ms:
        return config.start_time_ms or 0, config.end_time_ms or config.start_time_ms or 0
    start_ms = min(orders_ms) if config.start_time_ms is None else config.start_time_ms
    end_ms = config.end_time_ms
    if end_ms is None:
        pairs = {position.trade_pair.trade_pair_id for position in positions}
        extents = [candles.extent(pair, Timespan.MINUTE) for pair in sorted(pairs)]
        ends = [extent.last_ms + MINUTE_MS for extent in extents if extent is not None]
        end_ms = max(ends, default=max(orders_ms))
    if start_ms > end_ms:
        raise ConfigError(
            f"nothing to replay: the start ({format_time(start_ms)}) is later than the end "
            f"({format_time(end_ms)}) of the candles; set start_time_ms or end_time_ms"
        )
    return start_ms, end_ms


def _shown(time_ms: int | None) -> str:
    return "open" if time_ms is None else format_time(time_ms)
