"""What a database lets its user do, and whether its tables are as expected: for a check of a setup.

Reading would raise the first fault; here each stage is told apart, so that the next step can be named.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Inspector, inspect, text

from ptn_backtest.errors import SourceError
from ptn_backtest.sources.database.connect import (
    database_errors,
    open_engine,
    parse_url,
    safe_url,
    snapshot,
)
from ptn_backtest.sources.database.inspection import check_mapping
from ptn_backtest.sources.database.mapping import OUR_SCHEMA, SchemaMapping
from ptn_backtest.sources.database.schema import VERSION, check_version

_MYSQL_GRANT = re.compile(r"^GRANT (?P<rights>.*?) ON (?P<where>\S+) TO ")
_WRITING = ("INSERT", "UPDATE", "DELETE")
_ALL = "ALL PRIVILEGES"


class Stage(StrEnum):
    """How far an examination came before something was wrong."""

    CONNECT = "connect"
    SCHEMA = "schema"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What was found out about a database.

    Attributes:
        where: its URL without password.
        kind: "sqlite", "postgresql" or "mysql" (MariaDB too).
        server: its version as the driver tells it, "" where there was no connection.
        stage: the stage that failed, or DONE.
        fault: what was wrong at that stage, without password; "" at DONE.
        may_write: rights to change rows that the user has there, such as "INSERT on positions".
    """

    where: str
    kind: str
    server: str
    stage: Stage
    fault: str = ""
    may_write: tuple[str, ...] = ()


def examine_database(url: str, mapping: SchemaMapping | None = None) -> DatabaseFacts:
    """Connect, look at rights and tables; nothing is read of the tables, nothing written.

    Args:
        url: as for `DatabasePositionOrderSource`.
        mapping: likewise.

    Raises:
        SourceError: the URL cannot be read, so that nothing of it may be shown.
    """
    mapped = OUR_SCHEMA if mapping is None else mapping
    parsed = parse_url(url, mapped.database)
    where, kind = safe_url(parsed), parsed.get_backend_name()
    stage, server = Stage.CONNECT, ""
    rights: tuple[str, ...] = ()
    try:
        engine = open_engine(parsed, read_only=True)
        with database_errors(parsed), snapshot(engine) as connection:
            # SQLite opens its file at the first statement
            connection.execute(text("SELECT 1"))
            server = ".".join(map(str, connection.dialect.server_version_info or ()))
            rights = _write_rights(connection, mapped)
            stage = Stage.SCHEMA
            there = inspect(connection)
            if mapping is None and there.has_table(VERSION.name):
                check_version(connection, where)
            check_mapping(there, mapped, _tables_of_a_run(there, mapped), where)
    except SourceError as error:
        return DatabaseFacts(where, kind, server, stage, str(error), rights)
    return DatabaseFacts(where, kind, server, Stage.DONE, may_write=rights)


def _tables_of_a_run(there: Inspector, mapping: SchemaMapping) -> list[str]:
    """Our names of the tables that a run reads, without those that may be absent and are."""
    return [
        name
        for name in ("positions", "orders", "account_sizes", "plagiarism_events")
        if (table := mapping.tables[name].table) is not None
        and (not mapping.tables[name].may_lack or there.has_table(table, schema=mapping.schema))
    ]


def _write_rights(connection: Connection, mapping: SchemaMapping) -> tuple[str, ...]:
    """Rights beyond reading; none for SQLite, whose file is opened read-only."""
    if connection.dialect.name == "postgresql":
        return tuple(_postgres_rights(connection, mapping))
    if connection.dialect.name == "mysql":
        lines = connection.exec_driver_sql("SHOW GRANTS").scalars().all()
        return mysql_write_rights(
            [str(line) for line in lines], str(connection.engine.url.database)
        )
    return ()


def _postgres_rights(connection: Connection, mapping: SchemaMapping) -> list[str]:
    there = set(inspect(connection).get_table_names(schema=mapping.schema))
    schema = mapping.schema or connection.dialect.default_schema_name
    quote = connection.dialect.identifier_preparer.quote_identifier
    found = []
    for each in mapping.tables.values():
        if each.table is None or each.table not in there:
            continue
        name = ".".join(quote(part) for part in (schema, each.table) if part)
        rights = [
            right
            for right in _WRITING
            if connection.execute(
                text("SELECT has_table_privilege(:name, :right)"), {"name": name, "right": right}
            ).scalar()
        ]
        if rights:
            found.append(f"{', '.join(rights)} on {each.table}")
    return found


def mysql_write_rights(grants: list[str], database: str) -> tuple[str, ...]:
    """What lines of SHOW GRANTS let a user change in a database.

    Args:
        grants: lines such as "GRANT SELECT, INSERT ON `ptn`.* TO `reader`@`%`".
        database: the database's name.
    """
    found = []
    for line in grants:
        match = _MYSQL_GRANT.match(line)
        if match is None:
            continue
        rights = [right for right in (_ALL, *_WRITING) if right in match["rights"].upper()]
        # a name in a grant may escape its _ and %
        place = match["where"].replace("`", "").replace("\\", "")
        if rights and place.partition(".")[0] in ("*", "%", database):
            found.append(f"{', '.join(rights)} on {place}")
    return tuple(found)
