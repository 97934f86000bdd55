"""Reading bundles: what is understood, and what is said about what is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ptn_backtest.errors import BundleError
from ptn_backtest.prices.candles import Timespan
from tests.bundles.made_bundles import (
    ALICE,
    BOB,
    END_MS,
    START_MS,
    candles,
    scenario,
    write_bundle,
    write_candles,
)


def test_a_bundle_says_what_it_replays(tmp_path: Path) -> None:
    found = read_bundle(write_bundle(tmp_path / "bundle"))
    assert found.name == "made up"
    assert found.settings.update_times_ms == (END_MS,)
    assert found.settings.account_sizes == {ALICE: ((0, 20_000.0),)}
    assert [p.position_uuid for p in found.positions] == ["a1", "a2", "b1"]
    assert found.positions[0].orders[1].leverage == 0.05
    assert found.expected is None


def test_a_plain_account_size_counts_from_time_0_and_a_dated_one_from_its_date(
    tmp_path: Path,
) -> None:
    sizes = {ALICE: 7_000, BOB: [[START_MS, 8_000.0], [END_MS, 9_000.0]]}
    found = read_bundle(write_bundle(tmp_path, scenario(account_sizes=sizes)))
    assert found.settings.account_sizes == {
        ALICE: ((0, 7_000.0),),
        BOB: ((START_MS, 8_000.0), (END_MS, 9_000.0)),
    }


def test_mode_backtest_has_a_start_and_every_update_time(tmp_path: Path) -> None:
    times = [START_MS + DAY_MS, END_MS]
    settings = scenario(
        mode="backtest", now_ms=None, update_times_ms=times, start_time_ms=START_MS + DAY_MS
    )
    found = read_bundle(write_bundle(tmp_path, settings)).settings
    assert (found.mode, found.start_time_ms) == ("backtest", START_MS + DAY_MS)
    assert found.update_times_ms == tuple(times)


def test_settings_that_are_left_out_have_the_networks_values(tmp_path: Path) -> None:
    content = scenario()
    content["settings"] = {"mode": "ledger", "now_ms": END_MS}
    found = read_bundle(write_bundle(tmp_path, content)).settings
    assert found.use_slippage is None
    assert not found.build_portfolio_ledgers_only
    assert found.target_ledger_window_ms == 120 * DAY_MS
    assert found.account_sizes == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "live"}, "settings: mode 'live' is unknown: use 'ledger' or 'backtest'"),
        ({"mode": None}, "settings: mode is missing"),
        ({"now_ms": None}, "now_ms is missing: mode 'ledger' needs now_ms"),
        ({"now_ms": "today"}, "now_ms is 'today', not a whole number"),
        ({"now_ms": True}, "now_ms is True, not a whole number"),
        ({"update_times_ms": [1, 2]}, "now_ms stands beside update_times_ms"),
        ({"mode": "backtest"}, "update_times_ms is missing: mode 'backtest'"),
        ({"now_ms": None, "update_times_ms": [2, 1]}, "not in ascending order"),
        ({"now_ms": None, "update_times_ms": []}, "not a list of times"),
        ({"now_ms": None, "update_times_ms": [1.5]}, "not a list of times"),
        (
            {"mode": "backtest", "now_ms": None, "update_times_ms": [1, 2]},
            "start_time_ms is missing",
        ),
        (
            {"mode": "backtest", "now_ms": None, "update_times_ms": [1], "start_time_ms": 2},
            "start_time_ms 2 is later than the first update 1",
        ),
        ({"use_slipage": True}, "use_slipage is not a setting .* did you mean use_slippage"),
        ({"use_slippage": "by-date"}, "use_slippage is 'by-date', not true, false or null"),
        ({"target_ledger_window_ms": 0}, "target_ledger_window_ms 0 is not above 0"),
        ({"account_sizes": [1]}, "account_sizes is a list, not an object"),
        ({"account_sizes": {ALICE: "rich"}}, f"account_sizes of {ALICE} is neither"),
        ({"account_sizes": {ALICE: [[1.5, 2.0]]}}, f"account_sizes of {ALICE} is neither"),
    ],
)
def test_a_bad_setting_is_named_with_its_file(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    write_bundle(tmp_path, scenario(**settings))
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(tmp_path)
    assert str(tmp_path / "scenario.json") in str(caught.value)


def _unknown_pair(content: dict[str, Any]) -> None:
    content["positions"][1]["trade_pair_id"] = "BTCUSC"


def _negative_price(content: dict[str, Any]) -> None:
    content["positions"][2]["orders"][1]["price"] = -1.0


def _no_list(content: dict[str, Any]) -> None:
    content["positions"] = {}


def _no_settings(content: dict[str, Any]) -> None:
    del content["settings"]


def _newer(content: dict[str, Any]) -> None:
    content["format_version"] = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_unknown_pair, r"positions\[1\]: position a2: unknown trade pair 'BTCUSC'.*BTCUSD"),
        (_negative_price, r"positions\[2\] order o6.* price -1.0 is not above 0"),
        (_no_list, "positions is an object, not a list"),
        (_no_settings, "settings is missing"),
        (_newer, "format_version 2 is not the 1"),
    ],
)
def test_a_bad_scenario_is_refused_whole(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = scenario()
    change(content)
    write_bundle(tmp_path, content)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(tmp_path)
    assert "scenario.json" in str(caught.value)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere does not exist"):
        read_bundle(tmp_path / "nowhere")
    write_bundle(tmp_path)
    (tmp_path / "expected.json").write_text('{"positions": [')
    with pytest.raises(BundleError, match=r"expected\.json is not valid JSON"):
        read_bundle(tmp_path)
    (tmp_path / "expected.json").unlink()
    (tmp_path / "candles.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BundleError, match=r"candles\.parquet cannot be read as Parquet"):
        read_bundle(tmp_path)
    (tmp_path / "candles.parquet").unlink()
    with pytest.raises(BundleError, match=r"candles\.parquet is missing"):
        read_bundle(tmp_path)
    (tmp_path / "scenario.json").write_text("[1]")
    with pytest.raises(BundleError, match="holds a list where a JSON object is expected"):
        read_bundle(tmp_path)
    (tmp_path / "scenario.json").unlink()
    with pytest.raises(BundleError, match=r"scenario\.json is missing"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"close": None}, "has no column 'close': double is expected"),
        ({"close": pa.string()}, "has the type string in column 'close'"),
        ({"timestamp_ms": pa.timestamp("ms")}, r"has the type timestamp\[ms\] in column"),
        ({"trade_pair_id": pa.int64()}, "'trade_pair_id': string is expected"),
    ],
)
def test_wrong_columns_are_named_before_anything_is_replayed(
    tmp_path: Path, columns: dict[str, pa.DataType | None], message: str
) -> None:
    write_bundle(tmp_path)
    kinds: dict[str, pa.DataType | None] = {
        "trade_pair_id": pa.string(),
        "timespan": pa.string(),
        "timestamp_ms": pa.int64(),
        "close": pa.float64(),
        **columns,
    }
    schema = pa.schema({name: kind for name, kind in kinds.items() if kind is not None})
    pq.write_table(schema.empty_table(), tmp_path / "candles.parquet")
    with pytest.raises(BundleError, match=message):
        read_bundle(tmp_path)


def test_candles_are_found_by_pair_timespan_and_range_in_any_order_of_rows(
    tmp_path: Path,
) -> None:
    rows = candles()
    write_bundle(tmp_path, rows=[*reversed(rows)])
    found = read_bundle(tmp_path).candles
    some = found.read("ETHUSD", Timespan.MINUTE, START_MS, START_MS + 3 * MINUTE_MS)
    wanted = [
        row
        for row in rows
        if row[:2] == ("ETHUSD", "minute") and START_MS <= row[2] <= START_MS + 3 * MINUTE_MS
    ]
    assert len(wanted) == 4
    assert some.start_ms.tolist() == [row[2] for row in wanted]
    assert some.close.tolist() == [row[3] for row in wanted]
    assert len(found.read("BTCUSD", Timespan.SECOND, START_MS, START_MS + HOUR_MS)) == 30
    assert len(found.read("ETHUSD", Timespan.SECOND, 0, END_MS)) == 0
    assert len(found.read("SOLUSD", Timespan.MINUTE, 0, END_MS)) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("BTCUSD", "minute", START_MS, 1.0), "two of one time, 1 times"),
        (("BTCUSD", "minute", START_MS + 1, 1.0), "start off the whole minute"),
        (("BTCUSD", "minute", END_MS, 0.0), "close not above 0"),
        (("BTCUSD", "minute", END_MS, float("nan")), "close not above 0"),
    ],
)
def test_candles_that_no_replay_can_use_are_refused(
    tmp_path: Path, row: tuple[str, str, int, float], message: str
) -> None:
    write_bundle(tmp_path)
    write_candles(tmp_path, [*candles(), row])
    found = read_bundle(tmp_path).candles
    assert len(found.read("ETHUSD", Timespan.MINUTE, 0, END_MS)) > 0
    with pytest.raises(BundleError, match=f"BTCUSD minute candles: {message}"):
        found.read("BTCUSD", Timespan.MINUTE, 0, END_MS)


def test_what_a_scenario_says_beside_the_format_is_no_fault(tmp_path: Path) -> None:
    write_bundle(tmp_path, {**scenario(), "made_by": "somebody", "format_version": 1})
    assert len(read_bundle(tmp_path).positions) == 3
    assert json.loads((tmp_path / "scenario.json").read_text())["made_by"] == "somebody"
