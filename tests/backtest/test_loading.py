"""What settings make of a source: positions, times, slippage."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.loading import load_inputs, open_position_source
from ptn_backtest.errors import ConfigError, SlippageError, SourceUnavailable
from ptn_backtest.sources.bundled import BundledPositionSource
from ptn_backtest.sources.checkpoint_file import write_checkpoint
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.disk import DiskPositionSource
from ptn_backtest.sources.locate import open_source
from ptn_backtest.sources.plagiarism import PlagiarismEvent, PlagiarismEvents


def config(tmp_path: Path, **settings: object) -> BacktestConfig:
    return BacktestConfig(use_test_positions=True, output=tmp_path, **settings)  # type: ignore[arg-type]


def test_times_are_those_of_orders_and_candles_unless_given(tmp_path: Path) -> None:
    inputs = load_inputs(config(tmp_path))
    orders = [order for position in inputs.positions for order in position.orders]
    assert inputs.start_ms == min(order.processed_ms for order in orders)
    assert inputs.end_ms > max(order.processed_ms for order in orders)
    given = load_inputs(config(tmp_path, start_time_ms=1_757_000_000_000, end_time_ms=None))
    assert given.start_ms == 1_757_000_000_000


def test_a_start_beyond_the_candles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="later than the end"):
        load_inputs(config(tmp_path, start_time_ms=2_000_000_000_000))


def test_only_the_traders_asked_for(tmp_path: Path) -> None:
    everyone = load_inputs(config(tmp_path)).positions.hotkeys
    one = load_inputs(config(tmp_path, test_single_hotkey=everyone[2]))
    assert one.positions.hotkeys == (everyone[2],)


def test_traders_that_are_left_out_are_not_read(sqlite_url: str, tmp_path: Path) -> None:
    """But their plagiarism events are, and a source that cannot tell whose it has gives them all."""
    bundled = BundledPositionSource()
    write_records(sqlite_url, bundled.read(), account_sizes=bundled.read_account_sizes())
    everyone = load_inputs(config(tmp_path)).positions.hotkeys
    events = tmp_path / "events.csv"
    events.write_text(f"hotkey,time_ms,event\n{everyone[0]},{FLAGGED_MS},flagged\n")
    settings = BacktestConfig(
        use_database_positions=True,
        database_url=sqlite_url,
        candles=tmp_path / "test-candles",
        plagiarism_events=events,
    )

    def left(without: Sequence[str], **settings_of_run: Any) -> tuple[str, ...]:
        found = load_inputs(replace(settings, **settings_of_run), leave_out=without)
        assert [event.miner_hotkey for event in found.plagiarism_events] == [everyone[0]]
        assert set(found.account_sizes) <= set(found.positions.hotkeys)
        return found.positions.hotkeys

    assert left(everyone[:2]) == everyone[2:]
    assert left(everyone[:1], hotkeys=everyone[:3]) == everyone[1:3]
    assert left(everyone) == everyone  # nobody is no answer: all are read
    assert load_inputs(config(tmp_path), leave_out=everyone[:2]).positions.hotkeys == everyone


def test_what_is_odd_is_among_the_warnings(sqlite_url: str, tmp_path: Path) -> None:
    records = list(BundledPositionSource().read())
    lost = next(each for each in records if each.stored["is_closed_position"])
    records[records.index(lost)] = replace(lost, orders=lost.orders[:1])
    write_records(sqlite_url, records)
    load_inputs(config(tmp_path))
    settings = BacktestConfig(
        use_database_positions=True, database_url=sqlite_url, candles=tmp_path / "test-candles"
    )
    inputs = load_inputs(settings)
    left_open, no_sizes = inputs.warnings
    assert f"its orders leave it open: {lost.fields['position_uuid']}" in left_open
    assert no_sizes.startswith("no account sizes: none in the table account_sizes")
    assert inputs.conversion.counts["closed_but_open"] == 1
    # a run that ends before the last order was placed
    end_ms = int(lost.orders[0].fields["processed_ms"]) + 1_000
    assert load_inputs(replace(settings, end_time_ms=end_ms)).warnings == (no_sizes,)
    assert load_inputs(config(tmp_path)).warnings == ()


def test_slippage_is_the_stored_one_unless_it_is_recalculated(tmp_path: Path) -> None:
    """In September 2025, before the second rule set, the network's figure for BTC was 0.00002."""

    def of_bitcoin(**settings: object) -> set[float]:
        positions = load_inputs(config(tmp_path, **settings)).positions
        bitcoin = [p for p in positions if p.trade_pair.trade_pair_id == "BTCUSD"]
        return {o.slippage for p in bitcoin for o in p.orders if o.leverage and o.price}

    assert of_bitcoin(recalculate_slippage=True) == {0.00002}
    # at 1,000 USD for leverage 1 every order is too small to slip
    assert of_bitcoin(capital=1_000.0) == {0.00002}
    assert of_bitcoin(recalculate_slippage=True, capital=1_000.0) == {0.0}


