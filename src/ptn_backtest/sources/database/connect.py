"""From a database URL to an engine, a consistent snapshot, or an error that says what to do.

A URL may hold a password. Nothing outside this module shows a URL except through `safe_url`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import SourceError, SourceUnavailable

_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
_EXAMPLES = (
    "sqlite:///positions.db, postgresql://user:password@host/database, "
    "mysql://user:password@host/database"
)
_SHOWN_OPTIONS = ("host", "port", "unix_socket")
"""Options of a URL's query that say where the server is; others may be secrets."""

CONNECT_SECONDS = 10
_MYSQL_SLOW_READER_SECONDS = 86_400
"""MySQL hangs up on a client that does not read for `net_write_timeout` (60 s as shipped);
here the reader may build a ledger between two rows."""

_MYSQL_READ_ONLY = (
    "SET SESSION time_zone = '+00:00'",
    f"SET SESSION net_write_timeout = {_MYSQL_SLOW_READER_SECONDS}",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
)

_UNREACHABLE = "Check host and port, and that the server runs and lets this machine in."
_ADVICE: tuple[tuple[str, type[SourceError], str], ...] = (
    # a pattern of "<code> <the driver's text>", what it is, what to do
    (r"^(2002|2003|2005) |refused|resolve host|timeout|No route", SourceUnavailable, _UNREACHABLE),
    (
        r"^1049 |database .* does not exist",
        SourceUnavailable,
        "Check the database's name in the URL, or create the database.",
    ),
    (
        r"^(1045|1698|28P01|28000) |authentication failed|no password|role .* does not exist",
        SourceUnavailable,
        "Check user and password in the URL (write @ : / # in a password as %40 %3A %2F %23).",
    ),
    (
        r"^(1044|1142|1143|42501) |permission denied",
        SourceError,
        "Grant the URL's user the right that is missing; reading needs SELECT only.",
    ),
    (
        r"unable to open",
        SourceUnavailable,
        "Check that the folder exists and that file and folder may be read (and written, to import).",
    ),
    (r"not a database", SourceError, "Check the path; sqlite:/// takes a SQLite file."),
    (
        r"is locked",
        SourceError,
        "Another program is writing to the file; try again when it is done.",
    ),
    (r"^(1062|23505) |UNIQUE", SourceError, "Another import wrote the same rows; run it again."),
    (r"^(2006|2013) |server closed", SourceError, "The connection broke; run it again."),
)


def parse_url(text: str, default_database: str | None = None) -> URL:
    """A database URL with the driver that this package uses.

    Args:
        text: `sqlite:///file`, `postgresql://...` or `mysql://...`; `postgres` and `mariadb` are
            taken too, and a driver (`mysql+mysqldb://`) is replaced by ours.
        default_database: meant where a server's URL names no database.

    Raises:
        SourceError: it is not a URL, or of a kind that is not supported. The message never
            quotes the URL, because what cannot be parsed may hold a password anywhere.
    """
    kind, separator, rest = text.partition("://")
    kind = kind.partition("+")[0].lower()
    if not separator:
        raise SourceError(f"this is not a database URL; examples: {_EXAMPLES}")
    if kind not in _DRIVERS:
        raise SourceError(f"databases of kind {kind!r} are not supported; examples: {_EXAMPLES}")
    if kind != "sqlite" and re.sub(r"\?[^@]*$", "", rest).count("@") > 1:
        raise SourceError(
            f"{kind}://***: the URL has more than one @; write an @ in user or password as %40"
        )
    url = _parsed(f"{_DRIVERS[kind]}://{rest}")
    if url is None:
        raise SourceError(
            f"{kind}://***: the URL cannot be read; write it like one of {_EXAMPLES}, "
            "with @ : / # in a password as %40 %3A %2F %23"
        )
    if not url.database and default_database and kind != "sqlite":
        url = url.set(database=default_database)
    if url.get_backend_name() == "mysql" and not url.database:
        raise SourceError(f"{safe_url(url)}: the URL names no database; write it after the host")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise SourceError(
            "sqlite:// names no file, and a database in memory is lost at once; "
            "write sqlite:///positions.db"
        )
    return url


