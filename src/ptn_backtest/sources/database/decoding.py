"""From what a database's driver returns to our values: floats, ints, texts, milliseconds.

What cannot be read as what it should be stays as it was found; a source does not judge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, Integer

from ptn_backtest.clock import SECOND_MS, parse_time
from ptn_backtest.sources.database.mapping import ColumnMapping, TableMapping, TimeUnit
from ptn_backtest.sources.database.schema import TABLES
from ptn_backtest.sources.numeric import real_number, whole_number

Decoder = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class RowDecoder:
    """Makes fields by our names of a row's values, nulls left out.

    Attributes:
        columns: our name and decoder of each value, in the row's order.
        constants: fields that stand in every row.
    """

    columns: Sequence[tuple[str, Decoder]]
    constants: dict[str, Any]

    def fields(self, values: Sequence[Any]) -> dict[str, Any]:
        """The fields of one row."""
        found = dict(self.constants)
        for (name, decode), value in zip(self.columns, values, strict=True):
            if value is not None:
                found[name] = decode(value)
        return found


def row_decoder(name: str, table: TableMapping, columns: Sequence[str]) -> RowDecoder:
    """The decoder of rows of one of our tables that hold `columns` (our names)."""
    return RowDecoder(
        [(ours, _decoder(name, ours, table.columns[ours])) for ours in columns],
        {
            ours: column.constant
            for ours, column in table.columns.items()
            if column.constant is not None
        },
    )


def _decoder(name: str, ours: str, column: ColumnMapping) -> Decoder:
    decode = _plain_decoder(name, ours, column.unit)
    if not column.values:
        return decode
    meanings = column.values

    def translate(value: Any) -> Any:  # noqa: ANN401
        text = _text(value)
        return meanings[text] if text in meanings else decode(value)

    return translate


def _plain_decoder(name: str, ours: str, unit: TimeUnit) -> Decoder:
    match TABLES[name].c[ours].type:
        case Double():
            return _real
        case BigInteger():
            return _TIMES[unit]
        case Integer():
            return _whole
        case Boolean():
            return _flag
    return _text


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _real(value: Any) -> Any:  # noqa: ANN401
    try:
        return real_number(value)
    except ValueError:
        return value


def _whole(value: Any) -> Any:  # noqa: ANN401
    try:
        return whole_number(value)
    except ValueError:
        return value


def _flag(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bytes):  # MySQL's BIT
        value = int.from_bytes(value)
    return bool(value) if value in (0, 1) else value


def _seconds(value: Any) -> Any:  # noqa: ANN401
    try:
        # by the shortest text that a float has: 1735689600.123 is meant, not its binary value
        return round(Decimal(str(value)) * SECOND_MS)
    except (ArithmeticError, ValueError):
        return value


def _microseconds(value: Any) -> Any:  # noqa: ANN401
    found = _whole(value)
    return found // 1_000 if type(found) is int else value


def _moment(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, str | date):
        return value
    try:
        return parse_time(value)  # type: ignore[arg-type] # takes a plain date too
    except ValueError:
        return value


_TIMES: dict[TimeUnit, Decoder] = {
    TimeUnit.MS: _whole,
    TimeUnit.S: _seconds,
    TimeUnit.US: _microseconds,
    TimeUnit.DATETIME: _moment,
    TimeUnit.ISO: _moment,
}
