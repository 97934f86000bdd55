"""Candles of many pairs as one table, the shape in which the kernel reads them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS
from ptn_backtest.prices.candles import Candles, CandleSource, Timespan
from ptn_backtest.sessions import session_edges
from ptn_backtest.trade_pairs import TradePair

PRICE_ROW = np.dtype(
    [
        ("minute_first", np.int64),
        ("minute_last", np.int64),
        ("second_first", np.int64),
        ("second_last", np.int64),
        ("session_first", np.int64),
        ("session_last", np.int64),
    ]
)
"""Where a pair's candles and sessions are in the arrays of a `PriceTable`: first to before last."""


Windows: TypeAlias = NDArray[np.int64]
"""Stretches of time as rows (start, end) in ms, both included, ascending and apart."""

_NO_TIMES, _NO_PRICES = np.empty(0, dtype=np.int64), np.empty(0)
_NO_WINDOWS = np.empty((0, 2), dtype=np.int64)
_READ_MS = 31 * DAY_MS


class PriceTable(NamedTuple):
    """Closes and market hours of several pairs.

    `rows`: a PRICE_ROW per pair. `minute_ms`, `minute_close`: starts (ms, ascending) and closes of
    minute candles. `second_ms`, `second_close`: of second candles. `session_ms`: times at which the
    market opens and closes in turn (`sessions.session_edges`).
    """

    rows: NDArray[np.void]
    minute_ms: NDArray[np.int64]
    minute_close: NDArray[np.float64]
    second_ms: NDArray[np.int64]
    second_close: NDArray[np.float64]
    session_ms: NDArray[np.int64]


def price_table(
    source: CandleSource,
    pairs: Sequence[TradePair],
    ranges: Mapping[str, tuple[int, int]],
    second_windows: Mapping[str, Windows] | None = None,
) -> PriceTable:
    """Read the candles of these pairs.

    Args:
        source: where they are.
        pairs: in the order of the table's rows.
        ranges: {trade pair id: (start, end) in ms, both included}.
        second_windows: {trade pair id: when second candles may be asked for}; others are not kept.
            None keeps all of the range.
    """
    rows = np.zeros(len(pairs), dtype=PRICE_ROW)

    def read(timespan: Timespan) -> Candles:
        parts = []
        for pair in pairs:
            start_ms, end_ms = ranges[pair.trade_pair_id]
            floor = start_ms - start_ms % timespan.ms
            if timespan is Timespan.SECOND and second_windows is not None:
                windows = second_windows.get(pair.trade_pair_id, _NO_WINDOWS)
                parts.append(_within(source, pair, floor, end_ms, windows))
            else:
                parts.append(source.read(pair.trade_pair_id, timespan, floor, end_ms))
        _place(rows, timespan.value, [len(part) for part in parts])
        return Candles(
            np.concatenate([*(part.start_ms for part in parts), _NO_TIMES]),
            np.concatenate([*(part.close for part in parts), _NO_PRICES]),
        )

    minutes, seconds = read(Timespan.MINUTE), read(Timespan.SECOND)
    sessions = [session_edges(pair.category) for pair in pairs]
    _place(rows, "session", [len(edges) for edges in sessions])
    return PriceTable(
        rows=rows,
        minute_ms=minutes.start_ms,
        minute_close=minutes.close,
        second_ms=seconds.start_ms,
        second_close=seconds.close,
        session_ms=np.concatenate([*sessions, _NO_TIMES]),
    )


def _within(
    source: CandleSource, pair: TradePair, start_ms: int, end_ms: int, windows: Windows
) -> Candles:
    """Second candles inside the windows, read in pieces: a year of all of them is half a gigabyte."""
    times, closes = [_NO_TIMES], [_NO_PRICES]
    for begin in range(start_ms, end_ms + 1, _READ_MS):
        last = min(begin + _READ_MS - 1, end_ms)
        read = source.read(pair.trade_pair_id, Timespan.SECOND, begin, last)
        if len(read) and len(windows):
            at = np.searchsorted(windows[:, 0], read.start_ms, side="right") - 1
            inside = (at >= 0) & (read.start_ms <= windows[at, 1])
            times.append(read.start_ms[inside])
            closes.append(read.close[inside])
    return Candles(np.concatenate(times), np.concatenate(closes))


def _place(rows: NDArray[np.void], name: str, lengths: Sequence[int]) -> None:
    last = np.cumsum(lengths, dtype=np.int64)
    rows[f"{name}_last"] = last
    rows[f"{name}_first"][1:] = last[:-1]
