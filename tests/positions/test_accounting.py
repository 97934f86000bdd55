"""The arithmetic against figures worked out by hand, and against what production stored."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from ptn_backtest.positions.accounting import carry_fee_at, replay
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.fees import time_to_interval_end
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource
from ptn_backtest.sources.records import OrderRecord, PositionRecord
from ptn_backtest.trade_pairs import TradePair

CRYPTO_CARRY = DEFAULT_RULEBOOK.carry(TradePair.from_trade_pair_id("BTCUSD"))
FOREX_CARRY = DEFAULT_RULEBOOK.carry(TradePair.from_trade_pair_id("EURUSD"))
MARCH_2025 = 1_740_787_200_000  # 2025-03-01 00:00 UTC, a Saturday; slippage counts
HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY_NOON = MARCH_2025 + 2 * DAY + 12 * HOUR


def position(*orders: tuple[Any, ...], pair: str = "BTCUSD", account_size: float = 0.0) -> Position:
    """A position of (type, leverage, price, time[, slippage[, src]]) tuples."""
    made = tuple(
        Order(f"o{i}", OrderType(kind), leverage, price, time, slippage=more[0] if more else 0.0,
              src=more[1] if len(more) > 1 else 0)
        for i, (kind, leverage, price, time, *more) in enumerate(orders)
    )  # fmt: skip
    pair_ = TradePair.from_trade_pair_id(pair)
    return Position("5Test", "p", pair_, made[0].processed_ms, made, account_size)


@pytest.mark.parametrize(
    ("closing", "current_return"),
    [
        # exit slippage uses the closing order's recorded leverage (quirk 20)
        (("FLAT", -0.5, 110.0), 1.0445),
        (("FLAT", 0.0, 110.0), 1.05),
        (("SHORT", -0.8, 110.0), 1.0412),
    ],
)
def test_exit_slippage(closing, current_return):
    closed = position(("LONG", 0.5, 100.0, MARCH_2025), (*closing, MARCH_2025 + HOUR, 0.01))
    state = replay(closed)
    assert state.current_return == pytest.approx(current_return, rel=1e-12)
    assert state.is_closed_position
    assert state.close_ms == MARCH_2025 + HOUR
    assert state.net_leverage == 0.0


def test_without_slippage_an_average_moves_with_every_order():
    reduced = position(
        ("LONG", 1.0, 100.0, MARCH_2025, 0.01),
        ("SHORT", -0.5, 120.0, MARCH_2025 + HOUR, 0.01),
    )
    without = replay(reduced, use_slippage=False)
    assert without.average_entry_price == pytest.approx((100 - 0.5 * 120) / 0.5)
    assert without.current_return == pytest.approx(1.2)
    with_slippage = replay(reduced, use_slippage=True)
    assert with_slippage.average_entry_price == pytest.approx(101.0)
    assert with_slippage.realized_pnl == pytest.approx((120 * 0.99 - 101) * 0.5)
    gain = ((120 * 0.99 - 101) * 0.5 + (120 - 101) * 0.5) / 101
    assert with_slippage.current_return == pytest.approx(1 + gain)


def test_closing_is_decided_in_floating_point():
    nearly = position(
        ("LONG", 0.1, 100.0, MARCH_2025),
        ("LONG", 0.2, 100.0, MARCH_2025 + 1),
        ("SHORT", -0.3, 100.0, MARCH_2025 + 2),
    )
    state = replay(nearly)
    assert not state.is_closed_position
    assert state.net_leverage == pytest.approx(5.55e-17, rel=0.01)


def test_orders_after_the_closing_one_change_nothing():
    orders = [("LONG", 0.5, 100.0, MARCH_2025), ("FLAT", -0.5, 110.0, MARCH_2025 + HOUR)]
    later = ("LONG", 0.4, 500.0, MARCH_2025 + 2 * HOUR)
    assert asdict(replay(position(*orders))) == asdict(replay(position(*orders, later)))


def test_an_elimination_flat_without_price_keeps_the_return():
    opened = ("LONG", 0.5, 100.0, MARCH_2025)
    added = ("LONG", 0.2, 110.0, MARCH_2025 + HOUR)
    flat = ("FLAT", 0.0, 0.0, MARCH_2025 + 9 * HOUR, 0.0, 1)
    before = replay(position(opened, added))
    after = replay(position(opened, added, flat))
    assert after.current_return == before.current_return
    assert after.is_closed_position
    # carry of the order before (none yet), spread over all orders: 0.5 + 0.2 in, 0.7 out
    assert after.return_at_close == pytest.approx(before.current_return * (1 - 0.001 * 1.4))


def test_a_loss_of_everything_is_a_return_of_zero():
    lost = position(("LONG", 5.0, 100.0, MARCH_2025), ("FLAT", -5.0, 79.9, MARCH_2025 + HOUR))
    assert replay(lost).current_return == 0.0
    assert replay(lost).return_at_close == 0.0


def test_before_fee_v4_the_largest_leverage_is_charged():
    early = 1_709_251_200_000  # 2024-03-01
    closed = position(("LONG", 2.0, 100.0, early), ("FLAT", -2.0, 100.0, early + HOUR))
    assert replay(closed).return_at_close == pytest.approx(1 - 0.001 * 2)


def test_entry_value_needs_an_account_size_once_slippage_counts():
    orders = [("LONG", 0.5, 100.0, MARCH_2025), ("LONG", 0.25, 120.0, MARCH_2025 + 1)]
    assert replay(position(*orders)).cumulative_entry_value == 0.0
    assert replay(position(*orders, account_size=1000.0)).cumulative_entry_value == 750.0
    assert replay(position(*orders), use_slippage=False).cumulative_entry_value == 80.0


@pytest.mark.parametrize(
    ("hours", "units"), [(7 + 59 / 60, 0.1), (12, 1.0), (19 + 3599 / 3600, 0.6), (20, 1.5)]
)
def test_crypto_carry_samples_leverage_by_the_time_of_asking(hours, units):
    """0.1x from 00:00:30, 0.5x in all from 04:10: leverage-intervals of quirk 5."""
    raised = position(
        ("LONG", 0.1, 100.0, MARCH_2025 + 30_000),
        ("LONG", 0.4, 100.0, MARCH_2025 + 4 * HOUR + 600_000),
    )
    fee, _ = carry_fee_at(raised, MARCH_2025 + round(hours * HOUR))
    assert math.log(fee) / math.log(CRYPTO_CARRY.factor) == pytest.approx(units, abs=1e-9)


@pytest.mark.parametrize(
    ("opened", "asked_hour", "units"),
    [
        (MONDAY_NOON, 22, [1, 2, 5, 8, 11, 12, 13, 14, 15, 16, 17]),
        (MONDAY_NOON, 18, [0, 1, 2, 3, 4, 5, 8, 11, 14, 15, 16]),
        (MONDAY_NOON + 4 * DAY, 22, [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_forex_carry_by_day(opened, asked_hour, units):
    """1x EURUSD, asked on days 0 to 10 (quirk 6)."""
    held = position(("LONG", 1.0, 1.1, opened), pair="EURUSD")
    midnight = opened - 12 * HOUR
    fees = [carry_fee_at(held, midnight + d * DAY + asked_hour * HOUR)[0] for d in range(11)]
    charged = [math.log(fee) / math.log(FOREX_CARRY.factor) for fee in fees]
    assert charged == pytest.approx(units, abs=1e-9)


@pytest.mark.parametrize("rule", [CRYPTO_CARRY, FOREX_CARRY])
def test_time_to_the_next_interval_is_that_of_datetimes_truncated(rule):
    """The network's way: a difference of datetimes made from ms / 1000, x 1000, as an int."""
    short = 0
    for time_ms in range(MARCH_2025, MARCH_2025 + DAY, 997):
        exact = rule.period_ms - (time_ms - rule.phase_ms) % rule.period_ms
        now = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
        end = datetime.fromtimestamp((time_ms + exact) / 1000, tz=UTC)
        networks = int((end - now).total_seconds() * 1000)
        assert time_to_interval_end(time_ms, rule.period_ms, rule.phase_ms) == networks
        short += exact - networks
    assert short > 0  # quirk 4: 1 ms short now and then


