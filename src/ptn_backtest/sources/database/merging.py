"""Rows into a table by key, on any database, written only where they differ."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, select

from ptn_backtest.sources.database.storable import Row

KEYS_AT_ONCE = 500
"""Keys in one statement; old SQLites take 999 parameters."""

Item = TypeVar("Item")


class Fate(StrEnum):
    """What a merge does with a row."""

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


def merge(
    connection: Connection, table: Table, rows: Sequence[Row], stamp: Row | None = None
) -> list[Fate]:
    """Insert or update rows by key, where they differ from what is stored.

    Args:
        connection: in a transaction.
        table: one of ours.
        rows: with distinct keys; columns that a row lacks are left alone, or null if it is new.
        stamp: columns to set in the rows that are written, and only there.

    Returns:
        What became of each row.
    """
    names = [c.name for c in table.columns if any(c.name in row for row in rows)]
    stored = _stored(connection, table, rows, names)
    inserts: list[Row] = []
    updates: list[Row] = []
    fates = []
    for row in rows:
        found = stored.get(key_of(table, row))
        if found is None:
            inserts.append(dict.fromkeys(table.columns.keys()) | row | (stamp or {}))
            fates.append(Fate.INSERTED)
        elif any(found[name] != value for name, value in row.items()):
            updates.append(found | row | (stamp or {}))
            fates.append(Fate.UPDATED)
        else:
            fates.append(Fate.UNCHANGED)
    if inserts:
        connection.execute(table.insert(), inserts)
    if updates:
        keys = table.primary_key.columns.keys()
        update = table.update().where(*(table.c[key] == bindparam(f"key_{key}") for key in keys))
        connection.execute(
            update,
            [
                {**{f"key_{key}": row[key] for key in keys}, **_without(row, keys)}
                for row in updates
            ],
        )
    return fates


def _stored(
    connection: Connection, table: Table, rows: Sequence[Row], names: Sequence[str]
) -> dict[tuple[Any, ...], Row]:
    """The stored rows of the same keys, by key, with the columns `names`."""
    first = next(iter(table.primary_key.columns))
    stored: dict[tuple[Any, ...], Row] = {}
    for batch in batches(dict.fromkeys(row[first.name] for row in rows), KEYS_AT_ONCE):
        chosen = select(*(table.c[name] for name in names)).where(first.in_(batch))
        for found in connection.execute(chosen).mappings():
            stored[key_of(table, found)] = dict(found)
    return stored


def key_of(table: Table, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """The values of a row's primary key."""
    return tuple(row[name] for name in table.primary_key.columns.keys())  # noqa: SIM118


def _without(row: Row, names: Sequence[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
