"""The candles that a replay reads: minutes before it begins, seconds a stretch of time after another.

Minutes are few, and whoever lacks some wants to know at once. Seconds are many: a year of them takes
more memory than all else, and of each stretch they are wanted once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ptn_backtest.clock import NEVER_MS, SECOND_MS
from ptn_backtest.ledger.timeline import TraderTimeline, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.prices.candles import (
    NO_WINDOWS,
    Candles,
    CandleSource,
    KnowsMissing,
    Ranges,
    Timespan,
    Windows,
    clipped,
    read_around,
)
from ptn_backtest.prices.coverage import require_candles
from ptn_backtest.prices.places import Empty
from ptn_backtest.prices.table import PriceTable, candles_of, price_table, with_candles
from ptn_backtest.trade_pairs import TradePair


@dataclass(frozen=True, slots=True)
class PlannedPrices:
    """Candles of every pair traded.

    Attributes:
        source: where they are.
        table: minute candles.
        rows: {trade_pair_id: row in the table}.
        second_windows: {trade_pair_id: when second candles may be asked for}, by row.
        warnings: sentences on candles that are not there.
    """

    source: CandleSource
    table: PriceTable
    rows: Mapping[str, int]
    second_windows: Mapping[str, Windows]
    warnings: tuple[str, ...]

    def with_seconds(self, after_ms: int, until_ms: int, empty: Empty = np.empty) -> PriceTable:
        """The table with the second candles that updates in a stretch of time ask for.

        Args:
            after_ms: the last update that is done; a step may begin within its second.
            until_ms: the last one of the stretch.
            empty: as in `price_table`.
        """
        from_ms = after_ms - after_ms % SECOND_MS
        windows = {
            pair: clipped(mine, from_ms, until_ms) for pair, mine in self.second_windows.items()
        }
        return with_candles(self.table, Timespan.SECOND, self.source, windows, empty)


def plan_prices(
    timelines: Mapping[str, TraderTimeline],
    candles: CandleSource,
    update_times_ms: Sequence[int],
    *,
    after_ms: int | None,
    missing_candles: Literal["error", "hold"],
    empty: Empty = np.empty,
) -> PlannedPrices:
    """Read the minute candles that the updates need, and find out when they need seconds.

    Args:
        timelines: {hotkey: orders}.
        candles: where prices come from.
        update_times_ms: all of them, those that are done too.
        after_ms: the last update that is done; None before the first.
        missing_candles: "error" or "hold".
        empty: as in `price_table`.

    Raises:
        MissingCandles: with "error", where a position is open and minute candles are missing.
    """
    end_ms = update_times_ms[-1]
    begin_ms = -NEVER_MS if after_ms is None else after_ms
    held = open_ranges(timelines.values(), end_ms)
    needs = {
        pair: [(max(opened, begin_ms), closed) for opened, closed in ranges if closed >= begin_ms]
        for pair, ranges in held.items()
    }
    pairs = [TradePair.from_trade_pair_id(pair) for pair in held]
    # of each pair all from its first order on, so that two stretches read what one would
    extents = {pair: (max(ranges[0][0], begin_ms), end_ms) for pair, ranges in held.items()}
    table = price_table(candles, pairs, extents, {}, empty)
    rows = {pair: row for row, pair in enumerate(held)}
    # of what was read, so that no file is read a second time to be looked at
    warnings = require_candles(_Read(candles, table, rows), needs, missing_candles)
    windows = second_windows(timelines.values(), update_times_ms, after_ms)
    windows = {
        pair: clipped(windows.get(pair, NO_WINDOWS), first_ms - first_ms % SECOND_MS, last_ms)
        for pair, (first_ms, last_ms) in extents.items()
    }
    lacking = [pair for pair in held if needs[pair] and not _has_seconds(candles, pair, windows)]
    if lacking:
        warnings.append(
            f"no second candles of {', '.join(lacking)}: around orders and updates, where the "
            "network looks every second, values hold between whole minutes"
        )
    return PlannedPrices(candles, table, rows, windows, tuple(warnings))


def _has_seconds(candles: CandleSource, pair: str, windows: Mapping[str, Windows]) -> bool:
    """Whether any are there; such a run without them is usual, but coarser."""
    wanted = np.asfortranarray(windows[pair])
    parts = read_around(candles, pair, Timespan.SECOND, wanted)
    return any(len(part.within(wanted)) for part in parts)


class _Read:
    """Candles of a source that were read; implements `CandleSource` and `KnowsMissing`."""

    def __init__(self, source: CandleSource, table: PriceTable, rows: Mapping[str, int]) -> None:
        self._source, self._table, self._rows = source, table, rows

    def describe(self) -> str:
        return self._source.describe()

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        candles = candles_of(self._table, self._rows[trade_pair_id], timespan)
        return candles.between(start_ms, end_ms)

    def known_missing(
        self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int
    ) -> Ranges:
        source = self._source
        if not isinstance(source, KnowsMissing):
            return ()
        return source.known_missing(trade_pair_id, timespan, start_ms, end_ms)
