"""A trader's record: what scoring and the challenge rules look at, whatever it was taken from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import Floats, daily_returns, daily_values
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.class_ledgers import class_ledger
from ptn_backtest.rules.metrics import lowest_mdd
from ptn_backtest.rules.risk_profile import HeldPosition, risk_score
from ptn_backtest.trade_pairs import TradePairCategory


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """One asset class.

    Attributes:
        returns: log return of every full day of the class ledger, oldest first.
        pnl: USD of the same days.
        mdd: lowest value / running peak of the class ledger.
    """

    returns: Floats
    pnl: Floats
    mdd: float


@dataclass(frozen=True, slots=True)
class Record:
    """One trader at one time.

    Attributes:
        mdd: lowest value / running peak of the portfolio ledger.
        full_days: full days of the portfolio ledger.
        classes: by asset class that is scored.
        risk: risk score of its positions, 0 to 1.
        account_size: USD, in force then.
    """

    mdd: float
    full_days: int
    classes: Mapping[TradePairCategory, ClassRecord]
    risk: float
    account_size: float


def record_of(
    ledgers: Mapping[str, PerfLedger],
    positions: Collection[HeldPosition],
    account_size: float,
    t_ms: int,
    rules: ScoringRules,
) -> Record:
    """The record that ledgers and positions make.

    Args:
        ledgers: {"portfolio" or trade pair id: ledger}, with a portfolio.
        positions: those known at t, with their states then.
        account_size: USD.
        t_ms: when; the risk profile looks back from here.
        rules: which classes are scored, and what is reckless.
    """
    classes = {}
    for category in rules.asset_classes:
        ledger = class_ledger(ledgers, category)
        _, returns, pnl = daily_values(ledger)
        classes[category] = ClassRecord(returns, pnl, lowest_mdd(ledger))
    return Record(
        mdd=lowest_mdd(ledgers[PORTFOLIO]),
        full_days=len(daily_returns(ledgers[PORTFOLIO])[0]),
        classes=classes,
        risk=risk_score(positions, t_ms, rules.risk_profile),
        account_size=account_size,
    )
