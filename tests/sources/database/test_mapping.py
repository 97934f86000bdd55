"""Mapping files, and databases of other shapes read through them."""

import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Float,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import ConfigError, SchemaError
from ptn_backtest.positions.conversion import convert
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.examining import Stage, examine_database
from ptn_backtest.sources.database.mapping import (
    COLUMNS,
    OUR_SCHEMA,
    ColumnMapping,
    SchemaMapping,
    TimeUnit,
    load_mapping,
)
from ptn_backtest.sources.database.schema import TABLES
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.records import PositionQuery
from tests.sources.database.database_records import ALICE, BOB, position, uuids

DOCUMENTED = Path(__file__).resolve().parents[3] / "docs" / "mapping.md"
NOON_MS = 1_735_732_800_000  # 2025-01-01 12:00 UTC


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load_text(content: str) -> SchemaMapping:
        path = tmp_path / "mapping.toml"
        path.write_text(content, encoding="utf-8")
        return load_mapping(path)

    return load_text


def create(url: str, *tables: Table, rows: dict[str, list[dict[str, Any]]]) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for table in tables:
            table.create(connection)
            if rows.get(table.name):
                connection.execute(table.insert(), rows[table.name])


def test_an_empty_file_means_our_schema(load: Any) -> None:
    mapping = load("")
    assert mapping.tables == OUR_SCHEMA.tables
    assert mapping.tables["orders"].columns["price"] == ColumnMapping("price")


def test_every_column_that_is_read_is_in_our_schema() -> None:
    for table, columns in COLUMNS.items():
        assert set(columns) <= set(TABLES[table].c.keys())


def test_what_a_file_can_say(load: Any) -> None:
    mapping = load(
        """
        schema = "public"
        database = "ptn"
        [positions]
        table = "position"
        [positions.columns]
        current_return = "curr_return"
        open_ms = { column = "opened", unit = "s" }
        close_ms = { unit = "datetime" }
        account_size = { absent = true }
        trade_pair_id = { constant = "BTCUSD" }
        [orders.columns]
        order_type = { column = "side", values = { buy = "LONG" } }
        [account_sizes]
        absent = true
        """
    )
    assert (mapping.schema, mapping.database, mapping.name) == ("public", "ptn", "mapping.toml")
    positions = mapping.tables["positions"]
    assert positions.table == "position"
    assert positions.columns["current_return"].column == "curr_return"
    assert positions.columns["open_ms"] == ColumnMapping("opened", unit=TimeUnit.S)
    assert positions.columns["close_ms"] == ColumnMapping("close_ms", unit=TimeUnit.DATETIME)
    assert positions.columns["account_size"] == ColumnMapping(None)
    assert positions.columns["trade_pair_id"] == ColumnMapping(None, constant="BTCUSD")
    orders = mapping.tables["orders"]
    assert orders.table == "orders"
    assert orders.columns["order_type"] == ColumnMapping("side", values={"buy": "LONG"})
    assert mapping.tables["account_sizes"].table is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[positons]", "positons: unknown; did you mean positions?"),
        ("[orders]\nname = 'x'", r"[orders] name: unknown. Known: table, columns, absent"),
        ("[orders.columns]\npirce = 'p'", "[orders.columns] pirce: unknown; did you mean price?"),
        ("[orders.columns]\nprice = 5", "[orders.columns] price: 5 is neither"),
        ("[orders.columns]\nprice = { colum = 'p' }", "did you mean column?"),
        ("[orders.columns]\nprice = { absent = true }", "a column or a constant"),
        ("[orders.columns]\norder_uuid = { constant = 'x' }", "it must name a column"),
        ("[orders.columns]\nbid = { constant = [1] }", "[1] is neither a text nor a number"),
        ("[orders.columns]\nbid = { constant = 1, column = 'b' }", "give one of column, constant"),
        ("[orders.columns]\nbid = { unit = 's' }", "only times have a unit"),
        (
            "[orders.columns]\nprocessed_ms = { unit = 'min' }",
            "not one of ms, s, us, datetime, iso",
        ),
        ("[orders.columns]\norder_type = { values = { a = 1 } }", "values: expected texts"),
        ("[orders.columns]\norder_type = { values = { a = true } }", "values: expected texts"),
        (
            "[positions.columns]\nis_closed_position = { values = { a = 'yes' } }",
            "[positions.columns] is_closed_position values: 'yes' is neither true nor false",
        ),
        (
            "[positions.columns]\nis_closed_position = { values = { a = 2 } }",
            "values: 2 is neither true nor false",
        ),
        (
            "[positions.columns]\nis_closed_position = { constant = 'open' }",
            "constant: 'open' is neither true nor false",
        ),
        ("[orders.columns]\nbid = { absent = 'yes' }", "'yes' is neither true nor false"),
        ("[orders]\nabsent = true", "[orders] absent: this table is required"),
        ("[orders]\ntable = ''", "[orders] table: '' is not a name"),
        ("orders = 'o'", "[orders]: 'o' is not a table of TOML"),
        ("[orders", "is not TOML"),
    ],
)
def test_what_a_file_cannot_say(load: Any, content: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)) as raised:
        load(content)
    assert "mapping.toml" in str(raised.value)


