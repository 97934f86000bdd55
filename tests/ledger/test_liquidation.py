"""A trader whose value reaches 0: when that is noticed, and what the ledgers keep.

Prices stand still, so that only orders lose money.
"""

from collections.abc import Callable

import numpy as np
import pytest

from ptn_backtest.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO, WINDOW_MS
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import GivenCandles, Trader
from tests.ledger.test_properties import defined_state, kernel_state

OPENED_MS = 1_746_100_000_123
CLOSED_MS = OPENED_MS + HOUR_MS
END_MS = CLOSED_MS + HOUR_MS
PRICE = 50_000.0
LOST = 20_000.0  # what 2x long cannot survive

Build = Callable[[Trader], LedgerState]
both = pytest.mark.parametrize("build", [kernel_state, defined_state])


@both
def test_an_order_that_loses_all_is_not_recorded(build: Build) -> None:
    state = build(trader({"BTCUSD": [(OPENED_MS, 2.0, PRICE), (CLOSED_MS, 0.0, LOST)]}))
    assert state.liquidated_ms == CLOSED_MS
    for ledger in state.ledgers.values():
        assert CLOSED_MS - SECOND_MS <= ledger.last_update_ms < CLOSED_MS  # its last tick
        assert ledger.cps["prev_portfolio_ret"][-1] == pytest.approx(1 - 0.002, abs=1e-3)


@both
def test_without_pair_ledgers_it_is_noticed_at_the_next_record(build: Build) -> None:
    """Only builds with pair ledgers look at the return after an order at once (quirk 10)."""
    orders = {"BTCUSD": [(OPENED_MS, 2.0, PRICE), (CLOSED_MS, 0.0, LOST)]}
    state = build(trader(orders, portfolio_only=True))
    assert state.liquidated_ms == END_MS
    assert state.ledgers[PORTFOLIO].last_update_ms == CLOSED_MS


@both
@pytest.mark.parametrize(("end_ms", "liquidated_ms"), [(OPENED_MS, None), (END_MS, END_MS)])
def test_the_first_record_only_opens_the_ledgers(
    build: Build, end_ms: int, liquidated_ms: int | None
) -> None:
    orders = {"BTCUSD": [(OPENED_MS, 2.0, PRICE), (OPENED_MS, 0.0, LOST)]}
    state = build(trader(orders, end_ms=end_ms))
    assert state.liquidated_ms == liquidated_ms
    assert list(state.ledgers) == [PORTFOLIO, "BTCUSD"]
    for ledger in state.ledgers.values():
        assert ledger.last_update_ms == OPENED_MS
        assert ledger.cps["prev_portfolio_ret"].tolist() == [1.0]


@both
def test_a_pair_lost_within_its_first_millisecond_counts_at_the_next_record(build: Build) -> None:
    state = build(
        trader(
            {
                "ETHUSD": [(OPENED_MS, 0.1, PRICE)],
                "BTCUSD": [(CLOSED_MS, 2.0, PRICE), (CLOSED_MS, 0.0, LOST)],
            }
        )
    )
    assert state.liquidated_ms == CLOSED_MS + 1
    assert {ledger.last_update_ms for ledger in state.ledgers.values()} == {CLOSED_MS}
    assert state.ledgers["BTCUSD"].cps["loss"].tolist() == [0.0]


def trader(
    orders: dict[str, list[tuple[int, float, float]]],
    *,
    end_ms: int = END_MS,
    portfolio_only: bool = False,
) -> Trader:
    """One position a pair, from (time, leverage, price); leverage 0 closes."""
    still = {(pair, timespan): still_candles(timespan) for pair in orders for timespan in Timespan}
    return Trader(
        positions=tuple(position(pair, made) for pair, made in orders.items()),
        candles=GivenCandles(still),
        update_times_ms=(end_ms,),
        account_sizes=(),
        use_slippage=False,
        portfolio_only=portfolio_only,
        window_ms=WINDOW_MS,
    )


def position(pair: str, orders: list[tuple[int, float, float]]) -> Position:
    return Position(
        miner_hotkey="trader",
        position_uuid=f"position in {pair}",
        trade_pair=TradePair.from_trade_pair_id(pair),
        open_ms=orders[0][0],
        orders=tuple(
            Order(
                order_uuid=f"{pair} {i}",
                order_type=OrderType.LONG if leverage > 0 else OrderType.FLAT,
                leverage=leverage,
                price=price,
                processed_ms=at_ms,
            )
            for i, (at_ms, leverage, price) in enumerate(orders)
        ),
    )


def still_candles(timespan: Timespan) -> Candles:
    first = OPENED_MS - OPENED_MS % MINUTE_MS
    start_ms = np.arange(first, END_MS, timespan.ms, dtype=np.int64)
    return Candles(start_ms, np.full(len(start_ms), PRICE))
