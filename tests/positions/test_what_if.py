"""What if: pairs left out, orders later, less leverage."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.positions.order import OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.what_if import WhatIf, apply_what_if
from ptn_backtest.rulebook.leverage_rules import LeverageRules
from tests.positions.made_positions import NOW, PAIRS, position, traders

RULES = LeverageRules()


def never(trade_pair_id: str, t_ms: int) -> float | None:
    raise AssertionError(f"no price of {trade_pair_id} at {t_ms} is needed")


def at_minute(trade_pair_id: str, t_ms: int) -> float | None:
    """A price that tells its time."""
    assert trade_pair_id in PAIRS
    return 1.0 + (t_ms - NOW) / 1_000


def of(hotkey: str, *positions: Position) -> list[Position]:
    return [replace(each, miner_hotkey=hotkey) for each in positions]


def test_pairs_are_dropped() -> None:
    recorded = [
        position("BTCUSD", 0.1, 0, uuid="b"),
        position("EURUSD", 0.1, 0.1, 0, uuid="u"),
        position("BTCUSD", 0.2, uuid="c", start_ms=NOW + 9_000),
    ]
    kept, report = apply_what_if(recorded, WhatIf(drop_pairs=("BTCUSD",)), RULES, never)
    assert kept == [recorded[1]]
    assert kept[0] is recorded[1]
    assert (report.n_positions_dropped, report.n_orders_dropped) == (2, 3)
    assert (report.n_orders_changed, report.n_orders_added, report.warnings) == (0, 0, ())


def test_what_nobody_trades_is_named() -> None:
    what_if = WhatIf(drop_pairs=("SOLUSD",), hotkeys=("hotkey", "nobody"))
    kept, report = apply_what_if([position("BTCUSD", 0.1)], what_if, RULES, never)
    assert len(kept) == 1
    assert report.warnings == (
        "drop_pairs: there is no position on SOLUSD",
        "what_if_hotkeys: there is no position of nobody",
    )


def test_orders_come_later_at_the_price_of_then() -> None:
    recorded = position("BTCUSD", 0.1, 0.2, 0)
    slipping = tuple(replace(each, slippage=0.001, bid=99.0) for each in recorded.orders)
    recorded = replace(recorded, orders=slipping, stored={"current_return": 1.2})
    (late,), report = apply_what_if([recorded], WhatIf(delay_orders_ms=500), RULES, at_minute)
    assert [order.processed_ms - NOW for order in late.orders] == [500, 1_500, 2_500]
    assert [order.price for order in late.orders] == [1.5, 2.5, 3.5]
    assert {(order.slippage, order.bid) for order in late.orders} == {(0.001, 99.0)}
    assert [order.leverage for order in late.orders] == [0.1, 0.2, 0]
    assert (late.open_ms, late.position_uuid, late.stored) == (NOW + 500, "p", {})
    assert (report.n_delayed, report.n_orders_changed, report.warnings) == (3, 3, ())


def test_without_a_price_the_recorded_one_stays() -> None:
    def once(_pair: str, t_ms: int) -> float | None:
        return 7.0 if t_ms == NOW + 60 else None

    recorded = [position("BTCUSD", 0.1, 0.2, 0), position("EURUSD", 0.2, uuid="u")]
    late, report = apply_what_if(recorded, WhatIf(delay_orders_ms=60), RULES, once)
    assert [order.price for order in late[0].orders] == [7.0, 101.0, 102.0]
    assert late[1].orders[0].price == 7.0
    assert late[1].orders[0].processed_ms == NOW + 60
    assert report.unpriced == {"BTCUSD": 2}
    (warning,) = report.warnings
    assert "BTCUSD: 2 delayed orders keep their recorded price" in warning


def test_the_network_s_flats_come_when_they_came() -> None:
    for src, price in ((1, 0.0), (2, 0.0), (3, 102.0)):
        recorded = position("BTCUSD", 0.1, 0.2, (0.0, src))
        late, report = apply_what_if([recorded], WhatIf(delay_orders_ms=900), RULES, at_minute)
        flat = late[0].orders[-1]
        assert flat is recorded.orders[-1]
        assert (flat.order_type, flat.price) == (OrderType.FLAT, price)
        assert len(late[0].orders) == 3
        assert not report.overtaken


def test_an_order_that_the_network_s_flat_overtakes_is_dropped() -> None:
    recorded = position("BTCUSD", 0.1, 0.2, (0.0, 1))
    late, report = apply_what_if([recorded], WhatIf(delay_orders_ms=1_001), RULES, at_minute)
    assert [order.order_uuid for order in late[0].orders] == ["p0", "p2"]
    assert report.overtaken == {"BTCUSD": 1}
    assert "closed their position before they came" in report.warnings[0]
    late, report = apply_what_if([recorded], WhatIf(delay_orders_ms=2_001), RULES, at_minute)
    assert late == []
    assert report.overtaken == {"BTCUSD": 2}
    assert (report.n_positions_dropped, report.n_orders_dropped, report.n_delayed) == (1, 3, 0)


def test_a_trader_s_own_closing_is_delayed_with_the_rest() -> None:
    """src 4: the trader's own order made the network close the full position."""
    recorded = position("BTCUSD", 0.1, (0.0, 4))
    (late,), _ = apply_what_if([recorded], WhatIf(delay_orders_ms=10), RULES, at_minute)
    assert [order.processed_ms - NOW for order in late.orders] == [10, 1_010]


