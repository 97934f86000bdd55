"""Factors on a trader's class scores, between 0 and 1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, ScoringRules
from ptn_backtest.rules.formulas import drawdown_percent

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True)
class PenaltyTable:
    """The factors of several traders, as `Penalties`, in arrays of one length."""

    drawdown: Floats
    account_size: Floats
    risk_profile: Floats

    @property
    def total(self) -> Floats:
        """Their products."""
        products: Floats = self.drawdown * self.account_size * self.risk_profile
        return products

    def row(self, i: int) -> Penalties:
        """The factors of trader i."""
        factors = (self.drawdown[i], self.account_size[i], self.risk_profile[i])
        return Penalties(*map(float, factors))

    def take(self, places: NDArray[np.int64]) -> "PenaltyTable":
        """The factors of some traders."""
        columns = (self.drawdown, self.account_size, self.risk_profile)
        return PenaltyTable(*(column[places] for column in columns))


def penalties(
    mdd: Floats, account_size: Floats, risk: Floats, rules: ScoringRules = DEFAULT_SCORING
) -> PenaltyTable:
    """All factors of several traders.

    Args:
        mdd: lowest value / running peak of each portfolio ledger.
        account_size: USD.
        risk: risk scores, 0 (no reckless position) to 1 (all of them).
        rules: limits and factors.
    """
    profile = rules.risk_profile
    exponent = profile.steepness * (risk - profile.midpoint)
    bounded = np.clip(exponent, -profile.max_exponent, profile.max_exponent)
    small = account_size < rules.min_account_size
    return PenaltyTable(
        # compared in floating point, unrounded: for 0.9 it is 9.999999999999998 %
        drawdown=np.where(drawdown_percent(mdd) >= rules.drawdown_limit, 0.0, 1.0),
        account_size=np.where(small, rules.small_account_penalty, 1.0),
        risk_profile=1 / (1 + np.exp(bounded)),
    )


def drawdown_penalty(mdd: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """0 for a drawdown of the limit or more, else 1; `mdd` is the lowest value / running peak."""
    return _one(mdd, np.inf, 0.0, rules).drawdown


def account_size_penalty(account_size: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """Factor for a small account (USD), else 1."""
    return _one(1.0, account_size, 0.0, rules).account_size


def risk_profile_penalty(score: float, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """Factor for a risk score of 0 (no reckless position) to 1 (all of them)."""
    return _one(1.0, np.inf, score, rules).risk_profile


def _one(mdd: float, account_size: float, risk: float, rules: ScoringRules) -> Penalties:
    return penalties(np.array([mdd]), np.array([account_size]), np.array([risk]), rules).row(0)
