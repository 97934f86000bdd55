import re
from dataclasses import replace

import pytest

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report import finding_view, network_view
from ptn_backtest.report.html import render_report
from ptn_backtest.report.standing_view import story
from ptn_backtest.results.statistics import rank_traders
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind
from ptn_backtest.rules.standing import Standing
from tests.report.test_html import ATTACK, QUOTES, Page
from tests.results.made_networks import (
    DAYS,
    ELIMINATIONS,
    EVENTS,
    FINDINGS,
    TICK_MS,
    network_run,
    scores,
)
from tests.results.made_runs import FIRST_ORDER_MS, ledger, made_run


def test_the_network_is_told() -> None:
    page = Page(render_report(network_run()))
    assert page.says("main 1 probation 1 challenge 0 plagiarism 0 out 2")
    assert page.says("Eliminated: 1 drawdown, 1 liquidated.")
    assert page.says("demoted to PROBATION: rank 26")
    assert page.says("promoted to MAINCOMP: rank 1 of 3 in crypto, score 0.75 (in from 0.5)")


def test_the_exact_breach_is_shown() -> None:
    page = Page(render_report(network_run()))
    # 1 - 0.918 / 1.02 = 10 %
    assert page.says("Reached the limit 2025-01-16 17:00:00.001 UTC Value then 0.918")
    assert page.says("Peak before 1.02 Drawdown then 10.0000%")
    assert page.says("ETHUSD -0.4 3,456.78 2025-01-16 17:00:00 -9.00% deep-1")
    assert page.says("GBPUSD 2 1.25 last order's price -1.00% deep-2")
    assert page.says("1.24 2025-01-17 00:00:00, second -1.50% deep-2")
    assert page.says("Reached 0 2025-01-17 19:00:00 UTC Value then 0")


def test_a_trader_without_a_known_breach_has_no_figures_of_it() -> None:
    bare = [replace(one, breach=None) for one in ELIMINATIONS]
    page = Page(render_report(network_run(eliminations=bare)))
    assert not page.says("Reached the limit")
    assert page.says("Recorded drawdown 10.25%")


def test_a_position_closed_without_a_price_says_so() -> None:
    bare = [replace(ELIMINATIONS[0], closing_prices={})]
    assert Page(render_report(network_run(eliminations=bare))).says("none found closed as it stood")


def test_the_leaderboard_is_that_of_the_last_evaluation() -> None:
    page = Page(render_report(network_run()))
    assert page.says(
        "Evaluation of 2025-01-19 00:00:00 UTC, of everybody in the network: 2 traders."
    )
    # rank, trader, bucket, weight, then score and rank in each class, then the penalties
    assert page.says("1 5Up main 10.00% 1 1 1 1 1 0.5 0.25 0.125")
    assert page.says("2 5Down probation 0.00% 0 - 0 - 0 0.5 0.25 0")
    assert page.says("1 5Up 90 1 10% 2 20% 3 30% 4 40% 5 50% 6 60% 1 50.00%")


def test_competitions_stand_in_where_nobody_else_was_scored() -> None:
    page = Page(render_report(network_run(scores=[])))
    assert page.says("of those who compete for the ranks: 3 traders.")
    assert not Page(render_report(network_run(scores=[], competitions=[]))).says("Final weight")


def test_findings_are_grouped_by_rule_and_listed_by_trader() -> None:
    page = Page(render_report(made_run(order_findings=FINDINGS)))
    assert page.says("position leverage 1 0 1 reduced")
    assert page.says("no position 1 1 1 refused")
    assert page.says("2025-01-15 00:00 position leverage 0.7 0.5 reduced")
    assert page.says("2025-01-16 00:00 no position -0.2 refused")
    assert "network" not in page.ids


def test_long_lists_of_findings_are_cut_and_counted() -> None:
    n = finding_view.MOST_FINDINGS + 3
    page = Page(render_report(made_run(order_findings=[FINDINGS[0]] * n)))
    assert page.says(f"The first {n - 3} of {n}.")


def test_a_run_without_rules_shows_none() -> None:
    quiet = network_run(order_findings=(), settings=made_run().settings)
    bare = replace(quiet, events=(), eliminations=(), standings={}, scores=(), competitions=())
    assert render_report(quiet) == render_report(bare)
    page = Page(render_report(quiet))
    assert not {"network", "scores", "findings"} & set(page.ids)
    assert not page.says("Bucket")
    assert not page.says("limit")


def test_a_mark_without_eliminations_is_a_note() -> None:
    failed = {"5Up": Standing(Bucket.MAINCOMP, DAYS[1], failed=ELIMINATIONS[0].reason)}
    page = Page(render_report(network_run(standings=failed, eliminations=[])))
    assert page.says("Would have been eliminated, had eliminations been on: drawdown.")


