"""Orders against the network's order rules; bounds and dates by hand from the network's facts."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.order_bounds import OrderRule
from ptn_backtest.positions.order_checks import OrderCheck, check_orders
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook.leverage_rules import LeverageChange, LeverageRules
from ptn_backtest.sources.locate import open_source
from tests.positions.made_positions import NOW, position, traders

RULES = LeverageRules()
V2, V3 = 1_722_018_483_000, 1_739_937_600_000
PORTFOLIO_CAP = 1_727_161_200_000
INDICES_RETIRED, METALS_RETIRED = 1_731_700_800_000, 1_744_700_399_000


def told(check: OrderCheck) -> Any:
    """Each finding as (order, rule, allowed leverage)."""
    return [(each.order_uuid, each.rule.value, each.allowed_leverage) for each in check.findings]


def leverages(check: OrderCheck) -> list[list[float]]:
    return [[order.leverage for order in p.orders] for p in check.positions_if_applied]


@pytest.mark.parametrize(
    ("pair", "at_ms", "largest"),
    [
        ("BTCUSD", V2 - 1, 20.0),
        ("BTCUSD", V2, 0.5),
        ("BTCUSD", NOW, 0.5),
        ("EURUSD", V2 - 1, 500.0),
        ("EURUSD", V2, 5.0),
        ("EURUSD", NOW, 5.0),
        ("XAUUSD", METALS_RETIRED, 5.0),
    ],
)
def test_a_position_is_reduced_to_the_bound_of_its_date(
    pair: str, at_ms: int, largest: float
) -> None:
    open_to_all = replace(RULES, blocked=())
    exact = position(pair, largest, start_ms=at_ms)
    check = check_orders([exact], open_to_all)
    assert check.findings == ()
    assert check.positions_if_applied[0] is exact
    if largest < 500:  # orders cannot be larger than that
        above = position(pair, -largest - 0.25, start_ms=at_ms)
        check = check_orders([above], open_to_all)
        assert told(check) == [("p0", "position_leverage", -largest)]
        assert leverages(check) == [[-largest]]


def test_equities_had_their_own_bound_since_v3() -> None:
    open_to_all = replace(RULES, blocked=())
    for at_ms, largest in ((V3 - 1, 5.0), (V3, 3.0)):
        check = check_orders([position("NVDA", 6.0, start_ms=at_ms)], open_to_all)
        # a unit of an equity counts twice in the portfolio: 10 / 2 is 5
        assert leverages(check) == [[largest]]


def test_adding_is_reduced_to_what_is_left_and_then_refused() -> None:
    check = check_orders([position("BTCUSD", 0.3, 0.3, 0.1, -0.1, 0.05, 0)], RULES)
    assert told(check) == [
        ("p1", "position_leverage", pytest.approx(0.2)),
        ("p2", "position_leverage", None),
    ]
    assert leverages(check) == [[0.3, pytest.approx(0.2), -0.1, 0.05, 0.0]]
    first, second = check.findings
    assert (first.recorded_leverage, second.recorded_leverage) == (0.3, 0.1)
    assert first.sentence == (
        "LONG 0.3 on BTCUSD: 0.3 are held, the largest leverage is 0.5: reduced to 0.2"
    )
    assert second.sentence.endswith("refused")
    assert (first.trade_pair_id, first.time_ms) == ("BTCUSD", NOW + 1_000)


def test_what_is_left_must_be_an_order_of_its_own() -> None:
    """An order of less than 0.001 is none."""
    check = check_orders([position("BTCUSD", 0.4995, 0.1)], RULES)
    assert told(check) == [("p1", "position_leverage", None)]


@pytest.mark.parametrize(
    ("pair", "steps", "refused"),
    [
        ("BTCUSD", [0.009], "p0"),
        ("BTCUSD", [0.1, -0.095], "p1"),
        ("EURUSD", [-0.05], "p0"),
        ("EURUSD", [0.2, -0.15], "p1"),
    ],
)
def test_below_the_smallest_is_refused(pair: str, steps: list[float], refused: str) -> None:
    check = check_orders([position(pair, *steps)], RULES)
    assert told(check) == [(refused, "smallest_leverage", None)]
    assert check_orders([position(pair, *steps, start_ms=V2 - 10_000)], RULES).findings == ()


def test_exactly_the_smallest_is_allowed() -> None:
    # 0.3 - 0.2 is a little less than 0.1
    assert check_orders([position("EURUSD", 0.3, -0.2)], RULES).findings == ()
    assert check_orders([position("BTCUSD", 0.01)], RULES).findings == ()


@pytest.mark.parametrize(
    ("pair", "last_ms"),
    [("SPX", INDICES_RETIRED), ("XAUUSD", METALS_RETIRED), ("NVDA", METALS_RETIRED)],
)
def test_a_retired_pair_takes_no_more(pair: str, last_ms: int) -> None:
    open_to_all = replace(RULES, blocked=())
    assert check_orders([position(pair, 1.0, start_ms=last_ms)], open_to_all).findings == ()
    check = check_orders([position(pair, 1.0, start_ms=last_ms + 1)], open_to_all)
    assert told(check) == [("p0", "retired_pair", None)]
    assert check.positions_if_applied == []
    # what was open may be reduced and closed
    held = position(pair, 2.0, 0.5, -1.0, 0, start_ms=last_ms)
    check = check_orders([held], open_to_all)
    assert told(check) == [("p1", "retired_pair", None)]
    assert leverages(check) == [[2.0, -1.0, 0.0]]


@pytest.mark.parametrize("pair", ["SPX", "XAUUSD", "XAGUSD", "TSLA", "USDJPY", "TAOUSD"])
def test_a_blocked_pair_takes_no_orders_at_any_time(pair: str) -> None:
    check = check_orders([position(pair, 0.2, 0, start_ms=V2 - 5)], RULES)
    assert told(check) == [("p0", "blocked_pair", None), ("p1", "no_position", None)]
    assert check.positions_if_applied == []


def test_the_portfolio_has_a_cap_of_10() -> None:
    """Crypto counts 10 times: 0.5 of BTC and 0.4 of ETH are 9, so 1 is left for the euro."""
    held = [
        position("BTCUSD", 0.5, uuid="b"),
        position("ETHUSD", -0.4, uuid="e", start_ms=NOW + 1),
    ]
    euro = position("EURUSD", 3.0, uuid="u", start_ms=NOW + 2)
    check = check_orders([*held, euro], RULES)
    assert told(check) == [("u0", "portfolio_leverage", pytest.approx(1.0))]
    assert check.positions_if_applied[:2] == held
    assert "the portfolio has room for 1 more: reduced to 1" in check.findings[0].sentence
    full = position("SOLUSD", 0.3, uuid="s", start_ms=NOW + 3)
    check = check_orders([*held, euro, full], RULES)
    assert told(check)[1:] == [("s0", "portfolio_leverage", None)]


def test_the_cap_is_that_of_the_order_s_time_and_trader() -> None:
    def traders(at_ms: int, other: str = "hotkey") -> list[Position]:
        mine = [
            position(pair, 0.5, uuid=pair, start_ms=at_ms)
            for pair in ("BTCUSD", "ETHUSD", "SOLUSD")
        ]
        return [*mine[:2], replace(mine[2], miner_hotkey=other)]

    assert check_orders(traders(PORTFOLIO_CAP - 1), RULES).findings == ()
    assert told(check_orders(traders(PORTFOLIO_CAP), RULES)) == [
        ("SOLUSD0", "portfolio_leverage", None)
    ]
    assert check_orders(traders(PORTFOLIO_CAP, "another"), RULES).findings == ()


def test_closing_makes_room_in_the_portfolio() -> None:
    first = position("BTCUSD", 0.5, 0, uuid="b", every_ms=50)
    others = [
        position(pair, 0.5, uuid=pair, start_ms=NOW + 100 * n)
        for n, pair in enumerate(("ETHUSD", "SOLUSD"), start=1)
    ]
    assert check_orders([first, *others], RULES).findings == ()
    late = position("BTCUSD", 0.5, 0, uuid="b", every_ms=500)
    assert told(check_orders([late, *others], RULES)) == [("SOLUSD0", "portfolio_leverage", None)]


def test_what_the_portfolio_leaves_may_be_less_than_the_smallest() -> None:
    """As in the network: only an order that was not reduced is held to the smallest leverage."""
    held = [position("BTCUSD", 0.5, uuid="b"), position("ETHUSD", 0.495, uuid="e")]
    check = check_orders([*held, position("SOLUSD", 0.2, uuid="s", start_ms=NOW + 1)], RULES)
    assert told(check) == [("s0", "portfolio_leverage", pytest.approx(0.005))]
    assert check_orders(check.positions_if_applied, RULES).findings == ()


def test_an_order_that_would_flip_becomes_flat() -> None:
    check = check_orders([position("BTCUSD", 0.2, -0.5)], RULES)
    assert told(check) == [("p1", "flip", -0.2)]
    closing = check.positions_if_applied[0].orders[1]
    assert (closing.order_type, closing.leverage) == (OrderType.FLAT, -0.2)
    # exactly to 0 closes as well, and is no flip
    assert check_orders([position("BTCUSD", -0.2, 0.2)], RULES).findings == ()


def test_after_a_close_the_next_order_opens_a_position() -> None:
    """0.3 are reduced from 0.8 ones: what was meant to reduce closes, what follows opens."""
    recorded = position("BTCUSD", 0.8, -0.6, -0.1, 0)
    check = check_orders([recorded], RULES)
    assert told(check) == [("p0", "position_leverage", 0.5), ("p1", "flip", -0.5)]
    first, second = check.positions_if_applied
    assert [(o.order_uuid, o.leverage) for o in first.orders] == [("p0", 0.5), ("p1", -0.5)]
    assert [(o.order_uuid, o.leverage) for o in second.orders] == [("p2", -0.1), ("p3", 0.0)]
    assert (first.position_uuid, second.position_uuid) == ("p", "p2")
    assert second.open_ms == second.orders[0].processed_ms
    assert second.account_size == recorded.account_size


def test_what_follows_a_refused_first_order_is_judged_anew() -> None:
    recorded = replace(position("BTCUSD", 0.005, 0.2, 0), stored={"current_return": 1.5})
    check = check_orders([recorded], RULES)
    assert told(check) == [("p0", "smallest_leverage", None)]
    (kept,) = check.positions_if_applied
    assert (kept.position_uuid, kept.open_ms) == ("p1", NOW + 1_000)
    assert [order.order_uuid for order in kept.orders] == ["p1", "p2"]
    assert kept.stored == {}


def test_a_network_s_flat_is_never_judged_and_goes_with_its_position() -> None:
    for src in (1, 2, 3):
        check = check_orders([position("BTCUSD", 0.005, (0.0, src))], RULES)
        assert told(check) == [("p0", "smallest_leverage", None)]
        assert check.positions_if_applied == []
        kept = position("BTCUSD", 0.3, (0.0, src))
        assert check_orders([kept], RULES).positions_if_applied[0] is kept


def test_a_flat_that_carries_all_of_the_leverage_carries_what_is_left() -> None:
    check = check_orders([position("BTCUSD", 0.8, 0)], RULES)
    assert leverages(check) == [[0.5, 0.0]]
    flat = Order("f", OrderType.FLAT, -0.8, 101.0, NOW + 1_000)
    recorded = position("BTCUSD", 0.8)
    check = check_orders([replace(recorded, orders=(*recorded.orders, flat))], RULES)
    assert leverages(check) == [[0.5, -0.5]]
    assert told(check) == [("p0", "position_leverage", 0.5)]


def test_a_full_position_is_closed_and_another_opened() -> None:
    """The 101st order closes at its own price, 1 ms earlier; the closing order's uuid is mirrored."""
    steps = [0.01, *([0.001] * 99)]
    assert check_orders([position("BTCUSD", *steps, 0)], RULES).findings == ()
    recorded = position("BTCUSD", *steps, -0.05, 0, uuid="abc")
    check = check_orders([recorded], RULES)
    assert told(check) == [("abc100", "max_orders", -0.05)]
    first, second = check.positions_if_applied
    closing = first.orders[100]
    assert len(first.orders) == 101
    assert (closing.order_uuid, closing.order_type, closing.src) == ("cba", OrderType.FLAT, 4)
    assert closing.processed_ms == recorded.orders[100].processed_ms - 1
    assert closing.price == recorded.orders[100].price
    assert closing.leverage == pytest.approx(-0.109)
    assert [order.order_uuid for order in second.orders] == ["abc100", "abc101"]
    assert check_orders(check.positions_if_applied, RULES).findings == ()


