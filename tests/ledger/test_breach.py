"""The exact moment of a loss: which record, at which prices, holding what; and what is kept of updates."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.ledger.breach import Breach, HeldAtBreach
from ptn_backtest.ledger.builder import advance_ledgers
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, PORTFOLIO, WINDOW_MS
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import GivenCandles, Trader, traders
from tests.ledger.test_properties import DRAWDOWN_LIMIT, differences

OPENED_MS = parse_time("2025-05-01T08:00") + 123
"""Whole minutes have ticks 124 ms after them; no carry interval ends before 12:00."""
PRICE = 50_000.0
TICK_MS = 124
LIMIT = 10.0

Fall = tuple[int, float]
"""From a time on (ms), the price."""


def replayed(
    orders: dict[str, list[tuple[int, float, float]]],
    falls: dict[str, list[Fall]],
    updates_ms: Sequence[int],
    state: LedgerState = NEW,
    *,
    window_ms: int = WINDOW_MS,
    limit: float = LIMIT,
    hole_ms: tuple[int, int] = (0, 0),
) -> tuple[LedgerState, LedgerHistory]:
    """One position a pair from (time, leverage, price), on prices that fall at known times."""
    positions = [_position(pair, made) for pair, made in orders.items()]
    timeline = build_timeline(positions, use_slippage=False)
    end_ms = updates_ms[-1]
    candles = GivenCandles(
        {
            (pair, span): _candles(falls[pair], span, positions[0].open_ms, end_ms, hole_ms)
            for pair in orders
            for span in Timespan
        }
    )
    ranges = {pair.trade_pair_id: (0, end_ms) for pair in timeline.pairs}
    return advance_ledgers(
        timeline,
        price_table(candles, timeline.pairs, ranges),
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        updates_ms,
        state,
        window_ms=window_ms,
        drawdown_limit=limit,
    )


def _position(pair: str, orders: list[tuple[int, float, float]]) -> Position:
    kinds = {1: OrderType.LONG, -1: OrderType.SHORT, 0: OrderType.FLAT}
    return Position(
        "trader",
        f"position in {pair}",
        TradePair.from_trade_pair_id(pair),
        orders[0][0],
        tuple(
            Order(f"{pair} {i}", kinds[int(np.sign(leverage))], leverage, price, at_ms)
            for i, (at_ms, leverage, price) in enumerate(orders)
        ),
    )


def _candles(
    falls: list[Fall], span: Timespan, begin_ms: int, end_ms: int, hole_ms: tuple[int, int]
) -> Candles:
    starts = np.arange(begin_ms - begin_ms % MINUTE_MS, end_ms, span.ms, dtype=np.int64)
    starts = starts[(starts < hole_ms[0]) | (starts >= hole_ms[1])]
    from_ms, prices = zip(*falls, strict=True)
    place = np.searchsorted(np.array(from_ms), starts, side="right") - 1
    return Candles(starts, np.array(prices)[np.maximum(place, 0)])


def bitcoin(*falls: Fall) -> dict[str, list[Fall]]:
    return {"BTCUSD": [(0, PRICE), *falls]}


LONG = {"BTCUSD": [(OPENED_MS, 1.0, PRICE)]}
SPREAD = 1 - 0.001


def test_the_first_tick_at_the_limit_by_the_minute():
    """From 1.2 down to 1.082 is a fall of 9.83 %, to 1.06 one of 11.7 %."""
    minute_ms = OPENED_MS - 123 + 40 * MINUTE_MS
    risen, near, fallen = (minute_ms + i * MINUTE_MS for i in range(3))
    prices = bitcoin(
        (risen, 60_000.0), (near, 54_100.0), (fallen, 53_000.0), (fallen + 60_000, 1.0)
    )
    state, _ = replayed(LONG, prices, [OPENED_MS + 2 * HOUR_MS], limit=10.0)
    value = pytest.approx(1.06 * SPREAD, rel=1e-12)
    assert state.breach is not None
    assert state.breach.time_ms == fallen + TICK_MS
    assert state.breach.value == value
    assert state.breach.peak == pytest.approx(1.2 * SPREAD, rel=1e-12)
    (held,) = state.breach.positions
    assert replace(held, return_at_close=1.0) == HeldAtBreach(
        position_uuid="position in BTCUSD",
        trade_pair_id="BTCUSD",
        leverage=1.0,
        price=53_000.0,
        candle_ms=fallen,
        return_at_close=1.0,
    )
    assert held.return_at_close == value
    assert state.breach.drawdown == pytest.approx(1 - 1.06 / 1.2, rel=1e-12)


def test_the_first_tick_at_the_limit_by_the_second():
    second_ms = OPENED_MS - 123 + 7 * MINUTE_MS + 31 * SECOND_MS
    state, _ = replayed(LONG, bitcoin((second_ms, 44_000.0)), [OPENED_MS + 20 * MINUTE_MS])
    assert state.breach is not None
    assert state.breach.time_ms == second_ms + TICK_MS
    assert state.breach.positions[0].candle_ms == second_ms
    assert state.breach.value == pytest.approx(0.88 * SPREAD, rel=1e-12)
    assert state.breach.peak == 1.0  # the opening fee keeps the value below 1


def test_without_a_loss_there_is_no_breach():
    state, _ = replayed(LONG, bitcoin(), [OPENED_MS + 2 * HOUR_MS])
    assert (state.breach, state.liquidation) == (None, None)


def test_the_limit_is_the_one_asked_for():
    prices = bitcoin((OPENED_MS + HOUR_MS, 44_000.0))
    for limit, found in ((12.0, True), (12.2, False)):
        state, _ = replayed(LONG, prices, [OPENED_MS + 2 * HOUR_MS], limit=limit)
        # 12 % of price and 0.1 % of spread, from a peak of 1: 12.088 %
        assert bool(state.breach) is found


@pytest.mark.parametrize("leverage", [0.0, 0.5])
def test_an_order_s_price_can_do_it(leverage: float):
    """Candles stand still: closing far below them, or going on long at such a price."""
    at_ms = OPENED_MS + HOUR_MS
    orders = {"BTCUSD": [(OPENED_MS, 1.0, PRICE), (at_ms, leverage, 42_000.0)]}
    state, _ = replayed(orders, bitcoin(), [at_ms + HOUR_MS])
    changed = 2.0 if leverage == 0 else 1.5
    value = pytest.approx(0.84 * (1 - 0.001 * changed), rel=1e-12)
    assert state.breach is not None
    assert state.breach.time_ms == at_ms
    assert state.breach.value == value
    (held,) = state.breach.positions
    # what was held before it, at the order's price
    assert (held.leverage, held.price, held.candle_ms) == (1.0, 42_000.0, None)
    assert held.return_at_close == value


def test_a_closed_market_hides_a_loss_until_it_opens():
    opened_ms = parse_time("2025-03-07T12:00")
    open_again_ms = parse_time("2025-03-09T21:00")  # 17:00 in New York, which changed clocks
    prices = {"EURUSD": [(0, 1.1), (parse_time("2025-03-08"), 0.9)]}
    orders = {"EURUSD": [(opened_ms, 1.0, 1.1)]}
    state, _ = replayed(orders, prices, [parse_time("2025-03-10")])
    assert state.breach is not None
    assert state.breach.time_ms == open_again_ms + 1
    assert state.breach.positions[0].candle_ms == open_again_ms


def test_of_several_positions_each_is_told():
    minute_ms = OPENED_MS - 123 + 40 * MINUTE_MS
    orders = {
        "BTCUSD": [(OPENED_MS, 1.0, PRICE)],
        "ETHUSD": [(OPENED_MS, -0.5, 2_000.0)],
        "SOLUSD": [(OPENED_MS, 0.1, 150.0), (OPENED_MS + MINUTE_MS, 0.0, 150.0)],
    }
    prices = {
        "BTCUSD": [(0, PRICE), (minute_ms, 45_500.0)],
        "ETHUSD": [(0, 2_000.0), (minute_ms, 2_080.0)],
        "SOLUSD": [(0, 150.0)],
    }
    state, _ = replayed(orders, prices, [OPENED_MS + 2 * HOUR_MS])
    assert state.breach is not None
    values = [0.91 * (1 - 0.001), 0.98 * (1 - 0.0005)]
    assert [(h.trade_pair_id, h.leverage, h.price) for h in state.breach.positions] == [
        ("BTCUSD", 1.0, 45_500.0),
        ("ETHUSD", -0.5, 2_080.0),
    ]
    assert [h.return_at_close for h in state.breach.positions] == pytest.approx(values, rel=1e-12)
    # the closed one still counts: 0.001 of 0.2
    total = values[0] * values[1] * (1 - 0.0002)
    assert state.breach.value == pytest.approx(total, rel=1e-12)


def test_a_liquidation_is_a_breach_too_and_nothing_follows_it():
    minute_ms = OPENED_MS - 123 + 40 * MINUTE_MS
    orders = {"BTCUSD": [(OPENED_MS, 2.0, PRICE)]}
    state, _ = replayed(orders, bitcoin((minute_ms, 20_000.0)), [OPENED_MS + 2 * HOUR_MS])
    lost = state.liquidation
    assert lost is not None
    assert lost == state.breach
    assert (lost.time_ms, lost.value, lost.peak) == (minute_ms + TICK_MS, 0.0, 1.0)
    assert [(h.price, h.return_at_close) for h in lost.positions] == [(20_000.0, 0.0)]
    assert state.ledgers[PORTFOLIO].last_update_ms < lost.time_ms


def test_a_breach_before_a_liquidation_stays():
    minute_ms = OPENED_MS - 123 + 40 * MINUTE_MS
    orders = {"BTCUSD": [(OPENED_MS, 2.0, PRICE)]}
    prices = bitcoin((minute_ms, 40_000.0), (minute_ms + MINUTE_MS, 20_000.0))
    state, _ = replayed(orders, prices, [OPENED_MS + 2 * HOUR_MS])
    assert state.breach is not None
    assert state.liquidation is not None
    assert state.breach.time_ms == minute_ms + TICK_MS
    assert state.breach.value == pytest.approx(0.6 * 0.998, rel=1e-12)
    assert state.liquidation.time_ms == minute_ms + MINUTE_MS + TICK_MS


def test_continuing_from_a_stored_state_keeps_the_breach():
    minute_ms = OPENED_MS - 123 + 40 * MINUTE_MS
    updates = [OPENED_MS + 2 * HOUR_MS, OPENED_MS + 3 * HOUR_MS]
    prices = bitcoin((minute_ms, 44_000.0), (updates[0], 40_000.0))
    before, _ = replayed(LONG, prices, updates[:1])
    stored = LedgerState.from_dict(json.loads(json.dumps(before.to_dict())))
    assert stored.breach == before.breach is not None
    after, _ = replayed(LONG, prices, updates, stored)
    assert after.breach == before.breach


def test_after_the_window_another_one_may_come():
    """A window of 2 days, an update every day at 08:00: what happened before noon on the first day
    is dropped with the second update, and what the window has known since is another peak."""
    first, second = OPENED_MS - 123 + HOUR_MS, OPENED_MS - 123 + 3 * DAY_MS + HOUR_MS
    prices = bitcoin((first - HOUR_MS // 2, 60_000.0), (first, 52_000.0), (second, 46_000.0))
    found, state = [], NEW
    for day in range(1, 6):
        updates = [OPENED_MS + day * DAY_MS]
        state, _ = replayed(LONG, prices, updates, state, window_ms=2 * DAY_MS)
        found.append(state.breach)
    assert [breach.time_ms if breach else None for breach in found] == [
        first + TICK_MS,
        None,
        None,
        second + TICK_MS,
        None,
    ]
    assert found[3] is not None
    # of what 52,000 made of it, and two days of carry
    assert found[3].peak == pytest.approx(1.04, abs=2e-3)
    assert found[3].drawdown == pytest.approx(1 - 0.92 / 1.04, abs=2e-3)


def test_within_an_update_another_one_counts_after_the_window_even_without_a_candle():
    """The value has not moved since; the window ends between the ticks of 20:00 and 20:01."""
    first = OPENED_MS - 123
    state, _ = replayed(
        LONG,
        bitcoin((first, 44_000.0)),
        [OPENED_MS + 15 * HOUR_MS],
        window_ms=CHECKPOINT_MS + 1,
        hole_ms=(first + 11 * HOUR_MS, first + 13 * HOUR_MS),
    )
    assert state.breach is not None
    assert state.breach.time_ms == first + 12 * HOUR_MS + MINUTE_MS + TICK_MS


def test_a_breach_survives_json():
    state, _ = replayed(LONG, bitcoin((OPENED_MS + HOUR_MS, 44_000.0)), [OPENED_MS + 2 * HOUR_MS])
    assert state.breach is not None
    assert Breach.from_dict(json.loads(json.dumps(state.breach.to_dict()))) == state.breach


# what is kept of each update


def advanced(
    trader: Trader,
    updates_ms: Sequence[int],
    state: LedgerState = NEW,
    drawdown_limit: float = DRAWDOWN_LIMIT,
) -> tuple[LedgerState, LedgerHistory]:
    timeline = build_timeline(
        trader.positions, trader.account_sizes, use_slippage=trader.use_slippage
    )
    ranges = {pair.trade_pair_id: (0, trader.update_times_ms[-1]) for pair in timeline.pairs}
    return advance_ledgers(
        timeline,
        price_table(trader.candles, timeline.pairs, ranges),
        {pair.trade_pair_id: row for row, pair in enumerate(timeline.pairs)},
        updates_ms,
        state,
        portfolio_only=trader.portfolio_only,
        window_ms=trader.window_ms,
        drawdown_limit=drawdown_limit,
    )


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders(), st.sampled_from([0.01, 0.3, 2.0, 30.0]))
def test_a_ledger_does_not_depend_on_the_limit(trader: Trader, limit: float) -> None:
    """To the last bit, so that runs under other limits are equal until somebody leaves."""
    one, _ = advanced(trader, trader.update_times_ms)
    other, _ = advanced(trader, trader.update_times_ms, drawdown_limit=limit)
    assert {n: ledger.cps.tobytes() for n, ledger in one.ledgers.items()} == {
        n: ledger.cps.tobytes() for n, ledger in other.ledgers.items()
    }


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders())
def test_a_history_has_the_ledgers_of_every_update(trader: Trader) -> None:
    times = trader.update_times_ms
    _, through = advanced(trader, times)
    first, _ = advanced(trader, times[:1])
    _, continued = advanced(trader, times, first)
    assert len(through) == len(continued) == len(times)
    for k in range(len(times)):
        state, _ = advanced(trader, times[: k + 1])
        wanted = {
            name: replace(ledger, last_known_prices={}).to_dict()
            for name, ledger in state.ledgers.items()
        }
        for history in (through, continued):
            kept = {
                name: replace(ledger, last_known_prices={}).to_dict()
                for name, ledger in history.ledgers_after(k).items()
            }
            assert differences(kept, wanted) == []


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders())
def test_a_breach_is_there_when_the_ledger_shows_it(trader: Trader) -> None:
    """Within the window, the lowest value / peak of the checkpoints reaches the limit, or none does."""
    state, _ = advanced(trader, trader.update_times_ms)
    if PORTFOLIO not in state.ledgers or state.liquidation:
        return
    cps = state.ledgers[PORTFOLIO].cps
    beyond = cps[(1 - cps["mdd"]) * 100 >= DRAWDOWN_LIMIT]
    if state.breach is None:
        return
    assert len(beyond)
    assert state.breach.time_ms <= beyond["last_update_ms"][-1]
    assert (1 - state.breach.value / state.breach.peak) * 100 >= DRAWDOWN_LIMIT
    known = {position.position_uuid for position in trader.positions}
    assert {held.position_uuid for held in state.breach.positions} <= known
