"""The fingerprint of positions: the same for equal positions, another whenever anything differs."""

from dataclasses import replace
from typing import Any

import pytest

from ptn_backtest.backtest import run
from ptn_backtest.backtest.run import positions_fingerprint
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import RecordedOrders, order_columns
from ptn_backtest.trade_pairs import TradePair

BITCOIN, ETHER = map(TradePair.from_trade_pair_id, ("BTCUSD", "ETHUSD"))
ORDERS = (
    Order("o1", OrderType.LONG, 0.5, 100.0, 1_000, slippage=0.001),
    Order("o2", OrderType.FLAT, 0.0, 101.0, 2_000),
)
FIRST = Position("alice", "p1", BITCOIN, 1_000, ORDERS, account_size=200_000.0)
SECOND = Position("bob", "p2", ETHER, 1_500, (replace(ORDERS[0], order_uuid="ö3"),))
BEFORE = positions_fingerprint([FIRST, SECOND])


def test_orders_of_a_table_are_those_of_a_tuple() -> None:
    table = order_columns([ORDERS, SECOND.orders])
    first = replace(FIRST, orders=RecordedOrders(table, 0, 2))
    second = replace(SECOND, orders=RecordedOrders(table, 2, 3))
    assert positions_fingerprint([first, second]) == BEFORE
    assert positions_fingerprint([FIRST, second]) == BEFORE
    assert positions_fingerprint(iter([first, SECOND])) == BEFORE


def test_what_no_figure_follows_from_makes_no_difference() -> None:
    orders = tuple(replace(order, bid=99.0, ask=101.0, price_sources="[]") for order in ORDERS)
    stored = replace(FIRST, orders=orders, stored={"current_return": 1.5})
    assert positions_fingerprint([stored, SECOND]) == BEFORE


@pytest.mark.parametrize(
    "change",
    [
        {"order_uuid": "o"},
        {"order_type": OrderType.FLAT},
        {"leverage": 0.5000000000000001},
        {"price": 100.00000000000001},
        {"slippage": 0.0},
        {"processed_ms": 1_001},
        {"src": 3},
    ],
)
def test_an_order_that_differs_makes_another_one(change: dict[str, Any]) -> None:
    changed = replace(FIRST, orders=(replace(ORDERS[0], **change), ORDERS[1]))
    assert positions_fingerprint([changed, SECOND]) != BEFORE


@pytest.mark.parametrize(
    "change",
    [
        {"miner_hotkey": "alic"},
        {"position_uuid": "p"},
        {"trade_pair": ETHER},
        {"account_size": 200_000.00000000003},
        {"orders": ORDERS[::-1]},
        {"orders": ORDERS[:1]},
    ],
)
def test_a_position_that_differs_makes_another_one(change: dict[str, Any]) -> None:
    assert positions_fingerprint([replace(FIRST, **change), SECOND]) != BEFORE


def test_what_belongs_to_which_position_counts() -> None:
    others = [
        [],
        [FIRST],
        [SECOND, FIRST],
        [replace(FIRST, orders=ORDERS[:1]), replace(SECOND, orders=(ORDERS[1], *SECOND.orders))],
        [replace(FIRST, miner_hotkey="aliceb"), replace(SECOND, miner_hotkey="ob")],
    ]
    found = {positions_fingerprint(each) for each in others}
    assert len(found | {BEFORE}) == len(others) + 1


def test_parts_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_AT_ONCE", 1)
    assert positions_fingerprint([FIRST, SECOND]) == BEFORE