def test_orders_that_never_counted_stay_where_they_are() -> None:
    """A recorded position may hold several trades; accounting ignores what follows the first."""
    several = position("BTCUSD", 0.3, -0.3, 9.0, 0)
    assert check_orders([several], RULES).positions_if_applied[0] is several


def test_positions_of_a_pair_that_overlap_stay_apart() -> None:
    pair = [position("BTCUSD", 0.3, 0.1, 0, uuid=uuid) for uuid in ("a", "b")]
    check = check_orders(pair, RULES)
    assert check.findings == ()
    assert all(new is old for new, old in zip(check.positions_if_applied, pair, strict=True))


def test_a_position_that_stays_open_takes_the_next_one_s_orders() -> None:
    """0.1 opens a LONG where it was to close a SHORT that was refused; the next order adds to it."""
    first = position("BTCUSD", -0.005, 0.1, uuid="a")
    second = position("BTCUSD", 0.2, 0, uuid="b", start_ms=NOW + 9_000)
    check = check_orders([first, second], RULES)
    assert told(check) == [("a0", "smallest_leverage", None)]
    (kept,) = check.positions_if_applied
    assert [order.order_uuid for order in kept.orders] == ["a1", "b0", "b1"]


def test_a_cap_alone_reduces_and_leaves_the_rest() -> None:
    recorded = [position("SPX", 0.05, uuid="s"), position("BTCUSD", 0.8, -0.9, uuid="b")]
    check = check_orders(recorded, None, leverage_cap=0.25)
    assert told(check) == [("b0", "position_leverage", 0.25), ("b1", "flip", -0.25)]
    unbound = check_orders(recorded, None)
    assert unbound.findings == ()
    assert unbound.positions_if_applied == recorded


