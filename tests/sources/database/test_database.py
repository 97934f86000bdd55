"""Reading positions from real databases: SQLite, PostgreSQL and MariaDB."""

import logging
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.connect import snapshot
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.records import (
    ALL,
    EliminationRecord,
    OrderRecord,
    PositionQuery,
    PositionRecord,
    PositionSource,
)
from ptn_backtest.sources.selection import select
from tests.sources.database.database_records import ALICE, BOB, content, order, position, uuids


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """A connection of another program, committed at the end."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def allow_orphans(url: str) -> None:
    if not url.startswith("sqlite"):  # which checks foreign keys only where it is told to
        with writing(url) as connection:
            connection.execute(text("ALTER TABLE orders DROP CONSTRAINT fk_orders_position"))


def read(url: str, query: PositionQuery = ALL) -> list[PositionRecord]:
    return list(DatabasePositionOrderSource(url).read(query))


def test_records_come_back_as_they_were_written(database_url: str) -> None:
    records = [
        position("a", orders=[order("a1", 5), order("a2", 6, bid=None, ask=None, slippage=None)]),
        position("b", BOB, close_ms=2_000, account_size=None),
        position("c", BOB, open_ms=3_000, orders=[]),
    ]

    write_records(database_url, records)

    without_nulls = [
        replace(
            record,
            fields={k: v for k, v in record.fields.items() if v is not None},
            orders=[
                OrderRecord({k: v for k, v in o.fields.items() if v is not None}, o.origin)
                for o in record.orders
            ],
        )
        for record in records
    ]
    found = read(database_url)
    assert [content(r) for r in found] == [content(r) for r in without_nulls]
    assert found[0].origin == "positions row a"
    assert found[0].orders[1].origin == "orders row a2"


@pytest.mark.parametrize("name", ["btc_trader_2025", "mixed_trader_2024"])
def test_real_positions_come_back_as_they_were_written(
    shared: Path, database_url: str, name: str
) -> None:
    file = CheckpointPositionSource(shared / "data" / "positions" / f"{name}.json")
    query = PositionQuery(price_sources=True)
    records = list(file.read(query))
    assert len(records) > 60

    counts = write_records(database_url, records)

    assert counts.unstored == []
    assert [content(r) for r in read(database_url, query)] == [content(r) for r in records]


def test_floats_keep_every_bit(database_url: str) -> None:
    random_bits = random.Random(7)  # noqa: S311 - not for cryptography
    values = [0.1 + 0.2, 1e-308, 5e-324, 83024.24000000001, 1.7976931348623157e308, 1 / 3]
    while len(values) < 1_000:
        (value,) = struct.unpack("<d", random_bits.randbytes(8))
        if value - value == 0:  # finite
            values.append(value)
    orders = [order(f"o{at:04}", at, price=value) for at, value in enumerate(values)]

    write_records(database_url, [position("a", orders=orders)])

    [record] = read(database_url)
    found = [order.fields["price"] for order in record.orders]
    assert [value.hex() for value in found] == [value.hex() for value in values]


def test_price_sources_are_read_only_when_asked_for(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    sources = '[{"source": "A",  "close": 1.10}]'  # spacing and zeros are kept
    write_records(database_url, [position("a", orders=[order("a1", 1, price_sources=sources)])])
    caplog.set_level(logging.DEBUG, logger="ptn_backtest")

    [record] = read(database_url)
    assert "price_sources" not in record.orders[0].fields
    assert "price_sources AS" not in caplog.text.replace('"', "")
    assert "processed_ms" in caplog.text

    [record] = read(database_url, PositionQuery(price_sources=True))
    assert record.orders[0].fields["price_sources"] == sources


def test_order_of_positions_is_by_code_point_whatever_the_collation(database_url: str) -> None:
    # a language's collation sorts a, B, b, Z, é; code points sort B, Z, a, b, é
    hotkeys = ["é", "b", "Z", "a", "B", "a-1", "a1"]
    records = [position(f"p{number}", hotkey) for number, hotkey in enumerate(hotkeys)]
    same_time = [position(uuid, "a") for uuid in ("x", "X", "Y")]

    write_records(database_url, [*records, *same_time])

    found = read(database_url)
    assert [r.fields["miner_hotkey"] for r in found] == [
        "B",
        "Z",
        "a",
        "a",
        "a",
        "a",
        "a-1",
        "a1",
        "b",
        "é",
    ]
    assert uuids(found)[2:6] == ["X", "Y", "p3", "x"]


def test_orders_of_one_millisecond_keep_their_stored_order(database_url: str) -> None:
    stored = ["z", "m", "b", "y", "a"]
    orders = [order(uuid, 10 if uuid != "a" else 11) for uuid in stored]

    write_records(database_url, [position("p", orders=orders)])

    [record] = read(database_url)
    assert [o.fields["order_uuid"] for o in record.orders] == stored


def test_orders_of_one_millisecond_without_stored_order_come_by_uuid(database_url: str) -> None:
    write_records(database_url, [position("p", orders=[order("z", 10), order("a", 10)])])
    with writing(database_url) as connection:
        connection.execute(text("UPDATE orders SET sequence = NULL"))

    [record] = read(database_url)
    assert [o.fields["order_uuid"] for o in record.orders] == ["a", "z"]


@pytest.fixture
def ranged(database_url: str) -> str:
    """Positions around the range 100..200."""
    never = position("never", open_ms=90)
    zero = position("zero", open_ms=91)
    write_records(
        database_url,
        [
            position("before", open_ms=10, close_ms=99),
            position("touches-start", open_ms=20, close_ms=100),
            position("around", open_ms=30, close_ms=300),
            position("inside", open_ms=120, close_ms=180),
            position("touches-end", open_ms=200, close_ms=250),
            position("after", open_ms=201, close_ms=250),
            position("empty", open_ms=130, orders=[]),
            position("late-orders", open_ms=140, orders=[order("late", 201)]),
            never,
            replace(zero, stored={**zero.stored, "close_ms": 0}),
        ],
    )
    return database_url


IN_RANGE = [
    "touches-start",
    "around",
    "never",
    "zero",
    "inside",
    "empty",
    "touches-end",
]


def test_range_holds_what_was_open_at_some_moment_of_it(ranged: str) -> None:
    found = read(ranged, PositionQuery(100, 200, history="range"))
    assert uuids(found) == IN_RANGE


def test_full_history_also_holds_what_was_closed_before_the_range(ranged: str) -> None:
    assert uuids(read(ranged, PositionQuery(100, 200))) == ["before", *IN_RANGE]


def test_orders_after_the_end_are_left_out_and_earlier_ones_are_not(ranged: str) -> None:
    found = {r.fields["position_uuid"]: r for r in read(ranged, PositionQuery(100, 200))}
    assert [o.fields["processed_ms"] for o in found["around"].orders] == [30]
    assert [o.fields["processed_ms"] for o in found["touches-start"].orders] == [20, 100]
    assert [o.fields["processed_ms"] for o in found["touches-end"].orders] == [200]
    assert found["around"].stored["close_ms"] == 300  # a row is read as it is


def test_open_ends(ranged: str) -> None:
    assert len(read(ranged)) == 10
    assert "late-orders" in uuids(read(ranged, PositionQuery(100, None, history="range")))
    assert "before" not in uuids(read(ranged, PositionQuery(100, None, history="range")))
    assert uuids(read(ranged, PositionQuery(None, 25, history="range"))) == [
        "before",
        "touches-start",
    ]


def test_the_database_selects_what_the_other_sources_select(database_url: str) -> None:
    """Against `selection.select`, which filters records in memory."""
    made = random.Random(11)  # noqa: S311
    records = []
    for number in range(300):
        opened = made.randrange(0, 1_000)
        times = sorted(made.choices(range(opened, 1_100), k=made.randrange(0, 5)))
        known = made.random() < 0.7
        records.append(
            position(
                f"p{number:03}",
                made.choice([ALICE, BOB, "5Carol"]),
                open_ms=opened if known else None,  # type: ignore[arg-type]
                close_ms=made.choice([None, opened + 50, 1_099]),
                orders=[
                    order(f"p{number:03}-{n}", at if made.random() < 0.9 or not known else None)  # type: ignore[arg-type]
                    for n, at in enumerate(times)
                ],
            )
        )
    records = [
        replace(r, fields={k: v for k, v in r.fields.items() if v is not None}) for r in records
    ]
    write_records(database_url, records)
    stored = read(database_url)
    assert len(stored) == 300

    for history in ("full", "range"):
        for start, end in [
            (None, None),
            (300, 700),
            (0, 0),
            (500, 500),
            (1_050, 2_000),
            (None, 400),
        ]:
            for hotkeys in (None, (ALICE,), (BOB, "5Carol", "5Nobody")):
                query = PositionQuery(start, end, hotkeys, history)
                expected = {r.fields["position_uuid"]: content(r) for r in select(stored, query)}
                found = {r.fields["position_uuid"]: content(r) for r in read(database_url, query)}
                assert found == expected, query


def test_hotkeys(database_url: str) -> None:
    write_records(database_url, [position("a"), position("b", BOB), position("c", "5Carol")])

    assert uuids(read(database_url, PositionQuery(hotkeys=("5Carol", ALICE)))) == ["a", "c"]
    assert read(database_url, PositionQuery(hotkeys=("5alice",))) == []
    assert read(database_url, PositionQuery(hotkeys=())) == []


def test_whose_positions_there_are(database_url: str) -> None:
    """Also where a server's collation takes one for the other."""
    written = [position("a"), position("b", BOB), position("c", BOB.upper()), position("d", BOB)]
    write_records(database_url, written)

    source = DatabasePositionOrderSource(database_url)
    assert source.hotkeys() == sorted([ALICE, BOB, BOB.upper()])


