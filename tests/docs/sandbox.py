"""A user's folder as the documentation supposes it: databases, candles, files to import."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ptn_backtest.clock import DAY_MS, MINUTE_MS, NEVER_MS, parse_time
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources import checkpoint_file, disk
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.sources.database import DatabasePositionOrderSource
from ptn_backtest.sources.database.writing import write_records
from ptn_backtest.sources.records import OrderRecord, PositionRecord
from tests.docs.pages import ROOT

HOTKEY = "5HDmzyhrEco9w6Jv8eE3hDMcXSE4AGg1MuezPR4u2covxKwZ"
"""The trader of the user's document, who trades here in its first days of 2025."""

_START_MS = parse_time("2025-01-01")

_PRODUCTION = """\
# production.toml: a schema that is not ours
[positions]
table = "trades"
[positions.columns]
miner_hotkey = "hotkey"

[orders]
table = "fills"
"""

_BACKTEST = """\
use_database_positions = true
database_url = "sqlite:///positions.db"
candles = "candles"
missing_candles = "hold"
"""


def prepare(folder: Path, home: Path) -> None:
    """Fill a folder, and the home folder beside it."""
    folder.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples")
    url = f"sqlite:///{folder / 'positions.db'}"
    write_records(url, [_position()])
    bundled = BundledPositionSource()
    write_records(url, bundled.read(), account_sizes=bundled.read_account_sizes())
    made_up = bundled_candles(folder / "made-up")
    for name in ("candles", "prices"):
        _store(folder / name, made_up)
    _files(folder)
    _production(folder)
    stored = DatabasePositionOrderSource(url)
    disk.write_disk(home / "validation", stored.read())
    for name in ("validator_checkpoint.json.gz", "checkpoint.json.gz"):
        checkpoint_file.write_checkpoint(folder / name, stored.read())
    (folder / "backtest.toml").write_text(_BACKTEST)


def _store(folder: Path, other: CandleStore) -> None:
    """A store that takes candles from files: one that says it is synthetic refuses them."""
    store = CandleStore.create(folder)
    for pair in other.pairs():
        for timespan in Timespan:
            store.write(pair, timespan, other.read_table(pair, timespan, 0, NEVER_MS))
    store.write("BTCUSD", Timespan.MINUTE, _minutes("2025-01-01", 6))


def _position() -> PositionRecord:
    times = [_START_MS + 3_600_000, _START_MS + 2 * DAY_MS, _START_MS + 3 * DAY_MS]
    kinds = [("LONG", 0.1, 94_000.0), ("LONG", 0.1, 94_500.0), ("FLAT", -0.2, 95_000.0)]
    orders = [
        OrderRecord(
            {
                "order_uuid": f"7d1e0c1a-0000-4000-8000-00000000000{i}",
                "order_type": kind,
                "leverage": leverage,
                "price": price,
                "processed_ms": t_ms,
                "bid": 0.0,
                "ask": 0.0,
                "slippage": 0.0,
                "src": 0,
            },
            origin="made for the documentation's tests",
        )
        for i, (t_ms, (kind, leverage, price)) in enumerate(zip(times, kinds, strict=True))
    ]
    fields = {
        "position_uuid": "7d1e0c1a-0000-4000-8000-0000000000ff",
        "miner_hotkey": HOTKEY,
        "trade_pair_id": "BTCUSD",
        "open_ms": times[0],
    }
    stored = {"is_closed_position": True, "close_ms": times[-1]}
    return PositionRecord(fields, orders, stored, origin="made for the documentation's tests")


def _minutes(day: str, n_days: int) -> pa.Table:
    """Minute candles of a quiet market."""
    start_ms = parse_time(day)
    times_ms = np.arange(start_ms, start_ms + n_days * DAY_MS, MINUTE_MS)
    close = 94_000.0 + 500.0 * np.sin(np.arange(len(times_ms)) / 700.0)
    return pa.table({"timestamp_ms": times_ms, "close": close})


def _files(folder: Path) -> None:
    """Files to import."""
    table = _minutes("2025-01-01", 1).rename_columns(["time", "close"])
    pa.parquet.write_table(table, folder / "BTCUSD_1m.parquet")
    for name in ("ETHUSD_1m.csv", "EURUSD_M1_2025.csv", "BTCUSD_1m.csv"):
        pa.csv.write_csv(table, folder / name)
    new = folder / "new"
    new.mkdir()
    later = _minutes("2025-10-02", 1).rename_columns(["time", "close"])
    pa.parquet.write_table(later, new / "BTCUSD_1m.parquet")


def _production(folder: Path) -> None:
    """The same positions under other names of tables and columns."""
    with (
        sqlite3.connect(folder / "positions.db") as ours,
        sqlite3.connect(folder / "production.db") as theirs,
    ):
        ours.backup(theirs)
        theirs.execute("ALTER TABLE positions RENAME COLUMN miner_hotkey TO hotkey")
        theirs.execute("ALTER TABLE positions RENAME TO trades")
        theirs.execute("ALTER TABLE orders RENAME TO fills")
        theirs.execute("DROP TABLE schema_version")
    (folder / "production.toml").write_text(_PRODUCTION)
