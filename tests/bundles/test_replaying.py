"""What a bundle's replay gives; the figures themselves are in test_golden_bundles."""

import json
import math
from pathlib import Path

import pytest

from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.bundles.replay import Results, replay_bundle
from ptn_backtest.clock import HOUR_MS, MINUTE_MS
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.states import LedgerStates
from tests.bundles.made_bundles import (
    ALICE,
    BOB,
    END_MS,
    START_MS,
    candles,
    order,
    position,
    scenario,
    write_bundle,
)

CARRY_PER_INTERVAL = (1 - 0.1095) ** (1 / 1095)
"""Of crypto at leverage 1, for 8 hours."""


def test_results_have_the_sections_and_traders_of_the_scenario(tmp_path: Path) -> None:
    results = replay_bundle(read_bundle(write_bundle(tmp_path)))
    daily = ["daily", "daily_by_trade_pair", "daily_pnl"]
    assert list(results) == ["positions", "ledgers", *daily, "metrics"]
    assert [p["position_uuid"] for p in results["positions"]] == ["a1", "a2", "b1"]
    assert {hotkey: list(mine) for hotkey, mine in results["ledgers"].items()} == {
        ALICE: ["portfolio", "BTCUSD", "ETHUSD"],
        BOB: ["portfolio", "BTCUSD"],
    }
    assert list(results["daily"][ALICE]) == ["2025-03-04"]
    assert list(results["daily_by_trade_pair"][ALICE]) == ["BTCUSD", "ETHUSD"]
    assert results["daily"][BOB] == {}  # its first day is not full
    json.dumps(results, allow_nan=False)


