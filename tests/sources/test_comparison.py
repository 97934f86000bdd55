from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from ptn_backtest.sources.comparison import FieldDifference, compare_sources
from ptn_backtest.sources.plagiarism import PlagiarismEvents
from ptn_backtest.sources.records import ALL, OrderRecord, PositionQuery, PositionRecord
from ptn_backtest.sources.selection import select


class Records:
    """Records in memory as a source."""

    def __init__(self, *records: Any, name: str = "memory") -> None:
        self.records = records
        self.name = name

    def describe(self) -> Any:
        return self.name

    def read(self, query: Any = ALL) -> Any:
        return select(self.records, query)

    def read_account_sizes(self, query: Any = ALL) -> Any:
        del query
        return {}

    def read_eliminations(self, query: Any = ALL) -> Any:
        del query
        return []

    def read_plagiarism_events(self, query: Any = ALL) -> Any:
        del query
        return PlagiarismEvents()


def order(uuid: Any = "o1", at: Any = 1, **others: Any) -> Any:
    fields = {"order_uuid": uuid, "order_type": "LONG", "leverage": 0.1, "price": 100.0}
    return OrderRecord({**fields, "processed_ms": at, **others}, f"row {uuid}")


def record(*orders: Any, uuid: Any = "p1", stored: Any = None, **others: Any) -> Any:
    fields = {"miner_hotkey": "a", "position_uuid": uuid, "trade_pair_id": "BTCUSD", "open_ms": 1}
    return PositionRecord({**fields, **others}, orders or (order(),), stored or {}, f"at {uuid}")


def differences(a: Any, b: Any, **options: Any) -> Any:
    comparison = compare_sources(Records(a), Records(b), **options)
    return [value for position in comparison.differences for value in position.differences]


def test_equal_sources() -> None:
    comparison = compare_sources(Records(record(), name="x"), Records(record(), name="y"))
    assert comparison.equal
    assert (comparison.a, comparison.b) == ("x", "y")
    assert comparison.counts() == {
        "positions_a": 1,
        "positions_b": 1,
        "orders_a": 1,
        "orders_b": 1,
        "only_in_a": 0,
        "only_in_b": 0,
        "differing": 0,
        "equal": 1,
    }


def test_positions_of_one_side_and_differing_ones_are_counted_and_named() -> None:
    a = Records(record(uuid="both"), record(uuid="left"), record(uuid="other", open_ms=2))
    b = Records(record(uuid="both"), record(uuid="right"), record(uuid="other", open_ms=3))
    comparison = compare_sources(a, b)
    assert [(d.position_uuid, d.kind) for d in comparison.differences] == [
        ("left", "only in a"),
        ("other", "differs"),
        ("right", "only in b"),
    ]
    counts = comparison.counts()
    assert (counts["equal"], counts["differing"]) == (1, 1)
    assert (counts["only_in_a"], counts["only_in_b"]) == (1, 1)
    assert comparison.fields() == {"open_ms": 1}
    assert not comparison.equal
    assert comparison.differences[0].origin == "at left"


@pytest.mark.parametrize(
    ("name", "value"),
    [("miner_hotkey", "b"), ("trade_pair_id", "ETHUSD"), ("open_ms", 2), ("account_size", 5.0)],
)
def test_each_field_of_a_position_counts(name: str, value: Any) -> None:
    here = record()
    assert differences(here, record(**{name: value})) == [
        FieldDifference(name, here.fields.get(name), value)
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order_type", "SHORT"),
        ("leverage", 0.2),
        ("price", 100.00000000000001),
        ("bid", 1.0),
        ("ask", 1.0),
        ("slippage", 0.1),
        ("processed_ms", 2),
        ("src", 1),
    ],
)
def test_each_field_of_an_order_counts(name: str, value: Any) -> None:
    found = differences(record(), record(order(**{name: value})))
    assert found == [FieldDifference(name, order().fields.get(name), value, "o1")]


def test_orders_of_one_side_are_named_with_their_values() -> None:
    found = differences(record(order("x"), order("y")), record(order("x"), order("z", 7)))
    assert found == [
        FieldDifference("order", "LONG 0.1 100.0 1", None, "y"),
        FieldDifference("order", None, "LONG 0.1 100.0 7", "z"),
    ]


def test_the_sequence_of_orders_counts() -> None:
    found = differences(record(order("x"), order("y")), record(order("y"), order("x")))
    assert found == [FieldDifference("order of orders", "x y", "y x")]


def test_rows_with_one_uuid_are_compared_in_their_order() -> None:
    a, b = record(order(), order(price=1.0)), record(order(), order(price=2.0))
    assert differences(a, b) == [FieldDifference("price", 1.0, 2.0, "o1")]
    comparison = compare_sources(Records(record(), record()), Records(record()))
    assert [d.kind for d in comparison.differences] == ["only in a"]


class Kind(Enum):
    LONG = 1


@pytest.mark.parametrize(
    "others",
    [
        {"price": Decimal("100.0")},
        {"price": 100},
        {"price": "100.0"},
        {"processed_ms": "1"},
        {"processed_ms": 1.0},
        {"order_type": Kind.LONG},
        {"order_type": "long"},
        {"bid": 0, "ask": None, "slippage": 0.0, "src": "0"},
    ],
)
def test_the_same_value_in_another_form_is_no_difference(others: Any) -> None:
    assert differences(record(), record(order(**others))) == []


def test_malformed_values_are_compared_as_they_are() -> None:
    junk = record(order(price="cheap", processed_ms=1.5))
    assert differences(junk, junk) == []
    assert [d.field for d in differences(junk, record())] == ["price", "processed_ms"]
    nan = record(order(price=float("nan")))
    assert differences(nan, record(order(price="NaN"))) == []
    assert len(differences(nan, record())) == 1


def test_floats_are_equal_to_the_bit_unless_told_otherwise() -> None:
    a, b = record(order(price=1.0)), record(order(price=1.0 + 1e-12))
    assert len(differences(a, b)) == 1
    assert differences(a, b, rtol=1e-11) == []
    assert len(differences(a, b, rtol=1e-13)) == 1


def test_derived_fields_are_compared_where_both_store_them() -> None:
    stored = {"current_return": 1.5, "is_closed_position": True, "position_type": "FLAT"}
    a = record(stored=stored)
    b = record(stored={"current_return": 1.25, "is_closed_position": 1, "position_type": "flat"})
    assert differences(a, b) == [FieldDifference("current_return", 1.5, 1.25)]


def test_derived_fields_of_one_side_are_counted_and_are_no_difference() -> None:
    a = record(stored={"current_return": 1.5, "close_ms": None})
    comparison = compare_sources(Records(a), Records(record()))
    assert comparison.equal
    assert comparison.stored_in_one == {"current_return": 1}


def test_a_closed_and_an_open_copy_differ() -> None:
    a = record(stored={"is_closed_position": True})
    b = record(stored={"is_closed_position": False})
    assert [d.field for d in differences(a, b)] == ["is_closed_position"]


def test_what_one_side_cannot_read_differs_with_its_words() -> None:
    broken = replace(record(), error="not JSON")
    assert differences(broken, record()) == [FieldDifference("error", "not JSON", None)]
    orphan = replace(record(), orphan=True)
    assert [d.field for d in differences(record(), orphan)] == ["error"]


def test_only_what_is_asked_for_is_compared() -> None:
    a = Records(record(uuid="early"), record(uuid="late", open_ms=9))
    b = Records(record(uuid="early"))
    assert not compare_sources(a, b).equal
    assert compare_sources(a, b, PositionQuery(end_ms=5)).equal
