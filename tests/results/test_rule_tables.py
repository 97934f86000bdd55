import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.positions.order_bounds import OrderRule
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.results import rule_tables
from ptn_backtest.results.parquet import write_table
from ptn_backtest.results.run_folder import read_run, write_run
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind, Figures
from tests.results.made_networks import DAYS, EVENTS, network_run, scores
from tests.results.made_runs import made_run

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
BUCKETS = st.none() | st.sampled_from(Bucket)
EVENT = st.builds(
    Event,
    INT64,
    TEXT,
    st.sampled_from(EventKind),
    BUCKETS,
    BUCKETS,
    TEXT,
    st.dictionaries(TEXT, st.none() | st.integers() | FLOATS | TEXT, max_size=4),
)
FINDING = st.builds(
    OrderFinding,
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    INT64,
    st.sampled_from(OrderRule),
    FLOATS,
    st.none() | FLOATS,
    TEXT,
)


def test_what_the_rules_did_is_read_back(tmp_path: Path) -> None:
    result = network_run()
    stored = read_run(write_run(tmp_path / "run", result))
    assert stored.events == tuple(result.events)
    assert stored.eliminations == tuple(result.eliminations)
    assert stored.standings == result.standings
    assert stored.order_findings == tuple(result.order_findings)
    # 2 evaluations of 3 and 2 traders, 1 competition of 3; 2 classes each
    assert len(stored.scores) == (3 + 2 + 3) * 2


def test_a_run_without_rules_has_empty_tables(tmp_path: Path) -> None:
    stored = read_run(write_run(tmp_path / "run", made_run()))
    assert (stored.events, stored.eliminations, stored.order_findings) == ((), (), ())
    assert (dict(stored.standings), len(stored.scores)) == ({}, 0)


def test_a_row_of_scores_is_a_trader_in_a_class() -> None:
    rows = rule_tables.score_table([scores(DAYS[1], ("5Up", "5Down"))], [], EVENTS).to_pylist()
    assert [(row["miner_hotkey"], row["asset_class"]) for row in rows] == [
        ("5Up", "crypto"),
        ("5Up", "forex"),
        ("5Down", "crypto"),
        ("5Down", "forex"),
    ]
    first, second, out, _ = rows
    assert (first["time_ms"], first["scored_with"], first["bucket"]) == (
        DAYS[1],
        "all",
        "MAINCOMP",
    )
    assert [first[metric] for metric in METRICS] == [1, 2, 3, 4, 5, 6]
    assert [first[f"percentile_{metric}"] for metric in METRICS] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    )
    assert (first["min_days"], second["min_days"], first["n_days"]) == (60, 7, 90)
    assert (first["weight"], second["weight"], first["final_weight"]) == (0.5, 0.25, 0.1)
    assert (first["score"], first["rank"], first["final_rank"]) == (1.0, 1, 1)
    assert [first[f"penalty_{name}"] for name in ("drawdown", "account_size", "risk_profile")] == [
        1.0,
        0.5,
        0.25,
    ]
    assert first["penalty"] == 0.125
    assert (out["penalty"], out["score"], out["percentile_pnl"]) == (0.0, 0.0, None)


def test_competitions_follow_and_the_bucket_is_that_after_the_evaluation() -> None:
    competition = scores(DAYS[2], ("5Up", "5Deep"))  # 5Deep leaves at this evaluation
    rows = rule_tables.score_table([scores(DAYS[3], ("5Up",))], [competition], EVENTS).to_pylist()
    assert [row["scored_with"] for row in rows] == ["all"] * 2 + ["competition"] * 4
    assert [row["bucket"] for row in rows] == ["MAINCOMP"] * 4 + [None] * 2


def test_figures_are_json_with_sorted_keys() -> None:
    figures: Figures = {
        "rank": 3,
        "asset_class": "crypto",
        "score": float("inf"),
        "candle_ms": None,
    }
    event = Event(5, "5Up", EventKind.PROMOTED, figures=figures)
    text = rule_tables.event_table([event])["figures"][0].as_py()
    assert text == '{"asset_class": "crypto", "candle_ms": null, "rank": 3, "score": "inf"}'


def test_equal_runs_with_rules_give_equal_bytes(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", network_run())
    turned = dict(reversed(list(network_run().standings.items())))
    two = write_run(tmp_path / "two", network_run(standings=turned))
    for name in ("events", "scores", "order_findings"):
        assert (one / f"{name}.parquet").read_bytes() == (two / f"{name}.parquet").read_bytes()
    infos = [json.loads((folder / "run.json").read_text()) for folder in (one, two)]
    assert list(infos[0]["standings"]) == list(infos[1]["standings"])
    assert infos[0]["eliminations"] == infos[1]["eliminations"]


@settings(deadline=None, max_examples=60)  # each example writes files
@given(st.lists(EVENT, max_size=4), st.lists(FINDING, max_size=4))
def test_any_event_and_finding_survives(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], findings: list[OrderFinding]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    write_table(rule_tables.event_table(events), folder / "events.parquet")
    write_table(rule_tables.order_finding_table(findings), folder / "order_findings.parquet")
    assert list(rule_tables.read_events(folder)) == events
    assert list(rule_tables.read_order_findings(folder)) == findings


def test_the_tables_hold_their_format_version(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", network_run())
    for name in ("events", "scores", "order_findings"):
        schema = pq.read_schema(folder / f"{name}.parquet")
        assert schema.metadata[b"ptn_backtest.format_version"] == b"3"
