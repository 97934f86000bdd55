"""Does a database have the tables and columns that a mapping names?"""

import logging
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Inspector, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import (
    FLOAT,
    BigInteger,
    Boolean,
    Double,
    Integer,
    NullType,
    String,
    TypeEngine,
)

from ptn_backtest.errors import SchemaError, some_of
from ptn_backtest.sources.database.mapping import (
    REQUIRED,
    SchemaMapping,
    TimeUnit,
    did_you_mean,
    mapped_columns,
)
from ptn_backtest.sources.database.schema import TABLES

log = logging.getLogger(__name__)

_MYSQL_VIEW = text(
    "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
    " ORDER BY ordinal_position"
)

_USABLE_SCHEMAS = text(
    "SELECT nspname FROM pg_catalog.pg_namespace WHERE has_schema_privilege(nspname, 'USAGE')"
)


def check_mapping(
    there: Inspector, mapping: SchemaMapping, tables: Iterable[str], where: str
) -> frozenset[tuple[str, str]]:
    """Compare the mapping of some of our tables with the database.

    Args:
        there: of an open connection; it asks for each table once, however often it is asked.
        mapping: what to look for.
        tables: our names of the tables that are about to be read; absent ones are passed over.
        where: the database, for messages.

    Returns:
        The columns (our table, our name) of four-byte floats on MySQL, which shortens them to six
        digits unless they are read with care.

    Raises:
        SchemaError: a table or column is missing; the message lists all that are, what there is
            instead, and how to say so in a mapping file.
    """
    faults: list[str] = []
    single: set[tuple[str, str]] = set()
    for table in tables:
        found = _columns(there, mapping, table)
        if found is None:
            faults.append(_missing_table(there, mapping, table))
            continue
        for name, column in mapped_columns(mapping.tables[table]):
            if column.column not in found:
                faults.append(_missing_column(mapping, table, name, list(found)))
            elif there.dialect.name == "mysql" and isinstance(found[str(column.column)], FLOAT):
                single.add((table, name))
    if faults:
        mapped = f" (mapping file {mapping.name})" if mapping.name else ""
        raise SchemaError(
            f"{where} is not as expected{mapped}; docs/mapping.md says how to read it as it is:"
            + "".join(f"\n  - {fault}" for fault in faults)
        )
    for table, name in sorted(single):
        log.warning("%s.%s holds four-byte floats: about seven digits are right", table, name)
    return frozenset(single)


def is_like_ours(there: Inspector, mapping: SchemaMapping, table: str) -> bool:
    """Whether a table has our columns' types and its uuid as key, under whatever names.

    Then a driver's typed columns hold just what `decoding` would make of the rows.
    """
    mapped = mapping.tables[table]
    uuid = "position_uuid" if table == "positions" else "order_uuid"
    if any(
        column.constant is not None or column.values or column.unit is not TimeUnit.MS
        for column in mapped.columns.values()
    ):
        return False
    found = _columns(there, mapping, table) or {}
    return _key(there, mapping, str(mapped.table)) == [mapped.columns[uuid].column] and all(
        isinstance(found[str(column.column)], _alike(TABLES[table].c[ours].type))
        for ours, column in mapped_columns(mapped)
    )


def _alike(ours: TypeEngine[object]) -> tuple[type[TypeEngine[Any]], ...]:
    match ours:
        case Boolean():
            return (Boolean, Integer)  # MySQL's BOOL is a TINYINT
        case BigInteger() | Integer():
            return (Integer,)
        case Double():
            return (Double,)
    return (String,)


def _columns(
    there: Inspector, mapping: SchemaMapping, table: str
) -> Mapping[str, TypeEngine[object]] | None:
    """The columns of one of our tables there; None where there is no such table."""
    name = mapping.tables[table].table
    if name is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # a type that SQLAlchemy does not know
        if not there.has_table(name, schema=mapping.schema):
            return None
        if _is_mysql_view(there, mapping, name):
            return _columns_of_mysql_view(there, mapping, name)
        columns = there.get_columns(name, schema=mapping.schema)
    return {column["name"]: column["type"] for column in columns}