def test_the_smaller_of_cap_and_bound_counts() -> None:
    for cap, largest in ((0.2, 0.2), (0.7, 0.5)):
        check = check_orders([position("BTCUSD", 0.9)], RULES, leverage_cap=cap)
        assert leverages(check) == [[largest]]


def test_every_rule_is_found_by_a_test() -> None:
    """The tests above name each of them."""
    assert {rule.value for rule in OrderRule} == {
        "blocked_pair",
        "retired_pair",
        "position_leverage",
        "portfolio_leverage",
        "smallest_leverage",
        "flip",
        "max_orders",
        "no_position",
    }


SMALL = replace(RULES, orders_per_position=4)


@given(traders(ties=False), st.sampled_from([RULES, SMALL, None]), st.sampled_from([0.2, math.inf]))
def test_applying_twice_is_applying_once(
    recorded: list[Position], rules: LeverageRules | None, cap: float
) -> None:
    once = check_orders(recorded, rules, leverage_cap=cap)
    twice = check_orders(once.positions_if_applied, rules, leverage_cap=cap)
    assert twice.findings == ()
    assert all(
        new is old
        for new, old in zip(twice.positions_if_applied, once.positions_if_applied, strict=True)
    )


@settings(deadline=None)  # the arithmetic is compiled at its first use
@given(traders(ties=False), st.sampled_from([RULES, SMALL]))
def test_what_is_kept_keeps_the_rules(recorded: list[Position], rules: LeverageRules) -> None:
    """Told in another way: the bounds hold at every moment of what was kept, as arithmetic has it."""
    check = check_orders(recorded, rules)
    changes = []
    for index, kept in enumerate(check.positions_if_applied):
        pair, held = kept.trade_pair, 0.0
        assert not rules.is_blocked(pair)
        assert kept.open_ms == kept.orders[0].processed_ms
        assert sum(order.order_type is not OrderType.FLAT for order in kept.orders) > 0
        for n, order in enumerate(kept.orders):
            state = replay(replace(kept, orders=kept.orders[: n + 1]))
            now = abs(state.net_leverage)
            assert now <= pair.max_leverage + 1e-9
            changes.append((order.processed_ms, index, n, (now - held) * rules.multiplier(pair)))
            held = now
            if state.is_closed_position:
                break
        live = n + 1
        assert live <= rules.orders_per_position + 1
        if live > rules.orders_per_position:
            assert kept.orders[n].order_type is OrderType.FLAT
    portfolio = 0.0
    # in one millisecond an order may close one position, and the next one open another
    for *_, change in sorted(changes, key=lambda row: (row[0], row[-1] > 0)):
        portfolio += change
        if change > 0:
            assert portfolio <= 10 + 1e-6


