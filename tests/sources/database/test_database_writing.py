"""Importing positions into real databases."""

import logging
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import inspect, text
from sqlalchemy.pool import NullPool

from ptn_backtest.errors import SchemaError, SourceError
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.schema import create_schema
from ptn_backtest.sources.database.writing import TableCounts, write_records
from ptn_backtest.sources.records import (
    EliminationRecord,
    OrderRecord,
    PositionQuery,
    PositionRecord,
)
from tests.sources.database.database_records import ALICE, BOB, content, order, position


def read(url: str) -> list[PositionRecord]:
    return list(DatabasePositionOrderSource(url).read(PositionQuery(price_sources=True)))


def engine_of(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url, poolclass=NullPool)


def rows_of(url: str, table: str) -> int:
    with engine_of(url).connect() as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


RECORDS = [position("a", close_ms=2_000), position("b", BOB), position("c", BOB, orders=[])]
SIZES = {ALICE: [(1, 10.0), (2, 20.0)]}
ELIMINATIONS = [EliminationRecord({"miner_hotkey": BOB, "elimination_ms": 5, "max_drawdown": None})]


def test_a_second_import_changes_nothing(database_url: str) -> None:
    first = write_records(database_url, RECORDS, account_sizes=SIZES, eliminations=ELIMINATIONS)
    assert first.positions == TableCounts(inserted=3)
    assert first.orders == TableCounts(inserted=3)
    assert first.account_sizes == TableCounts(inserted=2)
    assert first.eliminations == TableCounts(inserted=1)
    with engine_of(database_url).connect() as connection:
        before = connection.execute(text("SELECT * FROM positions ORDER BY position_uuid")).all()

    second = write_records(database_url, RECORDS, account_sizes=SIZES, eliminations=ELIMINATIONS)

    assert second.positions == TableCounts(unchanged=3)
    assert second.orders == TableCounts(unchanged=3)
    assert second.account_sizes == TableCounts(unchanged=2)
    assert second.eliminations == TableCounts(unchanged=1)
    assert second.unstored == []
    with engine_of(database_url).connect() as connection:
        after = connection.execute(text("SELECT * FROM positions ORDER BY position_uuid")).all()
    assert after == before  # to the bit, updated_ms too


def test_what_changed_is_updated_and_nothing_is_deleted(database_url: str) -> None:
    write_records(database_url, [*RECORDS, position("d")], account_sizes=SIZES)
    closed = position("b", BOB, close_ms=3_000)
    only_orders = position("c", BOB, orders=[order("c1", 1_500)])

    counts = write_records(
        database_url,
        [RECORDS[0], closed, only_orders, position("e")],
        account_sizes={ALICE: [(2, 20.5), (3, 30.0)]},
    )

    assert counts.positions == TableCounts(inserted=1, updated=2, unchanged=1)
    assert counts.orders == TableCounts(inserted=3, updated=0, unchanged=3)
    assert counts.account_sizes == TableCounts(inserted=1, updated=1)
    expected = [RECORDS[0], position("d"), position("e"), closed, only_orders]
    assert [content(r) for r in read(database_url)] == [content(r) for r in expected]
    sizes = DatabasePositionOrderSource(database_url).read_account_sizes()
    assert sizes == {ALICE: [(1, 10.0), (2, 20.5), (3, 30.0)]}


def test_what_a_record_does_not_mention_stays(database_url: str) -> None:
    full = position("a", orders=[order("a1", 1, price_sources="[]")])
    write_records(database_url, [full])
    bare = PositionRecord(
        {"position_uuid": "a", "miner_hotkey": ALICE},
        [OrderRecord({"order_uuid": "a1", "price": 5.0}, "")],
    )

    counts = write_records(database_url, [bare])

    assert (counts.positions.updated, counts.orders.updated) == (1, 1)
    expected = replace(full, orders=[order("a1", 1, price_sources="[]", price=5.0)])
    assert [content(r) for r in read(database_url)] == [content(expected)]


def test_a_null_replaces_what_is_stored(database_url: str) -> None:
    write_records(database_url, [position("a", close_ms=2_000)])
    reopened = position("a", close_ms=2_000)
    write_records(database_url, [replace(reopened, stored={**reopened.stored, "close_ms": None})])
    assert "close_ms" not in read(database_url)[0].stored


def test_an_import_that_fails_stores_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ptn_backtest.sources.database.writing.POSITIONS_AT_ONCE", 2)
    write_records(database_url, [position("before")])

    def breaking() -> Iterator[PositionRecord]:
        for number in range(9):
            yield position(f"p{number}")
        raise SourceError("the source broke")

    with pytest.raises(SourceError, match="the source broke"):
        write_records(database_url, breaking())

    assert [r.fields["position_uuid"] for r in read(database_url)] == ["before"]


