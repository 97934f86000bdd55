"""The package as a notebook shows it: names after a dot, and what a cell prints."""

import subprocess
import sys
import tomllib
from pathlib import Path

import ptn_backtest
from ptn_backtest import (
    BacktestConfig,
    BacktestManager,
    DatabasePositionOrderSource,
    PositionManager,
    convert,
    open_source,
    run_backtest,
)
from ptn_backtest.sources.bundled import bundled_candles

ROOT = Path(__file__).parents[1]


def test_a_dot_completes_to_the_public_names() -> None:
    shown = {name for name in dir(ptn_backtest) if not name.startswith("_")}
    assert shown == set(ptn_backtest.__all__)
    assert "__version__" in dir(ptn_backtest)
    for name in dir(ptn_backtest):
        assert getattr(ptn_backtest, name) is not None


def test_the_version_is_that_of_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ptn_backtest.__version__ == declared["version"]


def test_names_are_shown_before_anything_is_loaded() -> None:
    code = "import sys, ptn_backtest; print(len(dir(ptn_backtest)), 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, loaded = done.stdout.split()
    assert (int(count) > len(ptn_backtest.__all__), loaded) == (True, "False")


def test_what_a_cell_shows(tmp_path: Path) -> None:
    positions = PositionManager(convert(open_source("test").read()).positions)
    assert repr(positions) == "<PositionManager: 19 positions of 6 traders>"
    candles = bundled_candles(tmp_path / "candles")
    assert repr(candles) == f"<{candles.describe()}>"
    assert str(tmp_path / "candles") in repr(candles)
    manager = BacktestManager(positions, candles, "2025-09-02", "2025-09-05")
    assert repr(manager) == (
        f"<BacktestManager: {len(manager.positions)} positions of {len(manager.positions.hotkeys)} "
        "traders, 2025-09-02 00:00:00 UTC to 2025-09-05 00:00:00 UTC in 4 updates, nothing done>"
    )
    manager.run()
    assert repr(manager).endswith("in 4 updates, done to 2025-09-05 00:00:00 UTC>")


def test_sources_show_their_place_and_no_password(tmp_path: Path) -> None:
    assert repr(open_source("test")) == "<test positions (synthetic)>"
    assert repr(open_source("taoshi")) == "<taoshi.ts.ptn>"
    (tmp_path / "miners").mkdir()
    (tmp_path / "list.json").write_text("[]")
    for place in (tmp_path, tmp_path / "list.json"):
        assert str(place) in repr(open_source(str(place)))
    for url in ("postgresql://me:geheim@host/ptn", "postgresql://host/ptn?user=a&password=geheim"):
        shown = repr(DatabasePositionOrderSource(url))
        assert shown.startswith("<database postgresql")
        assert "host/ptn" in shown
        assert "geheim" not in shown


def test_a_result_is_shown_in_one_line() -> None:
    result = run_backtest(
        BacktestConfig(
            use_test_positions=True,
            start_time_ms="2025-09-02",  # type: ignore[arg-type]
            end_time_ms="2025-09-05",  # type: ignore[arg-type]
        )
    )
    assert repr(result) == (
        f"<RunResult of test positions (synthetic): {len(result.ledgers)} traders, "
        f"{len(result.positions)} positions, 2025-09-02 00:00:00 UTC to 2025-09-05 00:00:00 UTC>"
    )
