"""Second candles outside the windows are never asked for."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import Trader, traders

MINUTE, HOUR = 60_000, 3_600_000
NOON = 1_740_830_400_000  # 2025-03-01 12:00 UTC
BTC = TradePair.from_trade_pair_id("BTCUSD")


def state(trader: Trader, *, windowed: bool) -> LedgerState:
    timeline = build_timeline(
        trader.positions, trader.account_sizes, use_slippage=trader.use_slippage
    )
    end_ms = trader.update_times_ms[-1]
    ranges = {pair.trade_pair_id: (timeline.first_order_ms, end_ms) for pair in timeline.pairs}
    windows = second_windows([timeline], trader.update_times_ms) if windowed else None
    return update_ledgers(
        timeline,
        price_table(trader.candles, timeline.pairs, ranges, windows),
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        trader.update_times_ms,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
    )


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders())
def test_the_windows_hold_every_candle_that_is_asked_for(trader: Trader) -> None:
    assert state(trader, windowed=True).to_dict() == state(trader, windowed=False).to_dict()


def test_windows_lie_around_the_ends_of_steps_and_cover_short_ones() -> None:
    times = [NOON, NOON + 3 * HOUR, NOON + 3 * HOUR + 10 * MINUTE]
    orders = tuple(Order(f"o{i}", OrderType.LONG, 0.1, 100.0, time) for i, time in enumerate(times))
    timeline = build_timeline([Position("5Test", "p", BTC, NOON, orders)])
    windows = second_windows([timeline], [NOON + 6 * HOUR])["BTCUSD"]
    assert [tuple(window) for window in (windows - NOON) // MINUTE] == [
        (-1, 1),  # 1 s before the order, and the minute after it
        (178, 191),  # the minute before 15:00, the ten minutes between two orders, one more
        (358, 360),
    ]


@pytest.mark.parametrize("closed", [True, False])
def test_a_pair_without_an_open_position_needs_no_seconds(closed: bool) -> None:
    flat = (Order("b", OrderType.FLAT, -0.1, 100.0, NOON + HOUR),) if closed else ()
    first = Position("5Test", "p", BTC, NOON, (Order("a", OrderType.LONG, 0.1, 100.0, NOON), *flat))
    updates = [NOON + 2 * HOUR, NOON + 9 * HOUR]
    windows = second_windows([build_timeline([first])], updates)["BTCUSD"]
    last = int(np.max(windows))
    assert last == (NOON + HOUR + 62_000 if closed else updates[-1])
