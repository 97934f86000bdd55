"""Every metric of one portfolio in one table, in the shape of a bundle's `metrics` section."""

from typing import Any

from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.ledger.daily import Floats, daily_values
from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, ScoringRules
from ptn_backtest.rules import metrics
from ptn_backtest.rules.penalties import drawdown_penalty

DAYS_IN_YEAR = 365


def metric_report(
    portfolio_ledger: PerfLedger,
    days_in_year: int = DAYS_IN_YEAR,
    rules: ScoringRules = DEFAULT_SCORING,
) -> dict[str, Any]:
    """Every metric of a ledger, weighted and not, by the names of `expected.json`.

    `_confident`: fewer than the largest minimum number of days is not judged. Volatilities of fewer
    than two days are infinite. `docs/scoring.md` describes each field.
    """
    _, returns, pnl = daily_values(portfolio_ledger)
    cps = portfolio_ledger.cps
    mdd = metrics.lowest_mdd(portfolio_ledger)
    daily_mdd = metrics.daily_max_drawdown(returns)
    report: dict[str, Any] = {
        "n_days": len(returns),
        "days_in_year": days_in_year,
        "mdd": mdd,
        "instantaneous_max_drawdown": mdd,
        "daily_max_drawdown": daily_mdd,
        "metrics_daily_max_drawdown": 1 - daily_mdd if len(returns) else 0.0,
        "risk_normalization": metrics.risk_normalization(mdd, rules=rules),
        "is_beyond_max_drawdown": list(metrics.is_beyond_max_drawdown(mdd, rules=rules)),
        "max_drawdown_threshold_penalty": drawdown_penalty(mdd, rules),
        "raw_pnl": float(cps["pnl_gain"].sum() + cps["pnl_loss"].sum()),
        "trading_days": len(returns),
    }
    for weighted in (False, True):
        name = f"weighting_{weighted}".lower()
        judged, confident = (
            _ratios(returns, pnl, mdd, days_in_year, weighted, minimum_days, rules)
            for minimum_days in (0, rules.minimum_days.most)
        )
        report[name] = judged | _moments(returns, days_in_year, weighted, rules)
        report[f"{name}_confident"] = confident
    return report


def _ratios(
    returns: Floats,
    pnl: Floats,
    mdd: float,
    days_in_year: int,
    weighted: bool,
    minimum_days: int,
    rules: ScoringRules,
) -> dict[str, float]:
    found = metrics.class_metrics(
        returns,
        pnl,
        mdd,
        days_in_year=days_in_year,
        weighted=weighted,
        minimum_days=minimum_days,
        rules=rules,
    )
    found["pnl_score"] = found.pop("pnl")
    found["base_return_log_percentage"] = metrics.base_return_log_percentage(
        returns, days_in_year=days_in_year, weighted=weighted, rules=rules
    )
    return found


def _moments(
    returns: Floats, days_in_year: int, weighted: bool, rules: ScoringRules
) -> dict[str, float]:
    annual = {
        metric.__name__: metric(returns, days_in_year=days_in_year, weighted=weighted, rules=rules)
        for metric in (
            metrics.ann_excess_return,
            metrics.ann_volatility,
            metrics.ann_downside_volatility,
            metrics.base_return,
        )
    }
    return annual | {
        "average": metrics.average(returns, weighted=weighted, rules=rules),
        "variance": metrics.variance(returns, weighted=weighted, rules=rules),
    }
