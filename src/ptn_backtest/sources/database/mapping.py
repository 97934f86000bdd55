"""Where a database keeps what we read: table and column names, time units, absent columns.

The default is our own schema. `load_mapping` reads another from a TOML file, which
`docs/mapping.md` describes. Nothing here talks to a database; `inspection` compares a mapping
with one.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ptn_backtest.errors import ConfigError
from ptn_backtest.sources.records import ORDER_FIELDS, POSITION_FIELDS, STORED_FIELDS

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "positions": (*POSITION_FIELDS, *STORED_FIELDS),
        "orders": (*ORDER_FIELDS, "position_uuid", "price_sources", "sequence"),
        "eliminations": (
            "miner_hotkey",
            "elimination_ms",
            "elimination_reason",
            "max_drawdown",
            "creation_ms",
            "updated_ms",
        ),
        "account_sizes": ("miner_hotkey", "update_time_ms", "account_size"),
        "plagiarism_events": ("miner_hotkey", "time_ms", "event"),
    }
)
"""Our tables, and the columns that are read from each."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "positions": ("miner_hotkey", "position_uuid", "open_ms"),
    "orders": ("order_uuid", "position_uuid", "processed_ms"),
    "eliminations": ("miner_hotkey", "elimination_ms"),
    "account_sizes": ("miner_hotkey", "update_time_ms"),
    "plagiarism_events": ("miner_hotkey", "time_ms"),
}
"""What rows are selected, joined and ordered by; a constant would not do."""

REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "positions": (*_KEYS["positions"], "trade_pair_id"),
        "orders": (*_KEYS["orders"], "order_type", "leverage", "price"),
        "eliminations": _KEYS["eliminations"],
        "account_sizes": (*_KEYS["account_sizes"], "account_size"),
        "plagiarism_events": (*_KEYS["plagiarism_events"], "event"),
    }
)
"""What no replay can do without: a column, or where it is no key, a constant."""

_OPTIONAL_TABLES = ("eliminations", "account_sizes", "plagiarism_events")

_FLAGS = ("is_closed_position",)
"""Columns of truth values."""

_TRUTH: Mapping[object, bool] = {
    False: False,  # and 0
    True: True,
    "false": False,
    "true": True,
    "0": False,
    "1": True,
}
"""How a file may write truth values, in any case."""

_ADDED_TABLES = ("plagiarism_events",)
"""Tables that came to our schema after databases and mapping files of it were made."""


