"""Making bundles: exactly the run's ledgers, from just the candles that they need."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.bundles.bundle import Bundle, read_bundle
from ptn_backtest.bundles.checking import check_bundle
from ptn_backtest.bundles.exporting import export_bundle
from ptn_backtest.clock import HOUR_MS, MINUTE_MS
from ptn_backtest.errors import BundleError, CandleError, ConfigError, MissingCandles
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.candles import Candles, CandleSource, Timespan
from tests.bundles.made_bundles import (
    ALICE,
    BOB,
    END_MS,
    START_MS,
    candles,
    scenario,
    write_bundle,
)

UPDATES = [START_MS + hours * HOUR_MS for hours in (6, 12, 18, 24, 30)]


@pytest.fixture
def run(tmp_path: Path) -> Bundle:
    """What a run reads: as a bundle with more candles than needed."""
    content = scenario(
        mode="backtest",
        now_ms=None,
        update_times_ms=UPDATES,
        start_time_ms=UPDATES[0],
        account_sizes={ALICE: [[0, 20_000.0], [END_MS + 1, 30_000.0]], BOB: 9_000.0},
    )
    content["positions"][0]["account_size"] = 20_000.0
    return read_bundle(write_bundle(tmp_path / "run", content))


def ledgers(run: Bundle, until_ms: int = END_MS) -> Any:
    """The run's ledgers at a time, from all positions and all candles."""
    manager = BacktestManager(
        PositionManager(run.positions),
        run.candles,
        UPDATES[0],
        END_MS,
        account_sizes=run.settings.account_sizes,
        update_times_ms=UPDATES,
        missing_candles="hold",
    )
    for at in UPDATES:
        if at <= until_ms:
            manager.update(at)
    return {
        hotkey: {name: ledger.to_dict() for name, ledger in mine.items()}
        for hotkey, mine in manager.get_perf_ledgers().items()
    }


def expected_ledgers(folder: Path) -> Any:
    return json.loads((folder / "expected.json").read_text())["ledgers"]


def test_a_bundle_of_everything_gives_the_ledgers_of_the_run_exactly(
    tmp_path: Path, run: Bundle
) -> None:
    exported = export_bundle(tmp_path / "all", run.positions, run.candles, run.settings)
    assert (exported.n_traders, exported.n_positions, exported.n_orders) == (2, 3, 6)
    assert expected_ledgers(exported.folder) == ledgers(run)
    check = check_bundle(exported.folder, 0, 0)
    assert check.agrees
    assert check.largest is None
    again = read_bundle(exported.folder)
    assert not again.synthetic
    assert again.positions == tuple(PositionManager(run.positions))
    assert again.positions[0].account_size == 20_000.0
    assert again.settings.update_times_ms == run.settings.update_times_ms


def test_only_candles_while_a_position_is_open_are_in_it(tmp_path: Path, run: Bundle) -> None:
    folder = export_bundle(
        tmp_path / "bob", run.positions, run.candles, run.settings, hotkeys=[BOB]
    ).folder
    rows = pq.read_table(folder / "candles.parquet").to_pylist()
    opened, closed = START_MS + 20 * HOUR_MS, START_MS + 22 * HOUR_MS + 30_000
    assert [row["timestamp_ms"] for row in rows] == list(range(opened, closed + 1, MINUTE_MS))
    assert {(row["trade_pair_id"], row["timespan"]) for row in rows} == {("BTCUSD", "minute")}
    wanted = {row[2]: row[3] for row in candles() if row[:2] == ("BTCUSD", "minute")}
    assert all(row["close"] == wanted[row["timestamp_ms"]] for row in rows)
    assert expected_ledgers(folder) == {BOB: ledgers(run)[BOB]}
    assert read_bundle(folder).settings.account_sizes == {BOB: ((0, 9_000.0),)}


def test_the_second_candles_of_a_minute_come_along(tmp_path: Path, run: Bundle) -> None:
    folder = export_bundle(
        tmp_path / "alice", run.positions, run.candles, run.settings, hotkeys=[ALICE]
    ).folder
    assert len(read_bundle(folder).candles.read("BTCUSD", Timespan.SECOND, 0, END_MS)) == 30
    assert expected_ledgers(folder) == {ALICE: ledgers(run)[ALICE]}


def test_an_earlier_end_gives_the_ledgers_as_they_stood(tmp_path: Path, run: Bundle) -> None:
    folder = export_bundle(
        tmp_path / "early", run.positions, run.candles, run.settings, end_ms=UPDATES[1]
    ).folder
    assert read_bundle(folder).settings.update_times_ms == tuple(UPDATES[:2])
    assert expected_ledgers(folder) == ledgers(run, UPDATES[1])
    known = read_bundle(folder).positions
    assert [(p.position_uuid, len(p.orders)) for p in known] == [("a1", 2), ("a2", 1)]
    assert check_bundle(folder, 0, 0).agrees


