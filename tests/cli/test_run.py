"""`ptn-backtest run` as a user runs it: a process, files, a database."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ptn_backtest.cli.exits import exit_codes

ROOT = Path(__file__).parents[2]


def ptn_backtest(
    *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ptn_backtest.cli.main", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the test positions in a database, and their candles."""
    folder = tmp_path_factory.mktemp("workplace")
    imported = ptn_backtest("positions", "import", "test", "sqlite:///positions.db", cwd=folder)
    assert imported.returncode == 0, imported.stderr
    made = ptn_backtest("candles", "synthetic", "candles", cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder


DATABASE_RUN = (
    "run",
    "--use-database-positions",
    "--database-url",
    "sqlite:///positions.db",
    "--candles",
    "candles",
)


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def test_two_runs_are_identical_but_for_the_timings(workplace):
    folders = []
    for name in ("first", "second"):
        done = ptn_backtest(*DATABASE_RUN, "--run-name", name, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert f"runs/{name}/report.html" in done.stdout
        assert "SYNTHETIC" in done.stdout
        folders.append(files(workplace / "runs" / name))
    first, second = folders
    runs = [json.loads(folder.pop("run.json")) for folder in (first, second)]
    assert first == second
    timings = [run.pop("timings") for run in runs]
    assert all(timings)
    assert runs[0] == runs[1]
    assert {"checkpoints.parquet", "positions.parquet", "rejected.parquet", "report.html"} <= set(
        first
    )


def test_a_run_from_the_database_equals_one_from_the_bundle(workplace):
    """The way through SQL changes nothing: same positions, same candles, same ledgers."""
    done = ptn_backtest("run", "--use-test-positions", "--run-name", "direct", cwd=workplace)
    assert done.returncode == 0, done.stderr
    again = ptn_backtest(*DATABASE_RUN, "--run-name", "database", cwd=workplace)
    assert again.returncode == 0, again.stderr
    direct, database = (workplace / "runs" / name for name in ("direct", "database"))
    for table in ("checkpoints.parquet", "ledgers.parquet"):
        assert (direct / table).read_bytes() == (database / table).read_bytes()
    inputs = [json.loads((f / "run.json").read_text())["inputs"] for f in (direct, database)]
    assert inputs[0] == inputs[1]


def test_a_run_folder_in_the_way_is_kept(workplace):
    arguments = ("run", "--use-test-positions", "--run-name", "kept")
    assert ptn_backtest(*arguments, cwd=workplace).returncode == 0
    refused = ptn_backtest(*arguments, cwd=workplace)
    assert refused.returncode == 2
    assert "overwrite" in refused.stderr
    assert ptn_backtest(*arguments, "--overwrite", cwd=workplace).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ("run", "--use-test-positions", "--use-database-positions"),
            ("use_test_positions", "use_database_positions"),
        ),
        (("run", "--use-test-positions", "--parallel-mode", "3"), ("MULTIPROCESSING", "SERIAL")),
        (("run", "--use-test-positions", "--drop-pairs", "BTCUSDD"), ("--drop-pairs", "BTCUSD")),
        (("run", "--use-test-positions", "--capital", "0"), ("--capital", "above 0")),
        (("run", "--use-database-positions", "--candles", "candles"), ("taoshi", "database")),
        (
            ("run", "--positions-path", "nowhere", "--candles", "candles"),
            ("nowhere",),
        ),
        ((*DATABASE_RUN[:-1], "nowhere"), ("nowhere", "candles import")),
        ((*DATABASE_RUN, "--start-time-ms", "someday"), ("someday",)),
    ],
)
def test_mistakes_end_with_one_message_and_exit_code_2(workplace, arguments, named):
    done = ptn_backtest(*arguments, cwd=workplace)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in named:
        assert word in done.stderr


def test_a_range_without_positions_leaves_a_page_that_says_so(workplace):
    done = ptn_backtest(
        *DATABASE_RUN, "--test-single-hotkey", "5Nobody", "--run-name", "empty", cwd=workplace
    )
    assert done.returncode == 1, done.stderr  # whoever runs it by a timer is to notice
    assert "no position" in done.stdout.lower()
    assert "5Nobody" in (workplace / "runs" / "empty" / "report.html").read_text()


def test_a_terminal_that_lacks_letters_is_no_reason_to_fail(workplace):
    done = ptn_backtest(
        *DATABASE_RUN, "--run-name", "ascii", cwd=workplace, PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "x.parquet"), "error: x.parquet: No space left"),
        # as Arrow raises it, which has no file's name
        (
            OSError("Error writing bytes to file. Detail: No space left"),
            "error: Error writing bytes",
        ),
    ],
)
def test_a_full_disk_is_told_in_one_message(error, said, capsys):
    with pytest.raises(SystemExit) as left, exit_codes():
        raise error
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert "that the disk has room" in told


def test_the_demo_does_not_see_the_settings_of_ones_own_runs():
    shown = subprocess.run(
        ["make", "--silent", "--directory", str(ROOT), "--eval", "shown: ; @env", "shown"],
        env={**os.environ, "PTN_BACKTEST_DATABASE_URL": "sqlite:///mine.db", "PTN_TEST_X": "kept"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "PTN_BACKTEST_DATABASE_URL" not in shown
    assert "PTN_TEST_X=kept" in shown


def test_a_password_is_never_shown(workplace):
    url = "postgresql://reader:s3cret@127.0.0.1:1/ptn"
    done = ptn_backtest(
        "-vv",
        "run",
        "--use-database-positions",
        "--candles",
        "candles",
        cwd=workplace,
        PTN_BACKTEST_DATABASE_URL=url,
    )
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def run_script(script: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_script_of_the_users_document(workplace):
    done = run_script(ROOT / "neurons" / "backtest_manager.py", workplace)
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout


def test_the_script_reads_a_database_of_other_names(workplace, tmp_path):
    """The flags at its top are all that is changed."""
    script, mapping = tmp_path / "backtest_manager.py", tmp_path / "other.toml"
    text = (ROOT / "neurons" / "backtest_manager.py").read_text()
    for flag, value in {
        "use_test_positions": "False",
        "use_database_positions": "True",
        "database_url: str | None": '"sqlite:///positions.db"',
        "database_mapping: str | None": f'"{mapping}"',
        "candles: str | None": '"candles"',
        "missing_candles": '"hold"',
        "end_time_ms: int | str | None": '"2025-12-01"',  # long after the last candle
    }.items():
        text, n_changed = re.subn(
            rf"^{re.escape(flag)} = \S+", f"{flag} = {value}", text, flags=re.MULTILINE
        )
        assert n_changed == 1, flag
    script.write_text(text)

    refused = run_script(script, workplace)
    assert refused.returncode == 2
    assert f"{mapping} cannot be read" in refused.stderr
    mapping.write_text('[positions]\ntable = "trades"\n')
    assert "no table trades" in run_script(script, workplace).stderr
    mapping.write_text('[positions]\ntable = "positions"\n')
    done = run_script(script, workplace)
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout


def test_help_teaches(workplace):
    for arguments in (("--help",), ("run", "--help"), ("bundle", "--help"), ("candles", "--help")):
        done = ptn_backtest(*arguments, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert "ptn-backtest " in done.stdout
