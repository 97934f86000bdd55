"""Stories in sentences, all of them expected word by word."""

import io

import pytest
from rich.console import Console

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report.explanation import duration, print_story, story
from ptn_backtest.results.explaining import explain
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind
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


def test_the_story_of_one_that_was_eliminated():
    assert story(explain(the_fallen(), ANNA)) == [
        (
            "Standing",
            [
                (
                    "At the evaluation of 2025-01-16 00:00:00 UTC it entered CHALLENGE, as of its first "
                    "order on 2025-01-15 00:00:00 UTC."
                ),
                (
                    "At the evaluation of 2025-01-18 00:00:00 UTC it was eliminated from CHALLENGE: a "
                    "drawdown of 14.0% reached the limit of 10%."
                ),
            ],
        ),
        (
            "Record",
            [
                "It traded 3 positions with 6 orders, all closed at the end.",
                # 10,000 USD x (0.01 - 0.01/1.01 - 0.12 - 0.01/0.88)
                (
                    "At its last record, 2025-01-18 00:00:00 UTC, the portfolio was worth 0.8700 "
                    "(-13.00% since its first order); PnL -1,313 USD."
                ),
                "Of the value, spread fees took 0.00% and carry fees 0.20%.",
            ],
        ),
        (
            "Drawdown",
            [
                # 1.01 x 0.9 x 0.99 = 0.89991; 1 - 0.89991/1.02 = 11.77 %
                (
                    "The portfolio peaked at 1.0200 between 2025-01-15 12:00:00 UTC and 2025-01-16 "
                    "00:00:00 UTC and fell to 0.8999 on 2025-01-16 14:24:00 UTC, 11.77% below: there it "
                    "reached the limit."
                ),
                # ln 0.9 / ln 0.891 = 91 %
                (
                    "From 2025-01-15 12:00:00 UTC, the record nearest to the peak (value 1.0100), to "
                    "2025-01-16 14:24:00 UTC (value 0.8999): BTCUSD lost 10.00% (91% of the fall); "
                    "EURUSD lost 1.00% (9% of the fall)."
                ),
                (
                    "Between the peak and that record the portfolio moved by -0.98%, which is not known "
                    "by pair."
                ),
                (
                    "Part of this are fees, up to 2025-01-16 12:00:00 UTC: carry 0.10%, spread 0.00% of "
                    "the value."
                ),
            ],
        ),
        (
            "The end",
            [
                (
                    "It reached the limit on 2025-01-16 14:24:00 UTC, at a value of 0.8999 below a peak "
                    "of 1.0200, holding BTCUSD long 0.5 at 100 (-10.00%) and EURUSD short 2 at 1.25 "
                    "(-1.00%)."
                ),
                (
                    "The evaluation of 2025-01-18 00:00:00 UTC noticed it 1 day 9 hours later, after 1 "
                    "evaluation that let it pass. By then the deepest drawdown was 14.0%."
                ),
                (
                    "The elimination closed BTCUSD at 99.5 (minute candle of 2025-01-18 00:00:00 UTC) "
                    "with a return of -11.00%."
                ),
                "It lost 10% of its collateral, 2 theta.",
            ],
        ),
    ]


def still_in(*events, **changes):
    return stored_run(
        {ANNA: {PORTFOLIO: ledger([1.25, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2])}},
        positions=[position(ANNA, "p")],
        events=[entered(ANNA), *events],
        rules={"base": "2025-11", "challenge": {"ranks": 1, "challenge_days": 300}},
        **changes,
    )


