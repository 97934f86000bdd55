from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.splitting import split_position
from ptn_backtest.trade_pairs import TradePair

START = 1_735_689_600_000


def position(*steps: tuple[str, float]) -> Position:
    orders = tuple(
        Order(f"o{number}", OrderType(kind), leverage, 100.0, START + number)
        for number, (kind, leverage) in enumerate(steps)
    )
    pair = TradePair.from_trade_pair_id("BTCUSD")
    return Position("hotkey", "p", pair, START, orders, 5_000.0, stored={"current_return": 1.1})


def lengths(*steps: tuple[str, float]) -> list[int]:
    return [len(part.orders) for part in split_position(position(*steps))]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([("LONG", 1)], [1], id="one order"),
        pytest.param([("LONG", 1), ("FLAT", -1)], [2], id="one closed trade"),
        pytest.param([("LONG", 1), ("FLAT", 0), ("SHORT", -1)], [2, 1], id="after a FLAT"),
        pytest.param([("LONG", 1), ("SHORT", -1), ("LONG", 1)], [2, 1], id="leverage reaches 0"),
        pytest.param(
            [("LONG", 0.1), ("LONG", 0.2), ("SHORT", -0.3), ("LONG", 1)], [3, 1], id="almost 0"
        ),
        pytest.param([("LONG", 1), ("SHORT", -3), ("LONG", 1)], [2, 1], id="leverage flips"),
        pytest.param([("SHORT", -1), ("LONG", 3), ("SHORT", -1)], [2, 1], id="flips upwards"),
        pytest.param([("LONG", 1), ("SHORT", -0.5), ("LONG", 1)], [3], id="only reduced"),
        pytest.param(
            [("LONG", 1), ("FLAT", 0), ("FLAT", 0), ("LONG", 1)], [3, 1], id="a second FLAT"
        ),
        pytest.param([("LONG", 1), ("FLAT", 0), ("FLAT", 0)], [3], id="nothing but FLAT follows"),
        pytest.param(
            [("LONG", 1), ("FLAT", -1), ("LONG", 1), ("SHORT", -1), ("SHORT", -1), ("FLAT", 1)],
            [2, 2, 2],
            id="three trades",
        ),
        pytest.param(
            # the leverage starts at 0 again: the third order does not flip what the first two left
            [("LONG", 1), ("SHORT", -3), ("LONG", 1), ("LONG", 1), ("FLAT", 0)],
            [2, 3],
            id="each trade counts its own leverage",
        ),
        pytest.param([("FLAT", 0), ("LONG", 1), ("FLAT", 0), ("LONG", 1)], [4], id="starts FLAT"),
    ],
)
def test_trades(steps: Any, expected: Any) -> None:
    assert lengths(*steps) == expected


def test_a_position_of_one_trade_is_left_as_it_is() -> None:
    whole = position(("LONG", 1), ("FLAT", -1))
    assert split_position(whole) == [whole]
    assert split_position(whole)[0].stored == {"current_return": 1.1}


def test_the_first_part_keeps_the_uuid_and_a_later_one_takes_its_first_orders() -> None:
    first, second = split_position(position(("LONG", 1), ("FLAT", -1), ("SHORT", -1)))
    assert (first.position_uuid, first.open_ms) == ("p", START)
    assert (second.position_uuid, second.open_ms) == ("o2", START + 2)


def test_what_was_stored_with_the_whole_belongs_to_no_part() -> None:
    parts = split_position(position(("LONG", 1), ("FLAT", -1), ("SHORT", -1)))
    assert [dict(part.stored) for part in parts] == [{}, {}]


STEP = st.one_of(
    st.tuples(st.just("LONG"), st.sampled_from([0.1, 0.2, 0.3, 1.0])),
    st.tuples(st.just("SHORT"), st.sampled_from([-0.1, -0.2, -0.3, -1.0])),
    st.tuples(st.just("FLAT"), st.just(0.0)),
)


@given(st.lists(STEP, min_size=1, max_size=12))
def test_parts_are_the_orders_in_a_row_and_each_can_be_a_position(steps: Any) -> None:
    whole = position(*steps)
    parts = split_position(whole)
    assert tuple(order for part in parts for order in part.orders) == whole.orders
    if len(parts) > 1:
        assert all(part.orders[0].order_type is not OrderType.FLAT for part in parts)
        assert all(len(part.orders) >= 2 for part in parts[:-1])
        assert len({part.position_uuid for part in parts}) == len(parts)


@given(st.lists(STEP, min_size=1, max_size=12))
def test_no_part_can_be_split_again(steps: Any) -> None:
    for part in split_position(position(*steps)):
        assert split_position(part) == [part]
