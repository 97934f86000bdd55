"""Positions, their orders and the prices around them for the page's script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.result import ReplayedPosition
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.positions.order_log import OrderLog
from ptn_backtest.positions.recorded_orders import order_rows
from ptn_backtest.prices.outline import PriceOutline
from ptn_backtest.report.packing import plain, scaled, table, times
from ptn_backtest.report.sharing import share
from ptn_backtest.results.order_marks import order_marks
from ptn_backtest.results.position_index import PositionIndex

__all__ = ["MOST_ORDERS", "MOST_POSITIONS", "PositionTables", "position_tables", "price_table"]

MOST_POSITIONS = 300
"""Newest positions listed per trader; positions.parquet has them all."""
MOST_ORDERS = 600
"""Orders of the newest of these that are marked on prices; orders.parquet has them all."""
PAGE_POSITIONS = 8_000
PAGE_ORDERS = 20_000
"""Of all traders together."""
_EXIT = 3


@dataclass(frozen=True, slots=True)
class PositionTables:
    """What is shown of the traders' positions.

    Attributes:
        positions: columns pair, side (0 long, 1 short), opened and closed (ms, NaN while open), value
            (return at close), leverage (the largest), entry, exit, spread (fee factor) and orders;
            newest first.
        keys: the uuids of these, in the same sequence.
        orders: columns time (s since `begin_ms`), price, held, mark (a place in `order_marks.TONES`)
            and position (place among the trader's positions); those of the newest position first.
        begin_ms: when the first position was opened.
    """

    positions: dict[str, Any]
    keys: list[str]
    orders: dict[str, Any]
    begin_ms: int


def position_tables(
    traders: Sequence[str],
    positions: Sequence[ReplayedPosition],
    log: OrderLog,
    index: PositionIndex,
) -> PositionTables:
    """The newest positions of each trader with their orders.

    Args:
        traders: in the page's sequence.
        positions: of the run, by hotkey, then open time.
        log: their orders; it may be empty.
        index: of the positions.
    """
    lengths = np.bincount(index.trader, minlength=len(index.hotkeys))
    ends = np.cumsum(lengths)
    stretches = dict(zip(index.hotkeys, zip(ends - lengths, ends, strict=True), strict=True))
    own = [stretches.get(hotkey, (0, 0)) for hotkey in traders]
    most = share([last - first for first, last in own], MOST_POSITIONS, PAGE_POSITIONS)
    shown = [range(last - 1, max(first, last - most) - 1, -1) for first, last in own]
    places = np.array([place for each in shown for place in each], np.int64)
    counts = [len(each) for each in shown]
    marks, exits = _marks(log, len(positions))
    begin_ms = int(log.orders["time_ms"].min(initial=NEVER_MS)) // 1_000 * 1_000
    rows = [positions[place] for place in places.tolist()]
    states = [one.state for one in rows]
    first_orders = order_rows(one.position.orders[:1] for one in rows)

    def numbers(values: Sequence[Any]) -> NDArray[np.float64]:
        return np.array(values, np.float64)

    columns = {
        "pair": plain(index.pair[places], "u2"),
        "side": plain(first_orders["leverage"] < 0, "u1"),
        "opened": plain(numbers([one.position.open_ms for one in rows]), "f8"),
        "closed": plain(numbers([one.close_ms or np.nan for one in states]), "f8"),
        "value": plain(numbers([one.return_at_close for one in states]), "f4"),
        "leverage": plain(numbers([one.max_leverage_seen for one in states]), "f4"),
        "entry": plain(numbers([one.initial_entry_price for one in states]), "f8"),
        "exit": plain(exits[places], "f8"),
        "spread": plain(numbers([one.spread_fee for one in states]), "f4"),
        "orders": plain(np.array([len(one.position.orders) for one in rows], np.int64), "u4"),
    }
    return PositionTables(
        positions=table(counts, columns),
        keys=[one.position.position_uuid for one in rows],
        orders=_orders(log, marks, places, counts, begin_ms),
        begin_ms=begin_ms,
    )


def price_table(prices: Sequence[PriceOutline]) -> dict[str, Any]:
    """Columns time, low, high and close, a pair in place of a trader."""
    counts = [len(each.time_ms) for each in prices]

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, np.int64), *(getattr(each, name) for each in prices)])

    return table(
        counts,
        {
            "time": times(column("time_ms"), counts),
            **{name: scaled(column(name), counts) for name in ("low", "high", "close")},
        },
    )


def _marks(log: OrderLog, n_positions: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """The mark of each order, and the price at which each position was closed (else NaN)."""
    marks = order_marks(log.position, log.after["held"], log.fill_price)
    exits = np.full(n_positions, np.nan)
    closing = np.flatnonzero(marks == _EXIT)
    exits[log.position[closing]] = log.fill_price[closing]
    return marks, exits


def _orders(
    log: OrderLog,
    marks: NDArray[np.int8],
    places: NDArray[np.int64],
    counts: Sequence[int],
    begin_ms: int,
) -> dict[str, Any]:
    """The orders of these positions, as many as there is room for."""
    first, last = (np.searchsorted(log.position, places, side) for side in ("left", "right"))
    lengths = last - first
    shown = np.repeat(np.arange(len(places)), lengths)
    own = np.arange(len(shown)) + (first - (np.cumsum(lengths) - lengths))[shown]
    drawn = marks[own] >= 0
    shown, own = shown[drawn], own[drawn]
    trader = np.repeat(np.arange(len(counts)), counts)
    each = np.bincount(trader[shown], minlength=len(counts))
    most = share(each.tolist(), MOST_ORDERS, PAGE_ORDERS)
    kept = np.arange(len(own)) - (np.cumsum(each) - each)[trader[shown]] < most
    shown, own = shown[kept], own[kept]
    row = np.arange(len(places)) - (np.cumsum(counts) - counts)[trader]
    seconds = (log.orders["time_ms"][own] - begin_ms) // 1_000
    return table(
        np.minimum(each, most).tolist(),
        {
            "time": plain(seconds, "u4"),
            "price": plain(log.fill_price[own], "f8"),
            "held": plain(log.after["held"][own], "f4"),
            "mark": plain(marks[own], "u1"),
            "position": plain(row[shown], "u2"),
        },
    )
