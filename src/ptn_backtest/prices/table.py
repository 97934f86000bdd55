"""Candles of many pairs as one table, the shape in which the kernel reads them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.prices.candles import (
    Candles,
    CandleSource,
    Timespan,
    Windows,
    clipped,
    read_windows,
    window,
)
from ptn_backtest.prices.places import Index, index_candles
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


SPARE = 32
"""So many closes may be read beyond the last one: compiled code takes them in groups."""

_NO_TIMES = np.empty(0, dtype=np.int64)
_NO_WINDOWS = np.empty((0, 2), dtype=np.int64)


class PriceTable(NamedTuple):
    """Closes and market hours of several pairs.

    `rows`: a PRICE_ROW per pair. `minute_ms`, `minute_close`: starts (ms, ascending) and closes of
    minute candles. `second_ms`, `second_close`: of second candles. After the last close, closes go
    on for `SPARE` places that mean nothing. `session_ms`: times at which the market opens and closes
    in turn (`sessions.session_edges`). `minutes`, `seconds`: places of candles by their time.
    """

    rows: NDArray[np.void]
    minute_ms: NDArray[np.int64]
    minute_close: NDArray[np.float64]
    second_ms: NDArray[np.int64]
    second_close: NDArray[np.float64]
    session_ms: NDArray[np.int64]
    minutes: Index
    seconds: Index


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
        ranges: {trade pair id: (start, end) in ms, both included}; a pair that is not there has its
            row, and no candles.
        second_windows: {trade pair id: when second candles may be asked for}; others are not read.
            None reads all of the range.
    """
    rows = np.zeros(len(pairs), dtype=PRICE_ROW)

    def read(timespan: Timespan) -> tuple[Candles, Index]:
        gathered, ends = _Gathered(), []
        for pair in (pair.trade_pair_id for pair in pairs):
            windows = None if second_windows is None else second_windows.get(pair, _NO_WINDOWS)
            wanted = _wanted(timespan, ranges.get(pair), windows)
            for part in read_windows(source, pair, timespan, wanted):
                gathered.add(part)
            ends.append(len(gathered))
        _place(rows, timespan.value, ends)
        candles = gathered.candles()
        return candles, index_candles(candles.start_ms, np.array(ends, dtype=np.int64), timespan.ms)

    (minutes, minute_index), (seconds, second_index) = map(read, (Timespan.MINUTE, Timespan.SECOND))
    sessions = [session_edges(pair.category) for pair in pairs]
    _place(rows, "session", np.cumsum([len(edges) for edges in sessions]))
    return PriceTable(
        rows=rows,
        minute_ms=minutes.start_ms,
        minute_close=minutes.close,
        second_ms=seconds.start_ms,
        second_close=seconds.close,
        session_ms=np.concatenate([*sessions, _NO_TIMES]),
        minutes=minute_index,
        seconds=second_index,
    )


def _wanted(
    timespan: Timespan, whole: tuple[int, int] | None, second_windows: Windows | None
) -> Windows:
    """When a replay may ask for candles of a pair."""
    if whole is None:
        return _NO_WINDOWS
    start_ms, end_ms = whole[0] - whole[0] % timespan.ms, whole[1]
    if timespan is Timespan.MINUTE or second_windows is None:
        return window(start_ms, end_ms)
    return clipped(second_windows, start_ms, end_ms)


class _Gathered:
    """Candles one after the other, in arrays that grow in place.

    So only one part is in memory beside the table: a year of second candles is large.
    """

    def __init__(self) -> None:
        self._candles = Candles(np.empty(0, dtype=np.int64), np.empty(0))
        self._last = 0

    def __len__(self) -> int:
        return self._last

    def add(self, part: Candles) -> None:
        """Put candles after those that are there."""
        first, self._last = self._last, self._last + len(part)
        if self._last > len(self._candles):
            self._resize(self._last + self._last // 4)
        self._candles.start_ms[first : self._last] = part.start_ms
        self._candles.close[first : self._last] = part.close

    def candles(self) -> Candles:
        """All of them, with spare closes; nothing can be added any more."""
        self._resize(self._last)
        self._candles.close.resize(self._last + SPARE, refcheck=False)
        return self._candles

    def _resize(self, length: int) -> None:
        for array in (self._candles.start_ms, self._candles.close):
            array.resize(length, refcheck=False)


def _place(rows: NDArray[np.void], name: str, ends: Sequence[int] | NDArray[np.int64]) -> None:
    rows[f"{name}_last"] = ends
    rows[f"{name}_first"][1:] = ends[:-1]