def test_five_thousand_hotkeys_are_read_in_order(database_url: str) -> None:
    hotkeys = [f"5Trader{number:05}" for number in range(6_000)]
    write_records(database_url, (position(f"p{h}", h) for h in hotkeys[::40]))
    shuffled = hotkeys[:5_000] * 2
    random.Random(3).shuffle(shuffled)  # noqa: S311

    found = read(database_url, PositionQuery(hotkeys=tuple(shuffled)))

    assert [r.fields["miner_hotkey"] for r in found] == hotkeys[:5_000:40]


def test_orders_without_a_position_come_last(database_url: str) -> None:
    write_records(database_url, [position("p", open_ms=1, orders=[order("o1", 1)])])
    allow_orphans(database_url)
    with writing(database_url) as connection:
        for uuid, of, at in [
            ("x2", "lost", 9),
            ("x1", "lost", 8),
            ("x3", "Also lost", 7),
            ("x4", "p", 2),
        ]:
            connection.execute(
                text(
                    "INSERT INTO orders (order_uuid, position_uuid, processed_ms) VALUES (:u, :o, :t)"
                ),
                {"u": uuid, "o": of, "t": at},
            )

    found = read(database_url)

    assert [(r.orphan, r.fields.get("position_uuid")) for r in found] == [
        (False, "p"),
        (True, "Also lost"),
        (True, "lost"),
    ]
    assert [o.fields["order_uuid"] for o in found[0].orders] == ["o1", "x4"]
    assert [o.fields["order_uuid"] for o in found[2].orders] == ["x1", "x2"]
    assert found[2].fields == {"position_uuid": "lost"}
    assert found[2].origin == "orders of position lost"
    # up to the end of the range, and nobody knows whose they are
    assert [r.orphan for r in read(database_url, PositionQuery(end_ms=7))] == [False, True]
    assert not any(r.orphan for r in read(database_url, PositionQuery(hotkeys=(ALICE,))))


