import subprocess
import sys
from pathlib import Path

import pytest

from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report.plots import write_plots
from tests.results.made_runs import ledger, made_run

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_picture_per_trader(tmp_path: Path) -> None:
    paths = write_plots(tmp_path, made_run(synthetic=True), ["5Up", "5Down"])
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "plots/5Up.png",
        "plots/5Down.png",
    ]
    assert all(path.read_bytes().startswith(PNG) for path in paths)
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_equal_runs_give_equal_pictures(tmp_path: Path) -> None:
    (one,) = write_plots(tmp_path, made_run(), ["5Up"])
    before = one.read_bytes()
    write_plots(tmp_path, made_run(), ["5Up"])
    assert one.read_bytes() == before


@pytest.mark.parametrize("hotkey", ["../../5Up", "$x_{", "钥匙", "a/b\x00", ""])
def test_names_are_neither_paths_nor_formulas(hotkey: str, tmp_path: Path) -> None:
    result = made_run(ledgers={hotkey: {PORTFOLIO: ledger([1.1, 1.2])}})
    (path,) = write_plots(tmp_path, result, [hotkey])
    assert path.parent == tmp_path / "plots"
    assert path.read_bytes().startswith(PNG)


def test_names_that_differ_make_files_that_differ(tmp_path: Path) -> None:
    led = {PORTFOLIO: ledger([1.1, 1.2])}
    paths = write_plots(tmp_path, made_run(ledgers={"a b": led, "a/b": led}), ["a b", "a/b"])
    assert len(set(paths)) == 2


def test_a_trader_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no ledger to plot for '5Nobody': the run has 3 traders"):
        write_plots(tmp_path, made_run(), ["5Up", "5Nobody"])
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # what an import finds when it is absent
    with pytest.raises(SourceUnavailable, match=r"pip install 'ptn-backtest\[reports\]'"):
        write_plots(tmp_path, made_run(), ["5Up"])


def test_the_page_does_not_need_matplotlib() -> None:
    code = "import sys, ptn_backtest.report.html, ptn_backtest.report.plots; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
