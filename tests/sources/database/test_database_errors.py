"""What a user is told when a database cannot be read; and that no password is ever told."""

import logging
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import SchemaError, SourceError, SourceUnavailable
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.connect import parse_url, safe_url
from ptn_backtest.sources.database.mapping import load_mapping
from ptn_backtest.sources.database.writing import write_records
from tests.sources.database.database_records import position

SECRET = "s3cret"  # noqa: S105 - the one that must not be shown


def read(url: str) -> None:
    list(DatabasePositionOrderSource(url).read())


def write(url: str) -> None:
    write_records(url, [position("a")])


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("use", [read, write])
@pytest.mark.parametrize("kind", ["postgresql", "postgres", "mysql", "mariadb", "mysql+mysqldb"])
def test_a_server_that_is_not_there(
    kind: str, use: Callable[[str], None], closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{kind}://someone:{SECRET}@127.0.0.1:{closed_port}/positions?password={SECRET}"
    if "mysql" in kind or kind == "mariadb":
        url = url.partition("?")[0]

    with pytest.raises(SourceUnavailable, match="refused") as raised:
        use(url)

    assert f"someone:***@127.0.0.1:{closed_port}/positions" in str(raised.value)
    assert "Check host and port" in str(raised.value)
    told = "".join(traceback.format_exception(raised.value, chain=True))
    told += "".join(f"{error} {error.args!r}" for error in chain(raised.value))
    assert SECRET not in told + caplog.text
    assert "someone:***@127.0.0.1" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://someone:p@{SECRET}@127.0.0.1/positions",  # an @ that is not written as %40
        f"postgresql://someone:{SECRET}",  # the host forgotten: the password stands as a port
        f"postgresql://someone@host:{SECRET}/positions",
        f"mysql://someone:{SECRET}@host",  # no database
        f"oracle://someone:{SECRET}@host/positions",
        f"someone:{SECRET}@host/positions",
        f"://{SECRET}",
    ],
)
def test_a_url_that_cannot_be_used_is_not_quoted(url: str) -> None:
    with pytest.raises(SourceError) as raised:
        DatabasePositionOrderSource(url)
    assert not any(SECRET in f"{error} {error.args!r}" for error in chain(raised.value))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("positions.db", "not a database URL; examples: sqlite:///positions.db"),
        ("oracle://host/db", "kind 'oracle' are not supported"),
        ("mysql://host", "names no database"),
        ("mysql://a:b@c@host/db", "more than one @"),
        ("mysql://host:port/db", "the URL cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_what_is_wrong_with_a_url(url: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        DatabasePositionOrderSource(url)


def test_a_source_is_described_without_secrets() -> None:
    options = f"host=/run/server&sslpassword={SECRET}&port=5433"
    url = f"postgres://someone:{SECRET}@/positions?{options}"
    described = DatabasePositionOrderSource(url).describe()
    assert described == "database postgresql://someone:***@/positions?host=/run/server&port=5433"
    assert safe_url(parse_url("mysql://h/db")) == "mysql://h/db"


@pytest.mark.parametrize(("kind", "driver"), [("postgres", "psycopg"), ("mysql", "pymysql")])
def test_a_driver_that_is_not_installed(
    kind: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)  # so that importing it fails
    with pytest.raises(SourceUnavailable) as raised:
        DatabasePositionOrderSource(f"{kind}://someone:{SECRET}@host/db")
    assert f"pip install 'ptn-backtest[{kind}]'" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_an_unknown_option_in_the_url(mariadb_url: str) -> None:
    with pytest.raises(SourceError, match=r"does not know an option .*sslmode"):
        read(f"{mariadb_url}?sslmode=require")


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_does_not_exist(kind: str, request: pytest.FixtureRequest) -> None:
    url = sqlalchemy.make_url(request.getfixturevalue(f"{kind}_url")).set(database="no_such_db")
    with pytest.raises(SourceUnavailable, match=r"no_such_db.*Check the database's name"):
        read(url.render_as_string(hide_password=False))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_user_who_is_not_let_in(kind: str, request: pytest.FixtureRequest) -> None:
    url = sqlalchemy.make_url(request.getfixturevalue(f"{kind}_url"))
    stranger = url.set(username="no_such_user", password=SECRET)
    with pytest.raises(SourceUnavailable, match=r"no_such_user.*Check user and password") as raised:
        read(stranger.render_as_string(hide_password=False))
    assert not any(SECRET in str(error) for error in chain(raised.value))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_user_who_may_not_read(kind: str, request: pytest.FixtureRequest) -> None:
    url = sqlalchemy.make_url(request.getfixturevalue(f"{kind}_url"))
    write(url.render_as_string(hide_password=False))
    name = str(url.database)[:31]
    user = f'"{name}"' if kind == "postgres" else f"'{name}'@'%'"
    create = f"CREATE ROLE {user} LOGIN" if kind == "postgres" else f"CREATE USER {user}"
    grant = f"GRANT SELECT ON positions TO {user}"
    remove = (
        f"DROP OWNED BY {user}; DROP ROLE {user}" if kind == "postgres" else f"DROP USER {user}"
    )
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(create))
        connection.execute(text(grant))
        if kind == "mariadb":  # a view of the columns, but not of the rows
            connection.execute(text(f"GRANT SELECT (order_uuid) ON orders TO {user}"))
        try:
            restricted = url.set(username=name)
            with pytest.raises(SourceError, match=r"(?i)denied.*Grant the URL's user"):
                read(restricted.render_as_string(hide_password=False))
        finally:
            for statement in remove.split("; "):
                connection.execute(text(statement))


