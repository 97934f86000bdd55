"""One evaluation after the other, by hand: who enters, rises, falls and leaves, and what is said of it."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ptn_backtest.clock import DAY_MS, MINUTE_MS, parse_time
from ptn_backtest.ledger.breach import Breach
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, with_rules
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.evaluation import Evaluation
from ptn_backtest.rules.events import EliminationReason, EventKind
from ptn_backtest.rules.member import Member
from ptn_backtest.rules.standing import NEW_NETWORK, NetworkState, Standing
from ptn_backtest.trade_pairs import TradePairCategory
from tests.rules import made_members
from tests.rules.made_members import (
    A_MINUTE,
    BEGIN_MS,
    DAYS,
    FIRST_ORDER_MS,
    after,
    closed_position,
    member,
    network,
    standing_in,
    steady,
)

CHALLENGE, MAINCOMP = Bucket.CHALLENGE, Bucket.MAINCOMP
PROBATION, PLAGIARISM = Bucket.PROBATION, Bucket.PLAGIARISM
TIME = EliminationReason.FAILED_CHALLENGE_PERIOD_TIME
DRAWDOWN = EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN
MAX_DRAWDOWN = EliminationReason.MAX_TOTAL_DRAWDOWN
LIQUIDATED = EliminationReason.LIQUIDATED
T_MS = after(DAYS)
TICK_MS = T_MS - 5_432_109
LOST = Breach(TICK_MS, 0.0, 1.25, ())


def evaluated(
    state: NetworkState, members: dict[str, Member], t_ms: int = T_MS, **switches: Any
) -> Evaluation:
    return made_members.evaluated(state, members, t_ms, **switches)


def buckets(outcome: Evaluation) -> dict[str, Bucket]:
    return {hotkey: one.bucket for hotkey, one in outcome.state.standings.items()}


def reasons(outcome: Evaluation) -> dict[str, str]:
    return {one.miner_hotkey: one.reason for one in outcome.eliminations}


def kinds(outcome: Evaluation) -> list[tuple[str, EventKind]]:
    return [(event.miner_hotkey, event.kind) for event in outcome.events]


# entering


def test_who_is_new_enters_as_of_its_first_order():
    outcome = evaluated(NEW_NETWORK, {"a": member(0.01)}, after(1))
    assert outcome.state.standings == {"a": Standing(CHALLENGE, FIRST_ORDER_MS)}
    (event,) = outcome.events
    assert (event.kind, event.time_ms, event.to_bucket) == (EventKind.ENTERED, after(1), CHALLENGE)
    assert event.from_bucket is None
    assert event.figures == {"first_order_ms": FIRST_ORDER_MS}


def test_before_the_first_order_time_counts_from_the_first_evaluation_and_is_corrected():
    waiting = member(first_order_ms=None, positions=())
    first = evaluated(NEW_NETWORK, {"a": waiting}, after(-2))
    second = evaluated(first.state, {"a": waiting}, after(-1))
    for outcome in (first, second):
        assert outcome.state.standings == {"a": Standing(CHALLENGE, after(-2))}
        assert not outcome.events
    third = evaluated(second.state, {"a": member(0.01)}, after(1))
    assert third.state.standings == {"a": Standing(CHALLENGE, FIRST_ORDER_MS)}
    assert kinds(third) == [("a", EventKind.ENTERED)]
    assert evaluated(third.state, {"a": member(0.01, 0.01)}, after(2)).events == ()


def test_time_begins_with_the_first_order():
    waiting = {"a": member(first_order_ms=None, positions=())}
    state = evaluated(NEW_NETWORK, waiting, BEGIN_MS).state
    late = evaluated(state, waiting, after(90) + 1)
    assert not late.eliminations
    first_ms = after(91)
    begun = {"a": member(first_order_ms=first_ms, positions=())}
    entered = evaluated(late.state, begun, after(92)).state
    assert entered.standings["a"].since_ms == first_ms
    assert not evaluated(entered, begun, after(91 + 90)).eliminations
    assert reasons(evaluated(entered, begun, after(91 + 90) + 1)) == {"a": TIME}


# time


@pytest.mark.parametrize(("bucket", "days"), [(CHALLENGE, 90), (PROBATION, 60)])
def test_time_runs_out_one_millisecond_after_the_end(bucket, days):
    members = {"a": member(0.01, first_order_ms=BEGIN_MS)}
    state = standing_in(bucket, ["a"])
    in_time = evaluated(state, members, after(days))
    assert buckets(in_time) == {"a": bucket}
    late = evaluated(state, members, after(days) + 1)
    assert late.state.standings == {}
    (left,) = late.eliminations
    assert (left.reason, left.time_ms, left.drawdown_percent, left.bucket) == (
        TIME,
        after(days) + 1,
        -1,
        bucket,
    )
    assert left.breach is None
    assert late.events[0].figures == {"since_ms": BEGIN_MS, "ended_ms": after(days)}


@pytest.mark.parametrize("bucket", [CHALLENGE, PROBATION])
def test_no_period_ends_before_the_grace_date(bucket):
    grace_ms = parse_time("2025-10-02")
    since_ms = parse_time("2025-03-01")
    state = standing_in(bucket, ["a"], since_ms)
    members = {"a": member(0.01, first_order_ms=since_ms)}
    assert not evaluated(state, members, grace_ms).eliminations
    assert reasons(evaluated(state, members, grace_ms + 1)) == {"a": TIME}


def test_time_is_looked_at_before_drawdown():
    outcome = evaluated(standing_in(PROBATION, ["a"]), {"a": steady(1, mdd=0.5)}, after(60) + 1)
    assert reasons(outcome) == {"a": TIME}


# drawdown in CHALLENGE and PROBATION


@pytest.mark.parametrize("bucket", [CHALLENGE, PROBATION])
@pytest.mark.parametrize(
    ("mdd", "percent"), [(0.9, None), (0.8999999999999999, 10.0), (0.87654, 12.35), (0.1, 90.0)]
)
def test_a_drawdown_of_the_limit_eliminates(bucket, mdd, percent):
    """A fall to exactly 0.9 is 9.999999999999998 % in floating point: not beyond (quirk 27)."""
    members = {"a": member(0.01, mdd=mdd, first_order_ms=BEGIN_MS)}
    outcome = evaluated(standing_in(bucket, ["a"]), members, after(1))
    if percent is None:
        assert not outcome.eliminations
        return
    (left,) = outcome.eliminations
    assert (left.reason, left.drawdown_percent, left.bucket) == (DRAWDOWN, percent, bucket)
    assert outcome.events[0].figures == {"drawdown_percent": percent, "limit_percent": 10.0}


@pytest.mark.parametrize(
    ("positions", "fails"),
    [((), False), ((closed_position(MINUTE_MS - 1),), False), (A_MINUTE, True)],
)
def test_a_drawdown_needs_a_closed_position_of_a_minute(positions, fails):
    """Quirk 33."""
    members = {"a": member(0.01, mdd=0.5, positions=positions, first_order_ms=BEGIN_MS)}
    outcome = evaluated(standing_in(CHALLENGE, ["a"]), members, after(1))
    assert bool(outcome.eliminations) is fails


def test_who_fails_is_not_scored():
    members = {"fails": steady(5, mdd=0.8), "rises": steady(1), "holds": steady(2)}
    state = network(
        {
            "fails": Standing(PROBATION, BEGIN_MS),
            "rises": Standing(PROBATION, BEGIN_MS),
            "holds": Standing(MAINCOMP, BEGIN_MS),
        }
    )
    outcome = evaluated(state, members, after(30))
    assert reasons(outcome) == {"fails": DRAWDOWN}
    assert outcome.competition is not None
    assert set(outcome.competition.hotkeys) == {"rises", "holds"}


# candidates


@pytest.mark.parametrize(("days", "bucket"), [(60, CHALLENGE), (61, MAINCOMP)])
def test_a_candidate_has_61_full_days(days, bucket):
    outcome = evaluated(NEW_NETWORK, {"a": steady(0.1, days=days)}, after(70))
    assert buckets(outcome) == {"a": bucket}


@pytest.mark.parametrize("positions", [(), (closed_position(MINUTE_MS - 1),)])
def test_a_candidate_has_a_closed_position_of_a_minute(positions):
    trader = member(*[0.001] * DAYS, positions=positions)
    assert buckets(evaluated(NEW_NETWORK, {"a": trader})) == {"a": CHALLENGE}


def test_promotion_is_told_with_its_rank():
    outcome = evaluated(NEW_NETWORK, {"best": steady(0.2), "last": steady(0.1)})
    assert outcome.state.standings == {
        "best": Standing(MAINCOMP, T_MS),
        "last": Standing(CHALLENGE, FIRST_ORDER_MS),  # last in every metric: never in
    }
    promoted = outcome.events[-1]
    assert (promoted.kind, promoted.from_bucket, promoted.to_bucket, promoted.reason) == (
        EventKind.PROMOTED,
        CHALLENGE,
        MAINCOMP,
        "rank",
    )
    figures = dict(promoted.figures)
    # sharpe, omega and pnl tell them apart, one of two is below: (0.02 + 0.02 + 0.90) / 2; without
    # a losing day sortino, calmar and the t statistic are equal. No risk: 1 / (1 + e^-4.8)
    assert figures.pop("score") == pytest.approx(0.94 / 2 / (1 + math.exp(-4.8)), rel=1e-9)
    assert figures == {
        "asset_class": "crypto",
        "rank": 1,
        "threshold_score": 0.0,
        "scored_traders": 2,
    }


# ranks


def ladder(n: int) -> dict[str, Member]:
    """n traders, the first the best, each better than the next in what tells them apart."""
    return {f"rank {i + 1}": steady(0.02 * (n - i)) for i in range(n)}


def test_a_class_has_25_ranks():
    members = ladder(27)
    state = network(
        {
            h: Standing(PROBATION if h in ("rank 1", "rank 2") else MAINCOMP, BEGIN_MS)
            for h in members
        }
    )
    outcome = evaluated(state, members, after(30))
    assert {h for h, b in buckets(outcome).items() if b is MAINCOMP} == {
        f"rank {i}" for i in range(1, 26)
    }
    promoted = [e.miner_hotkey for e in outcome.events if e.kind is EventKind.PROMOTED]
    demoted = [e.miner_hotkey for e in outcome.events if e.kind is EventKind.DEMOTED]
    assert promoted == ["rank 1", "rank 2"]
    assert demoted == ["rank 26", "rank 27"]
    assert outcome.state.standings["rank 26"] == Standing(PROBATION, after(30))
    assert outcome.state.standings["rank 3"] == Standing(MAINCOMP, BEGIN_MS)
    by_trader = {event.miner_hotkey: event for event in outcome.events}
    out, last = by_trader["rank 26"].figures, by_trader["rank 27"].figures
    assert (out["rank"], last["rank"], last["score"]) == (26, 27, 0.0)
    # 25 of 27 are better, and one is worse
    assert out["score"] == pytest.approx(0.94 / 27 / (1 + math.exp(-4.8)), rel=1e-9)
    assert out["threshold_score"] == pytest.approx(0.94 * 2 / 27 / (1 + math.exp(-4.8)), rel=1e-9)


def test_equal_scores_share_the_last_rank():
    members = {**ladder(28), "rank 25": steady(0.06), "rank 26": steady(0.06)}
    outcome = evaluated(NEW_NETWORK, members)
    in_it = {hotkey for hotkey, bucket in buckets(outcome).items() if bucket is MAINCOMP}
    assert in_it == {f"rank {i}" for i in range(1, 27)}
    ranks = {e.miner_hotkey: e.figures["rank"] for e in outcome.events if "rank" in e.figures}
    assert (ranks["rank 24"], ranks["rank 25"], ranks["rank 26"]) == (24, 25, 25)


def test_with_fewer_traders_only_the_last_in_everything_is_out():
    outcome = evaluated(standing_in(PROBATION, list(ladder(6))), ladder(6), after(30))
    assert [h for h, bucket in buckets(outcome).items() if bucket is PROBATION] == ["rank 6"]


def test_one_class_is_enough():
    members = {
        "coins": steady(0.1),
        "euro": steady(0.1, pair="EURUSD"),
        "stocks": steady(0.1, pair="SPX"),  # of no class that is scored
    }
    state = standing_in(PROBATION, list(members))
    outcome = evaluated(state, members, after(30))
    assert buckets(outcome) == {"coins": MAINCOMP, "euro": MAINCOMP, "stocks": PROBATION}
    classes = {e.miner_hotkey: e.figures["asset_class"] for e in outcome.events}
    assert classes == {"coins": "crypto", "euro": "forex"}


def test_who_cannot_be_scored_is_demoted():
    members = {"silent": member(), "best": steady(1), "new": member(0.01)}
    outcome = evaluated(standing_in(MAINCOMP, ["silent", "best"]), members)
    assert buckets(outcome) == {"silent": PROBATION, "best": MAINCOMP, "new": CHALLENGE}
    (demoted,) = [e for e in outcome.events if e.kind is EventKind.DEMOTED]
    assert (demoted.miner_hotkey, demoted.reason, demoted.figures) == ("silent", "not scored", {})


def test_nobody_is_demoted_where_nobody_is_inspected():
    members = ladder(3)
    outcome = evaluated(standing_in(MAINCOMP, list(members)), members, after(30))
    assert outcome.competition is None
    assert not outcome.events
    # a newcomer, or one in PROBATION, is enough
    outcome = evaluated(
        standing_in(MAINCOMP, list(members)), {**members, "new": member(0.01)}, after(30)
    )
    assert buckets(outcome) == {
        "rank 1": MAINCOMP,
        "rank 2": MAINCOMP,
        "rank 3": PROBATION,
        "new": CHALLENGE,
    }


def test_the_days_of_a_trader_that_is_no_candidate_still_decide_how_many_are_asked():
    short = {f"{i}": steady(0.01 * i, days=20) for i in range(1, 20)}
    many = {**short, "in probation": steady(0.1, days=20)}
    state = network(
        {h: Standing(PROBATION if h == "in probation" else MAINCOMP, BEGIN_MS) for h in many}
    )
    competition = evaluated(state, many, after(21)).competition
    assert competition is not None
    assert "in probation" not in competition.hotkeys
    assert competition.min_days[TradePairCategory.CRYPTO] == 20
    everybody_new = evaluated(NEW_NETWORK, many, after(21)).competition
    assert everybody_new is not None
    assert everybody_new.min_days[TradePairCategory.CRYPTO] == 60


# drawdown in MAINCOMP


def test_a_fallen_maincomp_trader_leaves_where_nobody_is_inspected():
    members = {"fallen": steady(1, mdd=0.8766), "last": steady(0.1)}
    outcome = evaluated(standing_in(MAINCOMP, list(members)), members, after(30))
    (left,) = outcome.eliminations
    assert (left.miner_hotkey, left.reason, left.drawdown_percent, left.bucket) == (
        "fallen",
        MAX_DRAWDOWN,
        12.34,
        MAINCOMP,
    )
    assert buckets(outcome) == {"last": MAINCOMP}


def test_it_is_demoted_first_where_somebody_is_and_fails_the_day_after():
    members = {"fallen": steady(1, mdd=0.8766), "holds": steady(0.1), "new": member(0.01)}
    first = evaluated(standing_in(MAINCOMP, ["fallen", "holds"]), members)
    assert not first.eliminations
    assert first.state.standings["fallen"] == Standing(PROBATION, T_MS)
    second = evaluated(first.state, members, T_MS + DAY_MS)
    (left,) = second.eliminations
    assert (left.miner_hotkey, left.reason, left.bucket) == ("fallen", DRAWDOWN, PROBATION)


def test_a_drawdown_of_exactly_a_tenth_keeps_its_place():
    members = {"at the limit": steady(1, mdd=0.9), "new": member(0.01)}
    outcome = evaluated(standing_in(MAINCOMP, ["at the limit"]), members)
    assert buckets(outcome) == {"at the limit": MAINCOMP, "new": CHALLENGE}


# liquidation


@pytest.mark.parametrize("bucket", [CHALLENGE, MAINCOMP, PROBATION, PLAGIARISM])
def test_a_liquidation_is_stamped_at_its_tick_and_comes_before_all_else(bucket):
    """The trader would also run out of time, fail by its drawdown, be demoted, be overdue."""
    lost = replace(steady(1, mdd=0.2), liquidation=LOST, first_order_ms=BEGIN_MS - 200 * DAY_MS)
    standing = Standing(bucket, BEGIN_MS - 200 * DAY_MS, (CHALLENGE, 0), flagged_ms=0)
    state = network({"lost": standing, "holds": Standing(MAINCOMP, BEGIN_MS)})
    outcome = evaluated(state, {"lost": lost, "holds": steady(1), "new": member(0.01)})
    (left,) = outcome.eliminations
    assert (left.miner_hotkey, left.reason, left.time_ms) == ("lost", LIQUIDATED, TICK_MS)
    assert (left.drawdown_percent, left.bucket, left.breach) == (0.0, bucket, LOST)
    mine = [event for event in outcome.events if event.miner_hotkey == "lost"]
    assert [event.kind for event in mine] == [EventKind.ELIMINATED, EventKind.COLLATERAL_SLASHED]
    assert {event.time_ms for event in mine} == {TICK_MS}
    assert mine[0].figures == {"tick_ms": TICK_MS, "peak": 1.25}


def test_eliminations_of_one_evaluation_are_in_time_order():
    late = replace(LOST, time_ms=TICK_MS + 1)
    members = {
        "time": member(0.01, first_order_ms=BEGIN_MS - 200 * DAY_MS),
        "late": replace(steady(1), liquidation=late),
        "early": replace(steady(1), liquidation=LOST),
    }
    outcome = evaluated(NEW_NETWORK, members)
    assert [one.miner_hotkey for one in outcome.eliminations] == ["early", "late", "time"]


# leaving


@pytest.mark.parametrize("days", [20, 40])
def test_scores_are_those_of_a_network_without_who_leaves_to_the_last_bit(days):
    rng = np.random.default_rng(8)
    stay = {f"stays {i}": member(*rng.normal(0, 0.01, 30)) for i in range(20)}
    leaves = member(*rng.normal(0, 0.01, days), liquidation=LOST)
    # somebody is under inspection, so that all are ranked before the one leaves
    state = standing_in(CHALLENGE, [*stay, "leaves"])
    with_it = evaluated(state, {**stay, "leaves": leaves}, run_scoring=True)
    without = evaluated(standing_in(CHALLENGE, [*stay]), stay, run_scoring=True)
    assert reasons(with_it) == {"leaves": LIQUIDATED}
    assert with_it.scores
    assert without.scores
    assert with_it.scores.hotkeys == without.scores.hotkeys
    for category, table in without.scores.classes.items():
        found = with_it.scores.classes[category]
        assert found.score.tobytes() == table.score.tobytes()
        for name, values in table.metrics.items():
            assert found.metrics[name].tobytes() == values.tobytes()


def test_who_left_never_comes_back():
    members = {"a": member(0.01, mdd=0.5)}
    gone = evaluated(NEW_NETWORK, members, after(1)).state
    assert list(gone.eliminations) == ["a"]
    again = evaluated(gone, members, after(2))
    assert (again.state.standings, again.events, again.eliminations) == ({}, (), ())
    assert again.state.eliminations == gone.eliminations


@pytest.mark.parametrize(
    ("state", "trader", "reason", "fraction"),
    [
        (standing_in(CHALLENGE, ["a"]), member(0.01), TIME, 0.1),
        (standing_in(PROBATION, ["a"]), member(0.01, mdd=0.5), TIME, 0.1),
        (standing_in(PROBATION, ["a"], after(90)), member(0.01, mdd=0.5), DRAWDOWN, 0.1),
        (standing_in(MAINCOMP, ["a"]), member(0.01, mdd=0.5), MAX_DRAWDOWN, 0.5),
        (standing_in(MAINCOMP, ["a"]), member(0.01, liquidation=LOST), LIQUIDATED, 0.5),
    ],
)
@pytest.mark.parametrize("theta", [400.0, None])
def test_collateral_is_slashed(state, trader, reason, fraction, theta):
    members = {"a": replace(trader, collateral_theta=theta)}
    outcome = evaluated(state, members, after(91))
    slashed = outcome.events[-1]
    assert (slashed.kind, slashed.reason) == (EventKind.COLLATERAL_SLASHED, reason)
    assert slashed.figures == {
        "fraction": fraction,
        "collateral_theta": theta,
        "slashed_theta": None if theta is None else 400 * fraction,
    }


# eliminations off


def test_without_eliminations_a_failure_is_marked_once_and_nobody_leaves():
    members = {"a": member(0.01, mdd=0.5, first_order_ms=BEGIN_MS), "b": steady(0.1)}
    state = network({"a": Standing(CHALLENGE, BEGIN_MS), "b": Standing(MAINCOMP, BEGIN_MS)})
    first = evaluated(state, members, after(1), run_elimination=False)
    assert not first.eliminations
    assert first.state.standings["a"] == Standing(CHALLENGE, BEGIN_MS, failed=DRAWDOWN)
    assert kinds(first) == [("a", EventKind.FAILED)]
    assert (first.events[0].reason, first.events[0].to_bucket) == (DRAWDOWN, CHALLENGE)
    second = evaluated(first.state, members, after(91), run_elimination=False)
    assert not second.events
    assert second.state.standings["a"].failed is DRAWDOWN


def test_the_mark_stays_through_a_demotion():
    """It would have left as MAX_TOTAL_DRAWDOWN; what happens later would not have happened."""
    members = {"fallen": steady(1, mdd=0.8), "holds": steady(0.1)}
    state = standing_in(MAINCOMP, list(members))
    first = evaluated(state, members, run_elimination=False)
    assert kinds(first) == [("fallen", EventKind.FAILED)]
    members["new"] = member(0.01)
    second = evaluated(first.state, members, T_MS + DAY_MS, run_elimination=False)
    third = evaluated(second.state, members, T_MS + 2 * DAY_MS, run_elimination=False)
    assert second.state.standings["fallen"] == Standing(
        PROBATION, T_MS + DAY_MS, failed=MAX_DRAWDOWN
    )
    assert not third.events
    marks = [e for one in (first, second, third) for e in one.events if e.kind is EventKind.FAILED]
    assert len(marks) == 1


# challenge off


def test_without_challenge_rules_everybody_competes_from_its_first_order_on():
    """Whatever its days, its time and its rank; rule 6."""
    members = {"a": member(0.01), "waits": member(first_order_ms=None), **ladder(30)}
    first = evaluated(NEW_NETWORK, members, after(1), run_challenge=False)
    assert "waits" not in first.state.standings
    assert set(first.state.standings.values()) == {Standing(MAINCOMP, after(1))}
    assert first.competition is None
    members["waits"] = member(0.01)
    second = evaluated(first.state, members, after(400), run_challenge=False)
    waits = {"waits": Standing(MAINCOMP, after(400))}
    assert second.state.standings == {**first.state.standings, **waits}
    assert kinds(second) == [("waits", EventKind.ENTERED)]


def test_without_challenge_rules_a_drawdown_needs_no_closed_position():
    members = {"fallen": member(0.01, mdd=0.89, positions=()), "lost": member(liquidation=LOST)}
    outcome = evaluated(NEW_NETWORK, members, run_challenge=False)
    assert reasons(outcome) == {"lost": LIQUIDATED, "fallen": MAX_DRAWDOWN}
    off = evaluated(NEW_NETWORK, members, run_challenge=False, run_elimination=False)
    assert set(kinds(off)) == {("fallen", EventKind.ENTERED), ("lost", EventKind.ENTERED)}


# rules of one's own


def test_every_length_and_limit_is_the_rulebook_s():
    mine = with_rules(
        DEFAULT_RULEBOOK,
        [
            "challenge.challenge_days=5",
            "challenge.full_days=2",
            "challenge.ranks=1",
            "challenge.position_seconds=120",
            "eliminations.drawdown_limit=25",
        ],
    )
    long = (closed_position(2 * MINUTE_MS),)
    members = {
        "best": member(0.03, 0.03, positions=long),
        "second": member(0.02, 0.02, positions=long),
        "third": member(0.01, 0.01, positions=long),
        "short": member(0.01, 0.01, mdd=0.5),
        "fallen": member(0.01, mdd=0.74, positions=long),
        "late": member(first_order_ms=after(-4) - 1),
    }
    outcome = made_members.evaluated(NEW_NETWORK, members, after(1), mine)
    assert reasons(outcome) == {"fallen": DRAWDOWN, "late": TIME}
    assert [h for h, bucket in buckets(outcome).items() if bucket is MAINCOMP] == ["best"]


# state


def test_a_state_survives_json():
    members = {
        "lost": member(0.01, liquidation=LOST),
        "late": member(first_order_ms=BEGIN_MS - 200 * DAY_MS),
        "best": steady(1),
        "last": steady(0.1),
    }
    found = evaluated(NEW_NETWORK, members).state
    copies = {"copies": Standing(PLAGIARISM, T_MS, (PROBATION, BEGIN_MS), 5, TIME)}
    state = replace(found, standings={**found.standings, **copies})
    assert len(state.eliminations) == 2
    stored = json.loads(json.dumps(state.to_dict()))
    assert NetworkState.from_dict(stored) == state
    assert NetworkState.from_dict(json.loads(json.dumps(NEW_NETWORK.to_dict()))) == NEW_NETWORK


def test_a_state_that_was_handed_in_is_left_as_it_was():
    state = standing_in(MAINCOMP, ["fallen"])
    before = json.dumps(state.to_dict())
    evaluated(state, {"fallen": steady(1, mdd=0.5), "new": member(0.01)}, run_scoring=True)
    assert json.dumps(state.to_dict()) == before
