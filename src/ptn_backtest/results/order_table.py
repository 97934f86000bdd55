"""orders.parquet: every replayed order, and what it made of its position.

What each column means is in `docs/run-folder.md`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.backtest.result import ReplayedPosition
from ptn_backtest.positions.order_log import OrderLog
from ptn_backtest.positions.recorded_orders import KINDS, order_columns
from ptn_backtest.results.parquet import table_schema

ORDERS = table_schema(
    [
        ("miner_hotkey", pa.string()),
        ("position_uuid", pa.string()),
        ("trade_pair_id", pa.string()),
        ("order_uuid", pa.string()),
        ("time_ms", pa.int64()),
        ("order_type", pa.string()),
        ("leverage", pa.float64()),
        ("price", pa.float64()),
        ("bid", pa.float64()),
        ("ask", pa.float64()),
        ("slippage", pa.float64()),
        ("src", pa.int64()),
        ("fill_price", pa.float64()),
        ("slippage_change", pa.float64()),
        ("net_leverage", pa.float64()),
        ("average_entry_price", pa.float64()),
        ("realized_pnl", pa.float64()),
        ("current_return", pa.float64()),
        ("return_at_close", pa.float64()),
    ]
)
_AFTER = {
    "net_leverage": "held",
    "average_entry_price": "entry_price",
    "realized_pnl": "realized",
    "current_return": "current_return",
    "return_at_close": "return_at_close",
}


def order_table(positions: Sequence[ReplayedPosition], log: OrderLog) -> pa.Table:
    """Orders by position, in the order of positions.parquet, then by time.

    Args:
        positions: of the run.
        log: their orders; an empty one, where a run was made without, gives an empty table.
    """
    if not len(log.orders):
        return ORDERS.empty_table()
    places: Any = log.position
    recorded = order_columns([replayed.position.orders for replayed in positions])

    def of_position(texts: Iterable[str]) -> "pa.Array[Any]":
        return pa.array(texts, pa.string()).take(places)

    kinds: Any = log.orders["kind"] + 1  # places in the list of kinds
    columns: dict[str, Any] = {
        "miner_hotkey": of_position(one.position.miner_hotkey for one in positions),
        "position_uuid": of_position(one.position.position_uuid for one in positions),
        "trade_pair_id": of_position(one.position.trade_pair.trade_pair_id for one in positions),
        "order_uuid": recorded.uuids,
        "order_type": pa.array([KINDS[kind].value for kind in (-1, 0, 1)]).take(kinds),
        "bid": recorded.bid,
        "ask": recorded.ask,
        "fill_price": log.fill_price,
        "slippage_change": log.slippage_change,
        **{
            name: np.ascontiguousarray(log.orders[name])
            for name in ("time_ms", "leverage", "price", "slippage", "src")
        },
        **{name: np.ascontiguousarray(log.after[field]) for name, field in _AFTER.items()},
    }
    return pa.Table.from_pydict(columns, schema=ORDERS)