def test_the_band_covers_the_time_of_the_curve() -> None:
    run = network_run()
    summary = next(one for one in rank_traders(run) if one.miner_hotkey == "5Deep")
    # from the middle of the challenge to a day after the elimination
    view = story(run).of(summary, DAYS[0] + DAY_MS // 2, DAYS[2] + DAY_MS, 100)
    assert [(part.name, part.left, part.width) for part in view.band] == [
        ("challenge", 0.0, 20.0),
        ("main", 20.0, 40.0),
    ]


def test_counts_follow_the_events() -> None:
    chart = network_view.network_view(network_run()).chart
    assert chart is not None
    # 4 enter; 3 are promoted after a day; then two leave, one is demoted
    tops = {one.name: re.findall(r"V(\d+)H", one.path) for one in chart.series}
    assert tops["main"] == ["1000", "250", "500", "500", "750"]
    assert tops["probation"] == ["1000", "250", "500", "500", "500"]
    assert tops["challenge"] == ["0", "0", "250", "500", "500"]
    assert tops["out"] == ["0", "0", "0", "0", "0"]
    at = [int(x) for x in re.findall(r"H(\d+)", chart.series[0].path)]
    days = [1, 2, (TICK_MS - DAYS[0]) / DAY_MS, 3, 4]
    assert at == [int(day / 4 * 1000) for day in days]


def test_very_many_events_are_cut_and_sampled() -> None:
    n = network_view.MOST_EVENTS + 50
    flips = [
        Event(
            DAYS[0] + k,
            "5Up",
            EventKind.PROMOTED,
            None,
            Bucket.PROBATION if k % 2 else Bucket.MAINCOMP,
        )
        for k in range(n)
    ]
    view = network_view.network_view(network_run(events=flips))
    assert (len(view.events), view.n_events) == (network_view.MOST_EVENTS, n)
    assert view.events[0].time_ms == DAYS[0] + n - 1
    assert view.chart is not None
    steps = [one.path.count("H") for one in view.chart.series]
    assert steps == [network_view.MOST_STEPS] * 2
    assert "events.parquet has all 1,050" in render_report(network_run(events=flips))


@pytest.mark.parametrize("attack", [ATTACK, QUOTES])
def test_what_the_rules_say_of_outside_things_is_text(attack: str) -> None:
    plain = Page(render_report(network_run()))
    own = {h: {PORTFOLIO: ledger([1.02, 0.97])} for h in (attack, "5Down")}
    first = replace(ELIMINATIONS[0], miner_hotkey=attack, returns={attack: 0.9})
    run = network_run(
        ledgers=own,
        events=[
            *EVENTS,
            Event(DAYS[0], attack, EventKind.DEMOTED, Bucket.MAINCOMP, None, attack),
            Event(
                DAYS[0],
                attack,
                EventKind.PROMOTED,
                figures={"rank": attack, "asset_class": attack, "score": attack},
            ),
        ],
        eliminations=[first],
        scores=[scores(DAYS[4], (attack, "5Down"))],
        order_findings=[
            replace(FINDINGS[0], miner_hotkey=attack, order_uuid=attack, sentence=attack)
        ],
    )
    text = render_report(run)
    page = Page(text)
    assert attack not in text
    assert page.says(attack)
    assert (page.tags["script"], page.tags["img"]) == (1, 0)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert set(page.tags) <= set(plain.tags)


def test_links_and_labels_lead_somewhere() -> None:
    page = Page(render_report(network_run()))
    targets = {value[1:] for name, value in page.attributes if name == "href"}
    targets |= {value for name, value in page.attributes if name == "aria-labelledby"}
    assert {"events", "network", "scores"} <= targets <= set(page.ids)


def test_the_script_alone_shows_the_filters() -> None:
    text = render_report(network_run())
    assert re.search(r'<div class="filters" hidden>', text)
    assert "<form" not in text
    kinds = re.findall(r'<option value="(\w+)">', text)
    assert kinds == ["ENTERED", "PROMOTED", "DEMOTED", "ELIMINATED"]
    assert set(re.findall(r'data-kind="(\w+)"', text)) == set(kinds)


@pytest.mark.parametrize("switch", ["run_challenge", "run_elimination", "run_scoring"])
def test_one_rule_alone_makes_a_sound_page(switch: str) -> None:
    run = network_run(settings={switch: True}, competitions=[], scores=[])
    assert Page(render_report(run)).says("Network")


def test_equal_runs_with_rules_give_equal_pages() -> None:
    pages = [render_report(network_run(timings={"rules": seconds})) for seconds in (1.0, 2.0)]
    assert pages[0] == pages[1]


def test_a_first_order_before_entering_leaves_a_gap_in_the_band() -> None:
    run = network_run()
    summary = next(one for one in rank_traders(run) if one.miner_hotkey == "5Up")
    view = story(run).of(summary, FIRST_ORDER_MS - DAY_MS, DAYS[4], 100)
    assert view.band[0].left > 0
    assert sum(part.width for part in view.band) == pytest.approx(100 - view.band[0].left, abs=0.02)
