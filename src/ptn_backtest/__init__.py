"""Replay the Proprietary Trading Network's positions into exact performance ledgers.

The public names are loaded when they are first used, so that importing the package is quick.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptn_backtest.backtest.config import BacktestConfig, load_config
    from ptn_backtest.backtest.execution import ParallelizationMode
    from ptn_backtest.backtest.manager import BacktestManager
    from ptn_backtest.backtest.result import RunResult
    from ptn_backtest.backtest.run import run_backtest
    from ptn_backtest.ledger.checkpoint import PerfLedger
    from ptn_backtest.ledger.manager import LedgerSettings, PerfLedgerManager
    from ptn_backtest.positions.conversion import convert
    from ptn_backtest.positions.manager import PositionManager
    from ptn_backtest.positions.order import Order, OrderType
    from ptn_backtest.positions.position import Position
    from ptn_backtest.prices.store import CandleStore
    from ptn_backtest.results.run import Run, load_run
    from ptn_backtest.rulebook import Rulebook
    from ptn_backtest.sources.database import DatabasePositionOrderSource
    from ptn_backtest.sources.locate import open_source
    from ptn_backtest.sources.records import PositionQuery
    from ptn_backtest.trade_pairs import TradePair

_HOMES = {
    "BacktestConfig": "backtest.config",
    "BacktestManager": "backtest.manager",
    "CandleStore": "prices.store",
    "DatabasePositionOrderSource": "sources.database",
    "LedgerSettings": "ledger.manager",
    "Order": "positions.order",
    "OrderType": "positions.order",
    "ParallelizationMode": "backtest.execution",
    "PerfLedger": "ledger.checkpoint",
    "PerfLedgerManager": "ledger.manager",
    "Position": "positions.position",
    "PositionManager": "positions.manager",
    "PositionQuery": "sources.records",
    "Rulebook": "rulebook",
    "Run": "results.run",
    "RunResult": "backtest.result",
    "TradePair": "trade_pairs",
    "convert": "positions.conversion",
    "load_config": "backtest.config",
    "load_run": "results.run",
    "open_source": "sources.locate",
    "run_backtest": "backtest.run",
}

__all__ = [
    "BacktestConfig",
    "BacktestManager",
    "CandleStore",
    "DatabasePositionOrderSource",
    "LedgerSettings",
    "Order",
    "OrderType",
    "ParallelizationMode",
    "PerfLedger",
    "PerfLedgerManager",
    "Position",
    "PositionManager",
    "PositionQuery",
    "Rulebook",
    "Run",
    "RunResult",
    "TradePair",
    "convert",
    "load_config",
    "load_run",
    "open_source",
    "run_backtest",
]

# a library is silent until its user asks; `ptn-backtest -v` does
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow to import

        return version("ptn-backtest")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What completes after a dot: the public names, loaded or not."""
    return sorted([*__all__, "__all__", "__doc__", "__name__", "__version__"])
