"""Candles of many pairs as one table, the shape in which the kernel reads them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.prices.candles import (
    NO_WINDOWS,
    Candles,
    CandleSource,
    Timespan,
    Windows,
    clipped,
    read_around,
    window,
)
from ptn_backtest.prices.places import Empty, Index, index_candles
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

_MOST_ROOM = 1 << 26  # candles that have a place before they are read: 1 GB of addresses
_WHOLE_FILE = DAY_MS // SECOND_MS  # candles: a file of a store has no more
_NO_TIMES = np.empty(0, dtype=np.int64)

_Times: TypeAlias = NDArray[np.int64]
_Closes: TypeAlias = NDArray[np.float64]


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


def candles_of(table: PriceTable, row: int, timespan: Timespan) -> Candles:
    """What a table has of one pair, by its row."""
    place = slice(table.rows[f"{timespan}_first"][row], table.rows[f"{timespan}_last"][row])
    if timespan is Timespan.MINUTE:
        return Candles(table.minute_ms[place], table.minute_close[place])
    return Candles(table.second_ms[place], table.second_close[place])


def price_table(
    source: CandleSource,
    pairs: Sequence[TradePair],
    ranges: Mapping[str, tuple[int, int]],
    second_windows: Mapping[str, Windows] | None = None,
    empty: Empty = np.empty,
) -> PriceTable:
    """Read the candles of these pairs.

    Args:
        source: where they are.
        pairs: in the order of the table's rows.
        ranges: {trade pair id: (start, end) in ms, both included}; a pair that is not there has its
            row, and no candles.
        second_windows: {trade pair id: when second candles may be asked for}; others are not read.
            None reads all of the range.
        empty: as in `with_candles`.
    """
    minutes, seconds = {}, {}
    for pair in (pair.trade_pair_id for pair in pairs):
        start_ms, end_ms = ranges.get(pair, (0, -1))
        minutes[pair] = window(start_ms - start_ms % MINUTE_MS, end_ms)
        seconds[pair] = window(start_ms - start_ms % SECOND_MS, end_ms)
        if second_windows is not None and len(seconds[pair]):
            seconds[pair] = clipped(second_windows.get(pair, NO_WINDOWS), *seconds[pair][0])
    table = with_candles(_without_candles(pairs), Timespan.MINUTE, source, minutes, empty)
    return with_candles(table, Timespan.SECOND, source, seconds, empty)


def with_candles(
    table: PriceTable,
    timespan: Timespan,
    source: CandleSource,
    windows: Mapping[str, Windows],
    empty: Empty = np.empty,
) -> PriceTable:
    """The same table with these candles in place of all others of their length; nothing is copied.

    Args:
        table: of these pairs.
        timespan: length of the candles.
        source: where they are.
        windows: {trade pair id: when a candle may start that will be asked for}, by row.
        empty: makes the large arrays; of one, only the first numbers may be written to.
    """
    # each file searches in both columns, which stand together in memory like this
    wanted = {pair: np.asfortranarray(mine) for pair, mine in windows.items()}
    most = sum(_moments(each, timespan) for each in wanted.values())
    gathered, ends = _Gathered(most, empty), []
    for pair, mine in wanted.items():
        for part in read_around(source, pair, timespan, mine):
            gathered.add(part, mine)
        ends.append(len(gathered))
    candles, rows = gathered.candles(), table.rows.copy()
    _place(rows, timespan.value, ends)
    index = index_candles(candles.start_ms, np.array(ends, dtype=np.int64), timespan.ms, empty)
    times_ms, closes = candles.start_ms, candles.close
    if timespan is Timespan.MINUTE:
        return table._replace(rows=rows, minute_ms=times_ms, minute_close=closes, minutes=index)
    return table._replace(rows=rows, second_ms=times_ms, second_close=closes, seconds=index)


def _without_candles(pairs: Sequence[TradePair]) -> PriceTable:
    rows, none = np.zeros(len(pairs), dtype=PRICE_ROW), np.zeros(len(pairs), dtype=np.int64)
    sessions = [session_edges(pair.category) for pair in pairs]
    _place(rows, "session", np.cumsum([len(edges) for edges in sessions]))
    nothing = index_candles(_NO_TIMES, none, MINUTE_MS)
    return PriceTable(
        rows=rows,
        minute_ms=_NO_TIMES,
        minute_close=np.zeros(SPARE),
        second_ms=_NO_TIMES,
        second_close=np.zeros(SPARE),
        session_ms=np.concatenate([*sessions, _NO_TIMES]),
        minutes=nothing,
        seconds=nothing,
    )


def _moments(windows: Windows, timespan: Timespan) -> int:
    """At how many moments of these windows a candle may start."""
    first, last = windows[:, 0] // timespan.ms, windows[:, 1] // timespan.ms
    return int((last - first + 1).sum())


class _Gathered:
    """Candles one after the other, in arrays that have room for more.

    So only one part is in memory beside the table: a year of second candles is large. As a rule there
    is room for all, because addresses that nothing is written to take no memory.
    """

    def __init__(self, most: int, empty: Empty) -> None:
        """Make room for so many candles, and for those around them in a file."""
        self._empty = empty
        self._last = 0
        self._starts, self._closes = self._room(min(most, _MOST_ROOM) + _WHOLE_FILE)

    def __len__(self) -> int:
        return self._last

    def add(self, part: Candles, windows: Windows) -> None:
        """Put those that start in one of these windows after the ones that are there."""
        if not len(part):
            return
        needed = self._last + len(part)
        if needed > len(self._starts):
            starts, closes = self._room(2 * needed)
            starts[: self._last] = self._starts[: self._last]
            closes[: self._last] = self._closes[: self._last]
            self._starts, self._closes = starts, closes
        ahead = windows[windows[:, 1].searchsorted(part.start_ms[0]) :]
        self._last = _add_inside(
            *(ahead[:, 0], ahead[:, 1], part.start_ms, part.close),
            *(self._starts, self._closes, self._last),
        )

    def candles(self) -> Candles:
        """All of them, with spare closes; nothing can be added any more."""
        end = self._last + SPARE
        self._closes[self._last : end] = 0.0
        return Candles(self._starts[: self._last], self._closes[:end])

    def _room(self, count: int) -> tuple[_Times, _Closes]:
        return self._empty(count, np.int64), self._empty(count + SPARE, np.float64)


@compiled
def _add_inside(
    first_ms: _Times,
    last_ms: _Times,
    start_ms: _Times,
    close: _Closes,
    all_ms: _Times,
    all_close: _Closes,
    place: int,
) -> int:
    """Put candles that start in a window [first, last] at a place and after it; the place beyond."""
    at = 0
    for k in range(len(start_ms)):
        while at < len(last_ms) and last_ms[at] < start_ms[k]:
            at += 1
        if at == len(last_ms):
            break
        if first_ms[at] <= start_ms[k]:
            all_ms[place], all_close[place] = start_ms[k], close[k]
            place += 1
    return place


def _place(rows: NDArray[np.void], name: str, ends: Sequence[int] | NDArray[np.int64]) -> None:
    rows[f"{name}_last"] = ends
    rows[f"{name}_first"][1:] = ends[:-1]
