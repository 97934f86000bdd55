"""What an eliminated trader still holds is closed: at which price, by which order, for how much."""

from collections.abc import Sequence

import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.order import Order, OrderSource, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.closing import Closing, close_positions
from ptn_backtest.rules.events import Elimination, EliminationReason, EventKind
from ptn_backtest.trade_pairs import TradePair
from tests.rules.made_members import BEGIN_MS

AT_MS = BEGIN_MS + HOUR_MS
ENDED = Elimination(
    "hotkey", AT_MS, -1.0, EliminationReason.FAILED_CHALLENGE_PERIOD_TIME, Bucket.CHALLENGE
)
FOUND = FoundPrice(90.0, AT_MS, Timespan.MINUTE)


def position(uuid: str, *orders: tuple[int, float], pair: str = "BTCUSD") -> Position:
    """Orders as (time, leverage) at 100; leverage 0 closes."""
    return Position(
        "hotkey",
        uuid,
        TradePair.from_trade_pair_id(pair),
        orders[0][0],
        tuple(
            Order(
                f"{uuid} {i}",
                OrderType.LONG if leverage > 0 else OrderType.FLAT,
                leverage,
                100.0,
                at_ms,
            )
            for i, (at_ms, leverage) in enumerate(orders)
        ),
    )


def closed(positions: Sequence[Position], *prices: tuple[str, FoundPrice]) -> Closing:
    asked = []

    def price_at(pair: str, t_ms: int) -> FoundPrice | None:
        asked.append((pair, t_ms))
        return dict(prices).get(pair)

    outcome = close_positions(ENDED, positions, price_at, DEFAULT_RULEBOOK, use_slippage=False)
    assert {t_ms for _, t_ms in asked} <= {AT_MS}
    return outcome


def test_an_open_position_is_closed_at_the_elimination():
    outcome = closed([position("abc", (BEGIN_MS, 0.5))], ("BTCUSD", FOUND))
    order = outcome.positions[0].orders[-1]
    assert (order.order_uuid, order.order_type, order.processed_ms, order.price) == (
        "cba",
        OrderType.FLAT,
        AT_MS,
        90.0,
    )
    assert int(order.src) == 3
    state = replay(outcome.positions[0], use_slippage=False)
    assert state.is_closed_position
    assert state.close_ms == AT_MS
    # half of 10 % lost; 0.001 of a cumulative leverage of 1; no fee interval has ended by 01:00
    assert state.return_at_close == pytest.approx(0.95 * 0.999, rel=1e-12)
    assert outcome.elimination.returns == {"abc": state.return_at_close}
    assert outcome.elimination.closing_prices == {"BTCUSD": FOUND}
    (event,) = outcome.events
    assert (event.kind, event.time_ms) == (EventKind.POSITION_CLOSED, AT_MS)
    assert event.reason == EliminationReason.FAILED_CHALLENGE_PERIOD_TIME
    assert event.figures == {
        "position_uuid": "abc",
        "trade_pair_id": "BTCUSD",
        "price": 90.0,
        "candle_ms": AT_MS,
        "timespan": "minute",
        "return_at_close": state.return_at_close,
    }


def test_closed_positions_stay_and_the_future_is_not_known():
    done = position("done", (BEGIN_MS, 0.5), (BEGIN_MS + MINUTE_MS, 0.0))
    at_the_end = position("same ms", (AT_MS - 1, 0.5), (AT_MS, 0.0), pair="SOLUSD")
    later = position("later", (BEGIN_MS + 1, 0.5), (AT_MS + 1, 0.0), pair="ETHUSD")
    never = position("never", (AT_MS + 1, 0.5), pair="SOLUSD")
    outcome = closed([never, done, at_the_end, later], ("BTCUSD", FOUND), ("ETHUSD", FOUND))
    assert [one.position_uuid for one in outcome.positions] == ["done", "same ms", "later"]
    assert outcome.positions[0] is done
    assert outcome.positions[1] is at_the_end
    assert [order.processed_ms for order in outcome.positions[2].orders] == [BEGIN_MS + 1, AT_MS]
    assert list(outcome.elimination.returns) == ["later"]
    assert list(outcome.elimination.closing_prices) == ["ETHUSD"]


def test_without_a_price_a_position_is_closed_as_it_stands():
    outcome = closed([position("abc", (BEGIN_MS, 0.5))])
    order = outcome.positions[0].orders[-1]
    assert (order.price, order.src) == (0.0, OrderSource.ELIMINATION_FLAT)
    assert outcome.elimination.closing_prices == {}
    assert outcome.elimination.returns["abc"] > 0.99
    assert outcome.events[0].figures["price"] is None


def test_who_holds_nothing_just_leaves():
    outcome = closed([position("done", (BEGIN_MS, 0.5), (BEGIN_MS + 1, 0.0))])
    assert (outcome.events, outcome.elimination) == ((), ENDED)
    assert closed([]).positions == ()


def test_an_elimination_survives_json():
    outcome = closed([position("abc", (BEGIN_MS - DAY_MS, 0.5))], ("BTCUSD", FOUND))
    assert Elimination.from_dict(outcome.elimination.to_dict()) == outcome.elimination
