"""A trader's timeline does not depend on who else is made one at the same time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.ledger.timeline import Timeline, build_timeline, build_timelines, open_ranges
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from tests.positions.made_positions import NOW, pair_of, position, traders

HOUR = 3_600_000
SIZES = {"trader 1": [(NOW, 50_000.0)]}


def named(positions: Sequence[Position], hotkey: str) -> list[Position]:
    return [replace(each, miner_hotkey=hotkey) for each in positions]


def flattened(timeline: Timeline) -> list[bytes | int]:
    parts = [part for each in timeline for part in (each if isinstance(each, tuple) else (each,))]
    return [part.tobytes() if isinstance(part, np.ndarray) else part for part in parts]


@settings(max_examples=100, deadline=None)
@given(st.lists(traders(), min_size=1, max_size=4))
def test_made_together_or_alone_they_are_the_same(networks: list[list[Position]]) -> None:
    positions = {f"trader {i}": named(mine, f"trader {i}") for i, mine in enumerate(networks)}
    together = build_timelines(positions, SIZES)
    assert list(together) == list(positions)
    for hotkey, mine in positions.items():
        alone = build_timeline(mine, SIZES.get(hotkey, ()))
        assert flattened(together[hotkey].arrays) == flattened(alone.arrays)
        assert (together[hotkey].pairs, together[hotkey].positions) == (
            alone.pairs,
            alone.positions,
        )


@settings(max_examples=100, deadline=None)
@given(traders())
def test_positions_stand_by_the_first_trade_of_their_pair_then_by_open_time(
    positions: list[Position],
) -> None:
    timeline = build_timeline(positions)
    keys = [(each.orders[0].processed_ms, i) for i, each in enumerate(positions)]
    first: dict[str, tuple[int, int]] = {}
    for key, each in zip(keys, positions, strict=True):
        pair = each.trade_pair.trade_pair_id
        first[pair] = min(key, first.get(pair, key))
    order = sorted(
        range(len(positions)),
        key=lambda i: (first[positions[i].trade_pair.trade_pair_id], keys[i]),
    )
    assert list(timeline.positions) == [positions[i] for i in order]
    assert list(timeline.stored_positions) == positions
    rows = timeline.arrays.columns.positions
    assert [timeline.pairs[i] for i in rows["pair"]] == [p.trade_pair for p in timeline.positions]
    events = timeline.arrays.events
    moments = [
        (order.processed_ms, i) for i, p in enumerate(timeline.positions) for order in p.orders
    ]
    assert events.tolist() == sorted(moments)


def test_no_traders_make_no_timelines() -> None:
    assert build_timelines({}) == {}


def test_open_ranges_from_a_time_on_leave_out_what_was_over() -> None:
    closed = position("BTCUSD", 0.1, 0, uuid="a", every_ms=HOUR)
    still_open = position("BTCUSD", 0.1, uuid="b", start_ms=NOW + 2 * HOUR)
    other = position("ETHUSD", 0.1, 0, uuid="c", every_ms=3 * HOUR)
    timelines = [build_timeline([closed, still_open, other])]
    end_ms = NOW + 9 * HOUR
    assert open_ranges(timelines, end_ms) == {
        "BTCUSD": [(NOW, NOW + HOUR), (NOW + 2 * HOUR, end_ms)],
        "ETHUSD": [(NOW, NOW + 3 * HOUR)],
    }
    assert open_ranges(timelines, end_ms, NOW + 2 * HOUR + 1) == {
        "BTCUSD": [(NOW + 2 * HOUR + 1, end_ms)],
        "ETHUSD": [(NOW + 2 * HOUR + 1, NOW + 3 * HOUR)],
    }
    assert open_ranges(timelines, end_ms, NOW + 4 * HOUR)["ETHUSD"] == []


def test_orders_of_one_time_stay_as_the_position_has_them() -> None:
    orders = tuple(Order(f"o{i}", OrderType.LONG, 0.1 * (1 + i), 100.0, NOW) for i in range(3))
    timeline = build_timeline([Position("hotkey", "p", pair_of("BTCUSD"), NOW, orders)])
    assert timeline.arrays.columns.orders["leverage"].tolist() == [o.leverage for o in orders]
