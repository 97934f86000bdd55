"""Positions in SQL databases: our schema or a mapped one, read as one snapshot, written as a whole."""

from ptn_backtest.sources.database.source import DatabasePositionOrderSource

__all__ = ["DatabasePositionOrderSource"]
