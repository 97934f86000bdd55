"""The candles that a replay will read, all of them before it begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.ledger.timeline import TraderTimeline, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.prices.candles import Candles, CandleSource, KnowsMissing, Ranges, Timespan
from ptn_backtest.prices.coverage import require_candles
from ptn_backtest.prices.table import PriceTable, candles_of, price_table
from ptn_backtest.trade_pairs import TradePair


@dataclass(frozen=True, slots=True)
class PlannedPrices:
    """Candles of every pair traded.

    Attributes:
        table: the candles.
        rows: {trade_pair_id: row in the table}.
        warnings: sentences on candles that are not there.
    """

    table: PriceTable
    rows: Mapping[str, int]
    warnings: tuple[str, ...]


def plan_prices(
    timelines: Mapping[str, TraderTimeline],
    candles: CandleSource,
    update_times_ms: Sequence[int],
    *,
    after_ms: int | None,
    missing_candles: Literal["error", "hold"],
    empty: Callable[[int, type[np.generic]], NDArray[Any]] = np.empty,
) -> PlannedPrices:
    """Read what the updates need.

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
    windows = second_windows(timelines.values(), update_times_ms, after_ms)
    table = price_table(candles, pairs, extents, windows, empty)
    rows = {pair: row for row, pair in enumerate(held)}
    # of what was read, so that no file is read a second time to be looked at
    warnings = require_candles(_Read(candles, table, rows), needs, missing_candles)
    return PlannedPrices(
        table=table,
        rows=rows,
        warnings=(*warnings, *_without_seconds(pairs, table, needs)),
    )


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


def _without_seconds(
    pairs: Sequence[TradePair], prices: PriceTable, needs: Mapping[str, Sequence[tuple[int, int]]]
) -> list[str]:
    """A sentence on pairs without any second candle: such a run is usual, but coarser."""
    lacking = [
        pair.trade_pair_id
        for pair, row in zip(pairs, prices.rows, strict=True)
        if needs[pair.trade_pair_id] and row["second_first"] == row["second_last"]
    ]
    sentence = (
        f"no second candles of {', '.join(lacking)}: around orders and updates, where the network "
        "looks every second, values hold between whole minutes"
    )
    return [sentence] if lacking else []