def test_progress_counts_every_record(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptn_backtest.sources.database.writing.POSITIONS_AT_ONCE", 4)
    done: list[int] = []
    orphan = PositionRecord({}, [], orphan=True)
    write_records(
        sqlite_url, [*(position(f"p{n}") for n in range(9)), orphan], progress=done.append
    )
    assert done == [4, 4, 2]


class Kind(Enum):
    LONG = "LONG"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (replace(position("x"), error="broken JSON"), "unreadable: broken JSON"),
        (replace(position("x"), orphan=True), "orders without a position"),
        (position("x", position_uuid=None), "position_uuid is missing"),
        (position("x", position_uuid=""), "position_uuid: '' is empty"),
        (position("x", position_uuid="x "), "position_uuid: 'x ' is empty, or starts or ends"),
        (position("x", miner_hotkey="5" * 65), "miner_hotkey: .*more than 64 characters"),
        (position("x", miner_hotkey="a\0b"), "cannot hold"),
        (position("x", miner_hotkey="a\ud800b"), "cannot hold"),
        (position("x", trade_pair_id=["BTCUSD"]), r"trade_pair_id: \['BTCUSD'\] is not a text"),
        (position("x", open_ms=2**63), "open_ms: 9223372036854775808 has more than 63 bits"),
        (position("x", open_ms=1.5), "open_ms: 1.5 is not a whole number"),  # type: ignore[arg-type]
        (position("x", account_size=math.nan), "account_size: nan is not a finite number"),
        (position("x", orders=[order("o", 1, price=math.inf)]), "order o: price: inf is not"),
        (position("x", orders=[order("o", 1, price="high")]), "order o: price: 'high' is not a"),
        (position("x", orders=[order("o", 1, src=2**31)]), "order o: src: .* 31 bits"),
        (position("x", orders=[order("o", 1, order_uuid=None)]), "order None: order_uuid is mi"),
        (position("x", orders=[order("o", 2), order("p", 1)]), "processed_ms 1 is before .* 2"),
        (position("x", orders=[order("o", 2), order("o", 3)]), "order o was found before"),
        (position("x", orders=[order("good-first", 2)]), "order good-first was found before"),
        (position("good"), "position good was found before"),
    ],
)
def test_what_cannot_be_stored_is_left_out_whole_and_told(
    sqlite_url: str, record: PositionRecord, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, other = position("good"), position("z")
    found = replace(record, origin="file 7")

    counts = write_records(sqlite_url, [good, found, other])

    [unstored] = counts.unstored
    assert unstored.origin == "file 7"
    assert unstored.miner_hotkey == str(record.fields["miner_hotkey"])
    assert unstored.n_orders == len(record.orders)
    assert re.search(reason, unstored.reason), unstored.reason
    assert f"left out: file 7: {unstored.reason}" in caplog.messages
    assert [content(r) for r in read(sqlite_url)] == [content(good), content(other)]


def test_what_a_database_would_change_is_refused_by_all_alike(database_url: str) -> None:
    records = [
        position("x", account_size=math.nan),
        position("y", miner_hotkey="5" * 65),
        position("z", orders=[order("z1", 1, src=2**31)]),
    ]
    counts = write_records(database_url, records)
    assert len(counts.unstored) == 3
    assert rows_of(database_url, "positions") == rows_of(database_url, "orders") == 0


def test_an_order_that_is_stored_with_another_position_stays_there(database_url: str) -> None:
    write_records(database_url, [position("a")])
    thief = position("b", orders=[order("b1", 1), order("a-first", 2)])

    counts = write_records(database_url, [thief, position("c")])

    assert [u.reason for u in counts.unstored] == ["order a-first is stored with position a"]
    found = [content(r) for r in read(database_url)]
    assert found == [content(position("a")), content(position("c"))]


def test_values_that_mean_the_same_are_stored_as_what_they_mean(database_url: str) -> None:
    record = position(
        "a",
        open_ms="1000",  # type: ignore[arg-type]
        account_size=5,
        orders=[order("a1", 1_000.0, price="0.30000000000000004", order_type=Kind.LONG.value)],  # type: ignore[arg-type]
    )
    write_records(database_url, [record])
    expected = position(
        "a", account_size=5.0, orders=[order("a1", 1_000, price=0.1 + 0.2, order_type="LONG")]
    )
    assert [content(r) for r in read(database_url)] == [content(expected)]


def test_price_sources_are_stored_as_json(database_url: str) -> None:
    sources: Any = [{"source": "A", "close": 0.1 + 0.2}]
    write_records(database_url, [position("a", orders=[order("a1", 1, price_sources=sources)])])
    found = read(database_url)[0].orders[0].fields["price_sources"]
    assert found == '[{"source":"A","close":0.30000000000000004}]'


def test_two_account_sizes_at_one_time(sqlite_url: str) -> None:
    counts = write_records(sqlite_url, [], account_sizes={ALICE: [(1, 5.0), (1, 5.0), (1, 6.0)]})
    assert counts.account_sizes == TableCounts(inserted=1)
    [unstored] = counts.unstored
    assert unstored.reason == "another one of this time was found before"
    assert unstored.origin == f"account size of {ALICE} at 1"


def test_an_elimination_without_a_time_is_told(sqlite_url: str) -> None:
    counts = write_records(
        sqlite_url, [], eliminations=[EliminationRecord({"miner_hotkey": ALICE}, "row 3")]
    )
    [unstored] = counts.unstored
    assert (unstored.reason, unstored.origin) == ("elimination_ms is missing", "row 3")


def test_counts_are_logged(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ptn_backtest")
    write_records(sqlite_url, RECORDS)
    assert "positions: 3 inserted, 0 updated, 0 unchanged" in caplog.messages
    assert caplog.messages[-1].startswith("imported in 0.")


def test_the_schema_is_made_once(database_url: str) -> None:
    engine = engine_of(database_url)
    create_schema(engine)
    write_records(database_url, RECORDS)
    create_schema(engine)

    tables = inspect(engine)
    assert set(tables.get_table_names()) == {
        "positions",
        "orders",
        "eliminations",
        "account_sizes",
        "plagiarism_events",
        "schema_version",
    }
    assert rows_of(database_url, "positions") == 3
    assert rows_of(database_url, "schema_version") == 1
    columns = {column["name"] for column in tables.get_columns("positions")}
    assert columns == {
        "position_uuid",
        "miner_hotkey",
        "trade_pair_id",
        "position_type",
        "open_ms",
        "close_ms",
        "is_closed_position",
        "current_return",
        "return_at_close",
        "net_leverage",
        "average_entry_price",
        "cumulative_entry_value",
        "realized_pnl",
        "account_size",
        "updated_ms",
    }
    indexed = {
        tuple(index["column_names"])
        for table in ("positions", "orders")
        for index in tables.get_indexes(table)
    }
    assert indexed >= {
        ("miner_hotkey", "open_ms"),
        ("close_ms",),
        ("position_uuid", "processed_ms"),
        ("processed_ms",),
    }
    [key] = tables.get_foreign_keys("orders")
    assert (key["constrained_columns"], key["referred_table"]) == (["position_uuid"], "positions")


def test_a_half_made_schema_is_completed(database_url: str) -> None:
    create_schema(engine_of(database_url))
    with engine_of(database_url).begin() as connection:
        connection.execute(text("DROP TABLE orders"))
        connection.execute(text("DELETE FROM schema_version"))

    write_records(database_url, RECORDS)

    assert rows_of(database_url, "orders") == 3


@pytest.mark.parametrize(("version", "advice"), [(2, "Upgrade ptn-backtest"), (0, "new database")])
def test_another_version_of_the_schema_is_refused(
    database_url: str, version: int, advice: str
) -> None:
    write_records(database_url, RECORDS)
    with engine_of(database_url).begin() as connection:
        connection.execute(text(f"UPDATE schema_version SET version = {version}"))

    for use in (lambda: write_records(database_url, RECORDS), lambda: read(database_url)):
        with pytest.raises(SchemaError, match=rf"version {version} of the schema.*{advice}"):
            use()


def test_tables_that_are_not_ours_are_left_alone(database_url: str) -> None:
    with engine_of(database_url).begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))

    with pytest.raises(SchemaError, match=r"tables named orders .*docs/mapping.md"):
        write_records(database_url, RECORDS)

    assert inspect(engine_of(database_url)).get_table_names() == ["orders"]


def test_many_that_cannot_be_stored_are_counted_not_listed(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bad = [position(f"p{i}", account_size="big") for i in range(40)]
    counts = write_records(sqlite_url, [*bad, position("x", orders=[order("o", 1, price="high")])])
    assert Counter(left.kind for left in counts.unstored) == {
        "account_size": 40,
        "orders' price": 1,
    }
    assert len(caplog.messages) == 3 + 1 + 1
    assert caplog.messages[-1] == "left out: 37 more for account_size"
    assert counts.stored_none
    assert counts.positions_read == 41
    # what is stored already is no failure
    write_records(sqlite_url, [position("good")])
    assert not write_records(sqlite_url, [position("good")]).stored_none
    assert not write_records(sqlite_url, []).stored_none
