"""What Python code hands in: taken as it is meant, or refused with one sentence of ours."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptn_backtest.backtest.config import BacktestConfig, load_config
from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.errors import BacktestError, CandleError, ConfigError, InvalidPosition
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles

START, END = "2025-09-02", datetime(2025, 9, 5, tzinfo=UTC)
START_MS, END_MS = 1_756_771_200_000, 1_757_030_400_000


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    return bundled_candles(tmp_path_factory.mktemp("bundled") / "candles")


@pytest.fixture(scope="module")
def positions() -> PositionManager:
    return PositionManager(convert(BundledPositionSource().read()).positions)


def test_what_is_meant_is_taken(positions: PositionManager, candles: CandleStore) -> None:
    plain = BacktestManager(positions, candles, START_MS, END_MS)
    written = BacktestManager(
        list(positions), str(candles.root), START, END, parallel_mode="serial"
    )
    assert written.update_times_ms == plain.update_times_ms
    for manager in (plain, written):
        manager.run()
    ledgers = [
        {h: {n: one.to_dict() for n, one in mine.items()} for h, mine in each.items()}
        for each in (plain.get_perf_ledgers(), written.get_perf_ledgers())
    ]
    assert ledgers[0] == ledgers[1]
    assert ledgers[0]


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"parallel_mode": "foo"}, ConfigError, r"'foo' is not a parallel mode: use SERIAL \(0\)"),
        ({"parallel_mode": 7}, ConfigError, "7 is not a parallel mode"),
        ({"positions": None}, ConfigError, "positions is of type NoneType, not a PositionManager"),
        ({"positions": "test"}, ConfigError, "positions is of type str, not a PositionManager"),
        ({"positions": [{"miner_hotkey": "a"}]}, InvalidPosition, "dict is not a Position"),
        ({"start_ms": "yesterday"}, ConfigError, "start_ms: 'yesterday' is not a time"),
        ({"end_ms": 1.5}, ConfigError, r"end_ms: 1\.5 is not a time"),
        ({"end_ms": None}, ConfigError, "end_ms: None is not a time"),
        ({"candles": "nowhere"}, CandleError, "nowhere"),
        ({"candles": Path("nowhere")}, CandleError, "nowhere"),
        ({"candles": 5}, ConfigError, "candles is of type int, no source of candles"),
    ],
)
def test_what_is_not_meant_is_refused(
    given: dict[str, Any],
    kind: type[BacktestError],
    said: str,
    positions: PositionManager,
    candles: CandleStore,
) -> None:
    sound = {"positions": positions, "candles": candles, "start_ms": START_MS, "end_ms": END_MS}
    with pytest.raises(kind, match=said):
        BacktestManager(**{**sound, **given})


def test_a_position_manager_holds_positions_only() -> None:
    with pytest.raises(InvalidPosition, match=r"str is not a Position: convert\(records\)"):
        PositionManager(["a"])  # type: ignore[list-item]


def test_a_configuration_takes_texts() -> None:
    config = BacktestConfig(
        start_time_ms="2025-09-02",  # type: ignore[arg-type]
        end_time_ms=np.int64(END_MS),  # type: ignore[arg-type]
        parallel_mode="multiprocessing",  # type: ignore[arg-type]
        positions_path="checkpoint.json",  # type: ignore[arg-type]
        output="out",  # type: ignore[arg-type]
    )
    assert (config.start_time_ms, config.end_time_ms) == (START_MS, END_MS)
    assert type(config.end_time_ms) is int
    assert config.parallel_mode is ParallelizationMode.MULTIPROCESSING
    assert (config.positions_path, config.output) == (Path("checkpoint.json"), Path("out"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start_time_ms": "soon"}, "start_time_ms: 'soon' is not a time"),
        ({"end_time_ms": 1.5}, r"end_time_ms: 1\.5 is not a time"),
        ({"parallel_mode": "foo"}, "parallel_mode: 'foo' is not a parallel mode"),
        ({"parallel_mode": 7}, "parallel_mode: 7 is not a parallel mode"),
        ({"candles": "s3://key:secret@bucket"}, "candles: .* must not hold credentials"),
        ({"positions_path": 5}, "positions_path: "),
    ],
)
def test_a_configuration_refuses_the_rest(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        BacktestConfig(**given)
    assert "secret" not in str(refused.value)


def test_a_configuration_is_loaded_from_a_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.toml"
    file.write_text('use_database_positions = true\ncandles = "prices"\n')
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", "sqlite:///a.db")
    config = load_config(str(file))
    assert (config.candles, config.database_url) == (tmp_path / "prices", "sqlite:///a.db")
    assert load_config(file, {}).database_url is None
    assert load_config(options={"use_test_positions": True}).use_test_positions
