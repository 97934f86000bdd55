import json
from dataclasses import fields
from pathlib import Path

import pytest

from ptn_backtest.backtest.config import BacktestConfig, load_config
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.setting_values import PARSERS
from ptn_backtest.cli.run import _FLAGS, _LISTS, _VALUES
from ptn_backtest.errors import ConfigError

TEST_POSITIONS = {"use_test_positions": True}


def test_every_setting_has_a_parser_and_an_option():
    names = {field.name for field in fields(BacktestConfig)}
    assert set(PARSERS) == names
    assert {*_FLAGS, *_VALUES, *_LISTS} == names


@pytest.mark.parametrize(
    "url",
    ["postgresql://a:geheim@b/c", "mysql://b/c?user=a&password=geheim", "mysql:/a:geheim@b/c"],
)
def test_a_repr_shows_what_was_given_and_no_password(url):
    config = BacktestConfig(use_database_positions=True, database_url=url, capital=5.0)
    shown = repr(config)
    assert "geheim" not in shown
    assert "geheim" not in str(config)
    assert shown.startswith("BacktestConfig(use_database_positions=True, database_url='")
    assert shown.endswith(", capital=5.0)")
    plain = BacktestConfig(
        positions_path=Path("a"), hotkeys=("x",), parallel_mode=ParallelizationMode(2)
    )
    assert repr(plain) == (
        f"BacktestConfig(positions_path={Path('a')!r}, hotkeys=('x',), "
        "parallel_mode=<ParallelizationMode.MULTIPROCESSING: 2>)"
    )
    assert repr(BacktestConfig()) == "BacktestConfig()"


def test_options_beat_the_environment_which_beats_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'use_test_positions = true\nstart_time_ms = "2025-01-01"\nend_time_ms = 2025-02-01\n'
        'interval_ms = 60000\ncandles = "candles"\n'
    )
    environment = {"PTN_BACKTEST_INTERVAL_MS": "120000", "PTN_BACKTEST_CAPITAL": "5e5", "HOME": "/"}
    config = load_config(file, environment, {"interval_ms": 180_000})
    assert config.interval_ms == 180_000
    assert config.capital == 500_000.0
    assert config.start_time_ms == 1735689600000
    assert config.end_time_ms == 1738368000000
    assert config.candles == tmp_path / "candles"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("SERIAL", ParallelizationMode.SERIAL),
        (0, ParallelizationMode.SERIAL),
        ("1", ParallelizationMode.PYSPARK),
        ("multiprocessing", ParallelizationMode.MULTIPROCESSING),
        (ParallelizationMode.MULTIPROCESSING, ParallelizationMode.MULTIPROCESSING),
        ("ParallelizationMode.PYSPARK", ParallelizationMode.PYSPARK),
    ],
)
def test_parallel_modes_by_name_and_number(text, mode):
    assert load_config(None, {}, {**TEST_POSITIONS, "parallel_mode": text}).parallel_mode is mode


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("False", False), ("by-date", None), ("none", None)]
)
def test_use_slippage_has_three_settings(text, value):
    assert load_config(None, {}, {**TEST_POSITIONS, "use_slippage": text}).use_slippage is value


@pytest.mark.parametrize("name", ["hotkeys", "what_if_hotkeys"])
@pytest.mark.parametrize("given", ["a, b,c", ["a, b", "c"], ("a", "b,", "c"), ["a", "b", "c"]])
def test_names_are_a_list_or_have_commas_between(name, given):
    options = {**TEST_POSITIONS, "drop_pairs": "BTCUSD", name: given}
    assert getattr(load_config(None, {}, options), name) == ("a", "b", "c")