def test_a_start_leaves_out_what_was_over_before(tmp_path: Path, run: Bundle) -> None:
    start = START_MS + 15 * HOUR_MS
    folder = export_bundle(
        tmp_path / "late", run.positions, run.candles, run.settings, start_ms=start
    ).folder
    found = read_bundle(folder)
    assert [p.position_uuid for p in found.positions] == ["a2", "b1"]
    assert found.settings.update_times_ms == (start, *UPDATES[2:])
    assert found.settings.start_time_ms == start
    assert check_bundle(folder, 0, 0).agrees


def test_without_expected_results_there_are_none(tmp_path: Path, run: Bundle) -> None:
    folder = export_bundle(
        tmp_path / "x", run.positions, run.candles, run.settings, expected=False
    ).folder
    assert sorted(file.name for file in folder.iterdir()) == ["candles.parquet", "scenario.json"]


def test_mode_ledger_stays_what_it_is(tmp_path: Path) -> None:
    run = read_bundle(write_bundle(tmp_path / "run"))
    folder = export_bundle(tmp_path / "x", run.positions, run.candles, run.settings).folder
    settings = json.loads((folder / "scenario.json").read_text())["settings"]
    assert settings["mode"] == "ledger"
    assert settings["now_ms"] == END_MS
    assert "update_times_ms" not in settings
    assert "start_time_ms" not in settings
    assert check_bundle(folder, 0, 0).agrees


def test_made_up_data_stays_labelled(tmp_path: Path, run: Bundle) -> None:
    folder = tmp_path / "x"
    export_bundle(folder, run.positions, run.candles, run.settings, synthetic=True)
    assert read_bundle(folder).synthetic
    assert check_bundle(folder).synthetic


def test_two_exports_are_the_same_bytes(tmp_path: Path, run: Bundle) -> None:
    one = export_bundle(tmp_path / "1" / "x", run.positions, run.candles, run.settings).folder
    two = export_bundle(tmp_path / "2" / "x", run.positions, run.candles, run.settings).folder
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes()


def test_what_cannot_be_exported_is_said(tmp_path: Path, run: Bundle) -> None:
    def export(**choice: Any) -> None:
        export_bundle(tmp_path / "x", run.positions, run.candles, run.settings, **choice)

    with pytest.raises(ConfigError, match="no trader 5Carol; it has 5Alice, 5Bob"):
        export(hotkeys=[ALICE, "5Carol"])
    with pytest.raises(ConfigError, match="later than that of the run"):
        export(end_ms=END_MS + 1)
    with pytest.raises(ConfigError, match="is later than the end"):
        export(start_ms=END_MS, end_ms=START_MS)
    with pytest.raises(ConfigError, match="nothing to export"):
        export(end_ms=UPDATES[0], hotkeys=[BOB])
    assert not (tmp_path / "x").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, run: Bundle) -> None:
    with pytest.raises(BundleError, match="is there already"):
        export_bundle(run.folder, run.positions, run.candles, run.settings)
    (tmp_path / "empty").mkdir()
    export_bundle(tmp_path / "empty", run.positions, run.candles, run.settings)
    assert check_bundle(tmp_path / "empty").agrees


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, run: Bundle) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CandleError, match="damaged"):
        export_bundle(tmp_path / "x", run.positions, _Damaged(run.candles), run.settings)
    assert sorted(tmp_path.rglob("*")) == before


class _Damaged:
    """Candles that can be read a few times, and then no more: the export has begun by then."""

    def __init__(self, candles: CandleSource) -> None:
        self._candles, self._left = candles, 3

    def describe(self) -> str:
        return "a damaged store"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        self._left -= 1
        if self._left < 0:
            raise CandleError("the store is damaged")
        return self._candles.read(trade_pair_id, timespan, start_ms, end_ms)


class _WithoutTheEnd:
    """Candles that lack the last hour."""

    def __init__(self, candles: CandleSource) -> None:
        self._candles = candles

    def describe(self) -> str:
        return "a store that lacks an hour"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        found = self._candles.read(trade_pair_id, timespan, start_ms, end_ms)
        there = found.start_ms < np.int64(END_MS - HOUR_MS)
        return Candles(found.start_ms[there], found.close[there])


def test_candles_that_a_run_would_miss_are_missed_here_too(tmp_path: Path, run: Bundle) -> None:
    lacking = _WithoutTheEnd(run.candles)
    with pytest.raises(MissingCandles, match="ETHUSD"):
        export_bundle(tmp_path / "x", run.positions, lacking, run.settings)
    exported = export_bundle(
        tmp_path / "x", run.positions, lacking, run.settings, missing_candles="hold"
    )
    assert any("ETHUSD" in warning for warning in exported.warnings)
    assert check_bundle(tmp_path / "x", 0, 0).agrees
