"""The loading benchmark, very small: what it reads, and that it notices differences; no times."""

import sqlite3
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy
from benchmarks.loading import ORDERS_PER_POSITION, fill, main, raw_fetch, refuse_differences
from sqlalchemy.pool import NullPool

from ptn_backtest.positions.conversion import convert
from ptn_backtest.sources.database import DatabasePositionOrderSource
from tests.conftest import cannot_run

N_ORDERS = 60
N_POSITIONS = N_ORDERS // ORDERS_PER_POSITION


@pytest.fixture
def url(sqlite_url: str) -> str:
    try:
        import_module("adbc_driver_sqlite")
    except ImportError:
        cannot_run("no adbc_driver_sqlite to test with; pip install 'ptn-backtest[bulk]'")
    fill(sqlalchemy.create_engine(sqlite_url, poolclass=NullPool), N_ORDERS)
    return sqlite_url


def test_a_measured_database_was_read_whole_and_alike_in_every_way(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--url", url, "--repeats", "2", "--clock", "cpu_seconds"]
    monkeypatch.setattr("sys.argv", ["loading", *options])
    main()
    _, line = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["sqlite", str(N_ORDERS)]


def test_raw_fetch_and_loading_give_the_rows_that_were_made(url: str) -> None:
    fetched = raw_fetch(sqlalchemy.make_url(url))
    assert [len(pa.table(each)) for each in fetched] == [N_POSITIONS, N_ORDERS]
    source = DatabasePositionOrderSource(url)
    table = source.read_table()
    assert table is not None
    assert [len(table.positions), len(table.orders)] == [N_POSITIONS, N_ORDERS]
    refuse_differences("here", fetched, table)
    assert convert(table) == convert(source.read())
    assert convert(table).counts["orders"] == N_ORDERS


@pytest.mark.parametrize(
    "change", ["UPDATE orders SET price = price * 2", "UPDATE positions SET account_size = 1"]
)
def test_a_value_that_differs_is_named(url: str, change: str) -> None:
    fetched = raw_fetch(sqlalchemy.make_url(url))
    path = Path(str(sqlalchemy.make_url(url).database))
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    table = DatabasePositionOrderSource(url).read_table()
    assert table is not None
    with pytest.raises(SystemExit, match=r"(price|account_size) differs"):
        refuse_differences("here", fetched, table)
