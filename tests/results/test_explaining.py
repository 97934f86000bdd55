"""The facts of a story; every figure is worked out by hand."""

import json

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.results.explaining import explain
from ptn_backtest.results.hotkeys import find_hotkey
from ptn_backtest.results.situation import rank_of
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.standing import Standing
from tests.results.compared_runs import (
    ANNA,
    BORIS,
    at,
    closed,
    entered,
    ledger,
    position,
    score,
    stored_run,
    the_fallen,
)


def test_the_fall_to_a_breach_by_pair():
    fall = explain(the_fallen(), ANNA).drawdown
    assert fall is not None
    assert (fall.peak, fall.peak_from_ms, fall.peak_to_ms) == (1.02, at(0.5), at(1))
    # of the two records beside the peak, 1.01 on day 0.5 is nearer to it than 1.0 on day 1
    assert (fall.from_ms, fall.from_value) == (at(0.5), 1.01)
    assert fall.to_ms == at(1.6)
    assert fall.to_value == pytest.approx(1.01 * 0.9 * 0.99)
    assert fall.before_parts == pytest.approx(1.01 / 1.02 - 1)
    assert [part.trade_pair_id for part in fall.pairs] == ["BTCUSD", "EURUSD"]
    assert [part.change for part in fall.pairs] == pytest.approx([-0.1, -0.01])
    assert sum(part.share for part in fall.pairs) == pytest.approx(1)
    assert fall.unexplained == pytest.approx(0, abs=1e-12)
    # the record nearest to day 1.6 is that of day 1.5
    assert fall.fees_to_ms == at(1.5)
    assert fall.carry_fee == pytest.approx(0.001)


def test_the_end_of_the_fallen():
    end = explain(the_fallen(), ANNA).end
    assert end is not None
    assert (end.noticed_ms, end.noticed_after_ms) == (at(3), at(3) - at(1.6))
    # day 2 let it pass; a position had been closed already, so that was not why
    assert (end.evaluations_passed, end.first_closed_ms) == (1, None)
    (closing,) = end.closed
    assert (closing.trade_pair_id, closing.price, closing.timespan) == ("BTCUSD", 99.5, "minute")
    assert (end.slashed_fraction, end.slashed_theta) == (0.1, 2.0)


def test_where_one_that_is_still_in_stands():
    run = stored_run(
        {ANNA: {PORTFOLIO: ledger([1.25, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2], usd=50_000)}},
        positions=[position(ANNA, "p", **closed(0.0001, 1.2))],
        events=[entered(ANNA)],
        standings={ANNA: Standing(Bucket.CHALLENGE, at(0))},
        scores=[score(ANNA, 4, 0.5, 2), score(BORIS, 4, 0.75, 1)],
        rules={
            "base": "2025-11",
            "challenge": {"ranks": 1, "challenge_days": 300, "full_days": 10},
        },
    )
    now = explain(run, ANNA).situation
    assert now is not None
    # 0.05 below 1.25 is 4 %; the limit of 10 % is at 1.125, 0.075 below 1.2
    assert now.drawdown_percent == pytest.approx(4)
    assert now.points_to_limit == pytest.approx(6)
    assert now.fall_to_limit_percent == pytest.approx(100 * 0.075 / 1.2)
    # a half's one change is large (4 %): PnL / log change is good to 4 digits of small changes only
    assert now.account_size == pytest.approx(50_000, rel=0.03)
    assert now.usd_to_limit == pytest.approx(0.0625 * now.account_size)
    assert now.period_end_ms == at(300)
    assert now.days_left == pytest.approx(296)
    assert (now.full_days, now.full_days_needed) == (4, 10)
    # 0.0001 days are 8.64 s: too short to count
    assert not now.has_closed_position
    assert now.rank is not None
    assert (now.rank.rank, now.rank.score, now.rank.threshold) == (2, 0.5, 0.75)
    assert not now.rank.is_in


def test_the_class_in_which_a_trader_scores_counts_more_than_first_among_zeros():
    run = stored_run(
        {ANNA: {}},
        scores=[
            score(ANNA, 1, 0.2, 2),
            score(BORIS, 1, 0.4, 1),
            score(ANNA, 1, 0.0, 1, asset_class="forex"),
            score(BORIS, 1, 0.0, 1, asset_class="forex"),
        ],
    )
    rank = rank_of(run.scores, ANNA, at(1), 1)
    assert rank is not None
    assert (rank.asset_class, rank.rank, rank.threshold) == ("crypto", 2, 0.4)
    assert rank_of(run.scores, ANNA, at(0.5), 1) is None


def test_a_class_that_a_trader_does_not_trade_comes_after_one_that_it_does():
    def both(crypto, forex):
        # the rules score everybody in forex, Anna without a day of it
        rows = [score(ANNA, 1, crypto, 2), score(BORIS, 1, 0.9, 1)]
        rows.append(score(ANNA, 1, forex, 1, asset_class="forex", n_days=0))
        rank = rank_of(stored_run({ANNA: {}}, scores=rows).scores, ANNA, at(1), 1)
        assert rank is not None
        return rank.asset_class, rank.rank, rank.class_days

    assert both(crypto=0.95, forex=0.5) == ("crypto", 1, 3)
    # among the best of both, though the rank is as good in forex
    run = stored_run(
        {ANNA: {}},
        scores=[
            *(score(ANNA, 1, 0.4, 2), score(BORIS, 1, 0.9, 1)),
            *(score(who, 1, 0.1, 1, asset_class="forex", n_days=0) for who in (ANNA, BORIS)),
        ],
    )
    rank = rank_of(run.scores, ANNA, at(1), 2)
    assert rank is not None
    assert (rank.asset_class, rank.rank) == ("crypto", 2)
    # what the rules count is still told where it is all that counts
    assert both(crypto=0.5, forex=0.5) == ("forex", 1, 0)
    assert both(crypto=0.0, forex=0.5) == ("forex", 1, 0)


def test_the_document_is_json():
    document = json.loads(json.dumps(explain(the_fallen(), ANNA).to_dict(), allow_nan=False))
    assert document["document"] == "ptn-backtest explanation"
    assert document["document_version"] == 1
    assert document["end"]["breach"]["positions"][0]["leverage"] == 0.5


def test_an_unknown_trader_is_refused():
    with pytest.raises(ConfigError, match="no trader '5Nobody'"):
        explain(the_fallen(), "5Nobody")


@pytest.mark.parametrize("text", [ANNA, "5Anna", "5A…xxx", "5A...xxx", "…xxx"])
def test_an_abbreviated_hotkey_that_means_one(text):
    assert find_hotkey(text, [ANNA, BORIS], "the run") == ANNA


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "'5' may mean 5Anna.*, 5Boris.*: give more of the hotkey"),
        ("5Ana", "no trader '5Ana' in the run"),
        ("anna", "did you mean 5Annaxxx"),
        ("", "no trader ''"),
    ],
)
def test_an_abbreviated_hotkey_that_does_not(text, says):
    with pytest.raises(ConfigError, match=says):
        find_hotkey(text, [ANNA, BORIS], "the run")
