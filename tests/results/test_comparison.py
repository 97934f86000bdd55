"""Two runs held against each other; every figure is worked out by hand."""

import json
from dataclasses import replace

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.results.compared_ledgers import FirstDifference
from ptn_backtest.results.comparison import compare_runs
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, EliminationReason
from ptn_backtest.rules.standing import Standing
from tests.results.compared_runs import (
    ANNA,
    BORIS,
    at,
    closed,
    eliminated,
    entered,
    ledger,
    position,
    score,
    stored_run,
)

FALLS = [1.0, 1.0, 0.95, 0.85, 0.9, 0.9, 0.9, 0.9]
IN_CHALLENGE = Standing(Bucket.CHALLENGE, at(0))


def one_trader(**changes):
    return stored_run({ANNA: {PORTFOLIO: ledger(FALLS)}}, **changes)


def test_a_run_equals_itself_whatever_its_settings():
    run = one_trader(events=[entered(ANNA)], positions=[position(ANNA, "p")])
    same = compare_runs(run, run)
    assert same.equal
    assert same.same_settings
    other = one_trader(
        events=[entered(ANNA)],
        positions=[position(ANNA, "p")],
        drop_pairs=["ETHUSD"],
        candles="elsewhere",
        rules={"base": "2025-11", "challenge": {"ranks": 7}},
    )
    found = compare_runs(run, other)
    assert found.equal
    assert not found.same_settings
    assert [(one.key, one.a, one.b) for one in found.rulebook] == [("challenge.ranks", 25, 7)]
    assert [(one.key, one.a, one.b) for one in found.what_if] == [("drop_pairs", [], ["ETHUSD"])]
    assert [(one.key, one.a, one.b) for one in found.settings] == [("candles", None, "elsewhere")]


def test_a_fate_differs_because_of_the_limit():
    left = Elimination(
        ANNA,
        at(2),
        15.0,
        EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
        Bucket.CHALLENGE,
    )
    events = [entered(ANNA), eliminated(ANNA, 2, 15.0)]
    positions = [position(ANNA, "p", **closed(1, 1.0))]
    a = one_trader(events=events, eliminations=[left], positions=positions)
    b = one_trader(
        events=[entered(ANNA)],
        standings={ANNA: IN_CHALLENGE},
        positions=positions,
        rules={"base": "2025-11", "eliminations": {"drawdown_limit": 25.0}},
    )
    found = compare_runs(a, b)
    assert not found.equal
    (fate,) = found.fates.differences
    assert fate.parted_ms == at(2)
    assert (fate.event_a, fate.event_b) == (events[1], None)
    assert (fate.a.eliminated_ms, fate.a.bucket) == (at(2), None)
    assert (fate.b.eliminated_ms, fate.b.bucket) == (None, Bucket.CHALLENGE)
    assert [(one.name, one.a, one.b, one.differs) for one in fate.figures] == [
        ("drawdown_percent", 15.0, 15.0, False),
        ("limit_percent", 10.0, 25.0, True),
        ("has_closed_position", True, True, False),
    ]


def test_an_event_that_comes_later_on_one_side_is_no_answer_to_the_first():
    a = one_trader(events=[entered(ANNA), eliminated(ANNA, 2, 15.0)])
    b = one_trader(events=[entered(ANNA), eliminated(ANNA, 3, 15.0)])
    (fate,) = compare_runs(a, b).fates.differences
    assert fate.parted_ms == at(2)
    assert fate.event_a is not None
    assert fate.event_b is None


def test_the_first_field_and_the_largest_difference_of_a_ledger():
    b = stored_run({ANNA: {PORTFOLIO: ledger([1.0, 1.0, 0.95, 0.85, 0.9, 1.1, 0.9, 0.91])}})
    found = compare_runs(one_trader(), b)
    (difference,) = found.ledgers.differences
    assert found.ledgers.compared == 1
    assert difference.first == FirstDifference(at(3), "prev_portfolio_ret", 0.9, 1.1)
    assert difference.largest_value_difference == pytest.approx(0.2)
    assert difference.largest_value_ms == at(3)
    # the value returns to 0.9 in checkpoint 6, but not what led there
    assert (difference.checkpoints, difference.different) == (8, 3)
    assert (difference.final_value_a, difference.final_value_b) == (0.9, 0.91)
    assert difference.max_drawdown_a == pytest.approx(0.15)
    assert difference.max_drawdown_b == pytest.approx(1 - 0.9 / 1.1)


def test_a_tolerance_forgives_what_is_within_it():
    b = stored_run({ANNA: {PORTFOLIO: ledger([*FALLS[:-1], 0.9 * (1 + 1e-10)])}})
    assert not compare_runs(one_trader(), b).equal
    # the gain of the last checkpoint is 1e-10 against 0: no fraction forgives that
    (difference,) = compare_runs(one_trader(), b, rtol=1e-9).ledgers.differences
    assert difference.first is not None
    assert difference.first.field == "gain"
    c = stored_run({ANNA: {PORTFOLIO: ledger([value * (1 + 1e-12) for value in FALLS])}})
    portfolio = c.ledgers[ANNA][PORTFOLIO]
    for name in ("gain", "loss", "pnl_gain", "pnl_loss", "mdd"):
        portfolio.cps[name] = one_trader().ledgers[ANNA][PORTFOLIO].cps[name]
    assert not compare_runs(one_trader(), c).equal
    assert compare_runs(one_trader(), c, rtol=1e-9).equal


