import re
from dataclasses import replace

import pytest

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report import network_view
from ptn_backtest.report import page_data as page_data_module
from ptn_backtest.report.html import render_report
from ptn_backtest.report.standing_view import bands, story
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind
from ptn_backtest.rules.standing import Standing
from tests.report.decoded import column, page_data
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
from tests.results.made_runs import ledger, made_run


def test_the_network_is_told() -> None:
    page = Page(render_report(network_run()))
    assert page.says("main 1 probation 1 challenge 0 plagiarism 0 out 2")
    assert page.says("Eliminated: 1 drawdown, 1 liquidated.")
    assert page.says("demoted to PROBATION: rank 26")
    assert page.says("promoted to MAINCOMP: rank 1 of 3 in crypto, score 0.75 (in from 0.5)")


def test_every_elimination_stands_with_its_exact_moment() -> None:
    page = Page(render_report(network_run()))
    # newest first; 1 - 0.918 / 1.02 = 10 %
    assert page.says("2025-01-17 19:00 5Zero liquidated CHALLENGE 2025-01-17 19:00:00 UTC 0 1.5")
    assert page.says(
        "2025-01-17 00:00 5Deep drawdown MAINCOMP 2025-01-16 17:00:00.001 UTC 0.918 1.02 10.0000% 2"
    )


def test_a_trader_without_a_known_breach_has_no_figures_of_it() -> None:
    bare = [replace(one, breach=None) for one in ELIMINATIONS]
    text = render_report(network_run(eliminations=bare))
    assert Page(text).says("5Deep drawdown MAINCOMP 10.25%")
    deep = next(own for own in page_data(text)["traders"] if own["hotkey"] == "5Deep")
    assert deep["end"]["breach"] is None
    assert deep["end"]["recorded"] == pytest.approx(0.1025)


def test_what_was_held_and_closed_stands_with_the_trader() -> None:
    data = page_data(render_report(network_run()))
    deep = next(own for own in data["traders"] if own["hotkey"] == "5Deep")
    held = DAYS[2] - 7 * 3_600_000
    assert deep["end"]["breach"] == [held + 1, 0.918, 1.02, pytest.approx(0.1)]
    assert deep["end"]["held"] == [
        ["ETHUSD", -0.4, 3456.78, held, 0.91, "deep-1"],
        ["GBPUSD", 2.0, 1.25, None, 0.99, "deep-2"],
    ]
    assert deep["end"]["closed"] == [["GBPUSD", [1.24, DAYS[2], "second"], 0.985, "deep-2"]]
    bare = [replace(ELIMINATIONS[0], closing_prices={})]
    data = page_data(render_report(network_run(eliminations=bare)))
    deep = next(own for own in data["traders"] if own["hotkey"] == "5Deep")
    assert deep["end"]["closed"] == [["GBPUSD", None, 0.985, "deep-2"]]
    assert data["limit"] == pytest.approx(0.1)


def test_the_leaderboard_is_that_of_the_last_evaluation() -> None:
    page = Page(render_report(network_run()))
    assert page.says(
        "Evaluation of 2025-01-19 00:00:00 UTC, of everybody in the network: 2 traders."
    )
    # rank, trader, bucket, weight, then score and rank in each class, then the penalties
    assert page.says("1 5Up main 10.00% 1 1 1 1 1 0.5 0.25 0.125")
    assert page.says("2 5Down probation 0.00% 0 - 0 - 0 0.5 0.25 0")


def test_the_last_evaluation_stands_with_each_trader() -> None:
    data = page_data(render_report(network_run()))
    last, (place,) = (
        data["last"],
        [n for n, own in enumerate(data["traders"]) if own["hotkey"] == "5Up"],
    )
    up = {name: column(last["table"], name)[place] for name in last["table"]["columns"]}
    assert last["time"] == DAYS[4] / 1_000
    assert last["metrics"] == list(METRICS)
    assert (up["days"][0], up["rank"][0], up["score"][0], up["weight"][0]) == (90, 1, 1, 0.5)
    assert [up[metric][0] for metric in METRICS] == [1, 2, 3, 4, 5, 6]
    found = [up[f"percentile {metric}"][0] for metric in METRICS]
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert up["final"][0] == pytest.approx(0.1)
    assert up["penalty total"][0] == pytest.approx(0.125)


def test_scores_over_time_have_gaps_where_nobody_was_scored() -> None:
    text = render_report(network_run())
    history, names = page_data(text)["history"], [t["hotkey"] for t in page_data(text)["traders"]]
    ranks = dict(zip(names, column(history["table"], "rank"), strict=True))
    times = [round(s * 1_000) for s in history["times"]]
    scored = {one.time_ms: one for one in network_run().scores}
    assert times == sorted(scored)
    for hotkey in names:
        expected = [
            int(one.rank[one.hotkeys.index(hotkey)]) if hotkey in one.hotkeys else 0
            for one in (scored[time] for time in times)
        ]
        assert ranks[hotkey] == (expected if any(expected) else [])


