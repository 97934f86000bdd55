"""The network's rules as data with dates: one immutable value, `Rulebook`, in readable files."""

from ptn_backtest.rulebook.fee_rules import CarryRule, CarryRules, FeeRules
from ptn_backtest.rulebook.leverage_rules import LeverageChange, LeverageRules
from ptn_backtest.rulebook.reading import (
    DEFAULT_NAME,
    DEFAULT_RULEBOOK,
    SHIPPED,
    load_rulebook,
    rulebook_from,
    with_rules,
)
from ptn_backtest.rulebook.rulebook import Rulebook
from ptn_backtest.rulebook.scoring_rules import (
    METRICS,
    AssetClass,
    DayWeights,
    MinimumDays,
    RiskProfileRules,
    ScoringRules,
)
from ptn_backtest.rulebook.slippage_rules import CryptoBucket, EquitiesBucket, SlippageRules
from ptn_backtest.rulebook.standing_rules import AccountRules, ChallengeRules, EliminationRules

DEFAULT_SCORING = DEFAULT_RULEBOOK.scoring
DEFAULT_SLIPPAGE_RULES = DEFAULT_RULEBOOK.slippage

__all__ = [
    "DEFAULT_NAME",
    "DEFAULT_RULEBOOK",
    "DEFAULT_SCORING",
    "DEFAULT_SLIPPAGE_RULES",
    "METRICS",
    "SHIPPED",
    "AccountRules",
    "AssetClass",
    "CarryRule",
    "CarryRules",
    "ChallengeRules",
    "CryptoBucket",
    "DayWeights",
    "EliminationRules",
    "EquitiesBucket",
    "FeeRules",
    "LeverageChange",
    "LeverageRules",
    "MinimumDays",
    "RiskProfileRules",
    "Rulebook",
    "ScoringRules",
    "SlippageRules",
    "load_rulebook",
    "rulebook_from",
    "with_rules",
]