def test_hotkeys_that_nobody_has_are_named_where_others_have_positions(tmp_path: Path) -> None:
    known = load_inputs(config(tmp_path)).positions.hotkeys[0]
    asked = (known, "5Nobody", "5Other", "5Third", "5Fourth", "5Fifth")
    [warning] = load_inputs(config(tmp_path, hotkeys=asked)).warnings
    assert warning.startswith("no position of 5Fifth, 5Fourth, 5Nobody and 2 more: check")
    assert load_inputs(config(tmp_path, hotkeys=(known,))).warnings == ()


def test_slippage_that_cannot_be_computed_is_named_and_stops_a_strict_run(tmp_path: Path) -> None:
    inputs = load_inputs(config(tmp_path, recalculate_slippage=True))
    assert any("EURUSD" in warning and "daily candles" in warning for warning in inputs.warnings)
    with pytest.raises(SlippageError, match="EURUSD"):
        load_inputs(config(tmp_path, recalculate_slippage=True, strict=True))


FLAGGED_MS = 1_757_000_000_000
EVENTS = (
    "hotkey,time_ms,event\n"
    f"zoe,{FLAGGED_MS},cleared\n"
    f"yan,{FLAGGED_MS},flagged\n"
    "yan,soon,cleared\n"
    f"zoe,{FLAGGED_MS - 5},flagged\n"
)


def test_plagiarism_events_come_from_the_file_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(EVENTS)
    inputs = load_inputs(config(tmp_path, plagiarism_events=file))
    assert inputs.plagiarism_events == (
        PlagiarismEvent("zoe", FLAGGED_MS - 5, flagged=True),
        PlagiarismEvent("yan", FLAGGED_MS, flagged=True),
        PlagiarismEvent("zoe", FLAGGED_MS, flagged=False),
    )
    [warning] = inputs.warnings
    assert "events.csv line 4" in warning
    assert "'soon'" in warning


def test_plagiarism_events_are_those_of_the_traders_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(EVENTS)
    inputs = load_inputs(config(tmp_path, plagiarism_events=file, test_single_hotkey="zoe"))
    assert [event.time_ms for event in inputs.plagiarism_events] == [FLAGGED_MS - 5, FLAGGED_MS]
    assert inputs.warnings == ()


def test_without_a_file_plagiarism_events_are_the_sources_own(tmp_path: Path) -> None:
    assert load_inputs(config(tmp_path)).plagiarism_events == ()
    source = tmp_path / "checkpoint.json"
    event = PlagiarismEvent("zoe", FLAGGED_MS, flagged=True)
    write_checkpoint(
        source, open_source("test").read(), plagiarism_events=PlagiarismEvents((event,))
    )
    settings = BacktestConfig(positions_path=source, candles=tmp_path / "test-candles")
    assert load_inputs(settings).plagiarism_events == (event,)


def test_a_positions_path_called_database_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PTN_BACKTEST_DATABASE_URL", "sqlite:///other.db")
    (tmp_path / "database" / "miners").mkdir(parents=True)
    settings = BacktestConfig(positions_path=Path("database"))
    assert isinstance(open_position_source(settings), DiskPositionSource)


def test_a_file_of_plagiarism_events_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"nowhere\.csv.*plagiarism_events"):
        load_inputs(config(tmp_path, plagiarism_events=tmp_path / "nowhere.csv"))
