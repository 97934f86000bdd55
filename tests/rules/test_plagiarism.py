"""Plagiarists: into PLAGIARISM by a recorded event, out of it in time, or out of the network."""

from typing import Any

import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.evaluation import Evaluation
from ptn_backtest.rules.events import EliminationReason, EventKind
from ptn_backtest.rules.standing import NEW_NETWORK, NetworkState, Standing
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.rules import made_members
from tests.rules.made_members import BEGIN_MS, DAYS, after, member, network, standing_in, steady

T_MS = after(DAYS)
FLAGGED_MS = T_MS - 5 * HOUR_MS
FLAGGED = PlagiarismEvent("copies", FLAGGED_MS, flagged=True)
MEMBERS = {"copies": steady(1, mdd=0.5), "holds": steady(0.1)}


def evaluated(
    state: NetworkState, t_ms: int, *events: PlagiarismEvent, **switches: Any
) -> Evaluation:
    return made_members.evaluated(state, MEMBERS, t_ms, plagiarism=events, **switches)


def flagged(bucket: Bucket = Bucket.MAINCOMP, since_ms: int = BEGIN_MS) -> Evaluation:
    both = {"copies": Standing(bucket, since_ms), "holds": Standing(Bucket.MAINCOMP, BEGIN_MS)}
    return evaluated(network(both), T_MS, FLAGGED)


def cleared_at(t_ms: int) -> PlagiarismEvent:
    return PlagiarismEvent("copies", t_ms, flagged=False)


@pytest.mark.parametrize("bucket", [Bucket.MAINCOMP, Bucket.PROBATION])
def test_a_flagged_trader_stands_aside_with_what_it_was(bucket):
    """Neither inspected (its drawdown is 50 %) nor scored; bucket and its start are kept."""
    outcome = flagged(bucket)
    assert outcome.state.standings["copies"] == Standing(
        Bucket.PLAGIARISM, T_MS, (bucket, BEGIN_MS), FLAGGED_MS
    )
    assert not outcome.eliminations
    (event,) = outcome.events
    assert (event.kind, event.from_bucket, event.to_bucket, event.time_ms) == (
        EventKind.PLAGIARISM_FLAGGED,
        bucket,
        Bucket.PLAGIARISM,
        T_MS,
    )
    assert event.figures == {"event_ms": FLAGGED_MS}


def test_nobody_is_scored_with_a_plagiarist():
    new = {**MEMBERS, "new": member(0.01)}
    outcome = made_members.evaluated(flagged().state, new, T_MS + DAY_MS)
    assert outcome.competition is not None
    assert outcome.competition.hotkeys == ("holds",)


def test_a_cleared_trader_stands_where_it_stood():
    state = flagged().state
    back_ms = T_MS + 3 * DAY_MS
    outcome = evaluated(state, back_ms, cleared_at(back_ms - 1), run_elimination=False)
    assert outcome.state.standings["copies"].bucket is Bucket.MAINCOMP
    assert outcome.state.standings["copies"].since_ms == BEGIN_MS
    event = outcome.events[0]
    assert (event.kind, event.to_bucket) == (EventKind.PLAGIARISM_CLEARED, Bucket.MAINCOMP)
    # and is judged as such at once: without eliminations on, that is a mark
    assert outcome.events[1].reason == EliminationReason.MAX_TOTAL_DRAWDOWN


@pytest.mark.parametrize(("over_ms", "leaves"), [(0, False), (1, True)])
def test_14_days_are_given_from_the_event_on(over_ms, leaves):
    """Exactly 14 days are in time; time in the bucket before does not count."""
    state = flagged(Bucket.PROBATION, BEGIN_MS).state
    t_ms = FLAGGED_MS + 14 * DAY_MS + over_ms
    outcome = evaluated(state, t_ms)
    assert bool(outcome.eliminations) is leaves
    if not leaves:
        assert outcome.state.standings["copies"] == state.standings["copies"]
        return
    (left,) = outcome.eliminations
    assert (left.reason, left.time_ms, left.drawdown_percent, left.bucket) == (
        EliminationReason.PLAGIARISM,
        t_ms,
        -1,
        Bucket.PLAGIARISM,
    )
    # nothing is slashed
    assert [event.kind for event in outcome.events] == [EventKind.ELIMINATED]


def test_cleared_in_the_last_moment_is_cleared():
    state = flagged().state
    t_ms = FLAGGED_MS + 20 * DAY_MS
    outcome = evaluated(state, t_ms, cleared_at(t_ms), run_elimination=False)
    assert outcome.state.standings["copies"].bucket is Bucket.MAINCOMP


def test_of_several_events_the_last_counts():
    state = standing_in(Bucket.PROBATION, ["copies", "holds"], after(30))
    outcome = evaluated(state, T_MS, FLAGGED, cleared_at(FLAGGED_MS + 1), run_elimination=False)
    assert not [e for e in outcome.events if e.kind is EventKind.PLAGIARISM_FLAGGED]
    again = PlagiarismEvent("copies", FLAGGED_MS + 2, flagged=True)
    outcome = evaluated(state, T_MS, FLAGGED, cleared_at(FLAGGED_MS + 1), again)
    assert outcome.state.standings["copies"].flagged_ms == FLAGGED_MS + 2


def test_being_flagged_twice_or_cleared_without_a_flag_changes_nothing():
    state = flagged().state
    again = PlagiarismEvent("copies", T_MS + 1, flagged=True)
    outcome = evaluated(state, T_MS + DAY_MS, again)
    assert (outcome.state.standings, outcome.events) == (state.standings, ())
    free = standing_in(Bucket.MAINCOMP, ["holds"])
    cleared = PlagiarismEvent("holds", FLAGGED_MS, flagged=False)
    only = {"holds": steady(1)}
    after_it = made_members.evaluated(free, only, T_MS, plagiarism=[cleared])
    assert (after_it.state.standings, after_it.events) == (free.standings, ())


def test_an_event_of_a_trader_that_nobody_knows_is_ignored():
    stranger = PlagiarismEvent("stranger", FLAGGED_MS, flagged=True)
    outcome = evaluated(NEW_NETWORK, T_MS, stranger, run_elimination=False)
    assert set(outcome.state.standings) == set(MEMBERS)


def test_without_challenge_rules_there_is_no_plagiarism():
    outcome = evaluated(NEW_NETWORK, T_MS, FLAGGED, run_challenge=False, run_elimination=False)
    assert {one.bucket for one in outcome.state.standings.values()} == {Bucket.MAINCOMP}
