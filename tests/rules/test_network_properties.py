"""What holds for every network, whatever its traders do."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.evaluation import Evaluation
from ptn_backtest.rules.events import EliminationReason, Event, EventKind
from ptn_backtest.rules.standing import NEW_NETWORK, NetworkState
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.rules.made_members import BEGIN_MS
from tests.rules.networks import LIVES, N_DAYS, RULES, SWITCHES, Life, Town, towns

TIME = EliminationReason.FAILED_CHALLENGE_PERIOD_TIME
_EXAMPLES = settings(max_examples=150, deadline=None)


def with_limit(percent: float) -> Rulebook:
    return replace(RULES, eliminations=replace(RULES.eliminations, drawdown_limit=percent))


def with_challenge_days(days: int) -> Rulebook:
    return replace(RULES, challenge=replace(RULES.challenge, challenge_days=days))


def ends(outcomes: list[Evaluation]) -> dict[str, tuple[int, str]]:
    """{hotkey: (time, reason)} of everybody who left."""
    return {
        one.miner_hotkey: (one.time_ms, one.reason)
        for each in outcomes
        for one in each.eliminations
    }


def told(outcomes: list[Evaluation], hotkey: str) -> tuple[list[Event], list[Any]]:
    """All that is said of one trader."""
    events = [e for each in outcomes for e in each.events if e.miner_hotkey == hotkey]
    return events, [each.state.standings.get(hotkey) for each in outcomes]


@_EXAMPLES
@given(towns(), SWITCHES)
def test_storing_and_continuing_changes_nothing(town: Town, switches: Mapping[str, Any]) -> None:
    state = NEW_NETWORK
    for day, through in enumerate(town.run(**switches), start=1):
        stored = json.dumps(state.to_dict())
        outcome = town.step(NetworkState.from_dict(json.loads(stored)), day, **switches)
        assert outcome.state == through.state
        assert outcome.events == through.events
        state = outcome.state


@_EXAMPLES
@given(towns(), SWITCHES, st.randoms(use_true_random=False))
def test_names_and_their_order_change_nothing(
    town: Town, switches: Mapping[str, Any], random: Any
) -> None:
    shuffled = list(town.lives)
    random.shuffle(shuffled)
    other = Town(
        {f"{hotkey} renamed": town.lives[hotkey] for hotkey in shuffled},
        [replace(e, miner_hotkey=f"{e.miner_hotkey} renamed") for e in town.plagiarism],
    )
    first, second = town.run(**switches), other.run(**switches)
    for hotkey in town.lives:
        events, standings = told(first, hotkey)
        renamed = [replace(event, miner_hotkey=f"{hotkey} renamed") for event in events]
        assert told(second, f"{hotkey} renamed") == (renamed, standings)


@_EXAMPLES
@given(towns(), SWITCHES)
def test_everybody_stands_somewhere_or_has_left_for_good(
    town: Town, switches: Mapping[str, Any]
) -> None:
    left: set[str] = set()
    for day, outcome in enumerate(town.run(**switches), start=1):
        standing, gone = set(outcome.state.standings), set(outcome.state.eliminations)
        known = {h for h, one in town.members(day).items() if one.first_order_ms is not None}
        assert not standing & gone
        assert left <= gone
        assert known <= standing | gone <= set(town.lives)
        assert {one.miner_hotkey for one in outcome.eliminations} == gone - left
        left = gone


@_EXAMPLES
@given(towns(), SWITCHES)
def test_events_lead_from_bucket_to_bucket(town: Town, switches: Mapping[str, Any]) -> None:
    """Whoever reads the events alone knows every standing."""
    at: dict[str, Bucket | None] = {}
    for outcome in town.run(**switches):
        for event in outcome.events:
            if event.kind is EventKind.COLLATERAL_SLASHED:
                continue
            # who has not traded yet waits in CHALLENGE without an event, and may be flagged there
            before = at.get(event.miner_hotkey, Bucket.CHALLENGE)
            assert event.from_bucket == (None if event.kind is EventKind.ENTERED else before)
            at[event.miner_hotkey] = event.to_bucket
        told_of = {h: bucket for h, bucket in at.items() if bucket}
        stand = {h: one.bucket for h, one in outcome.state.standings.items()}
        waiting = {h: bucket for h, bucket in stand.items() if h not in at}
        assert told_of | waiting == stand
        assert set(waiting.values()) <= {Bucket.CHALLENGE}


@_EXAMPLES
@given(towns())
def test_nobody_leaves_and_everybody_is_marked_once_without_eliminations(town: Town) -> None:
    outcomes = town.run(run_elimination=False)
    marks = [e.miner_hotkey for each in outcomes for e in each.events if e.kind is EventKind.FAILED]
    assert not ends(outcomes)
    assert len(marks) == len(set(marks))
    failed = {h for h, one in outcomes[-1].state.standings.items() if one.failed}
    assert failed == set(marks)


@_EXAMPLES
@given(towns())
def test_who_leaves_first_is_marked_first_without_eliminations(town: Town) -> None:
    """Until somebody leaves, both replays are the same."""
    for on, off in zip(town.run(), town.run(run_elimination=False), strict=True):
        leaving = {one.miner_hotkey: one.reason for one in on.eliminations}
        marked = {e.miner_hotkey: e.reason for e in off.events if e.kind is EventKind.FAILED}
        assert leaving == marked
        if leaving:
            break


# drawdown limits


@_EXAMPLES
@given(towns(), st.sampled_from([(5.0, 6.0), (7.0, 10.0), (10.0, 90.0)]))
def test_without_ranks_a_looser_limit_eliminates_nobody_more_or_earlier(
    town: Town, limits: tuple[float, float]
) -> None:
    tight, loose = (ends(town.run(with_limit(limit), run_challenge=False)) for limit in limits)
    assert set(loose) <= set(tight)
    for hotkey, (time_ms, _) in loose.items():
        assert time_ms >= tight[hotkey][0]


@_EXAMPLES
@given(towns(), st.sampled_from([(5.0, 6.0), (7.0, 10.0), (10.0, 90.0)]))
def test_with_ranks_it_eliminates_nobody_more_at_any_one_evaluation(
    town: Town, limits: tuple[float, float]
) -> None:
    """Over time it may: who stays takes a rank from another, who then runs out of time."""
    tight, loose = map(with_limit, limits)
    for rules in (tight, loose):
        state = NEW_NETWORK
        for day in range(1, N_DAYS + 1):
            both = [town.step(state, day, one) for one in (tight, loose)]
            strict, mild = (set(ends([outcome])) for outcome in both)
            assert mild <= strict
            state = town.step(state, day, rules).state


@_EXAMPLES
@given(LIVES, st.sampled_from([(5.0, 6.0), (7.0, 10.0), (10.0, 90.0)]))
def test_a_trader_without_rivals_never_leaves_earlier_by_a_looser_limit(
    life: Life, limits: tuple[float, float]
) -> None:
    alone = Town({"alone": life})
    tight, loose = (ends(alone.run(with_limit(limit))) for limit in limits)
    if loose:
        assert tight["alone"][0] <= loose["alone"][0]


# other traders


@_EXAMPLES
@given(towns(min_size=2), st.booleans(), st.data())
def test_without_ranks_traders_do_not_touch_each_other(
    town: Town, run_elimination: bool, data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(sorted(town.lives)))
    alone = Town({chosen: town.lives[chosen]})
    switches: dict[str, Any] = {"run_challenge": False, "run_elimination": run_elimination}
    assert told(town.run(**switches), chosen) == told(alone.run(**switches), chosen)


@_EXAMPLES
@given(towns(min_size=2), st.data())
def test_with_ranks_they_do_so_by_ranks_only(town: Town, data: st.DataObject) -> None:
    """In one evaluation, who fails in CHALLENGE or PROBATION fails without the others too."""
    outcomes = town.run()
    states = [NEW_NETWORK, *(outcome.state for outcome in outcomes)]
    day = data.draw(st.integers(1, N_DAYS))
    inspected = (Bucket.CHALLENGE, Bucket.PROBATION)
    for hotkey in [h for h, one in states[day - 1].standings.items() if one.bucket in inspected]:
        own = {hotkey: states[day - 1].standings[hotkey]}
        alone = Town({hotkey: town.lives[hotkey]}, _of(town, hotkey))
        found = alone.step(replace(states[day - 1], standings=own), day)
        assert ends([found]) == {h: e for h, e in ends([outcomes[day - 1]]).items() if h == hotkey}


def _of(town: Town, hotkey: str) -> list[PlagiarismEvent]:
    return [event for event in town.plagiarism if event.miner_hotkey == hotkey]


# time


@_EXAMPLES
@given(towns(), st.sampled_from([2, 4, 6]))
def test_nobody_fails_by_time_within_it_or_stays_beyond(town: Town, days: int) -> None:
    rules = with_challenge_days(days)
    lengths = {
        Bucket.CHALLENGE: rules.challenge.challenge_ms,
        Bucket.PROBATION: rules.challenge.probation_ms,
    }
    before = NEW_NETWORK
    begun: set[str] = set()
    for outcome in town.run(rules):
        t_ms = outcome.state.time_ms
        assert t_ms is not None
        for event in outcome.events:
            begun |= {event.miner_hotkey} if event.kind is EventKind.ENTERED else set()
            if event.kind is EventKind.ELIMINATED and event.reason == TIME:
                since_ms = event.figures["since_ms"]
                assert isinstance(since_ms, int)
                assert event.from_bucket is not None
                assert t_ms > since_ms + lengths[event.from_bucket]
        for hotkey, one in outcome.state.standings.items():
            if one.bucket in lengths and hotkey in before.standings and hotkey in begun:
                was = before.standings[hotkey]
                waited = was.bucket is Bucket.PLAGIARISM  # its time goes on, and is looked at next
                assert waited or t_ms <= one.since_ms + lengths[one.bucket]
        before = outcome.state


@_EXAMPLES
@given(towns(), st.sampled_from([(2, 3), (3, 5), (4, 9)]))
def test_a_longer_challenge_fails_nobody_more_by_time_at_any_one_evaluation(
    town: Town, lengths: tuple[int, int]
) -> None:
    short, long = map(with_challenge_days, lengths)
    state = NEW_NETWORK
    for day in range(1, N_DAYS + 1):
        failed = [
            {h for h, (_, reason) in ends([town.step(state, day, rules)]).items() if reason == TIME}
            for rules in (short, long)
        ]
        assert failed[1] <= failed[0]
        state = town.step(state, day, short).state


@_EXAMPLES
@given(LIVES, st.sampled_from([(2, 3), (3, 5), (4, 9)]))
def test_a_longer_challenge_never_fails_a_trader_without_rivals_earlier(
    life: Life, lengths: tuple[int, int]
) -> None:
    alone = Town({"alone": life})
    short, long = (ends(alone.run(with_challenge_days(days))) for days in lengths)
    if long:
        assert short["alone"][0] <= long["alone"][0]


# weights


@_EXAMPLES
@given(towns())
def test_weights_add_up_to_no_more_than_the_emissions(town: Town) -> None:
    classes = RULES.scoring.asset_classes
    for outcome in town.run(run_scoring=True):
        for scores in (outcome.scores, outcome.competition):
            if scores is None:
                continue
            total = 0.0
            for category, table in scores.classes.items():
                assert all(weight >= 0 for weight in table.weight)
                share = float(table.weight.sum()) * classes[category].emission
                assert share <= classes[category].emission
                total += share
            final = sum(one.weight for one in scores.traders.values())
            assert final == (pytest.approx(1.0) if total else 0.0)
        assert outcome.scores is not None
        with_ledgers = {h for h, one in town.members(_day(outcome)).items() if one.ledgers}
        assert set(outcome.scores.hotkeys) == set(outcome.state.standings) & with_ledgers


def _day(outcome: Evaluation) -> int:
    assert outcome.state.time_ms is not None
    return (outcome.state.time_ms - BEGIN_MS) // DAY_MS
