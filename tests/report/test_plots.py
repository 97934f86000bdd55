import re
import subprocess
import sys
from pathlib import Path

import pytest

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report.plots import write_plot, write_plots
from ptn_backtest.results.run_folder import StoredRun, read_run, write_run
from tests.results.made_networks import network_run
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


def stored(tmp_path: Path, result: RunResult) -> StoredRun:
    return read_run(write_run(tmp_path / "run", result))


def test_one_plot_with_limit_buckets_and_end(tmp_path: Path) -> None:
    run = stored(tmp_path, network_run(synthetic=True))
    path = write_plot(tmp_path / "deep.svg", run, "5Deep")
    texts = svg_texts(path)
    assert {"5Deep", "limit", "challenge", "main", "out"} <= texts
    assert any("Synthetic" in text for text in texts)
    assert {"5Up", "limit", "challenge", "main"} <= (up := svg_texts(write_plot(path, run, "5Up")))
    assert "out" not in up  # it is still in
    assert "out" in svg_texts(write_plot(path, run, "5Zero"))  # liquidated


def test_a_plot_of_a_pair_has_no_limit_of_the_portfolio(tmp_path: Path) -> None:
    run = stored(tmp_path, made_run())
    texts = svg_texts(write_plot(tmp_path / "up.svg", run, "5Up", "BTCUSD"))
    assert "5Up  BTCUSD" in texts
    assert not texts & {"limit", "out", "challenge"}


def test_equal_runs_give_equal_svg(tmp_path: Path) -> None:
    run = stored(tmp_path, network_run())
    one, two = (write_plot(tmp_path / name, run, "5Deep") for name in ("one.svg", "two.svg"))
    assert one.read_bytes() == two.read_bytes()


def test_a_plot_that_cannot_be_made(tmp_path: Path) -> None:
    run = stored(tmp_path, made_run())
    with pytest.raises(ConfigError, match=r"neither \.png nor \.svg"):
        write_plot(tmp_path / "up.pdf", run, "5Up")
    with pytest.raises(
        ConfigError, match="no ledger 'ETHUSD' of 5Up to plot: it has portfolio, BTC"
    ):
        write_plot(tmp_path / "up.svg", run, "5Up", "ETHUSD")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_plot(tmp_path / "no" / "up.svg", run, "5Up")


def svg_texts(path: Path) -> set[str]:
    """What an SVG says; matplotlib draws letters as shapes, with the text in a comment."""
    return {text.strip() for text in re.findall(r"<!-- (.*?) -->", path.read_text())}
