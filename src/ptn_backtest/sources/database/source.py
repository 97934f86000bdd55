"""Positions from a SQL database: SQLite, PostgreSQL, MySQL or MariaDB."""

import logging
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, CursorResult, Inspector, inspect

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.sources.database.bulk import BulkReader, NotInBulk, is_for_columns
from ptn_backtest.sources.database.connect import (
    database_errors,
    open_engine,
    parse_url,
    safe_url,
    snapshot,
)
from ptn_backtest.sources.database.decoding import row_decoder
from ptn_backtest.sources.database.inspection import check_mapping, is_like_ours
from ptn_backtest.sources.database.joining import join
from ptn_backtest.sources.database.mapping import OUR_SCHEMA, SchemaMapping
from ptn_backtest.sources.database.plain_columns import fetch_columns
from ptn_backtest.sources.database.schema import VERSION, check_version
from ptn_backtest.sources.database.statements import Rows, Statements
from ptn_backtest.sources.plagiarism import PlagiarismEvents, collect
from ptn_backtest.sources.record_table import RecordTable
from ptn_backtest.sources.records import (
    ALL,
    POSITION_FIELDS,
    STORED_FIELDS,
    EliminationRecord,
    OrderRecord,
    PositionQuery,
    PositionRecord,
)
from ptn_backtest.sources.selection import clip

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 2_000
"""Rows that are held in memory at a time, beside the position that is being put together."""

HOTKEYS_AT_ONCE = 1_000
"""Hotkeys in one statement; servers bound the number of its parameters."""


