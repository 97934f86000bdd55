import json
import logging
import math
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.errors import InvalidPosition
from ptn_backtest.positions.conversion import convert, explain
from ptn_backtest.positions.order import OrderType
from ptn_backtest.positions.rejection import Reason
from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource
from ptn_backtest.sources.records import OrderRecord, PositionRecord

START = 1_735_689_600_000


def order(
    uuid: Any = "o1", at: Any = 0, kind: Any = "LONG", leverage: Any = 0.1, **others: Any
) -> Any:
    fields = {
        "order_uuid": uuid,
        "order_type": kind,
        "leverage": leverage,
        "price": 100.0,
        "processed_ms": START + at,
        **others,
    }
    return OrderRecord(
        {name: value for name, value in fields.items() if value is not ...}, f"orders row {uuid}"
    )


def record(*orders: Any, uuid: Any = "p1", **others: Any) -> Any:
    fields = {
        "miner_hotkey": "hotkey",
        "position_uuid": uuid,
        "trade_pair_id": "BTCUSD",
        "open_ms": START,
        **others,
    }
    return PositionRecord(
        {name: value for name, value in fields.items() if value is not ...},
        orders,
        origin=f"positions row {uuid}",
    )


GOOD = record(order("g1"), order("g2", 5, "FLAT", 0.0), uuid="good")


def rejection_of(*records: Any) -> Any:
    """The only rejection of these records, which leaves the good one beside them alone."""
    conversion = convert([*records, GOOD])
    assert [position.position_uuid for position in conversion.positions][-1] == "good"
    (rejection,) = conversion.rejections
    return rejection


def test_a_record_becomes_a_position() -> None:
    found = record(order(), order("o2", 7, "FLAT", -0.1, bid=1, ask=2, slippage=0.5, src=4))
    (position,) = convert([found]).positions
    assert position.miner_hotkey == "hotkey"
    assert position.position_uuid == "p1"
    assert position.trade_pair.trade_pair == "BTC/USD"
    assert position.open_ms == START
    assert position.account_size == 0.0
    first, second = position.orders
    assert (first.order_type, first.leverage, first.price) == (OrderType.LONG, 0.1, 100.0)
    assert (first.bid, first.ask, first.slippage, first.src) == (0.0, 0.0, 0.0, 0)
    assert (second.bid, second.ask, second.slippage, second.src) == (1.0, 2.0, 0.5, 4)
    assert second.processed_ms == START + 7


