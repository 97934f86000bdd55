import pytest

from ptn_backtest.report import rule_wording
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Event, EventKind, Figures
from tests.results.made_networks import DAYS, RANK, network_run
from tests.results.made_runs import MIDNIGHT_MS, made_run

DRAWDOWN: Figures = {"drawdown_percent": 10.25, "limit_percent": 10.0}
ENDED: Figures = {"ended_ms": MIDNIGHT_MS}
SENTENCES: list[tuple[EventKind, str, Figures, str]] = [
    (EventKind.ENTERED, "first order", {}, "entered MAINCOMP"),
    (
        EventKind.ENTERED,
        "first order",
        {"first_order_ms": MIDNIGHT_MS},
        "entered MAINCOMP, first order 2025-01-15 00:00:00 UTC",
    ),
    (
        EventKind.PROMOTED,
        "rank",
        RANK,
        "promoted to MAINCOMP: rank 1 of 3 in crypto, score 0.75 (in from 0.5)",
    ),
    (EventKind.DEMOTED, "not scored", {}, "demoted to MAINCOMP: not scored"),
    (EventKind.DEMOTED, "rank", {**RANK, "score": 0.0}, "demoted to MAINCOMP: score 0 in crypto"),
    (EventKind.FAILED, "PLAGIARISM", ENDED, "would leave PROBATION: not cleared by 2025-01-15"),
    (
        EventKind.ELIMINATED,
        "MAX_TOTAL_DRAWDOWN",
        DRAWDOWN,
        "eliminated from PROBATION: drawdown 10.25%, limit 10%",
    ),
    (
        EventKind.ELIMINATED,
        "FAILED_CHALLENGE_PERIOD_TIME",
        ENDED,
        "eliminated from PROBATION: time over on 2025-01-15",
    ),
    (
        EventKind.ELIMINATED,
        "LIQUIDATED",
        {"peak": 1.5},
        "eliminated from PROBATION: value reached 0 from a peak of 1.5",
    ),
    (EventKind.ELIMINATED, "MAX_TOTAL_DRAWDOWN", {}, "eliminated from PROBATION: drawdown"),
    (
        EventKind.POSITION_CLOSED,
        "LIQUIDATED",
        {"trade_pair_id": "BTCUSD", "price": 105228.45, "return_at_close": 0.985},
        "position on BTCUSD closed at 105,228.45, return -1.50%",
    ),
    (
        EventKind.POSITION_CLOSED,
        "LIQUIDATED",
        {"trade_pair_id": "BTCUSD", "price": None},
        "position on BTCUSD closed without a price",
    ),
    (
        EventKind.COLLATERAL_SLASHED,
        "LIQUIDATED",
        {"fraction": 0.1, "collateral_theta": 200.0, "slashed_theta": 20.0},
        "10% of the collateral slashed: 20 of 200 theta",
    ),
    (
        EventKind.COLLATERAL_SLASHED,
        "LIQUIDATED",
        {"fraction": 0.5, "collateral_theta": None, "slashed_theta": None},
        "50% of the collateral slashed; its size is not known",
    ),
]


@pytest.mark.parametrize(("kind", "reason", "figures", "said"), SENTENCES)
def test_an_event_in_words(kind: EventKind, reason: str, figures: Figures, said: str) -> None:
    event = Event(DAYS[0], "5Up", kind, Bucket.PROBATION, Bucket.MAINCOMP, reason, figures)
    assert rule_wording.sentence(event) == said


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_words_even_without_figures(kind: EventKind) -> None:
    event = Event(DAYS[0], "5Up", kind, Bucket.PROBATION, Bucket.MAINCOMP)
    assert len(rule_wording.sentence(event)) > 10
    assert "None" not in rule_wording.sentence(event)
    assert kind in rule_wording.KINDS


def test_every_reason_and_bucket_has_words() -> None:
    assert set(rule_wording.REASONS) == set(EliminationReason)
    assert set(rule_wording.BUCKETS) == set(Bucket)


def test_where_a_trader_stands() -> None:
    run = network_run()
    stands = [rule_wording.standing(run, h) for h in ("5Up", "5Down", "5Deep", "5New")]
    assert stands == ["main", "probation", "out", "not entered"]


def test_rules_ran_where_one_was_asked_for() -> None:
    assert not rule_wording.rules_ran(made_run())
    assert not rule_wording.rules_ran(made_run(settings={"run_scoring": False}))
    assert rule_wording.rules_ran(made_run(settings={"run_scoring": True}))


def test_the_limit_is_that_of_the_recorded_rulebook() -> None:
    assert rule_wording.limit_percent(network_run().settings) == 10.0
    without: list[dict[str, object]] = [
        {},
        {"rulebook": "2025-11"},
        {"rulebook": {"eliminations": {}}},
    ]
    assert [rule_wording.limit_percent(settings) for settings in without] == [None] * 3
