"""Load the compiled code before it is wanted; if there is none yet, one process compiles it."""

import fcntl
from pathlib import Path
from typing import Any

import numpy as np

from ptn_backtest.clock import MINUTE_MS, parse_time
from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.kernel import run_updates
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair

_NOON_MS = parse_time("2025-01-01T12:00")


class _NoCandles:
    def describe(self) -> str:
        return "no candles"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        del trade_pair_id, timespan, start_ms, end_ms
        return Candles(np.empty(0, dtype=np.int64), np.empty(0))


def warm_up() -> None:
    """Build the ledger of one order, and go on with it; of many processes without compiled code, one compiles."""
    dispatcher: Any = run_updates
    folder = Path(dispatcher.stats.cache_path)
    if any(folder.glob("kernel.run_updates*.nbi")):
        _build_one()
        return
    with (folder / "compiling.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build_one()


def _build_one() -> None:
    pair = TradePair.from_trade_pair_id("BTCUSD")
    order = Order("order", OrderType.LONG, 0.1, 100.0, _NOON_MS)
    timeline = build_timeline([Position("trader", "position", pair, _NOON_MS, (order,))])
    ranges = {pair.trade_pair_id: (_NOON_MS, _NOON_MS + 2 * MINUTE_MS)}
    prices = price_table(_NoCandles(), [pair], ranges)
    rows = {pair.trade_pair_id: 0}
    begun = update_ledgers(timeline, prices, rows, [_NOON_MS + MINUTE_MS])
    # going on from a state is compiled code of its own
    update_ledgers(timeline, prices, rows, [_NOON_MS + 2 * MINUTE_MS], begun)