def records(scenario: dict[str, Any]) -> list[PositionRecord]:
    return [
        PositionRecord(
            fields={k: v for k, v in stored.items() if k != "orders"},
            orders=[OrderRecord(order, "scenario") for order in stored["orders"]],
        )
        for stored in scenario["positions"]
    ]


def test_every_golden_position_follows_from_its_orders(shared):
    compared = 0
    for folder in sorted((shared / "golden").glob("*/")):
        scenario = json.loads((folder / "scenario.json").read_text())
        expected = json.loads((folder / "expected.json").read_text())["positions"]
        if scenario["settings"].get("run_elimination"):
            continue  # eliminations append orders; they come with the rules
        by_uuid = {p.position_uuid: p for p in convert(records(scenario)).positions}
        for wanted in expected:
            state = replay(
                by_uuid[wanted["position_uuid"]],
                use_slippage=scenario["settings"]["use_slippage"],
            )
            for name, value in asdict(state).items():
                if isinstance(value, float):
                    assert value == pytest.approx(wanted[name], rel=1e-9, abs=1e-12), (folder, name)
                else:
                    assert value == wanted[name], (folder, name)
                compared += 1
    assert compared > 1_000


def test_stored_production_returns_follow_from_orders(shared):
    """73 closed positions of a real trader of 2025; the fee rule of that day had no spread fee."""
    source = CheckpointPositionSource(shared / "data" / "positions" / "btc_trader_2025.json")
    closed = [p for p in convert(source.read()).positions if p.stored.get("is_closed_position")]
    assert len(closed) == 73
    for each in closed:
        state = replay(each)
        carry, _ = carry_fee_at(each, state.close_ms or 0)
        assert state.current_return == pytest.approx(each.stored["current_return"], rel=1e-9)
        assert state.current_return * carry == pytest.approx(
            each.stored["return_at_close"], rel=1e-9
        )