@given(traders())
def test_without_findings_nothing_changes(recorded: list[Position]) -> None:
    check = check_orders(recorded, RULES)
    same = len(check.positions_if_applied) == len(recorded) and all(
        new is old for new, old in zip(check.positions_if_applied, recorded, strict=True)
    )
    assert same == (check.findings == ())


@given(
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=12),
    st.floats(0.01, 2.0),
    st.floats(0.01, 2.0),
)
def test_a_looser_cap_never_refuses_more(sizes: list[float], a: float, b: float) -> None:
    """Of orders in one direction; after a reduction, orders that reduce meet another history."""

    def refused(cap: float) -> set[str]:
        check = check_orders([position("BTCUSD", *sizes, 0)], None, leverage_cap=cap)
        return {each.order_uuid for each in check.findings if each.allowed_leverage is None}

    assert refused(max(a, b)) <= refused(min(a, b))


@given(st.floats(0.002, 9.0), st.floats(0.002, 9.0), st.floats(0.002, 9.0))
def test_a_looser_cap_allows_as_much(leverage: float, a: float, b: float) -> None:
    def allowed(cap: float) -> float:
        (kept,) = leverages(check_orders([position("ETHUSD", leverage)], None, leverage_cap=cap))
        return kept[0]

    assert allowed(max(a, b)) >= allowed(min(a, b)) - 1e-9
    assert allowed(a) <= a + 1e-9