def test_competitions_stand_in_where_nobody_else_was_scored() -> None:
    page = Page(render_report(network_run(scores=[])))
    assert page.says("of those who compete for the ranks: 3 traders.")
    assert not Page(render_report(network_run(scores=[], competitions=[]))).says("Final weight")


def test_findings_are_grouped_by_rule_and_listed_by_trader() -> None:
    text = render_report(made_run(order_findings=FINDINGS))
    page = Page(text)
    assert page.says("position leverage 1 0 1 reduced")
    assert page.says("no position 1 1 1 refused")
    assert "network" not in page.ids
    listed = [row for own in page_data(text)["traders"] for row in own["findings"]]
    assert [(row[1], row[3], row[4]) for row in listed] == [
        ("position leverage", 0.7, 0.5),
        ("no position", -0.2, None),
    ]


def test_long_lists_of_findings_are_cut_and_counted() -> None:
    n = page_data_module.MOST_ROWS + 3
    data = page_data(render_report(made_run(order_findings=[FINDINGS[0]] * n)))
    own = next(one for one in data["traders"] if one["n_findings"])
    assert (len(own["findings"]), own["n_findings"]) == (n - 3, n)


def test_a_run_without_rules_shows_none() -> None:
    quiet = network_run(order_findings=(), settings=made_run().settings)
    bare = replace(quiet, events=(), eliminations=(), standings={}, scores=(), competitions=())
    assert render_report(quiet) == render_report(bare)
    page = Page(render_report(quiet))
    assert not {"network", "scores", "findings"} & set(page.ids)
    assert not page.says("Bucket")
    assert not page.says("limit")


def test_a_mark_without_eliminations_is_told() -> None:
    failed = {"5Up": Standing(Bucket.MAINCOMP, DAYS[1], failed=ELIMINATIONS[0].reason)}
    data = page_data(render_report(network_run(standings=failed, eliminations=[])))
    up = next(own for own in data["traders"] if own["hotkey"] == "5Up")
    assert (up["failed"], up["end"]) == ("drawdown", None)


def test_buckets_are_times_to_shade() -> None:
    found = bands(story(network_run()).stays["5Deep"], DAYS[4])
    assert [(one["label"], one["from"] * 1_000, one["to"] * 1_000) for one in found] == [
        ("challenge", DAYS[0], DAYS[1]),
        ("main", DAYS[1], DAYS[2]),
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
    assert f"events.parquet has all {n:,}" in render_report(network_run(events=flips))


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
    assert (page.tags["script"], page.tags["img"]) == (2, 0)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert set(page.tags) <= set(plain.tags)


def test_links_and_labels_lead_somewhere() -> None:
    page = Page(render_report(network_run()))
    targets = {value[1:] for name, value in page.attributes if name == "href"}
    targets |= {value for name, value in page.attributes if name == "aria-labelledby"}
    assert {"events", "network", "scores", "eliminations"} <= targets <= set(page.ids)


def test_the_script_alone_shows_the_filters() -> None:
    text = render_report(network_run())
    shown = re.findall(r'<div class="filters" data-for="([-\w]+)"( hidden)?>', text)
    assert shown == [("leaders", " hidden"), ("event-list", " hidden"), ("ends", " hidden")]
    assert re.findall(r"<form[^>]*>", text) == ['<form method="dialog">']
    kinds = re.findall(r'<option value="([A-Z]+)">', text)
    assert kinds == ["ENTERED", "PROMOTED", "DEMOTED", "ELIMINATED"]
    assert set(re.findall(r'data-kind="(\w+)"', text)) == set(kinds)


@pytest.mark.parametrize("switch", ["run_challenge", "run_elimination", "run_scoring"])
def test_one_rule_alone_makes_a_sound_page(switch: str) -> None:
    run = network_run(settings={switch: True}, competitions=[], scores=[])
    assert Page(render_report(run)).says("Network")


def test_equal_runs_with_rules_give_equal_pages() -> None:
    pages = [render_report(network_run(timings={"rules": seconds})) for seconds in (1.0, 2.0)]
    assert pages[0] == pages[1]


def test_moves_are_counted_by_day() -> None:
    chart = network_view.network_view(network_run()).moves
    assert chart is not None
    # days 0 to 4, of 4 moves at most: 3 are promoted on day 1, then two leave and one is demoted
    heights = {one.name: re.findall(r"V(\d+)H", one.path) for one in chart.series}
    assert heights["promoted"] == ["1000", "0", "1000", "1000", "1000"]
    assert [one.name for one in chart.series] == ["eliminated", "demoted", "promoted"]
    late = Event(DAYS[0] + 400 * DAY_MS, "5Up", EventKind.PROMOTED)
    run = network_run(events=[*EVENTS, late], end_ms=late.time_ms)
    found = network_view.network_view(run).moves
    assert found is not None
    assert found.series[-1].path.count("H") <= network_view.MOST_BARS
