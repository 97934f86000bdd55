"""What an order's slippage took, against positions that are replayed without it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import HOUR_MS, parse_time
from ptn_backtest.positions.accounting import PositionState, replay, replay_orders
from ptn_backtest.positions.columns import accounting_rules, position_columns
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.order_log import LogPart, OrderLog, order_log
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import OrderColumns, RecordedOrders, order_columns
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from tests.positions.made_positions import NOW, pair_of

BEFORE_SLIPPAGE = parse_time("2025-02-01")


@st.composite
def slipping_positions(draw: st.DrawFn, pair: str = "BTCUSD") -> Position:
    """Any orders, with slippage on each; some close, some come after the close."""
    orders = []
    start_ms = draw(st.sampled_from([NOW, BEFORE_SLIPPAGE]))
    for n in range(draw(st.integers(1, 6))):
        size = draw(st.floats(0.01, 2.0))
        kind = draw(st.sampled_from(["LONG", "SHORT"] if n == 0 else ["LONG", "SHORT", "FLAT"]))
        src = draw(st.sampled_from([0, 0, 0, 1])) if kind == "FLAT" else 0
        orders.append(
            Order(
                f"o{n}",
                OrderType(kind),
                -size if kind == "SHORT" else size,
                0.0 if src == 1 else draw(st.floats(80.0, 125.0)),
                start_ms + n * 30 * 24 * HOUR_MS,  # some before slippage counts, some after
                slippage=draw(st.sampled_from([0.0, 1e-4, 0.01])),
                src=src,
            )
        )
    return Position("h", "p", pair_of(pair), orders[0].processed_ms, tuple(orders), 5_000.0)


def log_of(*positions: Position, use_slippage: bool | None = None) -> OrderLog:
    columns = position_columns(positions, DEFAULT_RULEBOOK)
    accounts = replay_orders(columns, accounting_rules(DEFAULT_RULEBOOK, use_slippage))
    sequence = np.arange(len(positions))
    from_ms = DEFAULT_RULEBOOK.slippage_from_ms(use_slippage)
    return order_log([LogPart(columns, accounts, sequence)], from_ms)


def marked(state: PositionState, price: float) -> float:
    """What a position is worth at a price, without fees."""
    if state.is_closed_position:
        return state.current_return
    gain = state.realized_pnl + (price - state.average_entry_price) * state.net_leverage
    return 1 + gain / state.initial_entry_price


@settings(deadline=None)
@given(slipping_positions())
def test_it_is_the_ratio_to_the_same_position_without_that_slippage(position: Position) -> None:
    changes = log_of(position).slippage_change
    for k, order in enumerate(position.orders):
        known = replace(position, orders=position.orders[: k + 1])
        without = replace(known, orders=(*known.orders[:-1], replace(order, slippage=0.0)))
        before = replay(replace(position, orders=position.orders[:k])) if k else None
        value, unslipped = marked(replay(known), order.price), marked(replay(without), order.price)
        if order.src == 1 or (before and before.is_closed_position) or min(value, unslipped) <= 0:
            assert changes[k] == 0
        else:
            assert changes[k] == pytest.approx(math.log(value / unslipped), rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(slipping_positions())
def test_slippage_never_helps_and_counts_only_in_force(position: Position) -> None:
    log = log_of(position)
    assert (log.slippage_change <= 0).all()
    early = log.orders["time_ms"] < DEFAULT_RULEBOOK.slippage_v1_ms
    assert (log.slippage_change[early] == 0).all()
    assert (log.fill_price[early] == log.orders["price"][early]).all()
    assert (log_of(position, use_slippage=False).slippage_change == 0).all()


def test_an_entry_loses_slippage_times_leverage() -> None:
    order = Order("o", OrderType.SHORT, -0.5, 100.0, NOW, slippage=0.01)
    log = log_of(Position("h", "p", pair_of("BTCUSD"), NOW, (order,), 5_000.0))
    assert log.fill_price.tolist() == [99.0]
    # worth 1 - 0.5 x (100 - 99) / 99 at the price it was ordered at
    assert log.slippage_change.tolist() == [pytest.approx(math.log(1 - 0.5 / 99))]


def test_parts_are_joined_by_their_sequences() -> None:
    first, second = (
        Position("h", uuid, pair_of("BTCUSD"), NOW, (order, replace(order, price=2.0)), 5_000.0)
        for uuid, order in (
            ("a", Order("a1", OrderType.LONG, 0.1, 1.0, NOW)),
            ("b", Order("b1", OrderType.LONG, 0.2, 1.0, NOW)),
        )
    )
    columns = position_columns([first, second], DEFAULT_RULEBOOK)
    accounts = replay_orders(columns, accounting_rules(DEFAULT_RULEBOOK, None))
    turned = LogPart(columns, accounts, np.array([1, 0]))
    log = order_log([turned, turned], 0)
    assert log.position.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert log.orders["leverage"].tolist() == [0.2, 0.2, 0.1, 0.1] * 2
    assert log.after["held"].tolist() == [0.2, 0.4, 0.1, 0.2] * 2
    assert len(order_log([], 0).orders) == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3)), max_size=6),
)
def test_orders_of_tables_and_objects_are_gathered_alike(
    picks: list[tuple[int, int, int]],
) -> None:
    made = [
        [
            Order(f"{t}-{n}", OrderType.LONG, 0.1 + n, 1.0 + n, NOW + n, bid=n / 2, ask=n, src=4)
            for n in range(8)
        ]
        for t in range(2)
    ]
    tables = [order_columns([orders]) for orders in made]
    each = [
        tuple(made[0][first : first + length])
        if kind == 2
        else RecordedOrders(tables[kind], first, first + length)
        for kind, first, length in picks
    ]
    gathered: OrderColumns = order_columns(each)
    everything = [order for orders in each for order in orders]
    assert list(RecordedOrders(gathered, 0, len(everything))) == everything
