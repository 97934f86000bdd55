"""`--json` of every command: one strict JSON document on standard output, nothing else there."""

import json
import shlex
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner

from ptn_backtest.cli.main import cli
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.sources.checkpoint_file import write_list

WITHOUT = {"candles pull", "serve", "export", "plot", "completion", "candles synthetic"}
"""Commands that need a network, stay, or write a file and have nothing else to tell."""

WITHOUT_BUNDLE = {"bundle run", "bundle export"}
"""What they write is the document."""

COMMANDS = {
    "doctor --use-test-positions": 0,
    "positions check list.json": 0,
    "positions check list.json list.json": 0,
    "positions import list.json sqlite:///copy.db": 0,
    "positions export list.json out.json --format list": 0,
    "positions audit list.json": 0,
    "positions check-orders list.json": 1,
    "candles check candles": 0,
    "candles list candles": 0,
    "candles compare candles candles": 0,
    "candles import fresh BTCUSD_1m.csv": 0,
    "rules list": 0,
    "rules show 2025-11": 0,
    "rules diff 2025-07 2025-11": 1,
    "run --use-test-positions --run-name second": 0,
    "continue runs/first --end-time-ms 2025-10-02": 0,
    "compare runs/first runs/first": 0,
    "explain runs/first 5TestTraderAn": 0,
    'query runs/first "SELECT 1 AS one"': 0,
    "bundle check bundle": 0,
}
"""Command and exit code."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    bundled_candles(made / "candles")
    write_list(made / "list.json", BundledPositionSource().read())
    (made / "BTCUSD_1m.csv").write_text("time,close\n1735689600000,94000\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        first = "run --use-test-positions --run-name first --end-time-ms 2025-09-20"
        bundle = "bundle export bundle --use-test-positions --end 2025-09-10"
        for command in (first, bundle):
            done = CliRunner().invoke(cli, shlex.split(command))
            assert done.exit_code == 0, done.output
    return made


def refuse(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_document(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, [*shlex.split(command), "--json"])
    assert done.exit_code == COMMANDS[command], done.output

    document: Any = json.loads(done.stdout, parse_constant=refuse)
    assert document
    assert "\x1b" not in done.output


def test_every_command_is_here() -> None:
    covered = {" ".join(shlex.split(command)[:2]) for command in COMMANDS}
    covered |= {command.split()[0] for command in COMMANDS}
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        names = (
            [f"{name} {inner}" for inner in command.commands]
            if isinstance(command, click.Group)
            else [name]
        )
        for each in names:
            assert each in covered | WITHOUT | WITHOUT_BUNDLE, each


def test_the_summary_of_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, shlex.split("run --use-test-positions --run-name third --json"))
    document = json.loads(done.stdout)

    assert (document["document"], document["document_version"]) == ("ptn-backtest run", 1)
    written = json.loads((folder / document["run_folder"] / "run.json").read_text())
    assert document["counts"] == written["counts"]
    assert Path(document["report"]).exists()
    ranked = [each["total_return"] for each in document["traders"]]
    assert ranked == sorted(ranked, reverse=True)
    assert len(ranked) == 6
    assert document["end_ms"] < NEVER_MS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])

    assert done.exit_code == 0
    assert f"_PTN_BACKTEST_COMPLETE={shell}_complete" in done.stdout


def test_what_bash_is_offered() -> None:
    environment = {
        "_PTN_BACKTEST_COMPLETE": "bash_complete",
        "COMP_WORDS": "ptn-backtest candles ",
        "COMP_CWORD": "2",
    }
    done = CliRunner(env=environment).invoke(cli, [], prog_name="ptn-backtest")

    assert "plain,compare" in done.stdout
