"""What differs between two sources, position by position."""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias, TypeVar

from ptn_backtest.sources.numeric import real_number, whole_number
from ptn_backtest.sources.records import (
    ALL,
    ORDER_FIELDS,
    STORED_FIELDS,
    OrderRecord,
    PositionQuery,
    PositionRecord,
    PositionSource,
)

log = logging.getLogger(__name__)

_REALS = frozenset(
    (
        "leverage",
        "price",
        "bid",
        "ask",
        "slippage",
        "account_size",
        "current_return",
        "return_at_close",
        "net_leverage",
        "average_entry_price",
        "cumulative_entry_value",
        "realized_pnl",
    )
)
_WHOLES = frozenset(("open_ms", "close_ms", "processed_ms", "src", "is_closed_position"))
_ABSENT_MEANS: Mapping[str, object] = {
    "bid": 0.0,
    "ask": 0.0,
    "slippage": 0.0,
    "src": 0,
    "account_size": 0.0,
}

Key: TypeAlias = tuple[str, int]
"""A uuid, and how many rows with the same one came before."""

Row = TypeVar("Row", PositionRecord, OrderRecord)


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One value that is not the same.

    Attributes:
        field: its name; "order" where one side lacks the order, "order of orders" where both
            have the same orders in another sequence, "error" where one side cannot be read.
        a: the value in the first source, None where it has none.
        b: likewise in the second.
        order_uuid: the order it belongs to, "" for the position itself.
    """

    field: str
    a: Any
    b: Any
    order_uuid: str = ""


@dataclass(frozen=True, slots=True)
class PositionDifference:
    """A position that is not the same in both sources.

    Attributes:
        miner_hotkey: the trader, "" where unknown.
        position_uuid: the position's key, "" where unknown.
        kind: what is wrong with it.
        differences: each value, where both have the position.
        origin: where it was found, in the first source if it is there.
    """

    miner_hotkey: str
    position_uuid: str
    kind: Literal["only in a", "only in b", "differs"]
    differences: tuple[FieldDifference, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """What differs between two sources.

    Attributes:
        a: the first source in words.
        b: the second.
        positions_a: positions in the first.
        positions_b: positions in the second.
        orders_a: orders in the first.
        orders_b: orders in the second.
        differences: by hotkey and uuid.
        stored_in_one: {derived field: positions for which only one source stores a value}; these
            are not differences.
    """

    a: str
    b: str
    positions_a: int
    positions_b: int
    orders_a: int
    orders_b: int
    differences: tuple[PositionDifference, ...]
    stored_in_one: dict[str, int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def counts(self) -> dict[str, int]:
        """How many positions and orders each has, and how many positions differ in what way."""
        kinds = Counter(difference.kind for difference in self.differences)
        return {
            "positions_a": self.positions_a,
            "positions_b": self.positions_b,
            "orders_a": self.orders_a,
            "orders_b": self.orders_b,
            "only_in_a": kinds["only in a"],
            "only_in_b": kinds["only in b"],
            "differing": kinds["differs"],
            "equal": self.positions_a - kinds["only in a"] - kinds["differs"],
        }

    def fields(self) -> dict[str, int]:
        """How many values differ, by field, the most frequent first."""
        found = Counter(d.field for position in self.differences for d in position.differences)
        return dict(found.most_common())


def compare_sources(
    a: PositionSource, b: PositionSource, query: PositionQuery = ALL, *, rtol: float = 0.0
) -> SourceComparison:
    """Compare every position that is asked for, and its orders, by uuid.

    Numbers are compared as numbers (a database's decimals, ints and texts of digits too). An
    absent bid, ask, slippage, src or account size is 0. A derived field is compared where both
    sources store it. The first source is held in memory, the second is streamed.

    Args:
        a: one source.
        b: the other.
        query: what to compare.
        rtol: relative difference up to which two floats are equal; 0 = exactly.
    """
    started = time.perf_counter()
    first = dict(_keyed(a.read(query), _position_uuid))
    positions_b = orders_b = 0
    orders_a = sum(len(record.orders) for record in first.values())
    positions_a = len(first)
    stored_in_one: Counter[str] = Counter()
    differences = []
    for key, there in _keyed(b.read(query), _position_uuid):
        positions_b += 1
        orders_b += len(there.orders)
        here = first.pop(key, None)
        if here is None:
            differences.append(_difference(there, "only in b"))
            continue
        stored_in_one.update(
            name
            for name in STORED_FIELDS
            if (here.stored.get(name) is None) != (there.stored.get(name) is None)
        )
        found = tuple(_in_position(here, there, rtol))
        if found:
            differences.append(_difference(here, "differs", found))
    differences += [_difference(record, "only in a") for record in first.values()]
    comparison = SourceComparison(
        a=a.describe(),
        b=b.describe(),
        positions_a=positions_a,
        positions_b=positions_b,
        orders_a=orders_a,
        orders_b=orders_b,
        differences=tuple(sorted(differences, key=lambda d: (d.miner_hotkey, d.position_uuid))),
        stored_in_one=dict(stored_in_one),
    )
    log.info(
        "compared %s with %s in %.3f s: %s",
        comparison.a,
        comparison.b,
        time.perf_counter() - started,
        comparison.counts(),
    )
    return comparison


def _difference(
    record: PositionRecord,
    kind: Literal["only in a", "only in b", "differs"],
    differences: tuple[FieldDifference, ...] = (),
) -> PositionDifference:
    return PositionDifference(
        miner_hotkey=str(record.fields.get("miner_hotkey") or ""),
        position_uuid=str(record.fields.get("position_uuid") or ""),
        kind=kind,
        differences=differences,
        origin=record.origin,
    )


def _in_position(a: PositionRecord, b: PositionRecord, rtol: float) -> Iterator[FieldDifference]:
    if (a.error is None) != (b.error is None) or a.orphan != b.orphan:
        yield FieldDifference("error", _trouble(a), _trouble(b))
        return
    for name in ("miner_hotkey", "trade_pair_id", "open_ms", "account_size"):
        if not _same(name, a.fields.get(name), b.fields.get(name), rtol):
            yield FieldDifference(name, a.fields.get(name), b.fields.get(name))
    for name in STORED_FIELDS:
        x, y = a.stored.get(name), b.stored.get(name)
        if x is not None and y is not None and not _same(name, x, y, rtol):
            yield FieldDifference(name, x, y)
    yield from _in_orders(a.orders, b.orders, rtol)


def _in_orders(
    a: Sequence[OrderRecord], b: Sequence[OrderRecord], rtol: float
) -> Iterator[FieldDifference]:
    here, there = dict(_keyed(a, _order_uuid)), dict(_keyed(b, _order_uuid))
    for key in [*here, *(key for key in there if key not in here)]:
        x, y = here.get(key), there.get(key)
        if x is None or y is None:
            yield FieldDifference("order", _summary(x), _summary(y), key[0])
            continue
        for name in ORDER_FIELDS:
            if not _same(name, x.fields.get(name), y.fields.get(name), rtol):
                yield FieldDifference(name, x.fields.get(name), y.fields.get(name), key[0])
    sequence_a = [uuid for uuid, n in here if (uuid, n) in there]
    sequence_b = [uuid for uuid, n in there if (uuid, n) in here]
    if sequence_a != sequence_b:
        yield FieldDifference("order of orders", " ".join(sequence_a), " ".join(sequence_b))


def _same(name: str, a: object, b: object, rtol: float) -> bool:
    x, y = _plain(name, a), _plain(name, b)
    if isinstance(x, float) and isinstance(y, float):
        return x == y or (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=rtol)
    return x == y


def _plain(name: str, value: object) -> object:
    """A value as it is compared; one that is malformed is compared as it was found."""
    if value is None:
        return _ABSENT_MEANS.get(name)
    try:
        if name in _REALS:
            return real_number(value)
        if name in _WHOLES:
            return int(value) if isinstance(value, bool) else whole_number(value)
    except ValueError:
        return value
    if name.endswith("_type"):
        return (value.name if isinstance(value, Enum) else str(value)).upper()
    return str(value)


def _keyed(rows: Iterable[Row], uuid_of: Callable[[Row], str]) -> Iterator[tuple[Key, Row]]:
    before: Counter[str] = Counter()
    for row in rows:
        uuid = uuid_of(row)
        yield (uuid, before[uuid]), row
        before[uuid] += 1


def _position_uuid(record: PositionRecord) -> str:
    return str(record.fields.get("position_uuid") or record.origin)


def _order_uuid(order: OrderRecord) -> str:
    return str(order.fields.get("order_uuid") or "")


def _trouble(record: PositionRecord) -> str | None:
    return "orders without a position" if record.orphan else record.error


def _summary(order: OrderRecord | None) -> str | None:
    if order is None:
        return None
    fields = order.fields
    return " ".join(
        str(fields.get(name)) for name in ("order_type", "leverage", "price", "processed_ms")
    )