def test_a_replay_gives_the_same_every_time(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    assert replay_bundle(read_bundle(folder)) == replay_bundle(read_bundle(folder))


def test_at_a_price_that_does_not_move_only_fees_are_lost(tmp_path: Path) -> None:
    content = scenario()
    content["positions"] = [
        position(ALICE, "a", "BTCUSD", [order(1, "LONG", 0.5, 100.0, START_MS + 100)])
    ]
    end_ms = START_MS + 3 * HOUR_MS
    content["settings"]["now_ms"] = end_ms
    still = [
        ("BTCUSD", "minute", at, 100.0) for at in range(START_MS, START_MS + 6 * HOUR_MS, MINUTE_MS)
    ]
    # the first carry interval ends at 04:00 UTC
    early = replay_bundle(read_bundle(write_bundle(tmp_path / "early", content, still)))
    content["settings"]["now_ms"] = START_MS + 5 * HOUR_MS
    late = replay_bundle(read_bundle(write_bundle(tmp_path / "late", content, still)))
    spread = 1 - 0.001 * 0.5
    assert early["positions"][0]["spread_fee"] == spread
    assert early["positions"][0]["carry_fee_at"] == {
        str(end_ms): {
            "carry_fee": 1.0,
            "next_update_ms": START_MS + 4 * HOUR_MS,
            "spread_fee": spread,
        }
    }
    assert _value(early) == pytest.approx(spread, rel=1e-15)
    assert _value(late) == pytest.approx(spread * CARRY_PER_INTERVAL**0.5, rel=1e-15)


def test_carry_fees_are_told_at_the_close_and_at_the_end_or_when_asked(tmp_path: Path) -> None:
    found = read_bundle(write_bundle(tmp_path))
    closed_ms = found.positions[0].orders[-1].processed_ms
    closed, still_open, _ = replay_bundle(found)["positions"]
    assert list(closed["carry_fee_at"]) == [str(closed_ms), str(END_MS)]
    assert list(still_open["carry_fee_at"]) == [str(END_MS)]
    asked = replay_bundle(found, carry_fee_times={"a2": [END_MS - HOUR_MS]})["positions"]
    assert list(asked[0]["carry_fee_at"]) == [str(closed_ms), str(END_MS)]
    assert list(asked[1]["carry_fee_at"]) == [str(END_MS - HOUR_MS)]


def test_portfolio_only_builds_have_no_ledgers_by_pair(tmp_path: Path) -> None:
    content = scenario(build_portfolio_ledgers_only=True)
    results = replay_bundle(read_bundle(write_bundle(tmp_path, content)))
    assert {name for mine in results["ledgers"].values() for name in mine} == {"portfolio"}
    assert results["daily_by_trade_pair"] == {ALICE: {}, BOB: {}}


def test_rules_tell_where_everybody_stands(tmp_path: Path) -> None:
    content = scenario(
        mode="backtest",
        now_ms=None,
        update_times_ms=[END_MS],
        start_time_ms=END_MS,
        run_challenge=True,
        run_elimination=True,
    )
    results = replay_bundle(read_bundle(write_bundle(tmp_path, content)))
    # as of their first orders
    assert results["buckets"] == {
        ALICE: ["CHALLENGE", START_MS + 30_500],
        BOB: ["CHALLENGE", START_MS + 20 * HOUR_MS],
    }
    assert "eliminations" not in results
    assert "buckets" not in replay_bundle(read_bundle(write_bundle(tmp_path, scenario())))


def test_who_leaves_is_told_with_its_last_ledgers(tmp_path: Path) -> None:
    updates = [START_MS + HOUR_MS, START_MS + 6 * HOUR_MS, END_MS]
    content = scenario(
        mode="backtest",
        now_ms=None,
        update_times_ms=updates,
        start_time_ms=updates[0],
        run_elimination=True,
    )
    content["positions"][1]["orders"][0]["leverage"] = -5.0
    fallen_ms = START_MS + 5 * HOUR_MS + 30 * MINUTE_MS
    rows = [
        (pair, span, at, close * (1.05 if pair == "ETHUSD" and at >= fallen_ms else 1))
        for pair, span, at, close in candles()
    ]
    results = replay_bundle(read_bundle(write_bundle(tmp_path, content, rows)))
    (left,) = results["eliminations"]
    assert (left["hotkey"], left["reason"]) == (ALICE, "MAX_TOTAL_DRAWDOWN")
    assert left["elimination_initiated_time_ms"] == updates[1]
    assert list(results["ledgers"]) == [BOB]
    assert list(results["buckets"]) == [BOB]
    last = results["ledgers_last_seen"][ALICE]
    assert last["t_ms"] == updates[1]
    lowest = min(cp["mdd"] for cp in last["bundle"]["portfolio"]["cps"])
    assert left["dd"] == round((1 - lowest) * 100, 2) > 10


def test_a_liquidation_is_told_with_its_prices(tmp_path: Path) -> None:
    content = scenario()
    content["positions"] = [
        position(ALICE, "a", "BTCUSD", [order(1, "LONG", 20.0, 100.0, START_MS + 100)]),
        position(BOB, "b", "BTCUSD", [order(2, "LONG", 20.0, 100.0, START_MS + 100)]),
        position(BOB, "c", "ETHUSD", [order(3, "LONG", 0.1, 50.0, START_MS + 100)]),
    ]
    crash_ms = START_MS + 2 * HOUR_MS
    rows = [
        (pair, "minute", at, price if pair == "ETHUSD" or at < crash_ms else price * 0.9)
        for pair, price in (("BTCUSD", 100.0), ("ETHUSD", 50.0))
        for at in range(START_MS, END_MS, MINUTE_MS)
    ]
    alone, with_two_pairs = replay_bundle(read_bundle(write_bundle(tmp_path, content, rows)))[
        "perf_ledger_eliminations"
    ]
    assert alone["hotkey"] == ALICE
    assert alone["reason"] == "LIQUIDATED"
    # ticks keep the milliseconds after the order: 100 ms, and 1 ms on
    assert alone["elimination_initiated_time_ms"] == crash_ms + 101
    assert alone["price_info"] == {
        "BTCUSD": [90.0, crash_ms],
        "BTCUSD_prev": [100.0, crash_ms - MINUTE_MS],
    }
    spread = pytest.approx(1 - 0.001 * 20, rel=1e-15)
    assert alone["return_info"]["returns"] == {
        "BTCUSD": [0.0, 1],
        "portfolio": [0.0, 1],
        "BTCUSD_prev": [spread, 1],
        "portfolio_prev": [spread, 1],
    }
    assert with_two_pairs["hotkey"] == BOB
    other = pytest.approx(1 - 0.001 * 0.1, rel=1e-15)
    assert with_two_pairs["return_info"]["returns"] == {
        "BTCUSD": [0.0, 1],
        "ETHUSD": [other, 1],
        "portfolio": [0.0, 2],
        "BTCUSD_prev": [spread, 1],
        "ETHUSD_prev": [other, 1],
        "portfolio_prev": [pytest.approx((1 - 0.001 * 20) * (1 - 0.001 * 0.1), rel=1e-15), 2],
    }


def test_a_closed_position_counts_in_its_pair_at_a_liquidation(tmp_path: Path) -> None:
    content = scenario()
    content["positions"] = [
        position(
            BOB,
            "a",
            "BTCUSD",
            [
                order(1, "LONG", 0.1, 100.0, START_MS + 100),
                order(2, "FLAT", 0.0, 110.0, START_MS + 200),
            ],
        ),
        position(BOB, "b", "BTCUSD", [order(3, "LONG", 0.1, 100.0, START_MS + 300)]),
        position(BOB, "c", "ETHUSD", [order(4, "LONG", 20.0, 50.0, START_MS + 300)]),
    ]
    crash_ms = START_MS + 2 * HOUR_MS
    rows = [
        (pair, "minute", at, price if pair == "BTCUSD" or at < crash_ms else price * 0.9)
        for pair, price in (("BTCUSD", 100.0), ("ETHUSD", 50.0))
        for at in range(START_MS, END_MS, MINUTE_MS)
    ]
    (lost,) = replay_bundle(read_bundle(write_bundle(tmp_path, content, rows)))[
        "perf_ledger_eliminations"
    ]
    # 0.1 x 10 % gained, 0.001 of 0.2 in all paid; then 0.1 held at its entry
    bitcoin = pytest.approx((1.01 * (1 - 0.0002)) * (1 - 0.0001), rel=1e-12)
    assert lost["return_info"]["returns"]["BTCUSD"] == [bitcoin, 1]
    assert lost["return_info"]["returns"]["portfolio"] == [0.0, 2]


def test_a_trader_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_bundle(write_bundle(tmp_path))

    def fails_for_alice(_: LedgerStates, hotkey: str) -> LedgerError | None:
        return LedgerError("no ledger for Alice") if hotkey == ALICE else None

    monkeypatch.setattr(LedgerStates, "late_orders", fails_for_alice)
    results = replay_bundle(found)
    assert results["failed_traders"] == {ALICE: "no ledger for Alice"}
    assert list(results["ledgers"]) == [BOB]


def _value(results: Results) -> float:
    value = results["ledgers"][ALICE]["portfolio"]["cps"][-1]["prev_portfolio_ret"]
    assert math.isfinite(value)
    return float(value)
