import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ptn_backtest.cli.candles import candles
from ptn_backtest.clock import MINUTE_MS, parse_time
from ptn_backtest.errors import BacktestError, CandleError
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import bundled_candles

MONDAY = parse_time("2025-01-06")


def run(*arguments):
    """The command as its own process, as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "ptn_backtest.cli.main", "candles", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def prices(tmp_path):
    """A store that does not exist yet, and a CSV of ten minutes to fill it with."""
    path = tmp_path / "BTCUSD_1m.csv"
    rows = [f"{MONDAY + k * MINUTE_MS},{100 + k}" for k in range(10)]
    path.write_text("\n".join(["time,close", *rows]) + "\n")
    return tmp_path / "prices", path


def invoke(*arguments):
    return CliRunner().invoke(candles, [str(a) for a in arguments], catch_exceptions=False)


def test_import_check_and_list(prices):
    store, path = prices
    imported = run("import", store, path)
    assert (imported.returncode, imported.stderr) == (0, "")
    assert "10 rows of 1 file read, 0 set aside" in imported.stdout
    checked = run("check", store)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "nothing is wrong" in checked.stdout
    listed = run("list", store)
    assert "2025-01-06 00:00:00 UTC" in listed.stdout
    assert "2025-01-06 00:09:00 UTC" in listed.stdout


def test_a_check_that_finds_something_exits_1(prices):
    store, path = prices
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[:4] + rows[6:]))
    invoke("import", store, path)
    checked = run("check", store)
    assert checked.returncode == 1
    assert "2 candles missing until 2025-01-06 00:05:00 UTC" in checked.stdout
    document = json.loads(invoke("check", store, "--json").output)
    assert document["problems"] == 1
    [gap] = document["findings"]
    assert (gap["kind"], gap["count"]) == ("gap", 2)


def test_errors_are_one_message_and_exit_2(tmp_path):
    checked = run("check", tmp_path / "nothing")
    assert checked.returncode == 2
    assert checked.stdout == ""
    assert checked.stderr.startswith("error: no candle store at ")
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize("had_folder", [True, False])
def test_an_import_that_fails_leaves_no_empty_store(prices, had_folder):
    store, path = prices
    if had_folder:
        store.mkdir()
    bad = path.with_name("ETHUSD_1m.parquet")
    bad.write_text("no parquet")
    with pytest.raises(BacktestError):
        invoke("import", store, bad)
    assert not (store / "store.json").exists()
    assert store.exists() == had_folder
    # what came before the error stays
    with pytest.raises(BacktestError):
        invoke("import", store, path, bad)
    assert CandleStore(store).pairs() == ["BTCUSD"]
    with pytest.raises(BacktestError):
        invoke("import", store, bad)
    assert CandleStore(store).pairs() == ["BTCUSD"]


def test_options_reach_the_import(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text(f"when;mid\n{MONDAY // 1000};2\n{MONDAY // 1000 + 60};3\n")
    result = invoke(
        *("import", tmp_path / "prices", path, "--pair", "ETHUSD", "--timespan", "minute"),
        *("--columns", "time=when, close=mid", "--time-unit", "s", "--json"),
    )
    document = json.loads(result.output)
    assert document["rows"] == 2
    [series] = document["series"]
    assert (series["trade_pair_id"], series["timespan"]) == ("ETHUSD", "minute")
    assert (series["first_ms"], series["written"]["added"]) == (MONDAY, 2)


def test_what_was_set_aside_and_changed_is_printed(prices):
    store, path = prices
    invoke("import", store, path)
    path.write_text(f"time,close,high\n{MONDAY},777,x\n{MONDAY + 1},5,6\n")
    output = invoke("import", store, path).output
    assert "set aside: 1 row of" in output
    assert f"row 2: {MONDAY + 1}" in output
    assert "2025-01-06 00:00:00 UTC: close 100.0 became 777.0" in output
    assert "1 cell of high without a usable value" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--columns", "close"], "write it as time=ts,close=c"),
        (["--timespan", "hour"], "hour"),
    ],
)
def test_malformed_options_are_explained(prices, arguments, message):
    store, path = prices
    result = invoke("import", store, path, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not store.exists()


def test_a_missing_file_makes_no_store(prices):
    store, path = prices
    result = invoke("import", store, path.with_name("nothing.csv"))
    assert result.exit_code == 2
    assert not store.exists()


def test_times_are_ms_or_iso_and_explained_otherwise(prices):
    store, path = prices
    invoke("import", store, path)
    beyond = invoke("check", store, "--start", MONDAY, "--end", "2025-01-06T00:19:00")
    assert beyond.exit_code == 1
    assert "10 candles missing" in beyond.output
    wrong = invoke("check", store, "--start", "soon")
    assert wrong.exit_code == 2
    assert "give milliseconds" in wrong.output


def test_orders_of_positions_are_compared(tmp_path):
    store = bundled_candles(tmp_path / "candles").root
    sound = invoke("check", store, "--positions", "test")
    assert sound.exit_code == 0
    assert "43 orders compared" in sound.output
    forex = invoke("check", store, "--positions", "test", "--pair", "EURUSD", "--end", "2025-09-06")
    assert "1 order compared" in forex.output
    with pytest.raises(BacktestError, match="no-such-source"):
        invoke("check", store, "--positions", "no-such-source")


def test_a_mapping_needs_positions(prices, tmp_path):
    store, path = prices
    invoke("import", store, path)
    mapping = tmp_path / "mapping.toml"
    mapping.touch()
    result = invoke("check", store, "--mapping", mapping)
    assert result.exit_code == 2
    assert "--mapping is for --positions" in result.output


def test_real_positions_against_real_candles(tmp_path, shared):
    """Prices of one venue against another's: within the default tolerance, not within none."""
    store = tmp_path / "prices"
    invoke("import", store, shared / "data/candles/BTCUSD_1m.parquet")
    positions = shared / "data/positions/btc_trader_2025.json"
    sound = invoke("check", store, "--positions", positions)
    assert sound.exit_code == 0
    assert "665 orders compared" in sound.output
    exact = invoke(
        "check", store, "--positions", positions, "--price-tolerance", "0", "--limit", "3"
    )
    assert exact.exit_code == 1
    assert "order_outside_candle" in exact.output
    assert "(--limit 0 lists all)" in exact.output


def test_list_as_json_says_synthetic(tmp_path):
    store = bundled_candles(tmp_path / "candles").root
    document = json.loads(invoke("list", store, "--json").output)
    assert document["synthetic"] is True
    assert len(document["series"]) == 10


def test_an_empty_store_has_nothing_to_check(prices):
    store, _ = prices
    CandleStore.create(store)
    result = invoke("check", store)
    assert result.exit_code == 0
    assert "there are no candles to check" in result.output


def test_a_file_without_a_row_is_an_error(prices):
    store, path = prices
    path.write_text("time,close\n")
    done = run("import", store, path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {path}: it has no rows")


def test_errors_name_the_file(prices):
    store, path = prices
    path.write_text("when,close\n1,2\n")
    with pytest.raises(CandleError, match=r"BTCUSD_1m\.csv: no column is recognised as the time"):
        invoke("import", store, path)


@pytest.mark.parametrize("command", ["import", "check", "list"])
def test_help_shows_examples(command):
    output = invoke(command, "--help").output
    assert f"ptn-backtest candles {command} prices" in output
