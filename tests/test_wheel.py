"""The wheel: what is in it, and that the core alone makes a first run. No network is needed.

The core's packages are those of this environment, linked into an empty one, so that a package that only
an extra or the developers have cannot be imported there.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"[\w.-]+")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = pip(
        "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, ROOT
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def core_distributions() -> set[str]:
    """The packages that the core asks for, and those that they ask for."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    waiting, found = list(declared), set[str]()
    while waiting:
        wanted = waiting.pop()
        name = _NAME.match(wanted)
        # a marker that names an extra is not for the core; one for other systems is not met here
        if name is None or "extra ==" in wanted or name[0].lower() in found:
            continue
        try:
            requires = distribution(name[0]).requires or []
        except ModuleNotFoundError:
            assert ";" in wanted, f"{name[0]} is not installed here"
            continue
        found.add(name[0].lower())
        waiting += requires
    return found


def link(name: str, target: Path) -> None:
    """Link what a package installed into another environment, with its data."""
    there = distribution(name)
    tops = {file.parts[0] for file in there.files or () if ".." not in file.parts}
    for top in tops - {"__pycache__"}:
        place = target / top
        if not place.exists():
            place.symlink_to(Path(str(there.locate_file(top))))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the core alone."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder, with_pip=False, system_site_packages=False)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    for name in core_distributions():
        link(name, packages)
    done = pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    assert done.returncode == 0, done.stderr
    return python


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(python.parent / "ptn-backtest"), *arguments],
        cwd=folder,
        # a cache of its own: machine code remembers where its sources lie
        env={**kept, "XDG_CACHE_HOME": str(python.parents[1] / "cache"), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "ptn_backtest"
    sources = {
        f"ptn_backtest/{file.relative_to(package).as_posix()}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    for needed in ("data/trade_pairs.csv", "data/rulebooks/2025-11.toml", "py.typed"):
        assert f"ptn_backtest/{needed}" in names
    assert any(name.startswith("ptn_backtest/report/templates/") for name in names)
    assert wheel.stat().st_size < 2_000_000


def test_the_core_makes_a_first_run(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "run", "--use-test-positions", "--run-name", "first")

    assert done.returncode == 0, done.stderr
    assert "+13.03%" in done.stdout
    assert (tmp_path / "runs" / "first" / "report.html").stat().st_size > 10_000
    explained = run(python, tmp_path, "explain", "runs/first", "5TestTraderAn")
    assert explained.returncode == 0, explained.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("query runs/first SELECT", "query"),
        ("serve runs", "web"),
        ("export runs/first --excel first.xlsx", "excel"),
        ("plot runs/first 5TestTraderAn --out first.svg", "reports"),
        ("positions check postgresql://me@127.0.0.1:1/x", "postgres"),
        ("positions check mysql://me@127.0.0.1:1/x", "mysql"),
        ("run --use-test-positions --parallel-mode PYSPARK", "spark"),
        ("candles pull prices --for test --provider massive --dry-run", "providers"),
    ],
)
def test_what_an_extra_lacks_is_said(
    python: Path, tmp_path: Path, command: str, extra: str
) -> None:
    if "runs/first" in command:
        done = run(python, tmp_path, "run", "--use-test-positions", "--run-name", "first")
        assert done.returncode == 0, done.stderr
    done = run(python, tmp_path, *command.split())

    assert done.returncode == 2
    assert f"pip install 'ptn-backtest[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_beside_the_core_is_there(python: Path) -> None:
    for module in ("pytest", "psycopg", "pandas", "hypothesis", "duckdb", "requests"):
        done = subprocess.run(
            [str(python), "-I", "-c", f"import {module}"], capture_output=True, check=False
        )
        assert done.returncode != 0, module
    assert shutil.which("ptn-backtest", path=str(python.parent))