def _key(there: Inspector, mapping: SchemaMapping, name: str) -> list[str]:
    """The columns of a table's primary key; a view has none."""
    if _is_mysql_view(there, mapping, name):
        return []
    return there.get_pk_constraint(name, schema=mapping.schema)["constrained_columns"]


def _is_mysql_view(there: Inspector, mapping: SchemaMapping, name: str) -> bool:
    """SQLAlchemy looks at it by SHOW CREATE VIEW, which needs more than the right to read it."""
    return there.dialect.name == "mysql" and name in there.get_view_names(schema=mapping.schema)


def _columns_of_mysql_view(
    there: Inspector, mapping: SchemaMapping, name: str
) -> Mapping[str, TypeEngine[object]]:
    """The columns that the user may read."""
    rows = _connection(there).execute(_MYSQL_VIEW, {"schema": mapping.schema, "name": name})
    types = getattr(there.dialect, "ischema_names", {})
    return {column: types.get(kind, NullType)() for column, kind in rows}


def _connection(there: Inspector) -> Connection:
    if not isinstance(there.bind, Connection):
        raise TypeError("the inspector is not one of an open connection")
    return there.bind


def _missing_table(there: Inspector, mapping: SchemaMapping, table: str) -> str:
    known = _tables(there, mapping.schema)
    name = str(mapping.tables[table].table)
    elsewhere, may_use = _elsewhere(there, name, only_same=bool(known))
    if elsewhere and not may_use:
        return f"no table {name}: {elsewhere}, which the user may not use. Grant it USAGE there"
    absent = "" if table in ("positions", "orders") else ", or say absent = true"
    if elsewhere:
        where = f"the schema {mapping.schema}" if mapping.schema else "the connection's own schema"
        return (
            f"no table {name} in {where}; {elsewhere}. In the mapping file, write schema = "
            f'"...", and where the name is another one, [{table}] table = "..."{absent}'
        )
    if not known:
        return (
            f"no table {name}: the database is empty. "
            "Fill it with `ptn-backtest positions import`, or check its name in the URL"
        )
    return (
        f"no table {name}{did_you_mean(name, sorted(known))}. "
        f'Name the right one in the mapping file, [{table}] table = "..."{absent}'
    )


def _tables(there: Inspector, schema: str | None) -> list[str]:
    """Tables and views of a schema; PostgreSQL tells of those too that one may not read."""
    return [*there.get_table_names(schema=schema), *there.get_view_names(schema=schema)]


def _elsewhere(there: Inspector, name: str, *, only_same: bool) -> tuple[str, bool]:
    """Which other schemas of a PostgreSQL database have a table of this name, else any; or "".

    And whether the user may use them; those that may be used come before others.
    """
    if there.dialect.name != "postgresql":  # elsewhere a schema is another database
        return "", False
    found = {
        schema: tables
        for schema in there.get_schema_names()
        if schema != "information_schema" and (tables := _tables(there, schema))
    }
    usable = set(_connection(there).execute(_USABLE_SCHEMAS).scalars())
    for may_use, schemas in ((True, found.keys() & usable), (False, found.keys() - usable)):
        same = [schema for schema in schemas if name in found[schema]]
        if same:
            return "there is one in " + _named(same), may_use
        if schemas and not only_same:
            return "tables are in " + _named(schemas), may_use
    return "", False


def _named(schemas: Collection[str]) -> str:
    shown = some_of([f'"{schema}"' for schema in sorted(schemas)])
    return f"the schema{'s' if len(schemas) > 1 else ''} {shown}"


def _missing_column(mapping: SchemaMapping, table: str, name: str, found: list[str]) -> str:
    there = mapping.tables[table]
    column = str(there.columns[name].column)
    return (
        f"table {there.table} has no column {column}{did_you_mean(column, found)}. "
        f'In the mapping file, [{table}.columns], write {name} = "its name"'
        + ("" if name in REQUIRED[table] else f", or {name} = {{ absent = true }}")
    )