def test_all_mistakes_are_told_at_once(load: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        load("[positions.columns]\nopen = 'o'\n[orders.columns]\nprice = 1\n[order]\n")
    assert str(raised.value).count("\n  - ") == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml cannot be read: No such file"):
        load_mapping(tmp_path / "no.toml")


RENAMED = """
    [positions]
    table = "Position"
    [positions.columns]
    miner_hotkey = "hotkey"
    position_uuid = "id"
    trade_pair_id = { column = "pair", values = { "BTC/USD" = "BTCUSD" } }
    open_ms = { column = "opened_s", unit = "s" }
    close_ms = { column = "closed_us", unit = "us" }
    current_return = "curr_return"
    account_size = "size"
    position_type = { absent = true }
    is_closed_position = { absent = true }
    return_at_close = { absent = true }
    net_leverage = { absent = true }
    average_entry_price = { absent = true }
    cumulative_entry_value = { absent = true }
    realized_pnl = { absent = true }
    [orders]
    table = "order"
    [orders.columns]
    order_uuid = "uuid"
    position_uuid = "position"
    order_type = { column = "side", values = { "1" = "LONG", "0" = "FLAT" } }
    processed_ms = { column = "at", unit = "datetime" }
    bid = { constant = 0.0 }
    ask = { absent = true }
    slippage = { absent = true }
    src = { absent = true }
    price_sources = { absent = true }
    sequence = "row"
    [eliminations]
    absent = true
    [account_sizes.columns]
    update_time_ms = { column = "from", unit = "iso" }
"""


@pytest.fixture
def renamed(database_url: str, load: Any) -> DatabasePositionOrderSource:
    """Tables of other names, called by words of SQL, with times in four units."""
    metadata = MetaData()
    if database_url.startswith("mysql"):
        at: Any = mysql.DATETIME(fsp=3)
    else:
        at = DateTime(timezone=True)
    noon = datetime(2025, 1, 1, 12, tzinfo=UTC)
    naive = noon if database_url.startswith("postgres") else noon.replace(tzinfo=None)
    create(
        database_url,
        Table(
            "Position",
            metadata,
            Column("id", String(40)),
            Column("hotkey", String(60)),
            Column("pair", String(10)),
            Column("opened_s", Numeric(16, 3)),
            Column("closed_us", BigInteger),
            Column("curr_return", Double),
            Column("size", Integer),
        ),
        Table(
            "order",
            metadata,
            Column("uuid", String(40)),
            Column("position", String(40)),
            Column("side", Integer),
            Column("leverage", Double),
            Column("price", Numeric(20, 8)),
            Column("at", at),
            Column("row", Integer),
        ),
        Table(
            "account_sizes",
            metadata,
            Column("miner_hotkey", String(60)),
            Column("account_size", Double),
            Column("from", String(40)),
        ),
        rows={
            "Position": [
                {"id": uuid, "hotkey": hotkey, "pair": "BTC/USD", "size": 5, "curr_return": 1.5}
                | {"opened_s": (NOON_MS + opened) / 1_000}
                | {"closed_us": None if closed is None else (NOON_MS + closed) * 1_000 + 7}
                for uuid, hotkey, opened, closed in [
                    ("b", "b", 0, None),
                    ("a", "b", 1, 60_123),
                    ("c", "B", 60_123, None),
                    ("d", "a", 60_124, None),
                ]
            ],
            "order": [
                {"uuid": uuid, "position": of, "side": side, "leverage": 0.1, "row": row}
                | {"price": "0.12345678", "at": naive + timedelta(milliseconds=ms)}
                for uuid, of, side, ms, row in [
                    ("z", "b", 1, 0, 1),
                    ("y", "b", 1, 0, 2),
                    ("x", "b", 0, 60_123, 3),
                    ("w", "b", 0, 60_124, 4),
                    ("v", "gone", 1, 60_123, 5),
                ]
            ],
            "account_sizes": [
                {"miner_hotkey": ALICE, "account_size": 2.0, "from": "2025-01-01T12:00:00.001Z"},
                {"miner_hotkey": ALICE, "account_size": 1.0, "from": "2025-01-01T13:00:00+01:00"},
            ],
        },
    )
    return DatabasePositionOrderSource(database_url, load(RENAMED))


def test_a_renamed_schema_is_read_by_our_names(renamed: DatabasePositionOrderSource) -> None:
    found = list(renamed.read())

    # by code point, though MariaDB's collation takes B for b
    assert uuids(found) == ["c", "d", "b", "a", "gone"]
    position, closed = found[2], found[3]
    assert position.fields == {
        "miner_hotkey": "b",
        "position_uuid": "b",
        "trade_pair_id": "BTCUSD",
        "open_ms": NOON_MS,
        "account_size": 5.0,
    }
    assert position.stored == {"current_return": 1.5}
    assert position.origin == "Position row b"
    assert position.orders[0].fields == {
        "order_uuid": "z",
        "order_type": "LONG",
        "leverage": 0.1,
        "price": 0.12345678,
        "bid": 0.0,
        "processed_ms": NOON_MS,
    }
    assert [o.fields["order_uuid"] for o in position.orders] == ["z", "y", "x", "w"]
    assert position.orders[2].fields["order_type"] == "FLAT"
    assert position.orders[2].fields["processed_ms"] == NOON_MS + 60_123
    assert closed.fields["open_ms"] == NOON_MS + 1
    assert closed.stored["close_ms"] == NOON_MS + 60_123  # microseconds are cut off
    assert found[4].orphan


def test_ranges_are_exact_in_every_unit(renamed: DatabasePositionOrderSource) -> None:
    end = NOON_MS + 60_123

    found = list(renamed.read(PositionQuery(end, end, history="range")))
    assert uuids(found) == ["c", "b", "a", "gone"]
    assert [o.fields["order_uuid"] for o in found[1].orders] == ["z", "y", "x"]

    assert uuids(list(renamed.read(PositionQuery(end + 1, None, history="range"))))[:3] == [
        "c",
        "d",
        "b",
    ]
    assert uuids(list(renamed.read(PositionQuery(None, end - 1)))) == ["b", "a"]
    assert uuids(list(renamed.read(PositionQuery(hotkeys=("B",))))) == ["c"]


def test_whose_positions_a_renamed_schema_has(renamed: DatabasePositionOrderSource) -> None:
    assert renamed.hotkeys() == ["B", "a", "b"]


def test_other_tables_of_a_renamed_schema(renamed: DatabasePositionOrderSource) -> None:
    assert renamed.read_account_sizes() == {ALICE: [(NOON_MS, 1.0), (NOON_MS + 1, 2.0)]}
    assert renamed.read_eliminations() == []
    assert renamed.describe().endswith(" as mapping.toml maps it")


@pytest.mark.parametrize(
    ("closed", "still_open"),
    [("true", "false"), ('"true"', '"False"'), ('"TRUE"', '"false"'), ('"1"', '"0"'), ("1", "0")],
)
def test_a_truth_value_under_other_names(
    mariadb_url: str, load: Any, closed: str, still_open: str, sqlite_url: str
) -> None:
    """Every reader sees a bool, and so an import stores it."""
    write_records(mariadb_url, [position("a", close_ms=2_000), position("b", open_ms=3_000)])
    engine = sqlalchemy.create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE positions ADD st ENUM('OPEN', 'CLOSED')"))
        connection.execute(
            text("UPDATE positions SET st = IF(position_uuid = 'a', 'CLOSED', 'OPEN')")
        )
    meanings = f"{{ CLOSED = {closed}, OPEN = {still_open} }}"
    columns = f'is_closed_position = {{ column = "st", values = {meanings} }}'
    mapping = load(f"[positions.columns]\n{columns}")
    found = list(DatabasePositionOrderSource(mariadb_url, mapping).read())
    assert [each.stored["is_closed_position"] for each in found] == [True, False]
    assert all(type(each.stored["is_closed_position"]) is bool for each in found)

    assert write_records(sqlite_url, found).positions.inserted == 2
    stored = DatabasePositionOrderSource(sqlite_url).read()
    assert [each.stored["is_closed_position"] for each in stored] == [True, False]


def test_a_constant_truth_value(sqlite_url: str, load: Any) -> None:
    write_records(sqlite_url, [position("a")])
    mapping = load('[positions.columns]\nis_closed_position = { constant = "True" }')
    [record] = DatabasePositionOrderSource(sqlite_url, mapping).read()
    assert record.stored["is_closed_position"] is True


@pytest.mark.parametrize("unit", ["datetime", "iso"])
@pytest.mark.parametrize(
    "stored", ["2025-01-01T12:00:00Z", "2025-01-01 12:00:00+00:00", "2025-01-01T23:00:00+11:00"]
)
def test_texts_of_times_in_any_zone(sqlite_url: str, load: Any, unit: str, stored: str) -> None:
    write_records(sqlite_url, [])
    engine = sqlalchemy.create_engine(sqlite_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO positions (position_uuid, miner_hotkey, open_ms) VALUES ('a', 'h', :t)"
            ),
            {"t": stored},
        )
    mapping = load(f"[positions.columns]\nopen_ms = {{ unit = '{unit}' }}")
    source = DatabasePositionOrderSource(sqlite_url, mapping)

    for end, count in [(NOON_MS - 1, 0), (NOON_MS, 1), (None, 1)]:
        assert len(list(source.read(PositionQuery(end_ms=end)))) == count
    assert [r.fields["open_ms"] for r in source.read()] == [NOON_MS]