def test_less_leverage() -> None:
    recorded = [position("BTCUSD", 0.4, 0), position("EURUSD", 0.1, uuid="u")]
    kept, report = apply_what_if(recorded, WhatIf(leverage_cap=0.15), RULES, never)
    assert [order.leverage for order in kept[0].orders] == [0.15, 0]
    assert kept[1] is recorded[1]
    (finding,) = report.findings
    assert (finding.order_uuid, finding.allowed_leverage) == ("p0", 0.15)
    assert (report.n_orders_changed, report.n_orders_dropped) == (1, 0)


def test_order_rules_see_the_orders_as_they_come_in() -> None:
    """Without the bitcoin there is room for the euro; later than V2 the bound is smaller."""
    btc, euro = position("BTCUSD", 0.5, uuid="b"), position("EURUSD", 5.0, uuid="u")
    more = position("ETHUSD", 0.5, uuid="e")
    rules = WhatIf(apply_order_rules=True)
    _, report = apply_what_if([btc, more, euro], rules, RULES, never)
    assert [each.order_uuid for each in report.findings] == ["u0"]
    _, report = apply_what_if(
        [btc, more, euro], replace(rules, drop_pairs=("BTCUSD",)), RULES, never
    )
    assert report.findings == ()
    before_v2 = position("BTCUSD", 2.0, start_ms=1_722_018_482_999)
    _, report = apply_what_if([before_v2], rules, RULES, never)
    assert report.findings == ()
    later = replace(rules, delay_orders_ms=1)
    (kept,), report = apply_what_if([before_v2], later, RULES, lambda *_: 50.0)
    assert [order.leverage for order in kept.orders] == [0.5]
    assert report.counts["what_if_order_findings"] == 1


def test_only_some_traders() -> None:
    recorded = [
        *of("alice", position("BTCUSD", 0.4, uuid="a"), position("ETHUSD", 0.4, uuid="b")),
        *of("bob", position("BTCUSD", 0.4, uuid="c")),
        *of("alice", position("SOLUSD", 0.01, uuid="d")),
    ]
    what_if = WhatIf(leverage_cap=0.2, drop_pairs=("ETHUSD",), hotkeys=("alice",))
    kept, report = apply_what_if(recorded, what_if, RULES, never)
    assert kept[1:] == [recorded[3], recorded[2]]  # each trader's positions as they were stored
    assert (kept[0].miner_hotkey, kept[0].orders[0].leverage) == ("alice", 0.2)
    assert report.n_positions_dropped == 1


def test_only_changes_make_a_what_if() -> None:
    assert not WhatIf()
    assert not WhatIf(hotkeys=("alice",))
    for what_if in (
        WhatIf(drop_pairs=("BTCUSD",)),
        WhatIf(leverage_cap=1.0),
        WhatIf(delay_orders_ms=1),
        WhatIf(apply_order_rules=True),
    ):
        assert what_if


@given(traders())
def test_nothing_asked_changes_nothing(recorded: list[Position]) -> None:
    kept, report = apply_what_if(recorded, WhatIf(drop_pairs=(), delay_orders_ms=0), RULES, never)
    assert all(new is old for new, old in zip(kept, recorded, strict=True))
    assert set(report.counts.values()) == {0}


@given(traders(), st.integers(1, 5_000), st.integers(1, 5_000))
def test_two_delays_are_their_sum(recorded: list[Position], a: int, b: int) -> None:
    def late(positions: list[Position], by_ms: int) -> list[Position]:
        return apply_what_if(positions, WhatIf(delay_orders_ms=by_ms), RULES, at_minute)[0]

    assert late(late(recorded, a), b) == late(recorded, a + b)


@given(traders(), st.integers(0, 1_000), st.sampled_from([None, 0.2]), st.booleans())
def test_every_order_is_accounted_for(
    recorded: list[Position], by_ms: int, cap: float | None, rules: bool
) -> None:
    what_if = WhatIf(("SOLUSD",), cap, by_ms, rules)
    kept, report = apply_what_if(recorded, what_if, RULES, at_minute)
    before = sum(len(each.orders) for each in recorded)
    after = sum(len(each.orders) for each in kept)
    assert after == before - report.n_orders_dropped + report.n_orders_added
    assert not any(each.trade_pair.trade_pair_id == "SOLUSD" for each in kept)