def _parsed(text: str) -> URL | None:
    # the error is not kept, not even as a context: it quotes what it takes for a port
    try:
        return sqlalchemy.make_url(text)
    except (ArgumentError, ValueError):
        return None


def safe_url(url: URL) -> str:
    """The URL for logs, errors and results: no password, and no options but where the server is."""
    shown = {name: url.query[name] for name in _SHOWN_OPTIONS if name in url.query}
    plain = url.set(drivername=url.get_backend_name()).set(query=shown)
    return plain.render_as_string(hide_password=True).replace("%2F", "/")


def open_engine(url: URL, *, read_only: bool) -> Engine:
    """An engine without a pool: each use opens one connection and closes it.

    Raises:
        SourceUnavailable: the driver is not installed, or the SQLite file to read is not there.
    """
    kind = url.get_backend_name()
    if kind == "sqlite":
        return _sqlite_engine(url, read_only=read_only)
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=timeout)
    except ImportError as error:
        raise SourceUnavailable(
            f"{safe_url(url)}: the driver is not installed ({error}). "
            f"Install it: pip install 'ptn-backtest[{_EXTRAS[kind]}]'"
        ) from None
    if kind == "mysql":
        _prepare_mysql(engine, read_only=read_only)
    return engine


def _prepare_mysql(engine: Engine, *, read_only: bool) -> None:
    from ptn_backtest.sources.database.mysql_connection import (  # noqa: PLC0415 - optional
        MySQLConnection,
    )

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: object, _record: object, given: Sequence[Any], named: Mapping[str, Any]
    ) -> MySQLConnection:
        return MySQLConnection(*given, **named)

    if read_only:

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's own
            with connection.cursor() as cursor:
                for statement in _MYSQL_READ_ONLY:
                    cursor.execute(statement)


def _sqlite_engine(url: URL, *, read_only: bool) -> Engine:
    path = Path(url.database or "")
    if read_only:
        if not path.is_file():
            raise SourceUnavailable(
                f"{safe_url(url)}: there is no file {path}. Check the path, or fill a database "
                "with `ptn-backtest positions import`"
            )
        # read-only in the operating system's eyes, so that not even an empty file is made
        url = url.set(database=f"file:{quote(str(path.absolute()))}").update_query_dict(
            {"mode": "ro", "uri": "true"}
        )
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's own
        connection.isolation_level = None  # Python's driver opens no transaction to read
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction in which every statement sees the database of one moment."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        elif engine.dialect.name == "mysql":
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turn what a driver raises into a SourceError with the place, the cause and a next step."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _explained(error, url) from None
    except (RuntimeError, TypeError) as error:
        # what PyMySQL raises, bare, before it connects
        if "cryptography" in str(error):
            raise SourceUnavailable(
                f"{safe_url(url)}: the server's way to check passwords needs the package "
                "cryptography. Install it: pip install 'ptn-backtest[mysql]'"
            ) from None
        if "unexpected keyword argument" in str(error):
            raise SourceError(
                f"{safe_url(url)}: the driver does not know an option in the URL's query ({error})"
            ) from None
        raise


def _explained(error: SQLAlchemyError, url: URL) -> SourceError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = str(cause.args[-1] if cause.args else cause).strip().partition("\n")[0]
    if url.password:
        text = text.replace(str(url.password), "***")
    code = cause.args[0] if len(cause.args) > 1 else getattr(cause, "sqlstate", None)
    for pattern, kind, advice in _ADVICE:
        if re.search(pattern, f"{code or ''} {text}"):
            return kind(f"{safe_url(url)}: {text.removesuffix('.')}. {advice}")
    return SourceError(f"{safe_url(url)}: {text}")
