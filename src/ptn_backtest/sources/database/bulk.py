"""Positions and orders as Arrow columns, by a driver that makes no object per value.

ADBC reads PostgreSQL and SQLite, connectorx MySQL and MariaDB; both are optional. Whatever they
cannot give exactly as rows would give it, they do not give: then `fetch` says why, and the caller
reads in another way. A driver's own words are never passed on, since they may quote the URL.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    URL,
    Boolean,
    ClauseElement,
    Dialect,
    Double,
    Integer,
    Select,
    literal_column,
    null,
    select,
    union_all,
)

from ptn_backtest.sources.database.connect import CONNECT_SECONDS
from ptn_backtest.sources.database.schema import TABLES
from ptn_backtest.sources.database.statements import Statements
from ptn_backtest.sources.records import PositionQuery

ROWS_AT_ONCE = 32_768
"""Rows in one batch of Arrow: few, for the processor's caches, but enough that what they took goes
back to the system when they are put in order."""

HOTKEYS_AT_MOST = 1_000
"""Hotkeys that may stand in one statement."""

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_Selects: TypeAlias = Mapping[str, Select[*tuple[Any, ...]]]
_Names: TypeAlias = Mapping[str, Sequence[str]]
_Column: TypeAlias = Any  # Arrow's, of any type, which the stubs want to know
_Adbc: TypeAlias = Any  # a handle of ADBC, which is optional
_Columns: TypeAlias = dict[str, Sequence[_Column]]

_SPECIMENS: Mapping[pa.DataType, str] = {
    pa.string(): "'x'",
    pa.float64(): "0.5e0",
    pa.int64(): "1",
    pa.bool_(): "1",
}
"""Our Arrow types, with a value of each in SQL."""


class NotInBulk(Exception):  # noqa: N818 - not an error: there is another way
    """Why these rows have to be read one by one."""


class BulkReader:
    """Reads the two tables of one database at one moment, each as typed columns.

    A column has the Arrow type of ours in `schema.TABLES`, by our name.
    """

    def __init__(self, url: URL, dialect: Dialect, statements: Statements) -> None:
        self._url = url
        # literals stand in the text, so nothing in it is a placeholder
        self._dialect = type(dialect)(paramstyle="named")  # type: ignore[call-arg]
        self._statements = statements

    def fetch(self, query: PositionQuery) -> dict[str, pa.Table]:
        """{"positions": ..., "orders": ...}, in no order.

        Args:
            query: one that `is_for_columns`.

        Raises:
            NotInBulk: the driver is not installed, fails, or gives values of other types.
        """
        found = self._statements.apart(query)
        names = {table: self._statements.names(table, query) for table in found}
        fetch = {"sqlite": self._sqlite, "postgresql": self._postgres, "mysql": self._mysql}
        with _drivers_errors():
            columns = fetch[self._url.get_backend_name()](found, names)
        return {
            table: pa.table(
                {
                    ours: as_type(column, arrow_type(table, ours))
                    for ours, column in zip(names[table], columns[table], strict=True)
                }
            )
            for table in found
        }

    def _sqlite(self, found: _Selects, names: _Names) -> _Columns:
        import adbc_driver_sqlite  # noqa: PLC0415 - optional

        uri = f"file:{quote(str(self._url.database))}?mode=ro"
        batches = {adbc_driver_sqlite.StatementOptions.BATCH_ROWS.value: str(ROWS_AT_ONCE)}
        columns: _Columns = {}
        with _transaction(adbc_driver_sqlite.connect(uri)) as connection:
            for table, rows in found.items():
                # the driver takes the types from the first rows, so the first is a specimen
                specimens: list[Any] = [
                    literal_column(_SPECIMENS[arrow_type(table, n)]) for n in names[table]
                ]
                with_specimen = self._text(union_all(select(*specimens), rows))
                arrow = _fetched(connection, with_specimen, batches).slice(1)
                arrow.validate(full=True)  # SQLite stores texts that are not UTF-8
                columns[table] = arrow.columns
        return columns

    def _postgres(self, found: _Selects, _names: _Names) -> _Columns:
        import adbc_driver_postgresql  # noqa: PLC0415 - optional

        url = self._url.set(drivername="postgresql")
        if "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
        database = adbc_driver_postgresql.connect(url.render_as_string(hide_password=False))
        with _transaction(database) as connection:
            _fetched(connection, _SNAPSHOT)
            return {
                table: _fetched(connection, self._text(rows)).columns
                for table, rows in found.items()
            }

    def _mysql(self, found: _Selects, names: _Names) -> _Columns:
        """Both tables by one statement: connectorx has no transactions, and this is one moment."""
        import connectorx  # noqa: PLC0415 - optional

        url = self._url
        if url.query or not url.host:
            raise NotInBulk("connectorx knows no options in a URL")
        slots = list(_shared_columns(names))
        parts = []
        for number, (table, rows) in enumerate(found.items()):
            inner = dict(zip(names[table], rows.selected_columns, strict=True))
            shared = [inner.get(pair[number] or "", null()) for pair in slots]
            parts.append(rows.with_only_columns(*(c.label(f"c{i}") for i, c in enumerate(shared))))
        address = url.set(drivername="mysql").render_as_string(hide_password=False)
        arrow: Any = connectorx.read_sql(
            address, self._text(union_all(*parts)), return_type="arrow", protocol="binary"
        )
        n_positions = len(arrow) - arrow.column(0).null_count
        halves = arrow.slice(0, n_positions), arrow.slice(n_positions)
        if halves[0].column(0).null_count:  # no server mixes them, but none promises it
            raise NotInBulk("positions and orders came mixed")
        columns: _Columns = {}
        for number, table in enumerate(found):
            at = {pair[number]: slot for slot, pair in enumerate(slots)}
            columns[table] = [halves[number].column(at[ours]) for ours in names[table]]
        return columns

    def _text(self, statement: ClauseElement) -> str:
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        return str(compiled)


@contextmanager
def _transaction(database: AbstractContextManager[_Adbc]) -> Iterator[_Adbc]:
    """A connection whose statements see one moment, where the database lets them.

    Of ADBC's own layer: the one for Python's database interface imports every library for data
    frames that it finds, which takes longer than to read a hundred thousand orders.
    """
    from adbc_driver_manager import AdbcConnection  # noqa: PLC0415 - optional

    with database as opened, AdbcConnection(opened) as connection:
        connection.set_autocommit(False)
        yield connection


def _fetched(
    connection: _Adbc, text: str, options: Mapping[str, str] = MappingProxyType({})
) -> Any:  # noqa: ANN401
    """All rows of a statement; while a server makes one wait, Ctrl-C gets through."""
    from adbc_driver_manager import AdbcStatement  # noqa: PLC0415 - optional

    with AdbcStatement(connection) as statement, ThreadPoolExecutor(1) as thread:
        statement.set_options(**options)
        statement.set_sql_query(text)

        def fetch() -> pa.Table:
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as reader:
                return reader.read_all()

        fetching = thread.submit(fetch)
        try:
            return fetching.result()
        except KeyboardInterrupt:
            statement.cancel()
            raise


def is_for_columns(query: PositionQuery) -> bool:
    """Whether columns can answer a query, and its hotkeys stand in a statement's text.

    Real ones are letters and digits.
    """
    if query.price_sources:
        return False
    if query.hotkeys is None:
        return True
    return 0 < len(query.hotkeys) <= HOTKEYS_AT_MOST and all(
        hotkey.isascii() and hotkey.isalnum() for hotkey in query.hotkeys
    )


def arrow_type(table: str, ours: str) -> pa.DataType:
    """The Arrow type of one of our columns."""
    match TABLES[table].c[ours].type:
        case Double():
            return pa.float64()
        case Boolean():
            return pa.bool_()
        case Integer():  # BigInteger too
            return pa.int64()
    return pa.string()


def _shared_columns(names: _Names) -> Iterator[tuple[str | None, str | None]]:
    """Pairs of a position's and an order's column of one type, that may share a column.

    A position's key, which is never null, has the first for itself: it tells positions from orders.
    """
    key = "position_uuid"
    yield key, None
    shared = {**names, "positions": [name for name in names["positions"] if name != key]}
    for types in ((pa.string(),), (pa.float64(),), (pa.int64(), pa.bool_())):
        yield from zip_longest(
            *([n for n in shared[table] if arrow_type(table, n) in types] for table in shared)
        )


def as_type(column: _Column, wanted: pa.DataType) -> _Column:
    """The column, of this type; whole numbers 0 and 1 are truth values.

    Raises:
        NotInBulk: a value would be another one.
    """
    whole = pa.types.is_integer(column.type)
    if column.type != wanted and wanted == pa.bool_() and whole:
        bounds = pc.min_max(column)
        if column.null_count == len(column) or (
            bounds["min"].as_py() >= 0 and bounds["max"].as_py() <= 1
        ):
            column = column.cast(wanted)
    elif column.type != wanted and wanted == pa.int64() and whole:
        column = column.cast(wanted)
    if column.type != wanted:
        raise NotInBulk(f"a column has the type {column.type} in place of {wanted}")
    return column


@contextmanager
def _drivers_errors() -> Iterator[None]:
    try:
        yield
    except NotInBulk:
        raise
    except ImportError as error:
        raise NotInBulk(f"{error.name} is not installed") from None
    except Exception as error:  # noqa: BLE001 - reading row by row tells what is wrong
        raise NotInBulk(f"{type(error).__name__} of the driver") from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # connectorx's, which no module exports
            raise NotInBulk("the driver gave up") from None
        raise
