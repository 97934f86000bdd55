import pytest

from ptn_backtest.backtest.candle_needs import candle_needs
from ptn_backtest.clock import HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.trade_pairs import TradePair

OPENED = parse_time("2025-01-06T10:00:30.500")


def position(hotkey, pair, *orders):
    """Orders as (ms after the first opened, type)."""
    made = tuple(
        Order(f"{hotkey}{pair}{k}", kind, 0.1 * kind.sign, 100.0, OPENED + after)
        for k, (after, kind) in enumerate(orders)
    )
    return Position(
        hotkey, f"{hotkey}-{pair}", TradePair.from_trade_pair_id(pair), made[0].processed_ms, made
    )


LONG, FLAT = OrderType.LONG, OrderType.FLAT


@pytest.fixture
def closed():
    return position("a", "BTCUSD", (0, LONG), (2 * HOUR_MS, FLAT))


def test_minutes_from_the_minute_of_the_first_order_to_that_of_the_last(closed):
    other = position("b", "BTCUSD", (5 * HOUR_MS, LONG), (6 * HOUR_MS, FLAT))
    [bounds] = candle_needs([closed, other]).minutes["BTCUSD"]
    minute = OPENED - OPENED % MINUTE_MS
    assert bounds == (minute, minute + 6 * HOUR_MS + MINUTE_MS)


def test_an_open_position_is_valued_to_the_end(closed):
    still_open = position("b", "ETHUSD", (HOUR_MS, LONG))
    needs = candle_needs([closed, still_open])
    assert needs.minutes["ETHUSD"][0][1] == needs.minutes["BTCUSD"][0][1]
    end = OPENED + 24 * HOUR_MS
    later = candle_needs([closed, still_open], end)
    assert later.minutes["BTCUSD"] == needs.minutes["BTCUSD"]
    assert later.minutes["ETHUSD"][0][1] == end - end % MINUTE_MS + MINUTE_MS


def test_seconds_around_orders_of_every_pair_that_is_held():
    held = position("a", "BTCUSD", (0, LONG), (4 * HOUR_MS, FLAT))
    between = position("a", "ETHUSD", (2 * HOUR_MS, LONG), (3 * HOUR_MS, FLAT))
    elsewhere = position("b", "SOLUSD", (HOUR_MS, LONG), (HOUR_MS + 1, FLAT))
    needs = candle_needs([held, between, elsewhere])

    def around(pair, after):
        at = OPENED + after
        return any(start <= at - 30 * SECOND_MS and at + 30 * SECOND_MS < end
                   for start, end in needs.seconds[pair])  # fmt: skip

    assert around("BTCUSD", 2 * HOUR_MS)
    assert around("BTCUSD", 3 * HOUR_MS)
    assert not around("BTCUSD", HOUR_MS)  # another trader's order
    assert not around("ETHUSD", 4 * HOUR_MS)
    lengths = [end - start for start, end in needs.seconds["BTCUSD"]]
    assert max(lengths) < 4 * MINUTE_MS
    assert all(t % SECOND_MS == 0 for bounds in needs.seconds["BTCUSD"] for t in bounds)


def test_no_positions_need_nothing():
    needs = candle_needs([])
    assert not needs.minutes
    assert not needs.seconds
