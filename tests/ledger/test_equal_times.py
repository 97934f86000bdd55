"""Orders of successive milliseconds: no tick lies between them."""

import numpy as np
import pytest

from ptn_backtest.clock import HOUR_MS, MINUTE_MS
from ptn_backtest.ledger.checkpoint import WINDOW_MS
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import GivenCandles, Trader
from tests.ledger.test_properties import defined_state, kernel_state

OPENED_MS = 1_746_101_100_123  # 2025-05-01 12:05 UTC: no carry before 20:00
LATER_MS = OPENED_MS + 2 * HOUR_MS


def test_a_pair_that_opens_one_millisecond_after_another_s_order_has_its_fee_at_once() -> None:
    """No tick lies between, so that its ledger is read after the batch, as where nothing is open."""
    bitcoin = position("BTCUSD", (OPENED_MS, 0.1), (LATER_MS, 0.1))
    before = position("ETHUSD", (OPENED_MS, 0.2), (OPENED_MS + HOUR_MS, None))
    again = position("ETHUSD", (LATER_MS + 1, 0.3))
    trader = trader_with([bitcoin, before, again], (OPENED_MS - MINUTE_MS, LATER_MS + 1))
    for state in (kernel_state(trader), defined_state(trader)):
        value = float(state.ledgers["ETHUSD"].cps["prev_portfolio_ret"][-1])
        # opened, closed, opened again
        assert value == pytest.approx((1 - 0.001 * 0.4) * (1 - 0.001 * 0.3), rel=1e-12)


def position(pair: str, *orders: tuple[int, float | None]) -> Position:
    """Of (time, leverage) each at a price of 100; None closes it."""
    name = f"{pair}-{orders[0][0]}"
    made = tuple(
        Order(
            f"{name}-{i}",
            OrderType.FLAT if leverage is None else OrderType.LONG,
            leverage or 0.0,
            100.0,
            at_ms,
        )
        for i, (at_ms, leverage) in enumerate(orders)
    )
    return Position("trader", name, TradePair.from_trade_pair_id(pair), orders[0][0], made)


def trader_with(positions: list[Position], update_times_ms: tuple[int, ...]) -> Trader:
    """On minutes whose price never moves."""
    starts = np.arange(OPENED_MS - OPENED_MS % MINUTE_MS, LATER_MS + HOUR_MS, MINUTE_MS)
    still = Candles(starts, np.full(len(starts), 100.0))
    none = Candles(starts[:0], np.zeros(0))
    return Trader(
        positions=tuple(positions),
        candles=GivenCandles(
            {
                (each.trade_pair.trade_pair_id, timespan): still
                if timespan is Timespan.MINUTE
                else none
                for each in positions
                for timespan in Timespan
            }
        ),
        update_times_ms=update_times_ms,
        account_sizes=(),
        use_slippage=None,
        portfolio_only=False,
        window_ms=WINDOW_MS,
    )
