"""`ptn-backtest bundle`: what it prints, writes and returns."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from ptn_backtest.backtest.config import load_config
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.bundles.checking import check_bundle
from ptn_backtest.cli.bundle import bundle
from ptn_backtest.clock import HOUR_MS
from ptn_backtest.errors import BacktestError, BundleError, ConfigError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from tests.bundles.made_bundles import (
    ALICE,
    BOB,
    END_MS,
    START_MS,
    candles,
    change_expected,
    scenario,
    write_bundle,
    write_expected,
)


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(bundle, [str(argument) for argument in arguments])
    if isinstance(result.exception, BacktestError):
        raise result.exception
    return result


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ptn_backtest.cli.main", "bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = write_bundle(tmp_path / "good")
    write_expected(folder)
    return folder


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    folder = write_bundle(tmp_path / "wrong")
    expected = write_expected(folder)
    expected["ledgers"][ALICE]["portfolio"]["cps"][1]["gain"] *= 1 + 1e-8
    expected["ledgers"][BOB]["portfolio"]["cps"][0]["n_updates"] += 1
    change_expected(folder, {**expected, "moods": {}})
    return folder


def test_check_of_an_equal_bundle_says_so(good: Path) -> None:
    result = invoke("check", good)
    assert result.exit_code == 0
    assert f"{good}  agrees" in result.output
    assert "none" in result.output
    n_values = check_bundle(good).n_values
    assert f"1 folder: agrees 1; {n_values:,} values compared" in result.output


def test_check_of_a_wrong_bundle_names_the_place_and_fails(good: Path, wrong: Path) -> None:
    result = invoke("check", good, wrong)
    assert result.exit_code == 1
    assert f"{wrong}: ledgers/{ALICE}/portfolio/cps/1/gain: " in result.output
    assert "(1.0e-08)" in result.output
    assert f"{wrong}: ledgers/{BOB}/portfolio/cps/0/n_updates: " in result.output
    assert f"{wrong}: NOT COMPARED (no section that this version knows): moods" in result.output
    assert "2 folders: agrees 1, DIFFERS 1;" in result.output


def test_check_lists_as_many_differences_as_asked(wrong: Path) -> None:
    result = invoke("check", wrong, "--show", 1)
    assert "and 1 difference more" in result.output


def test_a_wider_tolerance_forgives_floats_and_never_integers(wrong: Path) -> None:
    result = invoke("check", wrong, "--rtol", "1e-7")
    assert result.exit_code == 1
    assert "cps/1/gain" not in result.output
    assert "n_updates" in result.output


def test_what_cannot_be_checked_is_no_pass(good: Path, wrong: Path, tmp_path: Path) -> None:
    without = write_bundle(tmp_path / "without")
    result = invoke("check", without, good)
    assert result.exit_code == 2
    assert f"{without}: {without} has no expected.json" in result.output
    assert invoke("check", without, wrong, good).exit_code == 1
    assert invoke("check", tmp_path / "nowhere").exit_code == 2


def test_check_as_json(good: Path, wrong: Path) -> None:
    result = invoke("check", wrong, good, "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    first, second = found["checks"]
    assert found["verdict"] == first["verdict"] == "DIFFERS"
    assert first["n_differences"] == len(first["differences"]) == 2
    assert first["largest"]["path"] == f"ledgers/{BOB}/portfolio/cps/0/n_updates"
    assert first["not_compared"] == {"moods": "no section that this version knows"}
    assert first["sections"]["daily"]["n_differences"] == 0
    assert second["verdict"] == "agrees"


def test_exit_codes_of_the_real_command(good: Path, wrong: Path, tmp_path: Path) -> None:
    assert process("check", good).returncode == 0
    assert process("check", good, wrong).returncode == 1
    refused = process("run", tmp_path / "nowhere")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")


def test_a_bundle_with_rules_is_checked_whole(tmp_path: Path) -> None:
    times = {"now_ms": None, "update_times_ms": [END_MS], "start_time_ms": END_MS}
    rules = {"run_challenge": True, "run_elimination": True, "run_scoring": True}
    folder = write_bundle(tmp_path / "rules", scenario(mode="backtest", **times, **rules))
    expected = write_expected(folder)
    assert {"buckets", "scoring"} <= set(expected)
    assert invoke("check", folder, "--rtol", 0, "--atol", 0).exit_code == 0
    expected["buckets"][ALICE][0] = "MAINCOMP"
    change_expected(folder, expected)
    result = invoke("check", folder)
    assert result.exit_code == 1
    assert f"buckets/{ALICE}/0: CHALLENGE vs MAINCOMP" in result.output


def test_run_writes_the_results_and_a_summary(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("run", good)
    assert result.exit_code == 0
    written = json.loads((tmp_path / "good-results.json").read_text())
    assert written == json.loads((good / "expected.json").read_text())
    assert "results: good-results.json" in result.output
    value = written["ledgers"][ALICE]["portfolio"]["cps"][-1]["prev_portfolio_ret"]
    assert f"{value:.6f}" in result.output


def test_run_prints_the_results_where_asked(good: Path) -> None:
    assert json.loads(invoke("run", good, "--output", "-").output)["ledgers"].keys() == {ALICE, BOB}


@pytest.mark.parametrize("name", ["expected.json", "scenario.json", "candles.parquet"])
def test_run_never_writes_over_a_bundle(good: Path, name: str) -> None:
    before = (good / name).read_bytes()
    with pytest.raises(BundleError, match="never overwritten"):
        invoke("run", good, "--output", good / name)
    assert (good / name).read_bytes() == before


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A TOML file of a run on positions from disk and a candle store."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "positions.json").write_text(json.dumps(scenario()["positions"]))
    store = CandleStore.create(folder / "candles")
    rows = candles()
    for pair, timespan in {row[:2] for row in rows}:
        mine = [row for row in rows if row[:2] == (pair, timespan)]
        times, closes = [row[2] for row in mine], [row[3] for row in mine]
        store.write(pair, Timespan(timespan), _table(times, closes))
    file = folder / "run.toml"
    file.write_text(
        f"""
        positions_path = "positions.json"
        candles = "candles"
        start_time_ms = {START_MS + 6 * HOUR_MS}
        end_time_ms = {END_MS}
        interval_ms = {6 * HOUR_MS}
        """
    )
    return file


def test_export_makes_a_bundle_of_the_run(settings: Path, tmp_path: Path) -> None:
    result = invoke("export", tmp_path / "out", "--config", settings, "--hotkey", ALICE)
    assert result.exit_code == 0, result.output
    assert "1 trader, 2 positions, 4 orders" in result.output
    assert "5 updates" in result.output
    run = run_backtest(load_config(settings, {}, {}))
    expected = json.loads((tmp_path / "out" / "expected.json").read_text())
    assert expected["ledgers"] == {
        ALICE: {name: ledger.to_dict() for name, ledger in run.ledgers[ALICE].items()}
    }
    assert invoke("check", tmp_path / "out", "--rtol", 0, "--atol", 0).exit_code == 0


def test_export_within_a_range(settings: Path, tmp_path: Path) -> None:
    result = invoke(
        "export",
        tmp_path / "out",
        "--config",
        settings,
        "--start",
        "2025-03-04T15:00",
        "--end",
        "2025-03-05",
        "--name",
        "an evening",
        "--no-expected",
    )
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "scenario.json").read_text())
    assert written["name"] == "an evening"
    assert [position["position_uuid"] for position in written["positions"]] == ["a2", "b1"]
    assert written["settings"]["start_time_ms"] == START_MS + 15 * HOUR_MS
    assert written["settings"]["update_times_ms"][-1] == START_MS + 24 * HOUR_MS
    assert not (tmp_path / "out" / "expected.json").exists()


def test_bundles_of_the_test_positions_are_labelled_synthetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "synthetic" in invoke("export", "demo", "--use-test-positions").output
    assert "demo: synthetic" in invoke("check", "demo", "--rtol", 0, "--atol", 0).output
    assert "synthetic" in invoke("run", "demo").output


def test_export_refuses_what_a_run_refuses(settings: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source of positions"):
        invoke("export", tmp_path / "out")
    result = invoke("export", tmp_path / "out", "--config", settings, "--start", "soon")
    assert result.exit_code == 2
    assert "'soon' is not a time" in result.output


def test_export_has_no_options_about_run_folders() -> None:
    text = invoke("export", "--help").output
    assert "--database-url" in text
    assert "--run-name" not in text
    assert "--plots" not in text


@pytest.mark.parametrize("command", ["run", "check", "export"])
def test_help_teaches_with_examples(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"ptn-backtest bundle {command}" in result.output


def _table(times: list[int], closes: list[float]) -> pa.Table:
    return pa.table(
        {"timestamp_ms": pa.array(times, pa.int64()), "close": pa.array(closes, pa.float64())}
    )