def test_pairs_may_have_commas_between_on_the_command_line_too():
    config = load_config(None, {}, {**TEST_POSITIONS, "drop_pairs": ("BTCUSD,ETHUSD", "EURUSD")})
    assert config.drop_pairs == ("BTCUSD", "ETHUSD", "EURUSD")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            {"use_test_positions": True, "use_database_positions": True},
            ["use_test_positions", "use_database_positions"],
        ),
        (
            {"use_test_positions": True, "positions_path": "miners"},
            ["use_test_positions", "positions_path"],
        ),
        ({}, ["use_test_positions", "use_database_positions", "positions_path"]),
        (
            {"use_test_positions": True, "database_url": "sqlite:///x.db"},
            ["database_url", "use_test_positions"],
        ),
        ({"use_database_positions": True, "database_url": "sqlite:///x.db"}, ["candles"]),
        (
            {**TEST_POSITIONS, "start_time_ms": "2025-01-02", "end_time_ms": "2025-01-01"},
            ["start_time_ms", "end_time_ms"],
        ),
        ({**TEST_POSITIONS, "use_slipage": "true"}, ["use_slipage", "use_slippage"]),
        ({**TEST_POSITIONS, "start_time_ms": "soon"}, ["--start-time-ms", "soon"]),
        ({**TEST_POSITIONS, "parallel_mode": "3"}, ["--parallel-mode", "'3'", "SERIAL"]),
        ({**TEST_POSITIONS, "interval_ms": 0}, ["--interval-ms", "0"]),
        ({**TEST_POSITIONS, "interval_ms": 3600}, ["--interval-ms", "seconds", "write 3600000"]),
        (
            {**TEST_POSITIONS, "start_time_ms": 1757000000},
            ["--start-time-ms", "1970-01-21", "if these are seconds, write 1757000000000"],
        ),
        ({**TEST_POSITIONS, "end_time_ms": "1757000000"}, ["--end-time-ms", "write 1757000000000"]),
        ({**TEST_POSITIONS, "end_time_ms": 1.5}, ["--end-time-ms", "1.5 is not a time"]),
        ({**TEST_POSITIONS, "missing_candles": "guess"}, ["guess", "hold"]),
    ],
)
def test_contradictions_and_mistakes_are_named(options, named):
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, options)
    for word in named:
        assert word in str(caught.value)


def test_a_mistake_in_the_file_or_environment_says_where(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("use_test_position = true")
    with pytest.raises(ConfigError, match=r"run\.toml.*did you mean use_test_positions"):
        load_config(file, {}, {})
    with pytest.raises(ConfigError, match="environment variable PTN_BACKTEST_STRICT"):
        load_config(None, {"PTN_BACKTEST_STRICT": "maybe"}, TEST_POSITIONS)
    file.write_text("= broken")
    with pytest.raises(ConfigError, match=r"run\.toml.*TOML"):
        load_config(file, {}, {})
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml", {}, {})


def test_the_address_of_a_provider_is_no_setting_and_a_slip_is_one() -> None:
    addresses = {
        f"PTN_BACKTEST_{name}_URL": "http://proxy" for name in ("MASSIVE", "TIINGO", "CCXT")
    }
    assert load_config(None, addresses, TEST_POSITIONS) == load_config(None, {}, TEST_POSITIONS)
    with pytest.raises(ConfigError, match="PTN_BACKTEST_MASSIV_URL: unknown setting"):
        load_config(None, {"PTN_BACKTEST_MASSIV_URL": "http://proxy"}, TEST_POSITIONS)


def test_what_is_recorded_has_no_password_and_is_json():
    config = BacktestConfig(
        use_database_positions=True,
        database_url="postgresql://reader:s3cret@db/ptn",
        candles=Path("candles"),
    )
    recorded = json.dumps(config.recorded())
    assert "s3cret" not in recorded
    assert "reader" in recorded


def test_a_url_in_the_environment_is_no_choice_of_a_source():
    environment = {"PTN_BACKTEST_DATABASE_URL": "sqlite:///x.db"}
    test = {"use_test_positions": True}

    assert load_config(None, environment, test).database_url is None
    database = {"use_database_positions": True, "candles": "c"}
    assert load_config(None, environment, database).database_url == "sqlite:///x.db"
    with pytest.raises(ConfigError, match="chooses another source"):
        load_config(None, environment, {**test, "database_url": "sqlite:///y.db"})
