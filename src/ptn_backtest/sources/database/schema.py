"""Our database schema, version 1, on SQLite, PostgreSQL, MySQL and MariaDB.

`docs/schema.md` describes it for users. Only keys are required: a row is stored as it was found,
and `positions.conversion` judges it when it is read.
"""

import time
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
)
from sqlalchemy.dialects import mysql

from ptn_backtest.errors import SchemaError
from ptn_backtest.sources.database.connect import safe_url

SCHEMA_VERSION = 1

HOTKEY_LENGTH = 64
UUID_LENGTH = 128
WORD_LENGTH = 64
REASON_LENGTH = 255
"""Lengths of text columns, in characters. A hotkey has 48 and a uuid 36; keys of four bytes a
character stay far below the 3,072 bytes that InnoDB indexes."""

_METADATA = MetaData()

# keys differ by case, and sort by code point, on every server
_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _text(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _time(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, autoincrement=False)


def _hotkey(*, key: bool = False) -> Column[str]:
    return Column("miner_hotkey", _text(HOTKEY_LENGTH), primary_key=key)


# JSON as text, because the servers' own JSON types rewrite numbers and spacing; a MySQL TEXT
# would end at 64 KB
_JSON_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

POSITIONS = Table(
    "positions",
    _METADATA,
    Column("position_uuid", _text(UUID_LENGTH), primary_key=True),
    _hotkey(),
    Column("trade_pair_id", _text(WORD_LENGTH)),
    Column("position_type", _text(WORD_LENGTH)),
    _time("open_ms"),
    _time("close_ms"),
    Column("is_closed_position", Boolean),
    Column("current_return", Double),
    Column("return_at_close", Double),
    Column("net_leverage", Double),
    Column("average_entry_price", Double),
    Column("cumulative_entry_value", Double),
    Column("realized_pnl", Double),
    Column("account_size", Double),
    _time("updated_ms"),
    Index("ix_positions_hotkey_open", "miner_hotkey", "open_ms"),
    Index("ix_positions_close", "close_ms"),
    **_MYSQL,
)

ORDERS = Table(
    "orders",
    _METADATA,
    Column("order_uuid", _text(UUID_LENGTH), primary_key=True),
    Column(
        "position_uuid",
        _text(UUID_LENGTH),
        ForeignKey("positions.position_uuid", name="fk_orders_position"),
        nullable=False,
    ),
    Column("order_type", _text(WORD_LENGTH)),
    Column("leverage", Double),
    Column("price", Double),
    Column("bid", Double),
    Column("ask", Double),
    Column("slippage", Double),
    _time("processed_ms"),
    Column("src", Integer),
    Column("price_sources", _JSON_TEXT),
    # orders of one millisecond are applied in stored order, which no other column tells
    Column("sequence", Integer),
    Index("ix_orders_position_processed", "position_uuid", "processed_ms"),
    Index("ix_orders_processed", "processed_ms"),
    **_MYSQL,
)

ELIMINATIONS = Table(
    "eliminations",
    _METADATA,
    _hotkey(key=True),
    _time("elimination_ms", key=True),
    Column("elimination_reason", _text(REASON_LENGTH)),
    Column("max_drawdown", Double),
    _time("creation_ms"),
    _time("updated_ms"),
    **_MYSQL,
)

ACCOUNT_SIZES = Table(
    "account_sizes",
    _METADATA,
    _hotkey(key=True),
    Column("account_size", Double),
    Column("account_size_theta", Double),
    _time("update_time_ms", key=True),
    **_MYSQL,
)

PLAGIARISM_EVENTS = Table(
    "plagiarism_events",
    _METADATA,
    _hotkey(key=True),
    _time("time_ms", key=True),
    Column("event", _text(WORD_LENGTH)),
    **_MYSQL,
)

VERSION = Table(
    "schema_version",
    _METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _time("created_ms"),
    **_MYSQL,
)

TABLES = {
    table.name: table
    for table in (POSITIONS, ORDERS, ELIMINATIONS, ACCOUNT_SIZES, PLAGIARISM_EVENTS)
}
"""The tables that hold data, by name."""


def create_schema(engine: Engine) -> None:
    """Create our tables; does nothing where they are already there.

    Raises:
        SchemaError: the database holds another version of our schema, or tables of the same
            names that are not ours.
    """
    where = safe_url(engine.url)
    with engine.begin() as connection:
        there = set(inspect(connection).get_table_names())
        foreign = sorted(there & TABLES.keys())
        if VERSION.name in there:
            check_version(connection, where)
        elif foreign:
            raise SchemaError(
                f"{where} has tables named {', '.join(foreign)} but no {VERSION.name}, so they "
                "are not ours and are left alone. Import into an empty database; to read this one "
                "as it is, give a mapping file (docs/mapping.md)"
            )
        # the version first: MySQL commits each statement, and a half-made schema is completed
        # by the next call only where it is known to be ours
        VERSION.create(connection, checkfirst=True)
        if connection.execute(select(VERSION.c.version)).first() is None:
            now = int(time.time() * 1_000)
            connection.execute(VERSION.insert(), {"version": SCHEMA_VERSION, "created_ms": now})
        _METADATA.create_all(connection)


def check_version(connection: Connection, where: str) -> None:
    """Refuse a database whose `schema_version` is not the one that this code reads.

    Raises:
        SchemaError: it is another one.
    """
    found = connection.execute(select(VERSION.c.version)).scalars().all()
    if not found or max(found) == SCHEMA_VERSION:
        return
    newer = max(found) > SCHEMA_VERSION
    raise SchemaError(
        f"{where} has version {max(found)} of the schema, and this ptn-backtest knows version "
        f"{SCHEMA_VERSION}. "
        + ("Upgrade ptn-backtest." if newer else "Import the positions into a new database.")
    )