def test_what_is_no_time_or_number_stays_as_it_was_found(sqlite_url: str, load: Any) -> None:
    write_records(sqlite_url, [])
    engine = sqlalchemy.create_engine(sqlite_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO positions (position_uuid, miner_hotkey, open_ms, close_ms, "
                "account_size, is_closed_position) VALUES ('a', 'h', 'noon', 1.5, 'big', 'maybe')"
            )
        )
    for mapping in (
        None,
        load("[positions.columns]\nopen_ms = { unit = 'iso' }"),
        load("[positions.columns]\nopen_ms = { unit = 's' }"),
    ):
        [record] = DatabasePositionOrderSource(sqlite_url, mapping).read()
        assert record.fields["open_ms"] == "noon"
        assert record.fields["account_size"] == "big"
        assert record.stored == {"close_ms": 1.5, "is_closed_position": "maybe"}


def test_a_wrong_unit_is_told_readably(database_url: str, load: Any) -> None:
    write_records(database_url, [position("a", close_ms=2_000)])
    engine = sqlalchemy.create_engine(database_url, poolclass=NullPool)
    kind = "DATETIME" if engine.dialect.name == "mysql" else "TIMESTAMP"
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE positions ADD opened {kind}"))
        connection.execute(text("UPDATE positions SET opened = '2025-06-02 12:00:00'"))
        connection.execute(text("ALTER TABLE orders ADD placed DECIMAL(14, 3)"))
        connection.execute(text("UPDATE orders SET placed = 1748843705.5"))

    def told(columns: str) -> str:
        records = DatabasePositionOrderSource(database_url, load(columns)).read()
        [rejection] = convert(records).rejections
        assert rejection.reason == "invalid_time"
        return rejection.detail

    opened = told('positions.columns.open_ms = "opened"')
    assert re.match(r"open_ms: '?2025-06-02 12:00:00\S* is not a whole number", opened)
    right = "iso" if engine.dialect.name == "sqlite" else "datetime"  # SQLite has texts
    assert opened.endswith(f'; in a mapping, unit = "{right}" may be meant')
    placed = told('orders.columns.processed_ms = "placed"')
    assert placed.startswith("processed_ms: 1748843705.5")
    assert placed.endswith('is not a whole number; in a mapping, unit = "s" may be meant')