@pytest.mark.parametrize("leverage", [0.1, 0.137, 1.3, 2.45, 4.99])
def test_a_wednesday_cubes_what_the_leverage_made_of_the_factor(leverage):
    """To the last bit, as Python computes it: n_updates counts changes of it."""
    opened = MARCH_2025 + 3 * DAY + 22 * HOUR  # a Tuesday, an hour after the interval's end
    held = position(("LONG", leverage, 1.1, opened), pair="EURUSD")
    factor = (1 - 0.03) ** (1 / 365)
    fee, _ = carry_fee_at(held, opened + 23 * HOUR + HOUR // 2)
    assert fee == (factor**leverage) ** 3


@pytest.mark.parametrize("src", [1, 2])
def test_a_close_without_a_price_before_fee_v4_leaves_the_fee_of_then(src):
    """1 - trade pair fee x largest leverage, whatever the time of the closing order."""
    opened = 1_704_067_200_000  # 2024-01-01
    opening, larger = ("LONG", 0.5, 100.0, opened), ("LONG", 0.3, 110.0, opened + DAY)
    for closed in (opened + 2 * DAY, MARCH_2025):
        state = replay(position(opening, larger, ("FLAT", 0.0, 0.0, closed, 0.0, src)))
        assert state.is_closed_position
        assert state.current_return == pytest.approx(1.05, rel=1e-12)
        assert state.return_at_close == pytest.approx(1.05 * (1 - 0.001 * 0.8), rel=1e-12)