class DatabasePositionOrderSource:
    """Reads positions with their orders from a database, and never writes.

    Each call opens one connection and reads one moment of the database: SQLite's file is opened
    read-only, and servers are asked for a read-only transaction that sees a single snapshot.
    """

    def __init__(self, url: str, mapping: SchemaMapping | None = None) -> None:
        """Take the database; it is opened when something is read.

        Args:
            url: `sqlite:///positions.db`, `postgresql://user:password@host/database` or
                `mysql://user:password@host/database` (`mariadb`, `postgres` too).
            mapping: where the database keeps what, from `load_mapping`; None for our own schema.

        Raises:
            SourceUnavailable: the driver is not installed, or there is no such SQLite file.
            SourceError: the URL cannot be read.
        """
        self._mapping = OUR_SCHEMA if mapping is None else mapping
        self._url = parse_url(url, self._mapping.database)
        self._engine = open_engine(self._url, read_only=True)

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def describe(self) -> str:
        """The database and the mapping, without password."""
        mapped = f" as {self._mapping.name} maps it" if self._mapping.name else ""
        return f"database {safe_url(self._url)}{mapped}"

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """The positions asked for, by hotkey, open time and uuid, streamed.

        The orders of a position come by time; those of one millisecond in stored order
        (`orders.sequence`), else by uuid. Orders whose position is not there come last, as one
        record for each missing position, and only where all traders are asked for: nothing tells
        whose they are.

        Raises:
            SourceUnavailable: the server is not there or does not let the user in.
            SchemaError: a table or column is missing.
            SourceError: the database cannot be read for another reason.
        """
        _log_query(self.describe(), query)
        started = time.perf_counter()
        positions = orders = orphans = 0
        with closing(self._records(query)) as records:
            for record in records:
                positions += not record.orphan
                orders += len(record.orders)
                orphans += len(record.orders) if record.orphan else 0
                yield record
        log.info(
            "read %d positions with %d orders, and %d orders without a position, in %.3f s",
            positions,
            orders - orphans,
            orphans,
            time.perf_counter() - started,
        )

    def read_table(self, query: PositionQuery = ALL) -> RecordTable | None:
        """The same records as `read`, as columns: faster, and without an object per row.

        None where it takes a look at each row: the query or the database's types are not for
        columns, or rows are there that must be told apart one by one (docs/loading.md).

        Raises:
            SourceError: as `read`.
        """
        started = time.perf_counter()
        with database_errors(self._url), snapshot(self._engine) as connection:
            there = inspect(connection)
            statements = self._statements(connection, there, "positions", "orders")
            strange = [
                mapped.table
                for name, mapped in self._mapping.tables.items()
                if name in ("positions", "orders") and not is_like_ours(there, self._mapping, name)
            ]
        if strange or not is_for_columns(query):
            what = f"types or key of {strange} are not ours" if strange else "the query asks for it"
            log.info("reading row by row: %s", what)
            return None
        try:
            found = self._columns(statements, query)
            names = [str(self._mapping.tables[name].table) for name in ("positions", "orders")]
            table = join(found.pop("positions"), found.pop("orders"), query, names[0], names[1])
        except NotInBulk as reason:
            log.info("reading row by row: %s", reason)
            return None
        _log_query(self.describe(), query)
        log.info(
            "read %d positions with %d orders as columns in %.3f s",
            len(table),
            len(table.orders),
            time.perf_counter() - started,
        )
        return table

    def _columns(self, statements: Statements, query: PositionQuery) -> dict[str, Any]:
        """{"positions": ..., "orders": ...} as Arrow tables, by the quickest driver that can."""
        try:
            return BulkReader(self._url, self._engine.dialect, statements).fetch(query)
        except NotInBulk as reason:
            log.info("reading columns by the plain driver: %s", reason)
        with database_errors(self._url), snapshot(self._engine) as connection:
            return fetch_columns(connection, statements, query)

    def get_positions_with_orders(
        self, start_ms: int, end_ms: int, miner_hotkeys: Sequence[str]
    ) -> dict[str, list[PositionRecord]]:
        """The positions that were open at some moment of a time range, by trader.

        Args:
            start_ms: start of the range; 0 for the beginning.
            end_ms: end of the range, included; later orders are left out.
            miner_hotkeys: only these traders; an empty list means all.

        Raises:
            SourceError: as `read`.
        """
        query = PositionQuery(start_ms, end_ms, tuple(miner_hotkeys) or None, history="range")
        found: defaultdict[str, list[PositionRecord]] = defaultdict(list)
        for record in self.read(query):
            if record.orphan:
                log.warning("left out %d orders of %s", len(record.orders), record.origin)
            else:
                found[str(record.fields.get("miner_hotkey", ""))].append(record)
        return dict(found)

    def read_account_sizes(self, query: PositionQuery = ALL) -> dict[str, list[tuple[int, float]]]:
        """Account sizes of the traders asked for; a row without time or size is left out.

        Raises:
            SourceError: as `read`.
        """
        sizes: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for fields in self._rows("account_sizes", query):
            hotkey, at = fields.get("miner_hotkey"), fields.get("update_time_ms")
            size = fields.get("account_size")
            if isinstance(hotkey, str) and isinstance(at, int) and isinstance(size, float):
                sizes[hotkey].append((at, size))
            else:
                log.warning("account size left out, a value is missing or malformed: %s", fields)
        return {hotkey: sorted(sizes[hotkey]) for hotkey in sorted(sizes)}

    def account_sizes_place(self) -> str:
        """The table that they are read from."""
        table = self._mapping.tables["account_sizes"].table
        if table is None:
            return f"{self._mapping.name} declares their table absent"
        return f"none in the table {table}"

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """Recorded eliminations of the traders asked for, in time order.

        Raises:
            SourceError: as `read`.
        """
        table = self._mapping.tables["eliminations"].table
        records = [
            EliminationRecord(fields, f"{table} row {fields.get('miner_hotkey')}")
            for fields in self._rows("eliminations", query)
        ]
        return sorted(records, key=_elimination_order)

    def hotkeys(self) -> list[str]:
        """Everybody who has a position, sorted.

        Raises:
            SourceError: as `read`.
        """
        with database_errors(self._url), snapshot(self._engine) as connection:
            statements = self._statements(connection, inspect(connection), "positions")
            return sorted(str(hotkey) for (hotkey,) in connection.execute(statements.traders()))

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """Recorded plagiarism events of the traders asked for.

        A database of our schema that has no such table has none: the table is optional.

        Raises:
            SourceError: as `read`.
        """
        table = self._mapping.tables["plagiarism_events"].table
        return collect(
            (fields, f"{table} row {fields.get('miner_hotkey')} at {fields.get('time_ms')}")
            for fields in self._rows("plagiarism_events", query)
        )

    def _records(self, query: PositionQuery) -> Generator[PositionRecord]:
        with database_errors(self._url), snapshot(self._engine) as connection:
            statements = self._statements(connection, inspect(connection), "positions", "orders")
            assembly = _Assembly(statements, self._mapping, query)
            for hotkeys in _portions(query.hotkeys):
                with _stream(connection, statements.positions(query, hotkeys)) as rows:
                    yield from _clipped(assembly.positions(rows), query)
            if query.hotkeys is None:
                with _stream(connection, statements.orphans(query)) as rows:
                    yield from _clipped(assembly.orphans(rows), query)

    def _rows(self, name: str, query: PositionQuery) -> list[dict[str, Any]]:
        """All rows of a small table, of the traders asked for; none where it is absent."""
        mapped = self._mapping.tables[name]
        if mapped.table is None:
            return []
        started = time.perf_counter()
        found: list[dict[str, Any]] = []
        with database_errors(self._url), snapshot(self._engine) as connection:
            there = inspect(connection)
            if mapped.may_lack and not there.has_table(mapped.table, schema=self._mapping.schema):
                return []
            statements = self._statements(connection, there, name)
            decoder = row_decoder(name, mapped, statements.names(name, ALL))
            for hotkeys in _portions(query.hotkeys):
                with _stream(connection, statements.of_traders(name, hotkeys)) as rows:
                    found += [decoder.fields(row) for row in rows]
        if query.hotkeys is not None:
            wanted = set(query.hotkeys)
            found = [fields for fields in found if fields.get("miner_hotkey") in wanted]
        log.info("read %d rows of %s in %.3f s", len(found), name, time.perf_counter() - started)
        return found

    def _statements(self, connection: Connection, there: Inspector, *tables: str) -> Statements:
        where = safe_url(self._url)
        if self._mapping is OUR_SCHEMA and there.has_table(VERSION.name):
            check_version(connection, where)
        single_floats = check_mapping(there, self._mapping, tables, where)
        return Statements(self._mapping, connection.dialect.name, single_floats)


