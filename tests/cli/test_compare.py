"""`ptn-backtest compare` and `explain` on two real runs of the bundled test positions."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EMEKA = "5TestTraderEmeka" + "x" * 32
BRUNO = "5TestTraderBruno" + "x" * 32


def ptn_backtest(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ptn_backtest.cli.main", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs: as the rules say, with a wider limit, and shorter without a pair."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "wide.toml").write_text('base = "2025-11"\n[eliminations]\ndrawdown_limit = 25.0\n')
    for name, *options in (
        ("default",),
        ("wide", "--rulebook", "wide.toml"),
        ("short", "--end-time-ms", "2025-09-10", "--drop-pairs", "ETHUSD"),
    ):
        done = ptn_backtest(
            "run",
            "--use-test-positions",
            "--run-challenge",
            "--run-elimination",
            "--run-scoring",
            "--run-name",
            name,
            *options,
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
    return folder / "runs"


def test_a_wider_limit_saves_two_traders(runs):
    done = ptn_backtest(*("compare", "default", "wide", "--json", "--html", "page.html"), cwd=runs)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["rulebook"] == [{"key": "eliminations.drawdown_limit", "a": 10.0, "b": 25.0}]
    assert found["what_if"] == found["settings"] == found["inputs"] == []
    fates = {one["miner_hotkey"]: one for one in found["fates"]["differences"]}
    assert set(fates) == {EMEKA, BRUNO}
    for fate in fates.values():
        assert fate["a"]["reason"] == "FAILED_CHALLENGE_PERIOD_DRAWDOWN"
        assert (fate["a"]["bucket"], fate["b"]["bucket"]) == (None, "CHALLENGE")
        assert [one["name"] for one in fate["figures"] if one["differs"]] == ["limit_percent"]
    # up to the eliminations the same was replayed, so no common checkpoint differs
    assert {one["different"] for one in found["ledgers"]["differences"]} == {0}
    # from 10 % on the drawdown took the score, before anybody was eliminated
    assert found["scores"]["first_difference_ms"] < fates[EMEKA]["parted_ms"]
    assert (runs / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_a_run_and_itself(runs):
    done = ptn_backtest("compare", "default", "default", cwd=runs)
    assert done.returncode == 0, done.stderr
    assert "Every result is equal, under the same settings." in done.stdout


def test_a_shorter_run_without_a_pair(runs):
    done = ptn_backtest("compare", "default", "short", "--json", cwd=runs)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [(one["key"], one["b"]) for one in found["what_if"]] == [("drop_pairs", ["ETHUSD"])]
    # the last daily update of both is on 2025-09-09 at 00:30
    assert found["common"]["until_ms"] == 1_757_377_800_000
    (difference, *_) = found["ledgers"]["differences"]
    assert difference["miner_hotkey"].startswith("5TestTraderDara")
    assert {one["trade_pair_id"] for one in found["positions"]["only_a"]} == {"ETHUSD"}
    alone = ptn_backtest(*("compare", "default", "short", "--hotkey", "5TestTraderEm"), cwd=runs)
    assert alone.returncode == 0, alone.stdout


def test_the_story_of_emeka(runs):
    done = ptn_backtest("explain", "default", "5TestTraderEm", "--json", cwd=runs)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["miner_hotkey"] == EMEKA
    breach = told["end"]["breach"]
    held = {one["trade_pair_id"]: one["return_at_close"] for one in breach["positions"]}
    # both of its positions were open, so the portfolio was worth their product
    assert breach["value"] == pytest.approx(held["SOLUSD"] * held["GBPUSD"], rel=1e-12)
    assert 1 - breach["value"] / breach["peak"] >= 0.1
    assert told["drawdown"]["unexplained"] == pytest.approx(0, abs=1e-9)
    told_in_words = ptn_backtest("explain", "default", EMEKA, cwd=runs).stdout
    words = " ".join(told_in_words.split())
    assert "a drawdown of 10.94% reached the limit of 10%" in words
    assert "before that a drawdown eliminates nobody in CHALLENGE" in words


def test_the_distances_of_anna_add_up(runs):
    done = ptn_backtest("explain", "default", "5TestTraderAn…xxx", "--json", cwd=runs)
    now = json.loads(done.stdout)["situation"]
    # its recorded account is of 250,000 USD, and the limit 10 % below the peak
    assert now["account_size"] == 250_000
    value_at_limit = now["value"] * (1 - now["fall_to_limit_percent"] / 100)
    assert value_at_limit == pytest.approx(0.9 * now["peak"])
    assert now["usd_to_limit"] == pytest.approx(250_000 * now["fall_to_limit_percent"] / 100)
    assert now["full_days"] < now["full_days_needed"] == 61


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "default", "none"), "none is not a run folder"),
        (("compare", "default", "wide", "--hotkey", "5Nobody"), "no trader '5Nobody'"),
        (("compare", "default", "wide", "--rtol", "2"), "not a tolerance"),
        (("compare", "default", "wide", "--html", "no/where.html"), "cannot be written"),
        (("explain", "default", "5Test"), "give more of the hotkey"),
        (("explain", "default", "Emeka"), f"did you mean {EMEKA}?"),
    ],
)
def test_errors_say_what_to_do(runs, arguments, says):
    done = ptn_backtest(*arguments, cwd=runs)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