@pytest.mark.parametrize(
    ("found", "reason", "said"),
    [
        (record(order(), trade_pair_id="BTCUSDX"), Reason.UNKNOWN_TRADE_PAIR, "BTCUSDX"),
        (record(order(), trade_pair_id=...), Reason.MISSING_FIELD, "trade_pair_id"),
        (record(order(), miner_hotkey=None), Reason.MISSING_FIELD, "miner_hotkey"),
        (record(order(), uuid=""), Reason.MISSING_FIELD, "position_uuid"),
        (record(), Reason.NO_ORDERS, "no orders"),
        (record(order(kind="FLAT")), Reason.FIRST_ORDER_FLAT, "FLAT"),
        (record(order(), account_size=-1), Reason.INVALID_NUMBER, "account_size"),
        (record(order(), account_size="much"), Reason.INVALID_NUMBER, "much"),
        (record(order(), open_ms="yesterday"), Reason.INVALID_TIME, "yesterday"),
        (record(order(price=-1.0)), Reason.INVALID_PRICE, "-1.0"),
        (record(order(price=0.0)), Reason.INVALID_PRICE, "0.0"),
        (record(order(price=0.0, src=1)), Reason.INVALID_PRICE, "first order"),
        (record(order(price=None)), Reason.MISSING_FIELD, "price"),
        (record(order(price=...)), Reason.MISSING_FIELD, "price"),
        (record(order(price=math.nan)), Reason.INVALID_NUMBER, "price is nan"),
        (record(order(price="NaN")), Reason.INVALID_NUMBER, "price is nan"),
        (record(order(price=math.inf)), Reason.INVALID_NUMBER, "price is inf"),
        (record(order(price="cheap")), Reason.INVALID_NUMBER, "cheap"),
        (record(order(price=True)), Reason.INVALID_NUMBER, "True"),
        (record(order(bid="1_0")), Reason.INVALID_NUMBER, "bid"),
        (record(order(slippage=-math.inf)), Reason.INVALID_NUMBER, "slippage"),
        (record(order(src="x")), Reason.INVALID_NUMBER, "src"),
        (record(order(leverage=0.0)), Reason.INVALID_LEVERAGE, "0.0"),
        (record(order(leverage=501.0)), Reason.INVALID_LEVERAGE, "501.0"),
        (record(order(leverage=-0.1)), Reason.INVALID_LEVERAGE, "-0.1"),
        (record(order(leverage=math.nan)), Reason.INVALID_NUMBER, "leverage"),
        (record(order(leverage=None)), Reason.MISSING_FIELD, "leverage"),
        (record(order(kind="BUY")), Reason.INVALID_ORDER_TYPE, "BUY"),
        (record(order(kind=None)), Reason.MISSING_FIELD, "order_type"),
        (record(order(kind=["LONG"])), Reason.INVALID_ORDER_TYPE, "LONG"),
        (record(order(processed_ms=None)), Reason.MISSING_FIELD, "processed_ms"),
        (record(order(processed_ms=-1)), Reason.INVALID_TIME, "-1"),
        (record(order(processed_ms=1.5)), Reason.INVALID_TIME, "1.5"),
        (record(order(processed_ms=START * 1_000)), Reason.INVALID_TIME, str(START * 1_000)),
        (record(order(uuid=None)), Reason.MISSING_FIELD, "order_uuid"),
        (record(order(at=5), order("o2", 4)), Reason.ORDERS_OUT_OF_ORDER, str(START + 4)),
        (record(order(), order(at=1)), Reason.DUPLICATE_ORDER, "o1"),
    ],
)
def test_a_bad_record_is_set_aside_and_the_next_one_is_not(
    found: Any, reason: Reason, said: str
) -> None:
    rejection = rejection_of(found)
    assert rejection.reason is reason
    assert said in rejection.detail
    assert rejection.n_orders == len(found.orders)


def test_a_rejection_names_the_order_at_fault_and_its_place() -> None:
    rejection = rejection_of(record(order(), order("o2", price=-1.0), order("o3")))
    assert rejection.order_uuid == "o2"
    assert rejection.origin == "orders row o2"
    assert (rejection.miner_hotkey, rejection.position_uuid) == ("hotkey", "p1")
    assert "orders row o2: position p1 order o2: price -1.0" in explain(rejection)


def test_a_rejection_of_the_position_itself_names_its_place() -> None:
    rejection = rejection_of(record(order(), trade_pair_id="NOPE"))
    assert (rejection.order_uuid, rejection.origin) == ("", "positions row p1")


def test_orders_without_a_position_are_counted_as_such() -> None:
    orphan = PositionRecord({"position_uuid": "gone"}, [order("a"), order("b")], orphan=True)
    conversion = convert([orphan, GOOD])
    assert [r.reason for r in conversion.rejections] == [Reason.ORDER_WITHOUT_POSITION]
    assert conversion.counts["orders_without_position"] == 2
    assert conversion.counts["rejected_positions"] == 0
    assert conversion.counts["positions"] == 1


def test_what_a_source_could_not_read_is_set_aside_with_its_words() -> None:
    rejection = rejection_of(PositionRecord({}, (), origin="file x", error="not JSON: line 1"))
    assert (rejection.reason, rejection.detail) == (Reason.UNREADABLE, "not JSON: line 1")


def test_the_first_position_with_a_uuid_stays() -> None:
    rejection = rejection_of(record(order("a")), record(order("b")))
    assert rejection.reason is Reason.DUPLICATE_POSITION
    assert "positions row p1" in rejection.detail


