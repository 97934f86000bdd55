"""`ptn-backtest continue` as a user runs it, kill -9 included."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ptn_backtest.cli.unfinished import kept_to_oneself
from ptn_backtest.clock import format_time
from tests.cli.test_run import DATABASE_RUN, ptn_backtest, workplace
from tests.report.decoded import page_data

__all__ = ["workplace"]

RULES = ("--run-challenge", "--run-elimination", "--run-scoring")
DAILY = (*DATABASE_RUN, *RULES, "--state-interval", "3")


def contents(folder: Path) -> dict[str, Any]:
    """A run's files; of run.json all but what differs between equal runs, and the end as it was set."""
    found: dict[str, Any] = {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "report.html"
    }
    info = json.loads(found.pop("run.json"))
    info.pop("timings")
    info["settings"].pop("end_time_ms")
    # its settings name the end as it was set; all that it draws is the same
    drawn = page_data((folder / "report.html").read_text())
    return {**found, **info, "report": drawn}


@pytest.fixture(scope="module")
def whole(workplace: Path) -> dict[str, Any]:
    done = ptn_backtest(*DAILY, "--run-name", "whole", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return contents(workplace / "runs/whole")


def test_to_a_later_end(workplace: Path, whole: dict[str, Any]) -> None:
    # first orders come at the start: its time is that of the whole run
    first_ms = whole["start_ms"] + 12 * 86_400_000
    done = ptn_backtest(
        *DAILY, "--end-time-ms", str(first_ms), "--run-name", "later", cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    folder = workplace / "runs/later"
    assert json.loads((folder / "run.json").read_text())["end_ms"] == first_ms
    for end in (["--end-time-ms", str(first_ms + 5 * 86_400_000)], []):
        done = ptn_backtest("continue", "runs/later", *end, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert "run folder: runs/later" in done.stdout
        assert "nothing new" not in done.stdout
    told = contents(folder)
    assert told == {**whole, "warnings": told["warnings"]}
    assert not list((workplace / "runs").glob("unfinished-*"))
    again = ptn_backtest("continue", "runs/later", cwd=workplace)
    assert again.returncode == 0, again.stderr
    assert contents(folder) == told
    said = f"nothing new: the run is already at {format_time(whole['end_ms'])}"
    assert again.stdout.splitlines()[-1] == said
    # for programs it is a note
    same_end = ("--end-time-ms", str(whole["end_ms"]), "--json")
    again = ptn_backtest("continue", "runs/later", *same_end, cwd=workplace)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["end_ms"] == whole["end_ms"]
    assert said in again.stderr.splitlines()


def test_states_now_and_tables_later(workplace: Path, whole: dict[str, Any]) -> None:
    first_ms = whole["start_ms"] + 3 * 86_400_000
    done = ptn_backtest(*DAILY, "--end-time-ms", str(first_ms), "--run-name", "lean", cwd=workplace)
    assert done.returncode == 0, done.stderr
    folder = workplace / "runs/lean"
    before = contents(folder)
    end_ms = first_ms + 8 * 86_400_000
    command = ("continue", "runs/lean", "--states-only")
    done = ptn_backtest(*command, "--end-time-ms", str(end_ms), "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["from_ms"], said["end_ms"], said["n_updates"]) == (first_ms, end_ms, 8)
    assert contents(folder) == before
    done = ptn_backtest(*command, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "tables and report are written by: ptn-backtest continue runs/lean" in done.stdout
    events = pq.read_table(workplace / "runs/whole/events.parquet")
    then = [e["time_ms"] for e in events.to_pylist() if first_ms < e["time_ms"] <= end_ms]
    assert [event["time_ms"] for event in said["events"]] == then
    assert then
    assert contents(folder) == before
    again = ptn_backtest(*command, cwd=workplace)
    assert again.returncode == 0, again.stderr
    said = f"nothing new: the run is already at {format_time(whole['end_ms'])}"
    assert again.stdout.splitlines()[0] == said
    # the tables are behind the states
    done = ptn_backtest("continue", "runs/lean", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "nothing new" not in done.stdout
    told = contents(folder)
    assert told == {**whole, "warnings": told["warnings"]}


def killed(*arguments: str, cwd: Path, name: str, at_path: int) -> bool:
    """Run a command and kill it once it has made so many files and folders; whether it came to that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ptn_backtest.cli.main", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = paths_of(cwd, name)
    while process.poll() is None:
        if len(paths_of(cwd, name) - before) >= at_path:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.0005)
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def paths_of(cwd: Path, name: str) -> set[str]:
    """Whatever belongs to a run, hidden folders too."""
    found: set[str] = set()
    for top in (cwd / "runs").glob(f"*{name}*"):
        found |= {str(Path(folder) / file) for folder, _, files in os.walk(top) for file in files}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_it_goes_on_to_the_same_result(
    workplace: Path, whole: dict[str, Any], seed: int
) -> None:
    name = f"killed-{seed}"
    unfinished, folder = workplace / f"runs/unfinished-{name}", workplace / f"runs/{name}"
    chance = random.Random(seed)  # noqa: S311 - not for secrets

    def next_command() -> tuple[str, ...]:
        known = (unfinished / "states/plan.json").is_file()
        return ("continue", str(unfinished)) if known else (*DAILY, "--run-name", name)

    n_killed = 0
    for _ in range(5):
        if folder.is_dir():
            break
        n_killed += killed(*next_command(), cwd=workplace, name=name, at_path=chance.randint(1, 25))
    assert n_killed
    if not folder.is_dir():
        done = ptn_backtest(*next_command(), cwd=workplace)
        assert done.returncode == 0, done.stderr
    assert contents(folder) == whole
    assert not unfinished.exists()


def test_killed_while_it_takes_the_place_of_the_run_before(
    workplace: Path, whole: dict[str, Any]
) -> None:
    """Between two renames there is no run folder: then the one before is put back."""
    done = ptn_backtest(*DAILY, "--run-name", "replaced", cwd=workplace)
    assert done.returncode == 0, done.stderr
    folder = workplace / "runs/replaced"
    folder.rename(folder.with_name(".replaced.0a1b2c3d.old"))
    done = ptn_backtest("continue", "runs/replaced", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert contents(folder) == whole


def test_an_interrupted_run_says_how_to_go_on_and_is_not_begun_anew_by_accident(
    workplace: Path, whole: dict[str, Any]
) -> None:
    arguments = (*DAILY, "--run-name", "stopped")
    process = subprocess.Popen(
        [sys.executable, "-m", "ptn_backtest.cli.main", *arguments],
        cwd=workplace,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = workplace / "runs/unfinished-stopped/states/0000.rules"
    deadline = time.monotonic() + 120
    while not first.is_dir():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    if process.returncode == 0:
        pytest.skip("it was done before it heard of the interruption")
    assert process.returncode == 130
    assert "go on with: ptn-backtest continue runs/unfinished-stopped" in said
    anew = ptn_backtest(*arguments, cwd=workplace)
    assert anew.returncode == 2
    assert "go on with it ('ptn-backtest continue runs/unfinished-stopped')" in anew.stderr
    looked = ptn_backtest("explain", "runs/unfinished-stopped", "5Any", cwd=workplace)
    assert looked.returncode == 2
    assert "is not finished" in looked.stderr
    done = ptn_backtest("continue", "runs/unfinished-stopped", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert contents(workplace / "runs/stopped") == whole
    assert not first.exists()


def test_settings_that_are_others_are_told_where_a_run_of_that_name_was_interrupted(
    workplace: Path, tmp_path: Path
) -> None:
    output = tmp_path / "runs"
    arguments = (*DAILY, "--run-name", "begun", "--output", str(output))
    assert ptn_backtest(*arguments, cwd=workplace).returncode == 0
    (output / "unfinished-begun").mkdir()  # as if it had been killed before it was written
    (output / "begun/states").rename(output / "unfinished-begun/states")
    shutil.rmtree(output / "begun")
    again = ptn_backtest(*arguments, cwd=workplace)
    assert "holds a run with these settings that was interrupted: go on with it" in again.stderr
    other = ptn_backtest(*arguments, "--missing-candles", "hold", cwd=workplace)
    assert other.returncode == 2
    assert "with other settings (missing_candles): go on with it" in other.stderr
    plan = output / "unfinished-begun/states/plan.json"
    plan.write_text(plan.read_text().replace('"version": ', '"version": 9'))
    assert "cannot go on with" in ptn_backtest(*arguments, cwd=workplace).stderr
    assert ptn_backtest(*arguments, "--overwrite", cwd=workplace).returncode == 0
    assert [each.name for each in output.iterdir() if each.is_dir()] == ["begun"]


@pytest.mark.parametrize("left", ["nothing", "plan", "first ledgers"])
def test_a_run_of_which_nothing_is_done_is_in_nobody_s_way(
    workplace: Path, tmp_path: Path, whole: dict[str, Any], left: str
) -> None:
    """Its process was killed, so that it could not clear up."""
    output = tmp_path / "runs"
    arguments = (*DAILY, "--run-name", "begun", "--output", str(output))
    unfinished = output / "unfinished-begun"
    if left == "nothing":
        unfinished.mkdir(parents=True)
        (unfinished / ".lock").touch()
    else:
        assert ptn_backtest(*arguments, cwd=workplace).returncode == 0
        unfinished.mkdir()
        (output / "begun/states").rename(unfinished / "states")
        shutil.rmtree(output / "begun")
        for part in (unfinished / "states").glob("[0-9]*"):
            if left == "plan" or part.name != "0000.ledgers":
                shutil.rmtree(part)
    done = ptn_backtest(*arguments, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert contents(output / "begun") == whole
    assert not unfinished.exists()


def test_a_run_that_is_refused_leaves_nothing_behind(workplace: Path, tmp_path: Path) -> None:
    """Candles are missing after the end of the synthetic ones."""
    output = tmp_path / "runs"
    arguments = ("run", "--use-test-positions", "--end-time-ms", "2027-01-01", "--run-name", "x")
    refused = ptn_backtest(*arguments, "--output", str(output), cwd=workplace)
    assert refused.returncode == 2
    assert "minute candles" in refused.stderr
    assert not list(output.glob("*x*"))


def test_one_process_at_a_time_writes_a_run(workplace: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    arguments = (*DAILY, "--run-name", "one", "--output", str(output))
    unfinished = output / "unfinished-one"
    with kept_to_oneself(unfinished):
        refused = ptn_backtest(*arguments, cwd=workplace)
        assert refused.returncode == 2
        assert f"another process is writing {unfinished}" in refused.stderr
        assert unfinished.is_dir()
    assert not unfinished.exists()
    assert ptn_backtest(*arguments, cwd=workplace).returncode == 0
    assert not unfinished.exists()


def database_of_its_own(workplace: Path, folder: Path) -> tuple[sqlite3.Connection, list[str]]:
    """A copy of the positions, to be changed, and the daily run of it."""
    target = sqlite3.connect(folder / "positions.db")
    sqlite3.connect(workplace / "positions.db").backup(target)
    return target, [*DAILY[:3], f"sqlite:///{folder / 'positions.db'}", *DAILY[4:]]


def test_a_late_order_in_the_database_is_noticed(workplace: Path, tmp_path: Path) -> None:
    """As a validator would have it: the database changed between two runs."""
    target, command = database_of_its_own(workplace, tmp_path)
    done = ptn_backtest(*command, "--run-name", "changing", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with target:
        changed = target.execute(
            "UPDATE orders SET price = price * 1.01 WHERE order_uuid = "
            "(SELECT order_uuid FROM orders ORDER BY processed_ms DESC LIMIT 1 OFFSET 40)"
        )
    assert changed.rowcount == 1
    target.close()
    done = ptn_backtest("-v", "continue", "runs/changing", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "built anew" in done.stderr
    assert "nothing new" not in done.stdout  # the end is what it was, figures are not
    fresh = ptn_backtest(*command, "--run-name", "fresh", cwd=workplace)
    assert fresh.returncode == 0, fresh.stderr
    told, wanted = (contents(workplace / "runs" / name) for name in ("changing", "fresh"))
    assert told == {**wanted, "warnings": told["warnings"]}


def test_a_source_that_is_empty_now_does_not_cost_a_run(workplace: Path, tmp_path: Path) -> None:
    target, command = database_of_its_own(workplace, tmp_path)
    done = ptn_backtest(*command, "--run-name", "emptied", cwd=workplace)
    assert done.returncode == 0, done.stderr
    before = contents(workplace / "runs/emptied")
    with target:
        target.execute("DELETE FROM orders")
        target.execute("DELETE FROM positions")
    target.close()
    for more in ([], ["--states-only"]):
        refused = ptn_backtest("continue", "runs/emptied", *more, cwd=workplace)
        assert refused.returncode == 2, refused.stdout
        assert "no position was loaded" in refused.stderr
    assert contents(workplace / "runs/emptied") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/none"], "is no run folder"),
        (["runs/without"], "a run without stored states"),
        (["runs/whole", "--end-time-ms", "2025-09-02"], "a shorter one is a new run"),
        (["runs/whole", "--candles", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_continued(
    workplace: Path, whole: dict[str, Any], arguments: list[str], message: str
) -> None:
    assert whole
    if not (workplace / "runs/without").exists():
        made = ptn_backtest(
            *DATABASE_RUN, "--state-interval", "0", "--run-name", "without", cwd=workplace
        )
        assert made.returncode == 0, made.stderr
    done = ptn_backtest("continue", *arguments, cwd=workplace)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_password_is_asked_for_and_never_stored(workplace: Path, whole: dict[str, Any]) -> None:
    assert whole
    folder = workplace / "runs/secret"
    done = ptn_backtest(*DAILY, "--run-name", "secret", cwd=workplace)
    assert done.returncode == 0, done.stderr
    plan = folder / "states/plan.json"
    stored = json.loads(plan.read_text())
    stored["settings"]["config"]["database_url"] = "postgresql://me:***@127.0.0.1:1/db"
    plan.write_text(json.dumps(stored))
    done = ptn_backtest("continue", "runs/secret", cwd=workplace)
    assert done.returncode == 2
    assert "PTN_BACKTEST_DATABASE_URL" in done.stderr
    url = "postgresql://me:hidden-word@127.0.0.1:1/db"
    done = ptn_backtest("continue", "runs/secret", cwd=workplace, PTN_BACKTEST_DATABASE_URL=url)
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert "hidden-word" not in done.stderr + done.stdout
    given = ptn_backtest(
        "continue", "runs/secret", "--database-url", "sqlite:///positions.db", cwd=workplace
    )
    assert given.returncode == 0, given.stderr
    assert all(b"hidden-word" not in p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_rulebook_that_changed_is_refused(workplace: Path) -> None:
    shown = ptn_backtest("rules", "show", "2025-11", "--toml", cwd=workplace)
    book = workplace / "mine.toml"
    book.write_text(shown.stdout)
    run = ptn_backtest(*DAILY, "--rulebook", "mine.toml", "--run-name", "mine", cwd=workplace)
    assert run.returncode == 0, run.stderr
    other = re.sub(r"(?m)^drawdown_limit = .*$", "drawdown_limit = 11.0", shown.stdout)
    assert other != shown.stdout
    book.write_text(other)
    done = ptn_backtest("continue", "runs/mine", cwd=workplace)
    assert done.returncode == 2
    assert "rulebook mine.toml is not what it was" in done.stderr
