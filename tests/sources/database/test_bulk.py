"""Columns give the same as rows, by either driver: records, positions, rejections, on every kind of database."""

import builtins
import gc
import logging
import pickle
import signal
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import SourceError
from ptn_backtest.positions.columns import position_columns
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.positions.manager import up_to
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import RecordedOrders
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.bulk import BulkReader, NotInBulk
from ptn_backtest.sources.database.mapping import SchemaMapping, load_mapping
from ptn_backtest.sources.database.schema import ORDERS, POSITIONS
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.record_table import RecordTable, read_records
from ptn_backtest.sources.records import ALL, PositionQuery
from tests.conftest import cannot_run
from tests.sources.database.database_records import ALICE, BOB, content, order, position

DRIVERS = {"sqlite": "adbc_driver_sqlite", "postgresql": "adbc_driver_postgresql"}
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["bulk", "plain"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which driver gives columns: every test is about both."""
    if request.param == "plain":

        def refuse(*_: object) -> None:
            raise NotInBulk("another way is to be tested")

        monkeypatch.setattr(BulkReader, "fetch", refuse)


def source(url: str, mapping: SchemaMapping | None = None) -> DatabasePositionOrderSource:
    driver = DRIVERS.get(sqlalchemy.make_url(url).get_backend_name(), "connectorx")
    try:
        __import__(driver)
    except ImportError:
        cannot_run(f"no {driver} to test with; pip install 'ptn-backtest[bulk]'")
    return DatabasePositionOrderSource(url, mapping)


def table_of(reader: DatabasePositionOrderSource, query: PositionQuery = ALL) -> RecordTable:
    table = reader.read_table(query)
    assert table is not None
    return table


def exact(position: Position) -> tuple[Any, ...]:
    """All that a position holds, floats by their bits."""
    orders = [
        tuple(
            value.hex() if isinstance(value, float) else (type(value).__name__, value)
            for value in (getattr(one, name) for name in one.__slots__)
        )
        for one in position.orders
    ]
    pair, stored = position.trade_pair.trade_pair_id, dict(position.stored)
    return (*_identity(position), pair, position.account_size.hex(), orders, repr(stored))


def _identity(position: Position) -> tuple[Any, ...]:
    return position.miner_hotkey, position.position_uuid, position.open_ms


def assert_alike(found: Conversion, expected: Conversion) -> None:
    assert [exact(p) for p in found.positions] == [exact(p) for p in expected.positions]
    assert found.rejections == expected.rejections
    assert found.counts == expected.counts
    assert found == expected


def agrees(reader: DatabasePositionOrderSource, query: PositionQuery = ALL) -> bool:
    """Whether columns were read at all; where they were, they say what rows say."""
    rows = list(reader.read(query))
    table = reader.read_table(query)
    if table is not None:
        assert [content(r) for r in table] == [content(r) for r in rows]
        assert [r.origin for r in table] == [r.origin for r in rows]
        assert [[o.origin for o in r.orders] for r in table] == [
            [o.origin for o in r.orders] for r in rows
        ]
        for split in (False, True):
            assert_alike(convert(table, split=split), convert(rows, split=split))
    return table is not None


RECORDS = [
    position("p1", orders=[order("a", 1_000), order("c", 2_000), order("b", 2_000, price=0.1)]),
    position("p2", BOB, open_ms=1_500, close_ms=1_800),
    position("p0", BOB, open_ms=1_500, close_ms=4_000, account_size=None),
    position("p3", open_ms=500, close_ms=900, trade_pair_id="EURUSD"),
    position("p4", open_ms=5_000, trade_pair_id="ETHUSD"),
]


@pytest.mark.parametrize("hotkeys", [None, (ALICE,), (BOB, ALICE), ("5Nobody",)])
@pytest.mark.parametrize("history", ["full", "range"])
@pytest.mark.parametrize(("start", "end"), [(None, None), (1_000, None), (950, 3_000), (None, 900)])
def test_columns_are_read_for_every_query(
    database_url: str, hotkeys: Any, history: Any, start: Any, end: Any
) -> None:
    write_records(database_url, RECORDS)
    assert agrees(source(database_url), PositionQuery(start, end, hotkeys, history))


def test_an_empty_database(database_url: str) -> None:
    write_records(database_url, [])
    assert agrees(source(database_url))
    assert agrees(source(database_url), PositionQuery(1, 2, (ALICE,), "range"))


def test_floats_keep_every_bit(database_url: str) -> None:
    values = [0.1 + 0.2, 1e-308, 5e-324, 83024.24000000001, 1.7976931348623157e308, 1 / 3]
    orders = [order(f"o{at}", at, price=value) for at, value in enumerate(values)]
    write_records(database_url, [position("a", orders=orders)])
    [found] = convert(table_of(source(database_url))).positions
    assert [one.price.hex() for one in found.orders] == [value.hex() for value in values]


def test_orders_of_one_millisecond(database_url: str) -> None:
    write_records(database_url, [position("p", orders=[order(u, 5) for u in "zmb"])])
    reader = source(database_url)
    assert [o.order_uuid for o in convert(table_of(reader)).positions[0].orders] == list("zmb")
    with engine(database_url).begin() as connection:
        connection.execute(text("UPDATE orders SET sequence = NULL"))
    assert [o.order_uuid for o in convert(table_of(reader)).positions[0].orders] == list("bmz")
    assert agrees(reader)


def test_texts_of_any_script(database_url: str) -> None:
    write_records(database_url, [position(f"ü{n}", h) for n, h in enumerate(["é", "b", "Z", "😀"])])
    assert agrees(source(database_url))


def engine(url: str) -> Engine:
    return sqlalchemy.create_engine(url, poolclass=NullPool)


KEYS = ("p1", "p2", "p3", "p4")
TIMES = st.sampled_from([None, -1, 0, 1, 2, 2, 3, 10**15])
NUMBERS = st.sampled_from([None, 0.0, -0.0, -0.1, 0.1, 1 / 3, 500.0, 501.0, 0.0005])
POSITION_ROW = st.fixed_dictionaries(
    {
        "miner_hotkey": st.sampled_from([ALICE, BOB, ""]),
        "trade_pair_id": st.sampled_from(["BTCUSD", "EURUSD", "NOPE", None, ""]),
        "open_ms": TIMES,
        "close_ms": TIMES,
        "is_closed_position": st.sampled_from([None, True, False]),
        "account_size": NUMBERS,
        "current_return": NUMBERS,
        "position_type": st.sampled_from(["LONG", None]),
    }
)
ORDER_ROW = st.fixed_dictionaries(
    {
        "position_uuid": st.sampled_from(KEYS),
        "order_type": st.sampled_from(["LONG", "LONG", "SHORT", "FLAT", "long", "", None]),
        "leverage": NUMBERS,
        "price": st.sampled_from([1.0, 1.0, 2.0, 0.0, -1.0, None]),
        "bid": NUMBERS,
        "ask": NUMBERS,
        "slippage": NUMBERS,
        "processed_ms": TIMES,
        "src": st.sampled_from([None, 0, 1, 2, 3, 9]),
        "sequence": st.sampled_from([None, 0, 1]),
    }
)
SOUND: dict[str, Any] = {
    "order_type": "LONG",
    "leverage": 0.1,
    "price": 1.5,
    "bid": None,
    "ask": 0.5,
    "slippage": 0.0,
    "processed_ms": 3,
    "src": 0,
    "sequence": 5,
}


@pytest.fixture
def open_database(database_url: str) -> tuple[Engine, DatabasePositionOrderSource]:
    """A database of our schema that lets orders without a position in."""
    write_records(database_url, [])
    there = engine(database_url)
    if there.dialect.name != "sqlite":
        with there.begin() as connection:
            connection.execute(text("ALTER TABLE orders DROP CONSTRAINT fk_orders_position"))
    return there, source(database_url)


def fill(there: Engine, positions: Sequence[Any], orders: Sequence[Any]) -> None:
    with there.begin() as connection:
        for table, rows, key in (
            (POSITIONS, positions, "position_uuid"),
            (ORDERS, orders, "order_uuid"),
        ):
            connection.execute(table.delete())
            for number, row in enumerate(rows):
                keys = {key: KEYS[number] if table is POSITIONS else f"o{number}"}
                connection.execute(table.insert(), {**row, **keys})


QUERIES = st.builds(
    PositionQuery,
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, (ALICE,), (ALICE, BOB)]),
    st.sampled_from(["full", "range"]),
)


@FEW
@given(st.data())
def test_faulty_rows(open_database: Any, data: st.DataObject) -> None:
    there, reader = open_database
    positions = data.draw(st.lists(POSITION_ROW, max_size=len(KEYS)))
    orders = data.draw(st.lists(ORDER_ROW, max_size=8))
    if data.draw(st.booleans()):  # else there are few positions that have all of their orders
        whole: list[Any] = [{**SOUND, "position_uuid": key} for key in KEYS[: len(positions)]]
        orders = whole + [o for o in orders if o["position_uuid"] in KEYS[: len(positions)]]
    fill(there, positions, orders)
    agrees(reader, data.draw(QUERIES))


def test_one_faulty_row_leaves_the_others_columns(database_url: str) -> None:
    faulty = [position("p9", BOB, open_ms=9, orders=[order("bad", 9, price=-1.0)])]
    write_records(database_url, [*RECORDS, *faulty])
    reader = source(database_url)
    assert agrees(reader)
    found = convert(table_of(reader))
    assert [r.detail for r in found.rejections] == ["price -1.0 is not above 0 (src 0)"]
    assert [r.origin for r in found.rejections] == ["orders row bad"]
    assert all(isinstance(p.orders, RecordedOrders) for p in found.positions)


def test_orders_without_a_position_are_read_row_by_row(open_database: Any) -> None:
    there, reader = open_database
    fill(there, [], [{**SOUND, "position_uuid": "gone"}])
    assert reader.read_table() is None
    [rejection] = convert(read_records(reader)).rejections
    assert rejection.reason == "order_without_position"
    assert table_of(reader, PositionQuery(hotkeys=(ALICE,))).positions.num_rows == 0


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE orders SET price = 'cheap'",
        "UPDATE orders SET processed_ms = 1.5",
        "UPDATE orders SET price = 9e999",
        "UPDATE orders SET order_type = x'ff'",
        "UPDATE orders SET order_type = x'4c4f4e47'",
        "UPDATE orders SET order_type = 5",
        "UPDATE positions SET is_closed_position = 'maybe'",
        "UPDATE positions SET is_closed_position = 2",
        "UPDATE positions SET is_closed_position = 0.5",
        "UPDATE positions SET open_ms = 'noon'",
    ],
)
def test_sqlite_holds_anything_in_any_column(sqlite_url: str, fault: str) -> None:
    write_records(sqlite_url, [position("p", orders=[order("a", 1_000)])])
    with engine(sqlite_url).begin() as connection:
        connection.execute(text(fault))
    agrees(source(sqlite_url))


@pytest.fixture
def load(tmp_path: Any) -> Any:
    def _load(mapping: str) -> SchemaMapping:
        path = tmp_path / "mapping.toml"
        path.write_text(mapping)
        return load_mapping(path)

    return _load


def test_a_mapped_schema_of_our_types_is_read_as_columns(database_url: str, load: Any) -> None:
    write_records(database_url, RECORDS)
    with engine(database_url).begin() as connection:
        connection.execute(text("ALTER TABLE orders RENAME TO trades"))
        connection.execute(text("ALTER TABLE trades RENAME COLUMN price TO fill"))
    mapping = load(
        "[orders]\ntable = 'trades'\n[orders.columns]\nprice = 'fill'\n"
        "slippage = { absent = true }\nsequence = { absent = true }\nsrc = { absent = true }\n"
        "[positions.columns]\naccount_size = { absent = true }\nclose_ms = { absent = true }"
    )
    for query in (ALL, PositionQuery(1_000, 2_000, (ALICE,), "range")):
        assert agrees(source(database_url, mapping), query)


@pytest.mark.parametrize(
    "mapping",
    [
        "[orders.columns]\nsrc = { constant = 3 }",
        "[orders.columns]\norder_type = { values = { LONG = 'SHORT' } }",
        "[positions.columns]\nopen_ms = { unit = 'us' }",
    ],
)
def test_a_mapping_of_values_is_read_row_by_row(database_url: str, load: Any, mapping: str) -> None:
    write_records(database_url, RECORDS)
    reader = source(database_url, load(mapping))
    assert reader.read_table() is None
    assert convert(read_records(reader)) == convert(reader.read())


def test_price_sources_and_strange_hotkeys_are_read_row_by_row(database_url: str) -> None:
    write_records(database_url, [position("p", "it's 50%")])
    reader = source(database_url)
    assert reader.read_table(PositionQuery(price_sources=True)) is None
    query = PositionQuery(hotkeys=("it's 50%",))
    assert reader.read_table(query) is None
    assert len(list(read_records(reader, query))) == 1


def test_without_the_driver_the_plain_one_gives_columns(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(database_url, RECORDS)
    monkeypatch.undo()
    found = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(("adbc_driver", "connectorx")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    caplog.set_level(logging.INFO, "ptn_backtest")
    assert agrees(DatabasePositionOrderSource(database_url))
    assert "by the plain driver" in caplog.text
    assert "is not installed" in caplog.text
    assert "row by row" not in caplog.text


def test_a_server_that_mixes_both_tables_is_read_by_the_plain_driver(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(mariadb_url, RECORDS)
    reader = source(mariadb_url)
    monkeypatch.undo()
    import connectorx  # noqa: PLC0415 - optional

    fetch = connectorx.read_sql

    def backwards(*args: Any, **options: Any) -> Any:
        found = fetch(*args, **options)
        return found.take(list(reversed(range(len(found)))))

    monkeypatch.setattr(connectorx, "read_sql", backwards)
    caplog.set_level(logging.INFO, "ptn_backtest")
    assert agrees(reader)
    assert "came mixed" in caplog.text


def test_a_url_with_options_is_read_by_the_plain_driver(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(mariadb_url, RECORDS)
    monkeypatch.undo()
    caplog.set_level(logging.INFO, "ptn_backtest")
    assert agrees(source(f"{mariadb_url}?charset=utf8mb4"))
    assert "no options in a URL" in caplog.text


@pytest.mark.parametrize("time_ms", [5, 2**63 + 5])
def test_unsigned_numbers(mariadb_url: str, time_ms: int) -> None:
    write_records(mariadb_url, RECORDS)
    with engine(mariadb_url).begin() as connection:
        connection.execute(text("ALTER TABLE orders MODIFY processed_ms BIGINT UNSIGNED"))
        connection.execute(text(f"UPDATE orders SET processed_ms = {time_ms} LIMIT 1"))
    agrees(source(mariadb_url))


def test_a_driver_that_fails_is_not_quoted(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(sqlite_url, RECORDS)
    reader = source(sqlite_url)
    monkeypatch.undo()
    import adbc_driver_sqlite  # noqa: PLC0415 - optional

    def fail(*_: Any) -> None:
        raise RuntimeError("postgresql://me:secret@host")

    monkeypatch.setattr(adbc_driver_sqlite, "connect", fail)
    caplog.set_level(logging.DEBUG, "ptn_backtest")
    assert agrees(reader)
    assert "RuntimeError of the driver" in caplog.text
    assert "secret" not in caplog.text


def test_what_the_plain_driver_cannot_decode_is_read_row_by_row(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(sqlite_url, RECORDS)
    with engine(sqlite_url).begin() as connection:
        connection.execute(text("UPDATE orders SET order_type = CAST(x'ff' AS TEXT)"))
    caplog.set_level(logging.INFO, "ptn_backtest")
    reader = source(sqlite_url)
    assert reader.read_table() is None
    assert "reading row by row" in caplog.text
    with pytest.raises(SourceError, match="decode"):
        list(reader.read())


# psycopg says of the cursor, which an interrupt gives to nobody, that it was not closed
@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
def test_an_interrupt_ends_waiting_for_a_server(postgres_url: str) -> None:
    write_records(postgres_url, RECORDS)
    reader = source(postgres_url)
    with engine(postgres_url).begin() as connection:
        connection.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))
        main = threading.main_thread().ident or 0
        interrupt = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            reader.read_table()
    interrupt.join()
    gc.collect()  # here, not in another test
    assert agrees(reader)


def test_a_table_of_records_is_a_sequence(database_url: str) -> None:
    write_records(database_url, RECORDS)
    table = table_of(source(database_url))
    looked_up = [table[row] for row in range(len(table))]
    assert [content(each) for each in looked_up] == [content(each) for each in table]
    assert [each.origin for each in looked_up] == [each.origin for each in table]


def test_orders_as_columns_behave_like_the_tuple(database_url: str) -> None:
    write_records(database_url, RECORDS)
    reader = source(database_url)
    columns, objects = convert(table_of(reader)).positions, convert(reader.read()).positions
    assert [hash(p.orders) for p in columns] == [hash(p.orders) for p in objects]
    for mine, theirs in zip(columns, objects, strict=True):
        assert isinstance(mine.orders, RecordedOrders)
        assert mine.orders == theirs.orders
        assert theirs.orders == mine.orders
        assert mine.orders != theirs.orders[1:]
        assert mine.orders[-1] == theirs.orders[-1]
        for part in (slice(1, None), slice(0, 1), slice(3, 1), slice(None, None, -1)):
            assert mine.orders[part] == theirs.orders[part]
            assert len(mine.orders[part]) == len(theirs.orders[part])
        assert [*mine.orders, 1] == [*theirs.orders, 1]
        with pytest.raises(IndexError):
            mine.orders[len(theirs.orders)]
        again = pickle.loads(pickle.dumps(mine))  # noqa: S301 - our own
        assert again == theirs
        assert len(pickle.dumps(mine)) < 4_000
    ours, others = (position_columns(all_, DEFAULT_RULEBOOK) for all_ in (columns, objects))
    assert ours.orders.tobytes() == others.orders.tobytes()
    assert ours.positions.tobytes() == others.positions.tobytes()
    mixed = [pair[i % 2] for i, pair in enumerate(zip(columns, objects, strict=True))]
    assert position_columns(mixed, DEFAULT_RULEBOOK).orders.tobytes() == ours.orders.tobytes()


def test_positions_known_at_a_time_keep_their_columns(sqlite_url: str) -> None:
    write_records(sqlite_url, RECORDS)
    reader = source(sqlite_url)
    columns, objects = convert(table_of(reader)).positions, convert(reader.read()).positions
    times = sorted({order.processed_ms for position in objects for order in position.orders})
    for end_ms in (times[0] - 1, *times):
        known = up_to(columns, end_ms)
        assert known == up_to(objects, end_ms)
        assert all(isinstance(position.orders, RecordedOrders) for position in known)
    assert all(a is b for a, b in zip(up_to(columns, times[-1]), columns, strict=True))
