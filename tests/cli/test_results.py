"""`query`, `export` and `plot` as a user calls them."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ptn_backtest.cli.main import cli
from ptn_backtest.errors import ConfigError, QueryError
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.run_folder import write_run
from tests.results.made_networks import network_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    nasty = Rejection(Reason.INVALID_PRICE, "=cmd()", "\x1b[31mred", "5Up", "", "", 1)
    return write_run(tmp_path / "run", network_run(rejections=[nasty]))


def invoke(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], input=stdin)


def test_an_answer_as_a_table(run: Path) -> None:
    done = invoke("query", run, "SELECT kind, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    assert done.exit_code == 0, done.output
    assert re.search(r"ENTERED\s+│\s+4 │", done.stdout)
    wide = invoke("query", run, "SELECT repeat('x', 500) AS x").stdout
    assert "x" * 500 in wide  # no terminal, so nothing is cut
    assert r"\x1b[31mred" in invoke("query", run, "SELECT origin FROM rejected").stdout


def test_a_long_answer_is_cut_for_people_only(run: Path) -> None:
    query = "SELECT range AS n FROM range(1234)"
    shown = invoke("query", run, query)
    assert "200 of 1,234 rows; --csv and --json print all" in shown.stderr
    assert "│ 199 │" in shown.stdout
    assert "│ 200 │" not in shown.stdout
    assert len(json.loads(invoke("query", run, query, "--json").stdout)) == 1234
    assert len(invoke("query", run, query, "--csv").stdout.splitlines()) == 1235


def test_answers_for_tools(run: Path) -> None:
    query = "SELECT miner_hotkey, time_ms, drawdown_percent FROM eliminations ORDER BY time_ms"
    rows = json.loads(invoke("query", run, query, "--json").stdout)
    assert [row["miner_hotkey"] for row in rows] == ["5Deep", "5Zero"]
    text = invoke("query", run, "-", "--csv", stdin=query).stdout
    assert [row["drawdown_percent"] for row in csv.DictReader(io.StringIO(text))] == ["10.25", "0"]


def test_the_tables_with_units(run: Path) -> None:
    listed = invoke("query", run, "--tables").stdout
    assert re.search(r"slippage_change\s+│ double\s+│ log\s+│ what the order's slippage", listed)
    assert "attribution: one row per checkpoint" in listed


def test_wrong_queries(run: Path) -> None:
    assert invoke("query", run).exit_code == 2
    wrong = invoke("query", run, "SELECT gian FROM checkpoints")
    assert isinstance(wrong.exception, QueryError)
    assert "did you mean gain (checkpoints)" in str(wrong.exception)


def test_export(run: Path, tmp_path: Path) -> None:
    done = invoke(
        "export", run, "--csv", tmp_path / "csv", "--table", "rejected", "--table", "events"
    )
    assert done.stdout == f"2 tables: {tmp_path / 'csv'}\n"
    assert '"\'=cmd()"' in (tmp_path / "csv" / "rejected.csv").read_text()
    done = invoke("export", run, "--excel", tmp_path / "run.xlsx")
    assert done.stdout == f"10 tables: {tmp_path / 'run.xlsx'}\n"
    assert (tmp_path / "run.xlsx").read_bytes()[:2] == b"PK"
    assert invoke("export", run).exit_code == 2
    assert invoke("export", run, "--csv", "a", "--excel", "b").exit_code == 2
    unknown = invoke("export", run, "--csv", tmp_path / "csv", "--table", "trades")
    assert isinstance(unknown.exception, ConfigError)
    assert "no table trades: a run has ledgers, checkpoints" in str(unknown.exception)


def test_plot(run: Path, tmp_path: Path) -> None:
    done = invoke("plot", run, "5De", "--out", tmp_path / "deep.svg")
    assert done.stdout == f"plot: {tmp_path / 'deep.svg'}\n"
    assert "<svg" in (tmp_path / "deep.svg").read_text()


def test_errors_end_a_command_with_2(run: Path) -> None:
    code = "from ptn_backtest.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "query", str(run), "SELECT gian FROM checkpoints"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the query cannot be answered: ")
    assert "Traceback" not in done.stderr