@pytest.mark.parametrize("rtol", [-1e-9, 1.0, float("nan")])
def test_a_tolerance_that_is_none_is_refused(rtol):
    with pytest.raises(ConfigError, match="not a tolerance"):
        compare_runs(one_trader(), one_trader(), rtol=rtol)


def test_a_shorter_run_is_compared_in_the_common_time_only():
    """Its last checkpoint, begun in the middle, and its open position are not held against the other."""
    short = stored_run(
        {ANNA: {PORTFOLIO: ledger([*FALLS[:4], 0.5], last_at=2.25)}},
        positions=[position(ANNA, "p"), position(ANNA, "q", **closed(1, 1.2))],
        days=2,
    )
    updates = [at(1), at(2), at(2.25)]
    short = replace(short, info={**short.info, "end_ms": at(2.25), "update_times_ms": updates})
    long = one_trader(
        positions=[
            position(ANNA, "p", **closed(3, 0.8)),
            position(ANNA, "q", **closed(1, 1.2)),
            position(ANNA, "r", open_ms=at(3)),
        ]
    )
    for found in (compare_runs(short, long), compare_runs(long, short)):
        assert found.equal
        assert found.common.until_ms == at(2)
        assert found.common.same_updates
        assert (found.positions.compared, found.positions.left_out) == (1, 1)


def test_a_ledger_that_ends_earlier_in_the_common_time_differs():
    b = stored_run({ANNA: {PORTFOLIO: ledger(FALLS[:5])}})
    (difference,) = compare_runs(one_trader(), b).ledgers.differences
    assert difference.first == FirstDifference(at(3), "checkpoint", 0.9, None)
    assert (difference.only_a, difference.only_b) == (3, 0)
    assert difference.largest_value_ms is None


def test_what_only_one_run_has():
    two = stored_run(
        {
            ANNA: {PORTFOLIO: ledger(FALLS), "BTCUSD": ledger(FALLS)},
            BORIS: {PORTFOLIO: ledger([1.0])},
        },
        positions=[position(ANNA, "mine"), position(ANNA, "both")],
    )
    one = one_trader(positions=[position(ANNA, "both", n_orders=3, return_at_close=0.9)])
    found = compare_runs(two, one)
    assert found.common.traders == 1
    assert (found.common.only_a, found.common.only_b) == ((BORIS,), ())
    assert [(d.ledger, d.only_in) for d in found.ledgers.differences] == [("BTCUSD", "a")]
    assert [each.position_uuid for each in found.positions.only_a] == ["mine"]
    (changed,) = found.positions.differences
    assert (changed.return_a, changed.return_b) == (1.0, 0.9)
    assert {each.field for each in changed.fields} == {"n_orders", "return_at_close"}
    # asked for Boris alone, there is nothing in both; asked for Anna, Boris is not missed
    assert compare_runs(two, one, hotkeys=[BORIS]).common.traders == 0
    assert compare_runs(two, one, hotkeys=[ANNA]).common.only_a == ()


def test_ranks_at_the_last_common_evaluation():
    a = one_trader(
        scores=[score(ANNA, day, 0.5, 1) for day in (1, 2, 3)]
        + [score(BORIS, day, 0.25, 2) for day in (1, 2, 3)]
    )
    b = one_trader(
        scores=[
            score(ANNA, 1, 0.5, 1),
            score(ANNA, 2, 0.125, 3),
            score(BORIS, 1, 0.25, 2),
            score(BORIS, 2, 0.25, 2),
        ]
    )
    a, b = (replace(run, ledgers={ANNA: {}, BORIS: {}}) for run in (a, b))
    scores = compare_runs(a, b).scores
    assert (scores.time_ms, scores.first_difference_ms) == (at(2), at(2))
    assert scores.compared == 2
    (move,) = scores.moves
    assert (move.miner_hotkey, move.rank_a, move.rank_b, move.places) == (ANNA, 1, 3, 2)
    (crypto,) = move.classes
    assert (crypto.score_a, crypto.score_b) == (0.5, 0.125)


def test_the_document_is_json_and_says_what_it_is():
    found = compare_runs(
        one_trader(), one_trader(scores=[score(ANNA, 1, 0.5, 1)]), names=("x", "y")
    )
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["document"] == "ptn-backtest comparison"
    assert document["document_version"] == 1
    assert document["equal"] is True
    assert (document["a"]["name"], document["b"]["name"]) == ("x", "y")
    assert set(document) >= {"common", "rulebook", "fates", "ledgers", "positions", "scores"}