def test_the_story_of_one_that_is_still_in():
    run = still_in(
        standings={ANNA: Standing(Bucket.CHALLENGE, at(0))},
        scores=[score(ANNA, 4, 0.5, 2), score(BORIS, 4, 0.75, 1)],
    )
    told = explain(run, ANNA)
    size = told.situation.account_size if told.situation else 0
    parts = dict(story(told))
    assert parts["Standing"][-1] == (
        "At the end of the run, 2025-01-19 00:00:00 UTC, it stands in CHALLENGE, where its time "
        "counts from 2025-01-15 00:00:00 UTC."
    )
    assert parts["Record"][0] == "It traded 1 position with 1 order, 1 of them open at the end."
    assert parts["Distance to the limits"] == [
        "It is 4.00% below its peak of 1.2500; the deepest drawdown was 4.00%, the limit is 10%.",
        (
            "6.00 percentage points are left: the value may fall by 6.25%, "
            f"{0.0625 * size:,.0f} USD of an account of {size:,.0f} USD."
        ),
        "Its time in CHALLENGE ends on 2025-11-11 00:00:00 UTC: 296.0 days left.",
        (
            "Towards promotion: 57 full days of 61 missing; no position of 60 s or more has been "
            "closed, and before that a drawdown eliminates nobody."
        ),
        (
            "Scored with all traders on 2025-01-19 00:00:00 UTC it is 2 of 2 in crypto, score 0.5: "
            "0.25 below the threshold of 0.75."
        ),
    ]


def test_a_rank_in_a_class_without_a_day_says_so():
    run = still_in(
        standings={ANNA: Standing(Bucket.CHALLENGE, at(0))},
        scores=[score(ANNA, 4, 0.5, 1, asset_class="forex", n_days=0)],
    )
    assert dict(story(explain(run, ANNA)))["Distance to the limits"][-1].startswith(
        "Scored with all traders on 2025-01-19 00:00:00 UTC it is 1 of 1 in forex, where it has no day "
        "of its own, score 0.5: "
    )


def move(day, kind, origin, target, **figures):
    return Event(at(day), ANNA, kind, origin, target, "rank", figures)


def test_rises_and_falls_are_told_with_their_rank():
    ranked = {"asset_class": "crypto", "scored_traders": 30}
    told = explain(
        still_in(
            move(
                2,
                EventKind.PROMOTED,
                Bucket.CHALLENGE,
                Bucket.MAINCOMP,
                rank=3,
                score=0.5,
                threshold_score=0.0,
                **ranked,
            ),
            move(
                3,
                EventKind.DEMOTED,
                Bucket.MAINCOMP,
                Bucket.PROBATION,
                rank=26,
                score=0.25,
                threshold_score=0.375,
                **ranked,
            ),
            move(4, EventKind.PLAGIARISM_FLAGGED, Bucket.PROBATION, Bucket.PLAGIARISM),
        ),
        ANNA,
    )
    assert dict(story(told))["Standing"][1:] == [
        (
            "At the evaluation of 2025-01-17 00:00:00 UTC it was promoted from CHALLENGE to MAINCOMP: "
            "rank 3 of 30 in crypto, score 0.5, where any score above 0 was enough."
        ),
        (
            "At the evaluation of 2025-01-18 00:00:00 UTC it was demoted to PROBATION: rank 26 of 30 in "
            "crypto, score 0.25, threshold 0.375."
        ),
        (
            "At the evaluation of 2025-01-19 00:00:00 UTC it was flagged as a plagiarist and went from "
            "PROBATION to PLAGIARISM."
        ),
    ]


def test_a_run_without_rules_says_so():
    run = stored_run(
        {ANNA: {PORTFOLIO: ledger([1.0, 1.5])}},
        positions=[position(ANNA, "p", **closed(1, 1.5))],
        run_challenge=False,
        run_elimination=False,
    )
    told = dict(story(explain(run, ANNA)))
    assert told["Standing"] == [
        "The run applied no rules (--run-challenge, --run-elimination), so nobody moves."
    ]
    assert "Drawdown" not in told


def test_what_comes_from_a_run_is_never_markup():
    hotkey = "[red]5Bad[/red]"
    run = stored_run({hotkey: {PORTFOLIO: ledger([1.0])}})
    out = io.StringIO()
    print_story(explain(run, hotkey), Console(file=out, width=80))
    assert hotkey in out.getvalue()


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (6 * DAY_MS + 18 * HOUR_MS - 1, "6 days 18 hours"),
        (DAY_MS + 59 * MINUTE_MS, "1 day"),
        (2 * HOUR_MS + MINUTE_MS + SECOND_MS, "2 hours 1 minute"),
        (61 * SECOND_MS, "1 minute 1 second"),
        (499, "less than a second"),
        (0, "less than a second"),
    ],
)
def test_durations(ms, words):
    assert duration(ms) == words
