"""A pair's prices with a trader's orders on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.errors import CandleError, UnknownTradePair
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.outline import outline
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.results.order_marks import LABELS, TONES, order_marks
from ptn_backtest.trade_pairs import TradePair
from ptn_backtest.web.charts import Chart, line_chart

__all__ = ["price_chart"]

_MOST_POINTS = 700
_MOST_MARKS = 400
_AROUND = 0.15
"""Of a position's length, shown before and after it."""
_MOST_AROUND_MS = 10 * DAY_MS


def price_chart(
    orders: pa.Table, trade_pair_id: str, position_uuid: str | None, store: CandleStore | None
) -> Chart | None:
    """Prices around a trader's orders on a pair, entries and exits marked; None without orders.

    Args:
        orders: all of the trader.
        trade_pair_id: the pair.
        position_uuid: only this position; None for all on the pair.
        store: where candles are; without one, the prices of the orders are the line.
    """
    rows = [
        row
        for row in orders.to_pylist()
        if row["trade_pair_id"] == trade_pair_id and position_uuid in (None, row["position_uuid"])
    ]
    marks = _marks(rows)
    if not marks:
        return None
    first, last = (int(pick(mark["ms"] for mark in marks)) for pick in (min, max))
    around = min(max(int((last - first) * _AROUND), HOUR_MS), _MOST_AROUND_MS)
    chart = _candles(store, trade_pair_id, first - around, last + around)
    if chart is None:
        times = np.array([mark["ms"] for mark in marks], np.int64)
        paid = np.array([mark["y"] for mark in marks], np.float64)
        unique, at = np.unique(times, return_index=True)
        chart = line_chart(unique, {"order price": paid[at]}, "price", tones=("line",))
    else:
        chart["candles"] = True
    shown = marks[-_MOST_MARKS:]
    return chart | {
        "marks": [{**mark, "x": mark["ms"] / 1_000} for mark in shown],
        "left_out": len(marks) - len(shown),
    }


def _marks(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """An order each, in time order: where it opened, changed or closed its position."""
    _, position = np.unique([row["position_uuid"] for row in rows], return_inverse=True)
    held = np.array([row["net_leverage"] for row in rows], np.float64)
    price = np.array([row["fill_price"] or row["price"] for row in rows], np.float64)
    marks: list[Chart] = [
        {
            "ms": row["time_ms"],
            "y": paid,
            "tone": TONES[mark],
            "label": f"{LABELS[mark]}, leverage {row['net_leverage']:.4g}",
        }
        for row, paid, mark in zip(
            rows, price.tolist(), order_marks(position, held, price).tolist(), strict=True
        )
        if mark >= 0
    ]
    return sorted(marks, key=lambda mark: mark["ms"])


def _candles(
    store: CandleStore | None, trade_pair_id: str, start_ms: int, end_ms: int
) -> Chart | None:
    """Closes with highs and lows, as many as a chart has room for; None where there are none."""
    if store is None:
        return None
    try:
        TradePair.from_trade_pair_id(trade_pair_id)  # a name of a folder, out of a file
        columns = ("timestamp_ms", "high", "low", "close")
        table = store.read_table(trade_pair_id, Timespan.MINUTE, start_ms, end_ms, columns)
    except (CandleError, UnknownTradePair, OSError):
        return None
    if len(table) < 2:  # noqa: PLR2004 - no line
        return None
    times, high, low, close = (column.to_numpy() for column in table.columns)
    high, low = (_or(each, close) for each in (high, low))
    seen = outline(times, low, high, close, _MOST_POINTS)
    lines = {"close": seen.close, "high": seen.high, "low": seen.low}
    chart = line_chart(seen.time_ms, lines, "price", tones=("line", "range", "range"))
    return chart | {"range": [2, 3]}


def _or(values: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, otherwise)
