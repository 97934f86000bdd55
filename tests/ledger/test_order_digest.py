"""A digest changes with everything that ledgers up to its time depend on, and with nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.ledger.order_digest import NO_ORDERS, orders_digests
from ptn_backtest.ledger.timeline import build_timelines
from ptn_backtest.ledger.timelines import Traders
from ptn_backtest.positions.manager import up_to
from ptn_backtest.positions.position import Position
from ptn_backtest.trade_pairs import TradePair
from tests.ledger.strategies import Trader, traders
from tests.rules.made_members import BEGIN_MS, closed_position

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)


def digest_of(
    positions: Sequence[Position], until_ms: int, sizes: Sequence[tuple[int, float]] = ()
) -> str:
    if not positions:
        return NO_ORDERS
    made = Traders(build_timelines({"one": positions}, {"one": sizes}))
    return orders_digests(made, {"one": until_ms})["one"]


@settings(max_examples=60, deadline=None, suppress_health_check=_CALM)
@given(traders(), traders())
def test_neither_other_traders_nor_later_orders_matter(first: Trader, second: Trader) -> None:
    positions = {"b": first.positions, "a": second.positions}
    sizes = {"b": first.account_sizes, "a": second.account_sizes}
    both = Traders(build_timelines(positions, sizes))
    for t_ms in (*first.update_times_ms, *second.update_times_ms):
        found = orders_digests(both, {"b": t_ms, "a": t_ms - 1})
        for hotkey, until_ms in (("b", t_ms), ("a", t_ms - 1)):
            known = up_to(positions[hotkey], until_ms)
            assert found[hotkey] == digest_of(known, until_ms, sizes[hotkey])
            assert (found[hotkey] == NO_ORDERS) == (not known)


CHANGES: dict[str, Callable[[list[Position]], list[Position]]] = {
    "a position less": lambda mine: mine[1:],
    "another uuid": lambda mine: [replace(mine[0], position_uuid="other"), *mine[1:]],
    "another pair": lambda mine: [
        replace(mine[0], trade_pair=TradePair.from_trade_pair_id("ETHUSD")),
        *mine[1:],
    ],
    "another account": lambda mine: [replace(mine[0], account_size=1.0), *mine[1:]],
    "another place": lambda mine: mine[::-1],
    "another price": lambda mine: [
        replace(
            mine[0],
            orders=(replace(mine[0].orders[0], price=1.5), *mine[0].orders[1:]),
        ),
        *mine[1:],
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_before_its_time_changes_it(change: str) -> None:
    mine = [replace(closed_position(60_000).position, position_uuid=uuid) for uuid in "abc"]
    assert len({p.open_ms for p in mine}) == 1
    until_ms = max(order.processed_ms for p in mine for order in p.orders)
    assert digest_of(mine, until_ms) != digest_of(CHANGES[change](mine), until_ms)


def test_account_sizes_count_from_the_day_after() -> None:
    mine = [closed_position(60_000).position]
    sizes = [(BEGIN_MS, 50_000.0)]
    until_ms = max(order.processed_ms for order in mine[0].orders)
    assert digest_of(mine, until_ms, sizes) == digest_of(mine, until_ms)
    assert digest_of(mine, until_ms + 86_400_000, sizes) != digest_of(mine, until_ms + 86_400_000)
