"""`--json` of every command: one strict JSON document on standard output, nothing else there."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner

from ptn_backtest.cli.main import cli
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.sources.checkpoint_file import write_list

WITHOUT = {
    "serve": "it stays, and answers browsers",
    "completion": "what it prints is a program for a shell",
}
"""Commands without --json, and why."""

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
    "candles synthetic candles": 0,
    "candles pull fresh --for test --provider massive --dry-run": 0,
    "candles pull-quotes fresh --for test --provider massive --dry-run": 0,
    "rules list": 0,
    "rules show 2025-11": 0,
    "rules diff 2025-07 2025-11": 1,
    "run --use-test-positions --run-name second": 0,
    "continue runs/first --end-time-ms 2025-10-02": 0,
    "compare runs/first runs/first": 0,
    "explain runs/first 5TestTraderAn": 0,
    'query runs/first "SELECT 1 AS one"': 0,
    "export runs/first --csv tables": 0,
    "plot runs/first 5TestTraderAn --out trader.svg": 0,
    "bundle check bundle": 0,
    "bundle run bundle": 0,
    "bundle export other --use-test-positions --end 2025-09-10": 0,
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


def all_commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, however deep; groups load theirs when asked."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    assert isinstance(cli, click.Group)
    return dict(all_commands(cli))


def test_every_command_that_prints_results_has_it(commands: dict[str, click.Command]) -> None:
    assert WITHOUT.keys() < commands.keys()
    for name, command in commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) != (name in WITHOUT), name


def test_every_command_is_here(commands: dict[str, click.Command]) -> None:
    for name in commands:
        tried = any(f"{line} ".startswith(f"{name} ") for line in COMMANDS)
        assert tried != (name in WITHOUT), name


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


def test_a_bundles_results_are_a_document_already(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, shlex.split("bundle run bundle --output - --json"))
    assert done.exit_code == 2
    assert "leave out --json" in done.output
    done = CliRunner().invoke(cli, shlex.split("bundle run bundle --output -"))
    results = json.loads(done.stdout)
    summary = json.loads(CliRunner().invoke(cli, shlex.split("bundle run bundle --json")).stdout)
    assert {each["miner_hotkey"] for each in summary["traders"]} == results["ledgers"].keys()
    assert sum(each["positions"] for each in summary["traders"]) == len(results["positions"])
