"""`load_run` on a real run folder, with the libraries that its series are made for."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest import Run, load_run
from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, PORTFOLIO
from ptn_backtest.results.run_folder import RUN_FILE, write_run
from ptn_backtest.results.series import daily_simple_returns
from ptn_backtest.results.statistics import daily_returns
from tests.results.made_networks import network_run
from tests.results.made_runs import MIDNIGHT_MS, ledger, made_run

ANNA = "5TestTraderAnnaxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"


@pytest.fixture(scope="session")
def run(real_run: Path) -> Run:
    return load_run(real_run)


def test_who_and_what(run: Run) -> None:
    assert len(run.hotkeys) == 6
    assert run.pairs("5TestTraderAn") == ("BTCUSD", "ETHUSD")
    assert run.hotkey("5TestTraderAn") == ANNA
    with pytest.raises(ConfigError, match=r"no trader '5Nobody'"):
        run.returns("5Nobody")
    with pytest.raises(ConfigError, match=r"no ledger 'EURUSD'.*portfolio, BTCUSD, ETHUSD"):
        run.ledger(ANNA, "EURUSD")


def test_a_ledger_is_its_checkpoints_by_time(run: Run) -> None:
    cps = run.perf_ledger(ANNA).cps
    frame = run.ledger(ANNA)
    assert list(frame.columns) == list(cps.dtype.names or ())
    assert str(frame.index.tz) == "UTC"
    assert frame.index.name == "time"
    assert (frame.index.as_unit("ms").asi8 == cps["last_update_ms"]).all()
    assert frame.mdd.tolist() == cps["mdd"].tolist()
    polars = run.ledger(ANNA, "BTCUSD", as_="polars")
    assert polars["time"].dt.epoch("ms").to_list() == polars["last_update_ms"].to_list()


def test_daily_returns_multiply_to_the_ratio_of_values(run: Run) -> None:
    for hotkey in run.hotkeys:
        cps = run.perf_ledger(hotkey).cps
        returns = run.returns(hotkey)
        assert returns.name == hotkey
        assert returns.index.freqstr == "D"
        assert str(returns.index.dtype) == "datetime64[ns, UTC]"
        value = dict(zip(cps["last_update_ms"].tolist(), cps["prev_portfolio_ret"], strict=True))
        first_ms, last_ms = (moment.value // 10**6 for moment in returns.index[[0, -1]])
        ratio = value[last_ms + DAY_MS] / value.get(first_ms, 1.0)
        assert (1 + returns).prod() == pytest.approx(ratio, rel=1e-12)
        # the log returns that the network's metrics are made of, by another way
        dates, logs = daily_returns(run.perf_ledger(hotkey))
        assert returns.index.tz_localize(None).to_numpy().astype("datetime64[D]").tolist() == (
            dates.tolist()
        )
        assert returns.to_numpy() == pytest.approx(np.expm1(logs), abs=1e-10)


@given(
    st.lists(st.floats(0.5, 2.0), min_size=1, max_size=9),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0, CHECKPOINT_MS]),
)
def test_any_ledger_gives_its_full_days(
    values: list[float], dropped: int, ends_early: bool, late_ms: int
) -> None:
    led = ledger(values)
    if ends_early:  # its last checkpoint is not full
        led.cps["accum_ms"][-1] -= 1
        led.cps["last_update_ms"][-1] -= 1
    led.cps["last_update_ms"] += late_ms
    led = replace(led, initialization_time_ms=led.initialization_time_ms + late_ms)
    led = replace(led, cps=led.cps[min(dropped, len(values) - 1) :])
    dates, returns = daily_simple_returns(led)
    days = [str(day) for day in dates]
    expected = {}
    start = float(
        led.cps["prev_portfolio_ret"][0] / math.exp(led.cps["gain"][0] + led.cps["loss"][0])
    )
    for n, cp in enumerate(led.cps):
        end_ms = int(cp["last_update_ms"])
        before = led.cps[n - 1] if n else None
        if end_ms % DAY_MS == 0 and before is not None and cp["accum_ms"] == CHECKPOINT_MS:
            begun = float(led.cps["prev_portfolio_ret"][n - 2]) if n > 1 else start
            day = np.datetime64(end_ms - DAY_MS, "ms").astype("datetime64[D]")
            expected[str(day)] = float(cp["prev_portfolio_ret"]) / begun - 1
    assert days == list(expected)
    assert returns.tolist() == pytest.approx(list(expected.values()), abs=1e-12)


def test_a_ledger_without_checkpoints_has_no_days() -> None:
    led = ledger([1.1, 1.2])
    dates, returns = daily_simple_returns(replace(led, cps=led.cps[:0]))
    assert (len(dates), len(returns)) == (0, 0)


def test_equity_begins_at_the_first_order(run: Run) -> None:
    one = run.equity(ANNA)
    assert one.iloc[0] == 1.0
    assert one.iloc[-1] == run.perf_ledger(ANNA).cps["prev_portfolio_ret"][-1]
    everybody = run.equity()
    assert tuple(everybody.columns) == run.hotkeys
    pd.testing.assert_series_equal(everybody[ANNA].dropna(), one)
    assert everybody.index.is_monotonic_increasing
    polars = run.equity(as_="polars")
    assert polars.columns == ["time", *run.hotkeys]
    assert polars.height == len(everybody)
    assert polars[ANNA].drop_nulls().to_list() == one.tolist()  # null, not NaN
    assert run.equity("5TestTraderAn", pair="BTCUSD").iloc[-1] != one.iloc[-1]


@pytest.mark.parametrize(
    "name", ["events", "scores", "positions", "orders", "eliminations", "attribution", "rejected"]
)
def test_tables_as_either_kind_of_frame(run: Run, name: str) -> None:
    reader = getattr(run, name)
    pandas, polars = reader(), reader(as_="polars")
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    assert list(pandas.columns) == polars.columns == run.table(name).column_names
    assert len(pandas) == polars.height == len(run.table(name))
    mine = reader(run.hotkeys[1][:14])
    assert len(mine) == (pandas.miner_hotkey == run.hotkeys[1]).sum()
    with pytest.raises(ConfigError, match="give 'pandas' or 'polars'"):
        reader(as_="spark")


def test_a_table_that_is_not_there_is_named_with_those_that_are(run: Run) -> None:
    for ask in (run.table, run.dataset):
        with pytest.raises(ConfigError, match=r"no table 'nope'; it has .*checkpoints, .*orders"):
            ask("nope")


def test_eliminations_are_those_of_run_json(run: Run) -> None:
    rows = run.eliminations(as_="polars").to_dicts()
    listed = run.info["eliminations"]
    assert [row["miner_hotkey"] for row in rows] == [one["miner_hotkey"] for one in listed]
    assert [row["breach_ms"] for row in rows] == [one["breach"]["time_ms"] for one in listed]
    assert len(rows) == 2


def test_an_elimination_without_a_breach(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", network_run())
    info = json.loads((folder / RUN_FILE).read_text())
    info["eliminations"][0]["breach"] = None
    info["eliminations"][1]["breach"]["peak"] = "inf"  # JSON's way
    (folder / RUN_FILE).write_text(json.dumps(info))
    rows = load_run(folder).eliminations(as_="polars").to_dicts()
    assert [(row["breach_ms"] is None, row["breach_peak"]) for row in rows] == [
        (True, None),
        (False, math.inf),
    ]


def test_the_fields_libraries_take_the_returns(run: Run) -> None:
    returns = run.returns(ANNA)
    total = float((1 + returns).prod() - 1)
    assert empyrical.cum_returns_final(returns) == pytest.approx(total)
    assert empyrical.max_drawdown(returns) <= 0
    assert math.isfinite(empyrical.sharpe_ratio(returns, annualization=365))


def test_a_tear_sheet(run: Run, tmp_path: Path) -> None:
    path = run.tear_sheet("5TestTraderAn", tmp_path / "sheet.html")
    text = path.read_text()
    assert f"SYNTHETIC DATA, no track record: {ANNA}" in text
    assert "Sharpe" in text
    import quantstats  # noqa: PLC0415 - slow, and noisy before

    returns = run.returns(ANNA).tz_localize(None)
    assert quantstats.stats.comp(returns) == pytest.approx(float((1 + returns).prod() - 1))


def test_a_tear_sheet_of_hostile_names_and_of_nothing(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>"
    made = made_run(
        ledgers={
            "5Short": {PORTFOLIO: ledger([1.1])},
            nasty: {PORTFOLIO: ledger([1.0, 1.1, 1.0, 1.2])},
        }
    )
    opened = load_run(write_run(tmp_path / "run", made))
    assert nasty not in opened.tear_sheet(nasty, tmp_path / "sheet.html").read_text()
    with pytest.raises(ConfigError, match="5Short has no full day"):
        opened.tear_sheet("5Short", tmp_path / "none.html")


@pytest.mark.parametrize(
    ("package", "extra", "use"),
    [
        ("pandas", "pandas", lambda run: run.events()),
        ("polars", "polars", lambda run: run.events(as_="polars")),
        ("duckdb", "query", lambda run: run.sql("SELECT 1")),
        ("quantstats", "tearsheet", lambda run: run.tear_sheet(ANNA, "x.html")),
    ],
)
def test_what_is_missing_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, use
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what an import finds when it is absent
    with pytest.raises(
        SourceUnavailable, match=rf"{package}: pip install 'ptn-backtest\[{extra}\]'"
    ):
        use(run)


def test_opening_reads_nothing_but_run_json(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", made_run())
    for path in folder.glob("*.parquet"):
        path.write_bytes(b"not a table")
    opened = load_run(folder)
    assert opened.info["source"] == "a made-up source"
    with pytest.raises(ConfigError, match=r"events\.parquet cannot be read"):
        opened.events()
    with pytest.raises(ConfigError, match="is not a run folder"):
        load_run(tmp_path)


def test_importing_it_loads_no_extra() -> None:
    code = (
        "import sys; from ptn_backtest import load_run; "
        "print([m for m in ('pandas', 'polars', 'duckdb', 'quantstats', 'xlsxwriter', 'matplotlib')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_times_are_those_of_the_run(tmp_path: Path) -> None:
    opened = load_run(write_run(tmp_path / "run", made_run()))
    returns = opened.returns("5Up")
    assert returns.index[0] == pd.Timestamp(MIDNIGHT_MS, unit="ms", tz="UTC")
    assert returns.tolist() == [0.98 / 1.0 - 1]  # the third checkpoint is half a day
    assert opened.returns("5Up", as_="polars").columns == ["date", "5Up"]
