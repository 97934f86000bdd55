"""Factors on a trader's class scores, between 0 and 1."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, ScoringRules
from ptn_backtest.rules.metrics import is_beyond_max_drawdown
from ptn_backtest.rules.risk_profile import HeldPosition, risk_score


@dataclass(frozen=True, slots=True)
class Penalties:
    """The factors of one trader.

    Attributes:
        drawdown: 0 from the limit on, else 1.
        account_size: below 1 for a small account.
        risk_profile: below 1 for reckless positions.
    """

    drawdown: float
    account_size: float
    risk_profile: float

    @property
    def total(self) -> float:
        """Their product."""
        return self.drawdown * self.account_size * self.risk_profile


def drawdown_penalty(mdd: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """0 for a drawdown of the limit or more, else 1; `mdd` is the lowest value / running peak."""
    return 0.0 if is_beyond_max_drawdown(mdd, rules=rules)[0] else 1.0


def account_size_penalty(account_size: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """Factor for a small account (USD), else 1."""
    return rules.small_account_penalty if account_size < rules.min_account_size else 1.0


def risk_profile_penalty(score: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """Factor for a risk score of 0 (no reckless position) to 1 (all of them)."""
    profile = rules.risk_profile
    exponent = profile.steepness * (score - profile.midpoint)
    return 1 / (1 + math.exp(max(-profile.max_exponent, min(profile.max_exponent, exponent))))


def penalties(
    mdd: float,
    account_size: float,
    positions: Iterable[HeldPosition],
    t_ms: int,
    rules: ScoringRules = DEFAULT_SCORING,
) -> Penalties:
    """All factors of a trader at time t.

    Args:
        mdd: lowest value / running peak of the portfolio ledger.
        account_size: USD, in force at t.
        positions: those known at t, with their states then.
        t_ms: time of the scoring.
        rules: limits and factors.
    """
    return Penalties(
        drawdown=drawdown_penalty(mdd, rules),
        account_size=account_size_penalty(account_size, rules),
        risk_profile=risk_profile_penalty(risk_score(positions, t_ms, rules.risk_profile), rules),
    )
