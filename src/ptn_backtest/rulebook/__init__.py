"""The network's rules as data with dates: one immutable value, `Rulebook`, in readable files."""

from ptn_backtest.rulebook.rulebook import (
    DEFAULT_NAME,
    DEFAULT_RULEBOOK,
    SHIPPED,
    CarryRule,
    Rulebook,
    load_rulebook,
    rulebook_from,
)

__all__ = [
    "DEFAULT_NAME",
    "DEFAULT_RULEBOOK",
    "SHIPPED",
    "CarryRule",
    "Rulebook",
    "load_rulebook",
    "rulebook_from",
]