def test_positions_without_a_place_are_duplicates_too() -> None:
    twice = [PositionRecord(record(order(uuid)).fields, [order(uuid)]) for uuid in ("a", "b")]
    assert rejection_of(*twice).reason is Reason.DUPLICATE_POSITION


def test_a_second_copy_is_not_trusted_where_the_first_was_broken() -> None:
    broken = PositionRecord({"position_uuid": "p1"}, (), origin="closed/p1", error="not JSON")
    reasons = [r.reason for r in convert([broken, record(order())]).rejections]
    assert reasons == [Reason.UNREADABLE, Reason.DUPLICATE_POSITION]


def test_an_order_belongs_to_one_position() -> None:
    rejection = rejection_of(record(order("a")), record(order("a"), uuid="p2"))
    assert rejection.reason is Reason.DUPLICATE_ORDER
    assert rejection.position_uuid == "p2"
    assert "p1" in rejection.detail


def test_an_order_of_a_position_that_was_set_aside_takes_no_uuid() -> None:
    bad = record(order("a"), order("b", price=-1.0))
    assert rejection_of(bad, record(order("a"), uuid="p2")).position_uuid == "p1"


def test_orders_of_one_millisecond_stay_in_stored_order() -> None:
    found = record(order("z"), order("b"), order("a"))
    assert [o.order_uuid for o in convert([found]).positions[0].orders] == ["z", "b", "a"]


def test_orders_after_the_close_stay_in_the_position() -> None:
    found = record(order("a"), order("b", 1, "FLAT", 0.0), order("c", 2), order("d", 3, "FLAT", 0))
    assert len(convert([found]).positions[0].orders) == 4
    assert [len(p.orders) for p in convert([found], split=True).positions] == [2, 2]


@pytest.mark.parametrize("src", [1, 2])
def test_an_administrative_flat_without_price_is_sound(src: Any) -> None:
    conversion = convert([record(order(), order("o2", 1, "FLAT", 0.0, price=0.0, src=src))])
    assert not conversion.rejections


def test_a_short_with_positive_leverage_is_negated() -> None:
    assert convert([record(order(kind="SHORT"))]).positions[0].orders[0].leverage == -0.1


class Kind(Enum):
    LONG = 1
    SHORT = 2


class Direction(Enum):
    LONG = "LONG"


@pytest.mark.parametrize("kind", [Kind.LONG, Direction.LONG, OrderType.LONG, "long", " LONG "])
def test_order_types_are_texts_or_enums(kind: Any) -> None:
    assert convert([record(order(kind=kind))]).positions[0].orders[0].order_type is OrderType.LONG


@pytest.mark.parametrize("value", [Decimal("0.1"), "0.1", np.float64(0.1), "1e-1"])
def test_a_decimal_or_a_text_of_digits_is_the_float_it_stands_for(value: Any) -> None:
    assert convert([record(order(leverage=value))]).positions[0].orders[0].leverage == 0.1


@pytest.mark.parametrize("value", [START, float(START), Decimal(START), str(START), f"{START}.0"])
def test_a_whole_number_in_any_form_is_a_time(value: Any) -> None:
    assert convert([record(order(processed_ms=value))]).positions[0].open_ms == START


def test_keys_may_be_uuids() -> None:
    key = UUID("6d6e2447-8b67-4bf9-82c1-547ddc971706")
    (position,) = convert([record(order(key), uuid=key)]).positions
    assert position.position_uuid == str(key) == position.orders[0].order_uuid


def test_the_first_orders_time_opens_the_position_and_another_stored_one_is_noted() -> None:
    conversion = convert([record(order(at=-3))])
    assert conversion.positions[0].open_ms == START - 3
    assert conversion.counts["open_ms_corrected"] == 1


def test_a_source_without_open_ms_is_read_without_a_note() -> None:
    conversion = convert([record(order(at=9), open_ms=...)])
    assert conversion.positions[0].open_ms == START + 9
    assert conversion.counts["open_ms_corrected"] == 0


