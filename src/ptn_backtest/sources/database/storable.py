"""From records as they were found to rows of our schema, or a reason why there are none.

A database would round, shorten or refuse some values; so they are refused here, the same on each.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, String, Table

from ptn_backtest.sources.database.schema import ORDERS, POSITIONS
from ptn_backtest.sources.numeric import hint_of_unit, real_number, whole_number
from ptn_backtest.sources.records import PositionRecord
from ptn_backtest.sources.shapes import to_json

Row = dict[str, Any]


class UnstorableError(Exception):
    """Why a record cannot be stored: a sentence, and in a word or two the kind of fault."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PositionRows:
    """A record that the schema can hold, as rows."""

    record: PositionRecord
    position: Row
    orders: list[Row]


def position_rows(record: PositionRecord) -> PositionRows:
    """A record with its rows.

    Raises:
        UnstorableError: the schema cannot hold it as it is, with all of its orders.
    """
    if record.error is not None:
        raise UnstorableError(f"unreadable: {record.error}", "unreadable")
    if record.orphan:
        raise UnstorableError("orders without a position", "order_without_position")
    position = row_of(POSITIONS, {**record.stored, **record.fields})
    orders: list[Row] = []
    last_ms: int | None = None
    for number, order in enumerate(record.orders):
        place = {"position_uuid": position["position_uuid"], "sequence": number}
        try:
            row = row_of(ORDERS, {**order.fields, **place})
        except UnstorableError as error:
            fault = f"order {order.fields.get('order_uuid')}: {error}"
            raise UnstorableError(fault, f"orders' {error.kind}") from None
        at = row.get("processed_ms")
        if at is not None and last_ms is not None and at < last_ms:
            raise UnstorableError(
                f"order {row['order_uuid']}: processed_ms {at} is before the previous order's "
                f"{last_ms}, and a database gives orders by time",
                "orders_out_of_order",
            )
        last_ms = last_ms if at is None else at
        orders.append(row)
    return PositionRows(record, position, orders)


def row_of(table: Table, found: Mapping[str, Any]) -> Row:
    """The columns of a row that `found` mentions.

    Raises:
        UnstorableError: a key is missing, or a value cannot be held exactly.
    """
    row: Row = {}
    for column in table.columns:
        value = found.get(column.name)
        if value is None and not column.nullable:
            raise UnstorableError(f"{column.name} is missing", column.name)
        if column.name in found:
            try:
                row[column.name] = None if value is None else _value(column, value)
            except ValueError as error:
                hint = hint_of_unit(value) if column.name.endswith("_ms") else ""
                raise UnstorableError(f"{column.name}: {error}{hint}", column.name) from None
    return row


def _value(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - as found
    match column.type:
        case String(length=length):
            found = value if isinstance(value, str) or length is not None else to_json(value)
            return _text(found, length, is_key=not column.nullable)
        case Double():
            number = real_number(value)
            if not math.isfinite(number):
                raise ValueError(f"{number} is not a finite number")
            return number
        case Boolean():
            if value not in (0, 1):
                raise ValueError(f"{value!r} is neither true nor false")
            return bool(value)
        case BigInteger():
            return _integer(value, 63)
        case Integer():
            return _integer(value, 31)
    raise TypeError(column.type)


def _integer(value: object, bits: int) -> int:
    number = whole_number(value)
    if not -(2**bits) <= number < 2**bits:
        raise ValueError(f"{number} has more than {bits} bits")
    return number


def _text(value: object, length: int | None, *, is_key: bool) -> str:
    if isinstance(value, bool | float | Mapping | list | tuple):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004 - one error for callers
    # a member of a (str, Enum) is the text that it holds
    text = str.__str__(value) if isinstance(value, str) else str(value)
    if length is not None and len(text) > length:
        raise ValueError(f"{text[:length]!r}... has more than {length} characters")
    if "\0" in text or _not_utf8(text):
        raise ValueError(f"{text!r} has characters that a database cannot hold")
    if is_key and (not text or text != text.strip()):
        raise ValueError(f"{text!r} is empty, or starts or ends with a blank")
    return text


def _not_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