def test_a_source_cannot_write(database_url: str) -> None:
    write_records(database_url, [position("a")])
    source = DatabasePositionOrderSource(database_url)

    for statement in (
        "DELETE FROM orders",
        "UPDATE positions SET account_size = 0",
        "CREATE TABLE mine (i INTEGER)",
    ):
        with (
            pytest.raises(DBAPIError, match=r"(?i)read.?only"),
            snapshot(source._engine) as reading,
        ):
            reading.execute(text(statement))

    assert [content(r) for r in source.read()] == [content(position("a"))]


def test_reading_a_sqlite_file_leaves_every_byte(sqlite_url: str, tmp_path: Path) -> None:
    write_records(sqlite_url, [position("a")])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(read(sqlite_url)) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_all_that_is_read_is_of_one_moment(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer between two statements of one reading is not seen by the second."""
    monkeypatch.setattr("ptn_backtest.sources.database.source.HOTKEYS_AT_ONCE", 1)
    write_records(database_url, [position("a"), position("b", BOB)])
    allow_orphans(database_url)
    if database_url.startswith("sqlite"):
        with writing(database_url) as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # else the writer would wait

    for query in (ALL, PositionQuery(hotkeys=(ALICE, BOB))):
        reading = DatabasePositionOrderSource(database_url).read(query)
        first = next(reading)
        with writing(database_url) as connection:
            connection.execute(text("DELETE FROM orders WHERE order_uuid = 'b-first'"))
            connection.execute(text("UPDATE positions SET account_size = 7"))
            connection.execute(
                text("INSERT INTO orders (order_uuid, position_uuid) VALUES ('new', 'nobody')")
            )
        found = [first, *reading]
        assert [content(r) for r in found] == [content(position("a")), content(position("b", BOB))]

        with writing(database_url) as connection:
            connection.execute(text("DELETE FROM orders WHERE order_uuid = 'new'"))
        after = read(database_url)
        assert [(r.fields["account_size"], len(r.orders)) for r in after] == [(7.0, 1), (7.0, 0)]
        write_records(database_url, [position("a"), position("b", BOB)])


ONE_ROW_EACH = {
    "sqlite": "WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 15000) ",
    "postgresql": "WITH seq AS (SELECT generate_series(1, 15000) AS n) ",
    "mysql": "WITH seq AS (SELECT seq AS n FROM seq_1_to_15000) ",
}

READ_IN_A_PROCESS_OF_ITS_OWN = """
import resource, sys
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.records import PositionQuery
source = DatabasePositionOrderSource(sys.argv[1])
assert not list(source.read(PositionQuery(hotkeys=("nobody",))))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = 0
for record in source.read(PositionQuery(price_sources=True)):
    size += sum(len(order.fields["price_sources"]) for order in record.orders)
print(size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_does_not_grow_with_the_table(database_url: str) -> None:
    write_records(database_url, [])
    kind = sqlalchemy.make_url(database_url).get_backend_name()
    key = "CONCAT('p', n)" if kind == "mysql" else "'p' || n"
    blob = {"sqlite": "printf('%04000d', n)", "postgresql": "repeat('x', 4000)"}.get(
        kind, "repeat('x', 4000)"
    )
    rows = ONE_ROW_EACH[kind]
    insert = {
        "positions": f"(position_uuid, miner_hotkey, open_ms) {{}} SELECT {key}, 'h', n FROM seq",
        "orders": "(order_uuid, position_uuid, processed_ms, price_sources) "
        f"{{}} SELECT {key}, {key}, n, {blob} FROM seq",
    }
    with writing(database_url) as connection:
        for table, statement in insert.items():
            connection.execute(text(f"INSERT INTO {table} {statement.format(rows)}"))

    done = subprocess.run(
        [sys.executable, "-c", READ_IN_A_PROCESS_OF_ITS_OWN, database_url],
        check=True,
        capture_output=True,
        text=True,
    )

    size, grown = map(int, done.stdout.split())
    assert size == 15_000 * 4_000
    assert grown < size / 2, "the whole table was held in memory"


def test_a_reader_may_stop_early(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptn_backtest.sources.database.source.ROWS_AT_ONCE", 2)
    write_records(database_url, [position(f"p{number}", open_ms=number) for number in range(50)])
    source = DatabasePositionOrderSource(database_url)

    reading = source.read()
    assert uuids([next(reading), next(reading)]) == ["p0", "p1"]
    reading.close()  # type: ignore[attr-defined]

    assert len(list(source.read())) == 50
    with writing(database_url) as connection:  # and holds no lock
        connection.execute(text("DELETE FROM orders"))


def test_get_positions_with_orders(ranged: str) -> None:
    write_records(ranged, [position("other", BOB, open_ms=150)])
    source = DatabasePositionOrderSource(ranged)

    both = source.get_positions_with_orders(start_ms=100, end_ms=200, miner_hotkeys=[])
    assert {hotkey: uuids(records) for hotkey, records in both.items()} == {
        ALICE: IN_RANGE,
        BOB: ["other"],
    }
    assert list(source.get_positions_with_orders(100, 200, [BOB])) == [BOB]
    everything = source.get_positions_with_orders(0, 10_000, [ALICE])
    assert len(everything[ALICE]) == 10


def test_get_positions_with_orders_says_what_has_no_trader(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(sqlite_url, [position("a")])
    with writing(sqlite_url) as connection:
        connection.execute(
            text("INSERT INTO orders (order_uuid, position_uuid) VALUES ('x', 'lost')")
        )

    found = DatabasePositionOrderSource(sqlite_url).get_positions_with_orders(0, 10_000, [])

    assert {hotkey: uuids(records) for hotkey, records in found.items()} == {ALICE: ["a"]}
    assert "left out 1 orders of orders of position lost" in caplog.text


def test_account_sizes(database_url: str) -> None:
    sizes = {BOB: [(20, 150_000.5), (10, 0.1 + 0.2)], ALICE: [(5, 1.0)]}
    write_records(database_url, [], account_sizes=sizes)
    source: PositionSource = DatabasePositionOrderSource(database_url)

    assert source.read_account_sizes() == {
        ALICE: [(5, 1.0)],
        BOB: [(10, 0.1 + 0.2), (20, 150_000.5)],
    }
    assert source.read_account_sizes(PositionQuery(hotkeys=(ALICE,))) == {ALICE: [(5, 1.0)]}


def test_an_account_size_without_a_size_is_left_out_and_logged(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(sqlite_url, [], account_sizes={ALICE: [(5, 1.0)]})
    with writing(sqlite_url) as connection:
        connection.execute(
            text(f"INSERT INTO account_sizes (miner_hotkey, update_time_ms) VALUES ('{BOB}', 9)")
        )

    assert DatabasePositionOrderSource(sqlite_url).read_account_sizes() == {ALICE: [(5, 1.0)]}
    assert "account size left out" in caplog.text
    assert BOB in caplog.text


def test_eliminations(database_url: str) -> None:
    late = {"miner_hotkey": ALICE, "elimination_ms": 20, "elimination_reason": "MAX_TOTAL_DRAWDOWN"}
    early = {
        "miner_hotkey": BOB,
        "elimination_ms": 10,
        "elimination_reason": "LIQUIDATED",
        "max_drawdown": 12.34,
        "creation_ms": 11,
        "updated_ms": 12,
    }
    write_records(
        database_url, [], eliminations=[EliminationRecord(late), EliminationRecord(early)]
    )
    source = DatabasePositionOrderSource(database_url)

    assert [dict(r.fields) for r in source.read_eliminations()] == [early, late]
    of_alice = source.read_eliminations(PositionQuery(hotkeys=(ALICE,)))
    assert [dict(r.fields) for r in of_alice] == [late]
    assert of_alice[0].origin == f"eliminations row {ALICE}"


def test_what_is_asked_and_found_is_logged(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_records(sqlite_url, [position("a", close_ms=2_000), position("b", BOB)])
    caplog.set_level(logging.DEBUG, logger="ptn_backtest")
    caplog.clear()

    read(sqlite_url, PositionQuery(5, 5_000, (ALICE, BOB), "range"))

    first, last = caplog.messages[0], caplog.messages[-1]
    assert "start_ms=5 end_ms=5000 hotkeys=2 history=range" in first
    assert sqlite_url in first
    assert "read 2 positions with 3 orders, and 0 orders without a position, in 0." in last
    assert f"hotkeys: {ALICE}, {BOB}" in caplog.messages
