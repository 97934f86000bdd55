"""A small bundle, made up: two traders, two pairs, thirty hours."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ptn_backtest.bundles.bundle import read_bundle
from ptn_backtest.bundles.replay import replay_bundle
from ptn_backtest.clock import HOUR_MS, MINUTE_MS, parse_time

START_MS = parse_time("2025-03-04")
END_MS = START_MS + 30 * HOUR_MS
ALICE, BOB = "5Alice", "5Bob"

Row = tuple[str, str, int, float]
"""trade_pair_id, timespan, timestamp_ms, close."""


def order(number: int, kind: str, leverage: float, price: float, at_ms: int) -> dict[str, Any]:
    """One order, as scenario.json has it."""
    return {
        "order_uuid": f"o{number}",
        "order_type": kind,
        "leverage": leverage,
        "price": price,
        "bid": 0.0,
        "ask": 0.0,
        "slippage": 0.0,
        "processed_ms": at_ms,
        "src": 0,
    }


def position(
    hotkey: str, uuid: str, pair: str, orders: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One position, as scenario.json has it."""
    return {
        "miner_hotkey": hotkey,
        "position_uuid": uuid,
        "open_ms": orders[0]["processed_ms"],
        "trade_pair_id": pair,
        "orders": list(orders),
    }


def scenario(**settings: object) -> dict[str, Any]:
    """A scenario of mode "ledger"; a setting given as None is left out."""
    chosen = {
        "mode": "ledger",
        "use_slippage": None,
        "build_portfolio_ledgers_only": False,
        "target_ledger_window_ms": 10_368_000_000,
        "account_sizes": {ALICE: 20_000.0},
        "now_ms": END_MS,
        **settings,
    }
    return {
        "name": "made up",
        "settings": {name: value for name, value in chosen.items() if value is not None},
        "positions": [
            position(
                ALICE,
                "a1",
                "BTCUSD",
                [
                    order(1, "LONG", 0.1, 100.0, START_MS + 30_500),
                    order(2, "LONG", 0.05, 101.0, START_MS + HOUR_MS + 100),
                    order(3, "FLAT", 0.0, 102.0, START_MS + 14 * HOUR_MS + 250),
                ],
            ),
            position(
                ALICE, "a2", "ETHUSD", [order(4, "SHORT", -0.2, 50.0, START_MS + 5 * HOUR_MS + 7)]
            ),
            position(
                BOB,
                "b1",
                "BTCUSD",
                [
                    order(5, "SHORT", -0.3, 100.5, START_MS + 20 * HOUR_MS),
                    order(6, "LONG", 0.3, 100.25, START_MS + 22 * HOUR_MS + 30_000),
                ],
            ),
        ],
    }


def candles(end_ms: int = END_MS) -> list[Row]:
    """Minute candles of both pairs from the hour before the start, and some of seconds."""
    minutes = np.arange(START_MS - HOUR_MS, end_ms, MINUTE_MS)
    rows: list[Row] = []
    for pair, price in (("BTCUSD", 100.0), ("ETHUSD", 50.0)):
        closes = price * (1 + 0.01 * np.sin(minutes / 1.7e7) + 0.001 * np.sin(minutes / 3.1e5))
        rows += [
            (pair, "minute", int(t), float(close)) for t, close in zip(minutes, closes, strict=True)
        ]
    seconds = range(START_MS + 30_000, START_MS + 60_000, 1_000)
    rows += [("BTCUSD", "second", t, 100.0 + t % 7 / 100) for t in seconds]
    return rows


def write_candles(folder: Path, rows: Sequence[Row]) -> None:
    """candles.parquet, plain texts in place of dictionaries, which is allowed too."""
    names = ("trade_pair_id", "timespan", "timestamp_ms", "close")
    kinds = (pa.string(), pa.string(), pa.int64(), pa.float64())
    columns = list(zip(*rows, strict=True)) or [()] * 4
    table = pa.table(
        {n: pa.array(c, kind) for n, c, kind in zip(names, columns, kinds, strict=True)}
    )
    pq.write_table(table, folder / "candles.parquet")


def write_bundle(
    folder: Path, content: Mapping[str, Any] | None = None, rows: Sequence[Row] | None = None
) -> Path:
    """A bundle without expected.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.json").write_text(json.dumps(content or scenario()))
    write_candles(folder, candles() if rows is None else rows)
    return folder


def write_expected(folder: Path) -> dict[str, Any]:
    """expected.json from the bundle's own replay, which a test then changes."""
    results = replay_bundle(read_bundle(folder))
    change_expected(folder, results)
    return results


def change_expected(folder: Path, expected: Mapping[str, Any]) -> None:
    """Write expected.json."""
    (folder / "expected.json").write_text(json.dumps(expected))