class TimeUnit(StrEnum):
    """How a column holds a time. All are UTC where they do not say otherwise."""

    MS = "ms"
    S = "s"
    US = "us"
    DATETIME = "datetime"
    ISO = "iso"


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Where one of our columns is found.

    Attributes:
        column: the column's name there, None where the table has none.
        unit: how it holds a time; only for our columns named `..._ms`.
        constant: what stands in every row instead, None for nothing.
        values: what the database's values mean, by their text ({"1": "LONG"}); others stay. Truth
            values for our columns of them.
    """

    column: str | None
    unit: TimeUnit = TimeUnit.MS
    constant: str | float | None = None
    values: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableMapping:
    """One table: its name there, None where there is none, and all of our columns by our names.

    Attributes:
        table: the name, None where there is no such table.
        columns: all of our columns, by our names.
        may_lack: the table may be missing, which means that it has no rows; so it is for a table
            that came to our schema later, unless a mapping file speaks of it.
    """

    table: str | None
    columns: Mapping[str, ColumnMapping]
    may_lack: bool = False


@dataclass(frozen=True, slots=True)
class SchemaMapping:
    """Where a database keeps positions, orders, and what is recorded of traders.

    Attributes:
        tables: by our names, each of `COLUMNS`.
        name: the file it was read from, for messages; "" for our own schema.
        schema: the schema (namespace) of the tables, None for the connection's own.
        database: the database that is meant where a URL names none.
    """

    tables: Mapping[str, TableMapping]
    name: str = ""
    schema: str | None = None
    database: str | None = None


def _by_our_names(table: str) -> dict[str, ColumnMapping]:
    return {name: ColumnMapping(name) for name in COLUMNS[table]}


OUR_SCHEMA = SchemaMapping(
    {
        name: TableMapping(name, _by_our_names(name), may_lack=name in _ADDED_TABLES)
        for name in COLUMNS
    }
)
"""The mapping of our own schema (`schema.py`)."""


def load_mapping(path: str | Path) -> SchemaMapping:
    """Read a mapping file; what it does not mention has our names.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or says something that a mapping
            cannot say; the message lists every fault with the place in the file.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the mapping file {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the mapping file {path} is not TOML: {error}") from error
    reader = _Reader()
    mapping = reader.mapping(document, path.name)
    if reader.faults:
        raise ConfigError(
            f"the mapping file {path} cannot be used (docs/mapping.md says how to write one):"
            + "".join(f"\n  - {fault}" for fault in reader.faults)
        )
    return mapping


class _Reader:
    """Reads a parsed file, and collects its faults so that all are told at once."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def mapping(self, document: Mapping[str, Any], name: str) -> SchemaMapping:
        self._known(document, (*COLUMNS, "schema", "database"), "")
        tables = {}
        for table in COLUMNS:
            if table in _ADDED_TABLES and table not in document:
                tables[table] = OUR_SCHEMA.tables[table]
                continue
            section = self._section(document.get(table, {}), f"[{table}]")
            tables[table] = self._table(table, section)
        return SchemaMapping(
            tables,
            name=name,
            schema=self._text(document.get("schema"), "schema"),
            database=self._text(document.get("database"), "database"),
        )

    def _table(self, table: str, section: Mapping[str, Any]) -> TableMapping:
        self._known(section, ("table", "columns", "absent"), f"[{table}] ")
        if self._flag(section.get("absent", False), f"[{table}] absent"):
            if table not in _OPTIONAL_TABLES:
                self.faults.append(f"[{table}] absent: this table is required")
            return TableMapping(None, {})
        place = f"[{table}.columns]"
        columns = self._section(section.get("columns", {}), place)
        self._known(columns, COLUMNS[table], f"{place} ")
        mapped = _by_our_names(table)
        for name in mapped.keys() & columns.keys():
            mapped[name] = self._column(name, columns[name], f"{place} {name}")
        for name in REQUIRED[table]:
            is_key = name in _KEYS[table]
            if mapped[name].column is None and (is_key or mapped[name].constant is None):
                what = "a column" if is_key else "a column or a constant"
                self.faults.append(f"{place} {name}: required, so it must name {what}")
        return TableMapping(self._text(section.get("table"), f"[{table}] table") or table, mapped)

    def _column(self, name: str, value: object, place: str) -> ColumnMapping:
        if isinstance(value, str):
            return ColumnMapping(value)
        if not isinstance(value, dict):
            self.faults.append(f'{place}: {value!r} is neither "a column" nor {{ column = ... }}')
            return ColumnMapping(name)
        self._known(value, ("column", "unit", "constant", "values", "absent"), f"{place} ")
        absent = self._flag(value.get("absent", False), f"{place} absent")
        if absent + ("constant" in value) + ("column" in value) > 1:
            self.faults.append(f"{place}: give one of column, constant and absent")
        if absent:
            return ColumnMapping(None)
        if "constant" in value:
            return ColumnMapping(None, constant=self._constant(name, value["constant"], place))
        return ColumnMapping(
            self._text(value.get("column"), f"{place} column") or name,
            unit=self._unit(name, value.get("unit"), place),
            values=self._values(name, value.get("values", {}), place),
        )

    def _unit(self, name: str, value: object, place: str) -> TimeUnit:
        if value is None:
            return TimeUnit.MS
        if not name.endswith("_ms"):
            self.faults.append(f"{place} unit: only times have a unit")
        elif value in list(TimeUnit):
            return TimeUnit(str(value))
        else:
            self.faults.append(f"{place} unit: {value!r} is not one of {', '.join(TimeUnit)}")
        return TimeUnit.MS

    def _values(self, name: str, value: object, place: str) -> Mapping[str, str | bool]:
        if isinstance(value, dict) and name in _FLAGS:
            return {text: self._truth(meant, f"{place} values") for text, meant in value.items()}
        if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
            return value
        self.faults.append(f'{place} values: expected texts, like {{ "1" = "LONG" }}')
        return {}

    def _constant(self, name: str, value: object, place: str) -> str | float | None:
        if name in _FLAGS:
            return self._truth(value, f"{place} constant")
        if isinstance(value, str | int | float):
            return value
        self.faults.append(f"{place} constant: {value!r} is neither a text nor a number")
        return None

    def _truth(self, value: object, place: str) -> bool:
        key = value.lower() if isinstance(value, str) else value
        if isinstance(key, str | int) and key in _TRUTH:
            return _TRUTH[key]
        self.faults.append(f"{place}: {value!r} is neither true nor false")
        return False

    def _text(self, value: object, place: str) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        self.faults.append(f"{place}: {value!r} is not a name")
        return None

    def _flag(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            self.faults.append(f"{place}: {value!r} is neither true nor false")
        return value is True

    def _section(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self.faults.append(f"{place}: {value!r} is not a table of TOML")
        return {}

    def _known(self, given: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
        for key in given:
            if key not in known:
                self.faults.append(f"{place}{key}: unknown{did_you_mean(key, known)}")


def did_you_mean(word: str, known: tuple[str, ...] | list[str]) -> str:
    """The end of a message about an unknown word: the likeliest one, and all that are known."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"{hint} Known: {', '.join(known)}"


def mapped_columns(table: TableMapping) -> Iterator[tuple[str, ColumnMapping]]:
    """Our names and the mappings of the columns that the database has."""
    return ((name, column) for name, column in table.columns.items() if column.column is not None)
