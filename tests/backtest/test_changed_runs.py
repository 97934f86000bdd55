"""What-if, order rules and quotes in a run of the test positions."""

from pathlib import Path

import pytest

from ptn_backtest.backtest.config import BacktestConfig, load_config
from ptn_backtest.backtest.loading import Inputs, load_inputs
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.order import Order
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import bundled_candles


def config(tmp_path: Path, **settings: object) -> BacktestConfig:
    return BacktestConfig(use_test_positions=True, output=tmp_path, **settings)  # type: ignore[arg-type]


def orders_of(inputs: Inputs) -> dict[str, Order]:
    return {o.order_uuid: o for position in inputs.positions for o in position.orders}


def test_delayed_orders_are_filled_by_the_candles(tmp_path: Path) -> None:
    recorded = load_inputs(config(tmp_path))
    late = load_inputs(config(tmp_path, delay_orders_ms=90_000))
    before, after = orders_of(recorded), orders_of(late)
    assert before.keys() == after.keys()
    checked = 0
    for position in late.positions:
        pair = position.trade_pair.trade_pair_id
        for order in position.orders:
            if order.src in (1, 2, 3):
                assert order == before[order.order_uuid]
                continue
            assert order.processed_ms == before[order.order_uuid].processed_ms + 90_000
            candle = None
            for timespan, length in ((Timespan.SECOND, SECOND_MS), (Timespan.MINUTE, MINUTE_MS)):
                start = order.processed_ms // length * length
                found = late.candles.read(pair, timespan, start, start)
                candle = found.close[0] if candle is None and len(found) else candle
            if candle is not None:
                assert order.price == candle
                checked += 1
    assert checked > 30
    assert late.changes["what_if_orders_delayed"] >= checked
    assert (late.start_ms, late.end_ms) == (recorded.start_ms, recorded.end_ms)
    assert recorded.changes == {}


def test_a_run_with_a_delay_and_a_dropped_pair(tmp_path: Path) -> None:
    recorded = run_backtest(config(tmp_path))
    changed = run_backtest(config(tmp_path, delay_orders_ms=5_000, drop_pairs=("BTCUSD",)))
    assert recorded.update_times_ms == changed.update_times_ms
    pairs = {name for ledgers in changed.ledgers.values() for name in ledgers}
    assert "BTCUSD" not in pairs
    assert "BTCUSD" in {name for ledgers in recorded.ledgers.values() for name in ledgers}
    assert changed.counts["what_if_positions_dropped"] > 0
    assert changed.counts["orders"] < recorded.counts["orders"]
    assert changed.settings["drop_pairs"] == ["BTCUSD"]
    assert changed.settings["delay_orders_ms"] == 5_000
    # the same trader on the same pair, 5 s later: another return, by little
    names = {(hotkey, name) for hotkey, mine in changed.ledgers.items() for name in mine}
    hotkey, name = min(each for each in names if each[1] not in ("portfolio", "BTCUSD"))
    values = [
        float(run.ledgers[hotkey][name].cps["prev_portfolio_ret"][-1])
        for run in (recorded, changed)
    ]
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], abs=0.01)


def test_order_rules_and_a_cap_leave_findings(tmp_path: Path) -> None:
    ruled = load_inputs(config(tmp_path, apply_order_rules=True))
    # one test order turns a position around; it is the only one against the rules
    assert [finding.rule.value for finding in ruled.order_findings] == ["flip"]
    assert ruled.changes["what_if_orders_changed"] == 1
    hotkey = ruled.positions.hotkeys[0]
    capped = load_inputs(config(tmp_path, leverage_cap=0.05, what_if_hotkeys=(hotkey,)))
    assert {finding.miner_hotkey for finding in capped.order_findings} == {hotkey}
    held = 0.0
    for order in capped.positions.positions(hotkey)[0].orders:
        held += order.leverage
        assert abs(held) <= 0.05 + 1e-9