def test_stored_fields_are_kept_aside() -> None:
    found = PositionRecord(GOOD.fields, GOOD.orders, {"current_return": "not judged"})
    assert convert([found]).positions[0].stored == {"current_return": "not judged"}


def test_counts() -> None:
    bad = record(order("x"), order("y", price=-1.0), uuid="bad", miner_hotkey="other")
    two_trades = record(
        order("a"), order("b", 1, "FLAT", 0.0), order("c", 2), uuid="two", miner_hotkey="third"
    )
    assert convert([GOOD, bad, two_trades], split=True).counts == {
        "traders": 2,
        "positions": 3,
        "orders": 5,
        "rejected_positions": 1,
        "rejected_orders": 2,
        "orders_without_position": 0,
        "split_positions": 1,
        "open_ms_corrected": 0,
        "closed_but_open": 0,
        "closed_but_dust": 0,
        "similar_hotkeys": 0,
    }


def test_rejections_by_reason_are_the_most_frequent_first() -> None:
    bad = [record(order(f"o{n}", price=-1.0), uuid=f"p{n}") for n in range(2)]
    conversion = convert([record(uuid="p9"), *bad])
    assert list(conversion.rejections_by_reason().items()) == [
        (Reason.INVALID_PRICE, 2),
        (Reason.NO_ORDERS, 1),
    ]


def test_strict_stops_at_the_first_bad_record_and_says_where() -> None:
    with pytest.raises(InvalidPosition, match=r"orders row o1: .*price -1\.0"):
        convert([GOOD, record(order(price=-1.0))], strict=True)


def test_a_part_whose_uuid_is_taken_sets_its_position_aside() -> None:
    two_trades = record(order("a"), order("b", 1, "FLAT", 0.0), order("c", 2), uuid="two")
    named_alike = record(order("z"), uuid="c")
    for records in ([named_alike, two_trades], [two_trades, named_alike]):
        conversion = convert(records, split=True)
        assert [r.reason for r in conversion.rejections] == [Reason.DUPLICATE_POSITION]
        assert not convert(records).rejections


def test_statistics_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ptn_backtest")
    convert([GOOD, record(order(price=-1.0))])
    assert "converted 1 positions with 2 orders of 1 traders" in caplog.text
    assert "invalid_price 1" in caplog.text
    assert "price -1.0 is not above 0" in caplog.text


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([])
)


POSITION_JUNK = st.dictionaries(st.sampled_from(["miner_hotkey", "trade_pair_id", "open_ms"]), JUNK)
ORDER_JUNK = st.dictionaries(
    st.sampled_from(["kind", "leverage", "price", "processed_ms", "bid", "src"]), JUNK
)


@given(POSITION_JUNK, st.lists(ORDER_JUNK, max_size=3))
def test_whatever_a_row_holds_it_is_kept_or_set_aside(fields: Any, rows: Any) -> None:
    orders = [order(f"o{number}", number, **row) for number, row in enumerate(rows)]
    conversion = convert([record(*orders, **fields)])
    assert len(conversion.positions) + len(conversion.rejections) == 1


def test_real_positions_are_all_sound(shared: Path) -> None:
    for name, positions, orders in (("btc_trader_2025", 74, 665), ("mixed_trader_2024", 63, 331)):
        source = CheckpointPositionSource(shared / f"data/positions/{name}.json")
        conversion = convert(source.read(), strict=True)
        assert conversion.counts["positions"] == positions
        assert conversion.counts["orders"] == orders


def test_every_golden_scenario_is_sound(shared: Path) -> None:
    scenarios = sorted(shared.glob("golden/*/scenario.json"))
    assert scenarios
    for path in scenarios:
        recorded = json.loads(path.read_text())["positions"]
        conversion = convert(CheckpointPositionSource(path).read(), strict=True)
        assert conversion.counts["positions"] == len(recorded), path
