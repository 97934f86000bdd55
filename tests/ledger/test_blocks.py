"""Blocks of ticks that random traders seldom have: long ones, jumps, several positions on one pair."""

from dataclasses import replace

import numpy as np
import pytest

from ptn_backtest.clock import HOUR_MS, MINUTE_MS
from ptn_backtest.ledger.checkpoint import WINDOW_MS
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import FIRST_PRICES, GivenCandles, Trader
from tests.ledger.test_properties import SUMS, defined_state, differences, kernel_state

OPENED_MS = 1_746_100_000_123


def test_half_an_hour_of_seconds_is_one_block() -> None:
    """The longest there is: a value for each of 1,800 ticks."""
    check(trader(["BTCUSD"], OPENED_MS + 30 * MINUTE_MS))


@pytest.mark.parametrize("swing", [1e-4, 1e-2])
def test_changes_of_any_size_add_up(swing: float) -> None:
    """Logarithms of small changes are taken by a series, of large ones as such."""
    check(trader(["BTCUSD", "ETHUSD"], OPENED_MS + 26 * HOUR_MS, swing))


def test_several_positions_on_one_pair_are_multiplied_like_any_others() -> None:
    """The network has one at a time, a database may have more."""
    check(trader(["BTCUSD", "ETHUSD", "ETHUSD"], OPENED_MS + 3 * HOUR_MS))


def test_a_drawdown_is_dated_by_the_pair_that_moves() -> None:
    """The other pair has a candle too, but only at the first tick."""
    first_ms = OPENED_MS - OPENED_MS % MINUTE_MS + MINUTE_MS  # the first tick by the minute
    fallen_ms = first_ms + 4 * MINUTE_MS
    held = trader(["ETHUSD", "BTCUSD"], OPENED_MS + 2 * HOUR_MS)
    closes = {
        ("ETHUSD", Timespan.MINUTE): {first_ms: 3_000.0},
        ("BTCUSD", Timespan.MINUTE): {
            first_ms: 50_000.0,
            first_ms + 3 * MINUTE_MS: 50_001.0,
            fallen_ms: 5_000.0,
            fallen_ms + MINUTE_MS: 5_001.0,
        },
    }
    candles = GivenCandles(
        {
            (pair, timespan): Candles(
                np.array([*made], dtype=np.int64), np.array([*made.values()], dtype=np.float64)
            )
            for pair in ("ETHUSD", "BTCUSD")
            for timespan in Timespan
            for made in [closes.get((pair, timespan), {})]
        }
    )
    state = kernel_state(replace(held, candles=candles))
    assert state.breach is not None
    assert state.breach.time_ms == fallen_ms + 124  # ticks keep the milliseconds of the order


def check(trader: Trader) -> None:
    """The kernel's ledgers are those of the definition, sums but for their order."""
    mine, theirs = kernel_state(trader).to_dict(), defined_state(trader).to_dict()
    for name, ledger in theirs["ledgers"].items():
        for cp, defined in zip(mine["ledgers"][name]["cps"], ledger["cps"], strict=True):
            for field in SUMS:
                assert cp[field] == pytest.approx(defined[field], rel=1e-11, abs=1e-16)
                cp[field] = defined[field]
    assert differences(mine, theirs) == []


def trader(pairs: list[str], end_ms: int, swing: float = 1e-5) -> Trader:
    """Positions that are all opened at once and held, on prices of every second and minute."""
    random = np.random.default_rng(1)
    return Trader(
        positions=tuple(position(i, pair) for i, pair in enumerate(pairs)),
        candles=GivenCandles(
            {
                (pair, timespan): walk(pair, timespan.ms, end_ms, swing, random)
                for pair in pairs
                for timespan in Timespan
            }
        ),
        update_times_ms=(end_ms,),
        account_sizes=(),
        use_slippage=None,
        portfolio_only=False,
        window_ms=WINDOW_MS,
    )


def position(number: int, pair: str) -> Position:
    order = Order(
        order_uuid=f"order-{number}",
        order_type=OrderType.LONG,
        leverage=0.1 + number / 10,
        price=FIRST_PRICES[pair],
        processed_ms=OPENED_MS,
    )
    return Position(
        miner_hotkey="trader",
        position_uuid=f"position-{number}",
        trade_pair=TradePair.from_trade_pair_id(pair),
        open_ms=OPENED_MS,
        orders=(order,),
    )


def walk(
    pair: str, step_ms: int, end_ms: int, swing: float, random: np.random.Generator
) -> Candles:
    first_ms = OPENED_MS - OPENED_MS % MINUTE_MS
    start_ms = np.arange(first_ms, end_ms, step_ms)
    start_ms = start_ms[random.random(len(start_ms)) < 0.9]
    moves = random.normal(0, swing, len(start_ms))
    return Candles(start_ms, FIRST_PRICES[pair] * np.exp(moves.cumsum()))