def test_rules_of_one_s_own() -> None:
    bound = LeverageChange(-NEVER_MS, largest={"crypto": 2.0}, smallest={"crypto": 1.5})
    mine = LeverageRules(changes={"mine": bound}, blocked=("ETHUSD",))
    recorded = [
        position("BTCUSD", 2.5, uuid="b"),
        position("SOLUSD", 1.25, uuid="s"),
        position("ETHUSD", 1.75, uuid="e"),
    ]
    uncounted = replace(mine, multipliers=dict.fromkeys(mine.multipliers, 0.0))
    assert check_orders(recorded, uncounted) == check_orders(recorded, mine)
    assert told(check_orders(recorded, mine)) == [
        ("b0", "position_leverage", 2.0),
        ("s0", "smallest_leverage", None),
        ("e0", "blocked_pair", None),
    ]


def test_a_real_trader_broke_no_bound(shared: Any) -> None:
    """665 orders that the network took in 2025: it had reduced them itself."""
    file = shared / "data" / "positions" / "btc_trader_2025.json"
    found = check_orders(convert(open_source(str(file)).read()).positions, RULES)
    # one position holds several trades in a row: the order that ended the first went beyond 0
    assert told(found) == [
        ("830e4e56-9c34-4dab-a5fb-56b13bb755b7", "flip", pytest.approx(-0.03749))
    ]
