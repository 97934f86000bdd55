"""What Python code hands to a replay: taken as it is meant, or refused with one sentence."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.clock import parse_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.store import CandleStore


def taken_positions(given: Iterable[Position]) -> PositionManager:
    """Positions by trader, also from a plain list.

    Raises:
        ConfigError: it is nothing that holds positions.
        InvalidPosition: it holds something else.
    """
    if isinstance(given, PositionManager):
        return given
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise ConfigError(
            f"positions is of type {type(given).__name__}, not a PositionManager or a list of positions: "
            "PositionManager(convert(open_source(...).read()).positions) makes one"
        )
    return PositionManager(given)


def taken_candles(given: CandleSource | Path | str) -> CandleSource:
    """A source of candles; a path or URL is opened as a store.

    Raises:
        ConfigError: it is neither.
        CandleError: no store is there.
    """
    if isinstance(given, str | Path):
        return CandleStore(given)
    if not callable(getattr(given, "read", None)):
        raise ConfigError(
            f"candles is of type {type(given).__name__}, no source of candles: give a CandleStore, or its folder"
        )
    return given


def taken_time(name: str, given: int | str | datetime) -> int:
    """Milliseconds of a time, also from an ISO text or a datetime.

    Raises:
        ConfigError: it is no time.
    """
    try:
        return parse_time(given)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def taken_mode(given: ParallelizationMode | str | int) -> ParallelizationMode:
    """A parallel mode, also by its name or number.

    Raises:
        ConfigError: there is no such mode.
    """
    try:
        return ParallelizationMode.parse(given)
    except ValueError as error:
        raise ConfigError(f"parallel_mode: {error}") from None
