"""Second candles outside the windows are never asked for."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import build_timeline, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import clipped
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import Trader, traders

MINUTE, HOUR = 60_000, 3_600_000
NOON = 1_740_830_400_000  # 2025-03-01 12:00 UTC
BTC = TradePair.from_trade_pair_id("BTCUSD")


def state(
    trader: Trader, *, windowed: bool, before: LedgerState = NEW, n_updates: int | None = None
) -> LedgerState:
    """After the first updates; with `windowed`, on no more candles than a replay plans for."""
    timeline = build_timeline(
        trader.positions, trader.account_sizes, use_slippage=trader.use_slippage
    )
    end_ms, from_ms = trader.update_times_ms[-1], before.last_update_ms
    times = [t for t in trader.update_times_ms[:n_updates] if t > (from_ms or 0)]
    if windowed:
        held = open_ranges([timeline], end_ms, from_ms)
        ranges = {pair: (opened[0][0], end_ms) for pair, opened in held.items() if opened}
        windows = second_windows([timeline], times, from_ms)
    else:
        ranges = {pair.trade_pair_id: (0, end_ms) for pair in timeline.pairs}
        windows = None
    return update_ledgers(
        timeline,
        price_table(trader.candles, timeline.pairs, ranges, windows),
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        times,
        before,
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


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders(), st.integers(1, 5))
def test_a_continued_ledger_needs_candles_from_its_last_update_on(
    trader: Trader, n_updates: int
) -> None:
    before = state(trader, windowed=False, n_updates=n_updates)
    continued = state(trader, windowed=True, before=before)
    assert continued.to_dict() == state(trader, windowed=False).to_dict()


def test_windows_from_a_time_on_begin_with_the_seconds_after_it() -> None:
    orders = tuple(Order(f"o{i}", OrderType.LONG, 0.1, 100.0, NOON + i * HOUR) for i in range(3))
    timeline = build_timeline([Position("5Test", "p", BTC, NOON, orders)])
    from_ms = NOON + 5 * HOUR
    windows = second_windows([timeline], [NOON + 6 * HOUR], from_ms)["BTCUSD"]
    assert [tuple(window) for window in (windows - from_ms) // MINUTE] == [(-1, 1), (58, 60)]
    whole = second_windows([timeline], [from_ms, NOON + 6 * HOUR])["BTCUSD"]
    assert clipped(whole, from_ms - 1_000, NOON + 6 * HOUR).tolist() == windows.tolist()


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