def test_four_byte_floats_are_read_as_they_are_stored(
    mariadb_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain SELECT of a FLOAT gives 83024.2."""
    write_records(mariadb_url, [])
    engine = sqlalchemy.create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE orders MODIFY price FLOAT"))
        connection.execute(text("INSERT INTO positions (position_uuid) VALUES ('a')"))
        connection.execute(
            text(
                "INSERT INTO orders (order_uuid, position_uuid, price) VALUES ('o', 'a', 83024.24)"
            )
        )
    [record] = DatabasePositionOrderSource(mariadb_url).read()
    assert record.orders[0].fields["price"] == 83024.2421875  # the nearest that four bytes hold
    assert "orders.price holds four-byte floats" in caplog.text


def test_a_namespace_and_a_view(postgres_url: str, load: Any) -> None:
    write_records(postgres_url, [])
    engine = sqlalchemy.create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO positions (position_uuid, open_ms) VALUES ('a', 5)"))
        connection.execute(text('CREATE SCHEMA "Mine"'))
        connection.execute(text('CREATE VIEW "Mine".positions AS SELECT * FROM public.positions'))
        connection.execute(text('ALTER TABLE orders SET SCHEMA "Mine"'))
    found = list(DatabasePositionOrderSource(postgres_url, load('schema = "Mine"')).read())
    assert uuids(found) == ["a"]


def test_a_view_that_its_reader_may_select_only(mariadb_url: str, load: Any) -> None:
    """Not SHOW VIEW; and no right at all on the tables behind it."""
    write_records(mariadb_url, [position("a", close_ms=2_000)])
    url = sqlalchemy.make_url(mariadb_url)
    user = f"reader_{str(url.database)[-12:]}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE orders MODIFY price FLOAT"))
        connection.execute(text("CREATE VIEW live AS SELECT * FROM positions"))
        connection.execute(text("CREATE VIEW live_orders AS SELECT * FROM orders"))
        connection.execute(text(f"CREATE USER {user}"))
        for view in ("live", "live_orders"):
            connection.execute(text(f"GRANT SELECT ON {view} TO {user}"))
        try:
            mapping = load(
                """
                positions = { table = "live" }
                orders = { table = "live_orders" }
                account_sizes = { absent = true }
                plagiarism_events = { absent = true }
                """
            )
            reader = url.set(username=user, password=None).render_as_string()
            found = examine_database(reader, mapping)
            assert (found.stage, found.fault) == (Stage.DONE, "")
            source = DatabasePositionOrderSource(reader, mapping)
            assert source.read_table() is None  # a view has no key
            [record] = source.read()
            assert [each.fields["price"] for each in record.orders] == [83024.2421875] * 2
            missing = load(
                """
                positions = { table = "live", columns = { open_ms = "opened" } }
                orders = { table = "live_orders" }
                """
            )
            with pytest.raises(SchemaError, match="table live has no column opened"):
                list(DatabasePositionOrderSource(reader, missing).read())
        finally:
            connection.execute(text(f"DROP USER {user}"))


def test_types_that_only_postgresql_has(postgres_url: str) -> None:
    """Native uuids, enums and JSON; a numeric and a timestamp are in the renamed schema."""
    write_records(postgres_url, [])
    uuid = "6d6e2447-8b67-4bf9-82c1-547ddc971706"
    engine = sqlalchemy.create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in (
            "ALTER TABLE orders DROP CONSTRAINT fk_orders_position",
            "ALTER TABLE positions ALTER position_uuid TYPE uuid USING position_uuid::uuid",
            "ALTER TABLE orders ALTER position_uuid TYPE uuid USING position_uuid::uuid",
            "ALTER TABLE orders ALTER price_sources TYPE jsonb USING price_sources::jsonb",
            "CREATE TYPE kind AS ENUM ('LONG', 'SHORT')",
            "ALTER TABLE orders ALTER order_type TYPE kind USING order_type::kind",
            f"INSERT INTO positions (position_uuid, miner_hotkey) VALUES ('{uuid}', 'h')",
            "INSERT INTO orders (order_uuid, position_uuid) VALUES ('o', '" + uuid + "')",
            "UPDATE orders SET order_type = 'SHORT', price_sources = '[1]'",
        ):
            connection.execute(text(statement))

    query = PositionQuery(hotkeys=("h",), price_sources=True)
    [record] = DatabasePositionOrderSource(postgres_url).read(query)

    assert record.fields["position_uuid"] == uuid
    expected = {"order_uuid": "o", "order_type": "SHORT", "price_sources": "[1]"}
    assert record.orders[0].fields == expected


def test_a_mapping_that_does_not_fit_the_database(database_url: str, load: Any) -> None:
    write_records(database_url, [])
    mapping = load(
        """
        [positions.columns]
        account_size = "acount_size"
        open_ms = "opened"
        [orders]
        table = "order"
        """
    )
    with pytest.raises(SchemaError) as raised:
        list(DatabasePositionOrderSource(database_url, mapping).read())
    message = str(raised.value)
    assert "(mapping file mapping.toml)" in message
    assert "no column acount_size; did you mean account_size?" in message
    assert 'write account_size = "its name", or account_size = { absent = true }' in message
    assert message.splitlines()[1].endswith('[positions.columns], write open_ms = "its name"') or (
        'write open_ms = "its name"\n' in message
    )
    assert "no table order; did you mean orders? Known: account_sizes, eliminations" in message


def test_the_documented_example_reads_a_database_of_that_shape(
    mariadb_url: str, load: Any, caplog: pytest.LogCaptureFixture
) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    mapping = load(example)
    caplog.set_level(logging.WARNING, logger="ptn_backtest")
    kinds = mysql.ENUM("LONG", "SHORT", "FLAT")
    metadata = MetaData()
    create(
        mariadb_url,
        Table(
            "position",
            metadata,
            Column("position_uuid", String(36), primary_key=True),
            Column("miner_hotkey", String(48)),
            Column("trade_pair_id", String(16)),
            Column("position_type", kinds),
            Column("open_ms", BigInteger),
            Column("close_ms", BigInteger),
            Column("is_closed_position", mysql.BIT(1)),
            Column("curr_return", Double),
            Column("return_at_close", Double),
            Column("net_leverage", Double),
            Column("average_entry_price", Float),
        ),
        Table(
            "orders",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("order_uuid", String(36)),
            Column("position_uuid", String(36)),
            Column("order_type", Integer),
            Column("leverage", Double),
            Column("price", Double),
            Column("bid", Double),
            Column("ask", Double),
            Column("processed_ms", BigInteger),
            Column("src", Integer),
            Column("price_sources", mysql.JSON),
        ),
        Table(
            "eliminations",
            metadata,
            Column("miner_hotkey", String(48)),
            Column("elimination_ms", BigInteger),
            Column("reason", String(64)),
            Column("max_drawdown", Double),
            Column("creation_ms", BigInteger),
            Column("updated_ms", BigInteger),
        ),
        rows={
            "position": [
                {
                    "position_uuid": "p",
                    "miner_hotkey": BOB,
                    "trade_pair_id": "ETHUSD",
                    "position_type": "SHORT",
                    "open_ms": 5,
                    "close_ms": 0,
                    "is_closed_position": b"\0",
                    "curr_return": 1.25,
                    "return_at_close": 1.2,
                    "net_leverage": -0.5,
                    "average_entry_price": 0.5,
                }
            ],
            "orders": [
                {
                    "id": number,
                    "order_uuid": uuid,
                    "position_uuid": "p",
                    "order_type": kind,
                    "leverage": leverage,
                    "price": 0.1 + 0.2,
                    "bid": 0.0,
                    "ask": 0.0,
                    "processed_ms": 5,
                    "src": 0,
                    "price_sources": [{"a": 1}],
                }
                for number, uuid, kind, leverage in [(1, "z", -1, -0.4), (2, "y", -1, -0.1)]
            ],
            "eliminations": [{"miner_hotkey": BOB, "elimination_ms": 9, "reason": "LIQUIDATED"}],
        },
    )
    source = DatabasePositionOrderSource(mariadb_url, mapping)

    [record] = source.read(PositionQuery(3, 7, history="range", price_sources=True))

    assert record.fields == {
        "miner_hotkey": BOB,
        "position_uuid": "p",
        "trade_pair_id": "ETHUSD",
        "open_ms": 5,
    }
    assert record.stored == {
        "position_type": "SHORT",
        "close_ms": 0,
        "is_closed_position": False,
        "current_return": 1.25,
        "return_at_close": 1.2,
        "net_leverage": -0.5,
        "average_entry_price": 0.5,
    }
    assert [o.fields["order_uuid"] for o in record.orders] == ["z", "y"]
    first = record.orders[0].fields
    assert (first["order_type"], first["price"]) == ("SHORT", 0.1 + 0.2)
    assert first["price_sources"] == '[{"a": 1}]'
    [elimination] = source.read_eliminations()
    assert elimination.fields["elimination_reason"] == "LIQUIDATED"
    assert source.read_account_sizes() == {}
    assert "average_entry_price holds four-byte floats" in caplog.text


def test_the_database_that_is_meant_where_a_url_names_none(load: Any) -> None:
    mapping = load('database = "taoshi-ts-ptn"')
    for given, meant in [("", "/taoshi-ts-ptn"), ("/", "/taoshi-ts-ptn"), ("/other", "/other")]:
        source = DatabasePositionOrderSource(f"mysql://someone@host{given}", mapping)
        assert source.describe() == f"database mysql://someone@host{meant} as mapping.toml maps it"
