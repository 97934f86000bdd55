"""How a ledger is built, in plain Python: to read, and to test the compiled kernel against."""

from ptn_backtest.ledger.definition.replay import define_ledgers

__all__ = ["define_ledgers"]