class _Assembly:
    """Puts rows of positions and orders together to records."""

    def __init__(
        self, statements: Statements, mapping: SchemaMapping, query: PositionQuery
    ) -> None:
        positions = statements.names("positions", query)
        orders = statements.names("orders", query)
        self._position = row_decoder("positions", mapping.tables["positions"], positions)
        self._order = row_decoder("orders", mapping.tables["orders"], orders)
        self._position_table = mapping.tables["positions"].table
        self._order_table = mapping.tables["orders"].table
        self._width = len(positions)
        self._uuid = positions.index("position_uuid")
        self._key = tuple(
            positions.index(name) for name in ("miner_hotkey", "open_ms", "position_uuid")
        )
        self._of = orders.index("position_uuid")
        self._order_uuid = orders.index("order_uuid")

    def positions(self, rows: Iterable[Sequence[Any]]) -> Iterator[PositionRecord]:
        """Records of rows that hold a position and one of its orders, or nulls for it."""
        for key, group in groupby(rows, lambda row: tuple(row[at] for at in self._key)):
            if key[-1] is None:  # positions without a key are not one position
                for row in group:
                    yield self._record([row])
            else:
                yield self._record(list(group))

    def orphans(self, rows: Iterable[Sequence[Any]]) -> Iterator[PositionRecord]:
        """Records of rows that hold one order each, whose position is not there."""
        for uuid, group in groupby(rows, lambda row: row[self._of]):
            orders = [self._order_record(row) for row in group]
            fields = {} if uuid is None else {"position_uuid": str(uuid)}
            yield PositionRecord(
                fields, orders, origin=f"{self._order_table} of position {uuid}", orphan=True
            )

    def _record(self, rows: Sequence[Sequence[Any]]) -> PositionRecord:
        found = self._position.fields(rows[0][: self._width])
        return PositionRecord(
            {name: found[name] for name in POSITION_FIELDS if name in found},
            [
                self._order_record(row[self._width :])
                for row in rows
                if row[self._width + self._of] is not None
            ],
            {name: found[name] for name in STORED_FIELDS if name in found},
            origin=f"{self._position_table} row {found.get('position_uuid')}",
        )

    def _order_record(self, row: Sequence[Any]) -> OrderRecord:
        fields = self._order.fields(row)
        fields.pop("position_uuid", None)
        fields.pop("sequence", None)
        return OrderRecord(fields, f"{self._order_table} row {fields.get('order_uuid')}")


def _clipped(records: Iterator[PositionRecord], query: PositionQuery) -> Iterator[PositionRecord]:
    """The records asked for; a server's time units and collation may have let others through."""
    wanted = None if query.hotkeys is None else set(query.hotkeys)
    any_trader = replace(query, hotkeys=None)
    for record in records:
        if wanted is None or record.fields.get("miner_hotkey") in wanted:
            clipped = clip(record, any_trader)
            if clipped is not None:
                yield clipped


def _stream(connection: Connection, statement: Rows) -> CursorResult[*tuple[Any, ...]]:
    """The rows, fetched as they are read; to be closed before the connection."""
    log.debug("%s", statement)
    return connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE))


def _portions(hotkeys: Sequence[str] | None) -> Iterator[list[str] | None]:
    """The hotkeys in as many portions as it takes; sorted, so that the whole is in order."""
    if hotkeys is None:
        yield None
        return
    wanted = sorted(set(hotkeys))
    for start in range(0, len(wanted), HOTKEYS_AT_ONCE):
        yield wanted[start : start + HOTKEYS_AT_ONCE]


def _elimination_order(record: EliminationRecord) -> tuple[int, str]:
    at = record.fields.get("elimination_ms")
    return at if isinstance(at, int) else NEVER_MS, str(record.fields.get("miner_hotkey"))


def _log_query(source: str, query: PositionQuery) -> None:
    hotkeys = "all" if query.hotkeys is None else len(query.hotkeys)
    log.info(
        "reading positions from %s: start_ms=%s end_ms=%s hotkeys=%s history=%s price_sources=%s",
        source,
        query.start_ms,
        query.end_ms,
        hotkeys,
        query.history,
        query.price_sources,
    )
    if query.hotkeys:
        log.debug("hotkeys: %s", ", ".join(query.hotkeys))