def test_bid_and_ask_come_from_the_candles(tmp_path: Path) -> None:
    """Every test order that has a price lies in a second with a quote."""
    recorded = orders_of(load_inputs(config(tmp_path)))
    fetched = load_inputs(config(tmp_path, fetch_slippage_data=True))
    n_filled = 0
    for position in fetched.positions:
        for order in position.orders:
            second = order.processed_ms // SECOND_MS * SECOND_MS
            pair = position.trade_pair.trade_pair_id
            (candle,) = fetched.candles.read_table(
                pair, Timespan.SECOND, second, second, ("timestamp_ms", "bid", "ask")
            ).to_pylist()
            if order.price:
                assert (order.bid, order.ask) == (candle["bid"], candle["ask"])
                n_filled += 1
            else:
                assert order == recorded[order.order_uuid]
    assert fetched.changes["quotes_filled"] == n_filled > 0
    assert fetched.changes["quotes_missing"] == fetched.changes["quotes_recorded"] == 0


def test_slippage_is_computed_with_the_fetched_quotes(tmp_path: Path) -> None:
    """Orders of euro and pound, of which the candles know no 31 days, are named in both cases."""
    kept = load_inputs(config(tmp_path, fetch_slippage_data=True))
    anew = load_inputs(config(tmp_path, fetch_slippage_data=True, recalculate_slippage=True))
    recorded = orders_of(load_inputs(config(tmp_path)))
    for uuid, order in orders_of(kept).items():
        assert order.slippage == recorded[uuid].slippage or not recorded[uuid].slippage
    assert kept.changes["slippage_computed"] < anew.changes["slippage_computed"]


def test_candles_without_quotes_are_named_before_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The test candles without their bids: recorded quotes stay, and each pair is named."""
    whole = bundled_candles(tmp_path / "whole")
    bare = CandleStore.create(tmp_path / "bare")
    for pair in whole.pairs():
        for timespan in Timespan:
            closes = whole.read_table(pair, timespan, columns=("timestamp_ms", "close"))
            bare.write(pair, timespan, closes)
    with caplog.at_level("WARNING", logger="ptn_backtest"):
        inputs = load_inputs(config(tmp_path, candles=bare.root, fetch_slippage_data=True))
    named = [each for each in inputs.warnings if "no bid and ask in the candles" in each]
    assert [record.getMessage() for record in caplog.records] == named
    pairs = {position.trade_pair.trade_pair_id for position in inputs.positions}
    assert {each.partition(":")[0] for each in named} == pairs
    assert inputs.changes["quotes_filled"] == 0
    recorded = orders_of(load_inputs(config(tmp_path)))
    assert {uuid: order.bid for uuid, order in orders_of(inputs).items()} == {
        uuid: order.bid for uuid, order in recorded.items()
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"drop_pairs": "BTCUSDD"}, ["--drop-pairs", "BTCUSDD", "did you mean BTCUSD"]),
        ({"leverage_cap": "0"}, ["--leverage-cap", "above 0"]),
        ({"delay_orders_ms": "-5"}, ["--delay-orders-ms", "-5", "below 0"]),
        ({"what_if_hotkeys": "alice"}, ["what_if_hotkeys", "drop_pairs", "leverage_cap"]),
    ],
)
def test_mistakes_are_named(options: dict[str, str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(None, {}, {"use_test_positions": True, **options})
    for text in named:
        assert text in str(error.value)


def test_settings_make_a_what_if() -> None:
    given = {
        "drop_pairs": "BTCUSD, EURUSD",
        "leverage_cap": "0.25",
        "delay_orders_ms": "500",
        "apply_order_rules": "true",
        "what_if_hotkeys": ("alice", "bob"),
    }
    what_if = load_config(None, {}, {"use_test_positions": True, **given}).what_if
    assert (what_if.drop_pairs, what_if.hotkeys) == (("BTCUSD", "EURUSD"), ("alice", "bob"))
    assert (what_if.leverage_cap, what_if.delay_orders_ms) == (0.25, 500)
    assert what_if.apply_order_rules
    assert not load_config(None, {}, {"use_test_positions": True}).what_if