def test_an_empty_database(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        Path(str(sqlalchemy.make_url(database_url).database)).touch()
    with pytest.raises(SchemaError) as raised:
        read(database_url)
    message = str(raised.value)
    assert "no table positions: the database is empty" in message
    assert "no table orders" in message
    assert "ptn-backtest positions import" in message
    assert safe_url(parse_url(database_url)) in message


def test_tables_in_another_schema(postgres_url: str, tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "Trial Live"'))
        connection.execute(text('CREATE TABLE "Trial Live".trades (pid INT)'))
    with pytest.raises(SchemaError) as raised:
        read(postgres_url)
    message = str(raised.value)
    assert (
        "no table positions in the connection's own schema; tables are in the schema \"Trial"
        in (message)
    )
    assert 'write schema = "..."' in message
    assert "empty" not in message
    assert "import" not in message

    with engine.begin() as connection:
        connection.execute(text('CREATE VIEW "Trial Live".positions AS SELECT 1 AS pid'))
        connection.execute(text("CREATE TABLE fills (pid INT)"))
    with pytest.raises(SchemaError) as raised:
        read(postgres_url)
    message = str(raised.value)
    assert (
        "no table positions in the connection's own schema; there is one in the schema \"Tri"
        in (message)
    )
    assert "no table orders. Known: fills" in message  # the other schema has none either

    mapping = tmp_path / "mapping.toml"
    mapping.write_text('schema = "trial live"')
    with pytest.raises(SchemaError, match=r'in the schema trial live; there is one in .*"Trial Li'):
        list(DatabasePositionOrderSource(postgres_url, load_mapping(mapping)).read())


def test_tables_and_columns_that_are_missing_are_all_named(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE positions (position_uuid VARCHAR(40), miner_hotkey VARCHAR(60), "
                "trade_pair_id VARCHAR(20), open_ms BIGINT, curr_return FLOAT)"
            )
        )
        connection.execute(text("CREATE TABLE placed_orders (order_uuid VARCHAR(40))"))

    with pytest.raises(SchemaError) as raised:
        read(database_url)

    message = str(raised.value)
    assert "table positions has no column current_return; did you mean curr_return?" in message
    assert "Known: position_uuid, miner_hotkey, trade_pair_id, open_ms, curr_return" in message
    assert 'current_return = "its name", or current_return = { absent = true }' in message
    assert "table positions has no column net_leverage" in message
    assert "no table orders; did you mean placed_orders? Known: placed_orders, positions" in message
    assert '[orders] table = "..."' in message
    assert "docs/mapping.md" in message


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "no such.db"
    with pytest.raises(SourceUnavailable, match=r"no such\.db.*positions import"):
        DatabasePositionOrderSource(f"sqlite:///{path}")
    assert not path.exists()


def test_a_sqlite_path_with_characters_that_mean_something_in_a_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'my positions #1 100%25.db'}"
    write(url)
    assert len(list(DatabasePositionOrderSource(url).read())) == 1


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    path.write_text('{"positions": []}' * 100)
    with pytest.raises(SourceError, match=r"not a database.*Check the path"):
        read(f"sqlite:///{path}")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="Check that the folder exists"):
        write(f"sqlite:///{tmp_path / 'nowhere' / 'positions.db'}")


def test_a_file_that_another_program_is_writing(sqlite_url: str) -> None:
    write(sqlite_url)
    engine = sqlalchemy.create_engine(sqlite_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match=r"is locked.*Another program"):
            write(f"{sqlite_url}?timeout=0.1")
