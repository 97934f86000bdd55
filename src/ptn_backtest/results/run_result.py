"""Moved to `ptn_backtest.backtest.result`; import from there."""

from ptn_backtest.backtest.result import Liquidation, ReplayedPosition, RunResult

__all__ = ["Liquidation", "ReplayedPosition", "RunResult"]
