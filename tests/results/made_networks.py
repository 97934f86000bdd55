"""A run with rules, made by hand: what happened to four traders, and how they were scored."""

from typing import Any

import numpy as np

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.ledger.breach import Breach, HeldAtBreach
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.positions.order_bounds import OrderRule
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, EliminationReason, Event, EventKind, Figures
from ptn_backtest.rules.penalties import PenaltyTable
from ptn_backtest.rules.scoring import ClassTable, Scores
from ptn_backtest.rules.standing import Standing
from ptn_backtest.trade_pairs import TradePairCategory
from tests.results.made_runs import MIDNIGHT_MS, ledger, made_run, position

DAYS = [MIDNIGHT_MS + n * DAY_MS for n in range(5)]
TICK_MS = DAYS[3] - 5 * HOUR_MS
"""Of the liquidation, between two evaluations."""
RULES_ON = {"run_challenge": True, "run_elimination": True, "run_scoring": True}

BREACH = Breach(
    time_ms=DAYS[2] - 7 * HOUR_MS + 1,
    value=0.918,
    peak=1.02,
    positions=(
        HeldAtBreach("deep-1", "ETHUSD", -0.4, 3456.78, DAYS[2] - 7 * HOUR_MS, 0.91),
        HeldAtBreach("deep-2", "GBPUSD", 2.0, 1.25, None, 0.99),
    ),
)
ELIMINATIONS = (
    Elimination(
        miner_hotkey="5Deep",
        time_ms=DAYS[2],
        drawdown_percent=10.25,
        reason=EliminationReason.MAX_TOTAL_DRAWDOWN,
        bucket=Bucket.MAINCOMP,
        breach=BREACH,
        closing_prices={"GBPUSD": FoundPrice(1.24, DAYS[2], Timespan.SECOND)},
        returns={"deep-2": 0.985},
    ),
    Elimination(
        miner_hotkey="5Zero",
        time_ms=TICK_MS,
        drawdown_percent=0.0,
        reason=EliminationReason.LIQUIDATED,
        bucket=Bucket.CHALLENGE,
        breach=Breach(TICK_MS, 0.0, 1.5, ()),
    ),
)
RANK: Figures = {
    "asset_class": "crypto",
    "rank": 1,
    "score": 0.75,
    "threshold_score": 0.5,
    "scored_traders": 3,
}
EVENTS = (
    *(
        Event(DAYS[0], hotkey, EventKind.ENTERED, None, Bucket.CHALLENGE, "first order")
        for hotkey in ("5Up", "5Down", "5Deep", "5Zero")
    ),
    *(
        Event(DAYS[1], h, EventKind.PROMOTED, Bucket.CHALLENGE, Bucket.MAINCOMP, "rank", RANK)
        for h in ("5Up", "5Down", "5Deep")
    ),
    Event(
        DAYS[2],
        "5Deep",
        EventKind.ELIMINATED,
        Bucket.MAINCOMP,
        None,
        EliminationReason.MAX_TOTAL_DRAWDOWN,
        {"drawdown_percent": 10.25, "limit_percent": 10.0},
    ),
    Event(
        DAYS[2],
        "5Deep",
        EventKind.COLLATERAL_SLASHED,
        reason=EliminationReason.MAX_TOTAL_DRAWDOWN,
        figures={"fraction": 1.0, "collateral_theta": None, "slashed_theta": None},
    ),
    Event(
        DAYS[2],
        "5Deep",
        EventKind.POSITION_CLOSED,
        reason=EliminationReason.MAX_TOTAL_DRAWDOWN,
        figures={"position_uuid": "deep-2", "trade_pair_id": "GBPUSD", "return_at_close": 0.985},
    ),
    Event(
        DAYS[3], "5Down", EventKind.DEMOTED, Bucket.MAINCOMP, Bucket.PROBATION, "rank", {"rank": 26}
    ),
    Event(TICK_MS, "5Zero", EventKind.ELIMINATED, Bucket.CHALLENGE, None, "LIQUIDATED"),
)
"""In the order of the evaluations: the liquidation stands at its tick, before the demotion."""
FINDINGS = (
    OrderFinding(
        "5Up", "up-1", "o-1", "BTCUSD", DAYS[0], OrderRule.POSITION_LEVERAGE, 0.7, 0.5, "reduced"
    ),
    OrderFinding(
        "5Down", "down-1", "o-2", "EURUSD", DAYS[1], OrderRule.NO_POSITION, -0.2, None, "refused"
    ),
)


def scores(time_ms: int, hotkeys: tuple[str, ...]) -> Scores:
    """The first trader has most weight; the last is kept out by its drawdown.

    Metrics are 1 to 6, in the order of `METRICS`, and percentiles a tenth of that.
    """
    n = len(hotkeys)
    last = np.arange(n) == n - 1
    score = np.where(last, 0.0, 1 / np.arange(1, n + 1))
    place = np.arange(1, n + 1)
    metrics = {name: np.full(n, float(k)) for k, name in enumerate(METRICS, start=1)}
    percentiles = {name: np.where(last, np.nan, own / 10) for name, own in metrics.items()}

    def of_class(share: float) -> ClassTable:
        return ClassTable(np.full(n, 90), metrics, percentiles, score, place, score * share)

    return Scores(
        time_ms=time_ms,
        min_days={TradePairCategory.CRYPTO: 60, TradePairCategory.FOREX: 7},
        hotkeys=hotkeys,
        penalties=PenaltyTable(np.where(last, 0.0, 1.0), np.full(n, 0.5), np.full(n, 0.25)),
        classes={TradePairCategory.CRYPTO: of_class(0.5), TradePairCategory.FOREX: of_class(0.25)},
        weight=score / 10,
        rank=place,
    )


def network_run(**changes: Any) -> RunResult:
    """Five days with all rules on: two promoted who stay, one demoted, one liquidated, one out."""
    everybody = ("5Up", "5Down", "5Zero")
    fields: dict[str, Any] = {
        "settings": {**RULES_ON, "rulebook": {"eliminations": {"drawdown_limit": 10.0}}},
        "end_ms": DAYS[4],
        "update_times_ms": DAYS,
        "ledgers": {
            "5Deep": {PORTFOLIO: ledger([1.02, 0.99, 0.97, 0.918])},
            "5Down": {PORTFOLIO: ledger([0.99, 0.97, 0.96, 0.96, 0.96, 0.95, 0.95, 0.96])},
            "5Up": {PORTFOLIO: ledger([1.02, 0.98, 1.05, 1.05, 1.06, 1.07, 1.08, 1.1])},
            "5Zero": {PORTFOLIO: ledger([1.5, 1.4, 1.4, 1.4])},
        },
        "positions": [
            position("5Deep", "deep-1", "ETHUSD"),
            position("5Deep", "deep-2", "GBPUSD"),
            position("5Up", "up-1"),
        ],
        "liquidations": [],
        "events": EVENTS,
        "eliminations": ELIMINATIONS,
        "standings": {
            "5Down": Standing(Bucket.PROBATION, DAYS[3]),
            "5Up": Standing(Bucket.MAINCOMP, DAYS[1]),
        },
        "scores": [scores(DAYS[1], everybody), scores(DAYS[4], ("5Up", "5Down"))],
        "competitions": [scores(DAYS[1], ("5Up", "5Deep", "5Down"))],
        "order_findings": FINDINGS,
    }
    return made_run(**{**fields, **changes})
