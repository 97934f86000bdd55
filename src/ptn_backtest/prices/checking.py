"""Look for what is wrong with stored candles: holes, doubles, prices that cannot be."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, format_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.coverage import missing_ranges
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

SPIKE_THRESHOLD = 30.0
"""A spike sticks out from both sides by more than this many usual moves of one candle."""

PRICE_TOLERANCE = 0.002
"""An order may lie this fraction of its price outside its candle: spread, and another venue."""

_NEIGHBOURS = 3  # on each side of a candle: a spike may last two candles and still be seen
_BLOCK = 60  # candles over which the usual move is taken
_SMALLEST_MOVE = 1e-6  # log; a price that never moves would make a spike of everything

_Ints: TypeAlias = NDArray[np.int64]
_Floats: TypeAlias = NDArray[np.float64]


class FindingKind(StrEnum):
    """What can be wrong."""

    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    OFF_GRID = "off_grid"
    BAD_CLOSE = "bad_close"
    INCONSISTENT = "inconsistent"
    GAP = "gap"
    SPIKE = "spike"
    ORDER_WITHOUT_CANDLE = "order_without_candle"
    ORDER_OUTSIDE_CANDLE = "order_outside_candle"
    MARKET_CLOSED = "market_closed"
    KNOWN_MISSING = "known_missing"


MENTIONED = (FindingKind.MARKET_CLOSED, FindingKind.KNOWN_MISSING)
"""Findings that are not counted as wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, or one stretch of them.

    Attributes:
        kind: what is wrong.
        trade_pair_id: the pair.
        timespan: length of the candles.
        start_ms: time of the candle or order, or start of the stretch.
        end_ms: end of the stretch; the same as `start_ms` for one candle or order.
        count: candles or orders concerned.
        detail: a sentence with the values.
    """

    kind: FindingKind
    trade_pair_id: str
    timespan: Timespan
    start_ms: int
    end_ms: int
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        checked: {(pair, timespan): candles looked at}.
        findings: by pair, timespan, kind, then time.
        n_orders: orders compared with their candles.
    """

    checked: Mapping[tuple[str, Timespan], int] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    n_orders: int = 0

    @property
    def problems(self) -> list[Finding]:
        """Findings but for what is only `MENTIONED`: nobody can, or need, mend that."""
        return [each for each in self.findings if each.kind not in MENTIONED]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "checked": [
                {"trade_pair_id": pair, "timespan": timespan, "candles": count}
                for (pair, timespan), count in self.checked.items()
            ],
            "orders": self.n_orders,
            "problems": len(self.problems),
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_candles(
    store: CandleStore,
    *,
    trade_pair_ids: Iterable[str] | None = None,
    start_ms: int = -NEVER_MS,
    end_ms: int = NEVER_MS,
    orders: Mapping[str, Sequence[tuple[int, float]]] = MappingProxyType({}),
    spike_threshold: float = SPIKE_THRESHOLD,
    price_tolerance: float = PRICE_TOLERANCE,
    progress: Callable[[str], None] | None = None,
) -> CheckReport:
    """Look at every stored candle of these pairs that starts in [start_ms, end_ms].

    Args:
        store: the candles.
        trade_pair_ids: which pairs; None means all in the store, and all of the orders.
        start_ms: start of the range.
        end_ms: end of the range, included.
        orders: {pair: (time in ms, price) of orders} to compare with the candles at their times.
        spike_threshold: in usual moves of one candle (median of absolute log returns over an hour
            of minute candles, or over everything where that is larger).
        price_tolerance: fraction of an order's price by which it may lie outside its candle.
        progress: called with a pair's id when its turn comes.
    """
    pairs = sorted({*store.pairs(), *orders}) if trade_pair_ids is None else trade_pair_ids
    checked: dict[tuple[str, Timespan], int] = {}
    findings: list[Finding] = []
    n_orders = 0
    for pair in map(TradePair.from_trade_pair_id, pairs):
        if progress:
            progress(pair.trade_pair_id)
        for timespan in Timespan:
            try:
                series = _read_series(store, pair, timespan, start_ms, end_ms)
                findings += _check_series(store, series, start_ms, end_ms, spike_threshold)
                checked[pair.trade_pair_id, timespan] = len(series.times)
            except CandleError as fault:
                where = (FindingKind.UNREADABLE, pair.trade_pair_id, timespan)
                findings.append(Finding(*where, 0, 0, 1, str(fault)))
        within = [
            each for each in orders.get(pair.trade_pair_id, ()) if start_ms <= each[0] <= end_ms
        ]
        findings += _check_orders(store, pair, within, price_tolerance)
        n_orders += len(within)
    return CheckReport({key: n for key, n in checked.items() if n}, findings, n_orders)


@dataclass(frozen=True, slots=True)
class _Series:
    """Candles of one pair and timespan as columns, and findings about them by mask."""

    pair: TradePair
    timespan: Timespan
    times: _Ints
    values: Mapping[str, _Floats]

    def findings(
        self, kind: FindingKind, bad: NDArray[np.bool_], detail: Callable[[int], str]
    ) -> Iterator[Finding]:
        for row in np.flatnonzero(bad):
            at = int(self.times[row])
            where = (kind, self.pair.trade_pair_id, self.timespan)
            yield Finding(*where, at, at, 1, detail(int(row)))


def _read_series(
    store: CandleStore, pair: TradePair, timespan: Timespan, start_ms: int, end_ms: int
) -> _Series:
    columns = ("timestamp_ms", "open", "high", "low", "close")
    table = store.read_table(pair.trade_pair_id, timespan, start_ms, end_ms, columns)
    values = {name: table[name].to_numpy() for name in columns[1:]}
    return _Series(pair, timespan, table["timestamp_ms"].to_numpy(), values)


def _check_series(
    store: CandleStore, series: _Series, start_ms: int, end_ms: int, spike_threshold: float
) -> Iterator[Finding]:
    faults = [*_faulty_rows(series)]
    yield from faults
    yield from _inconsistent(series)
    if not faults:  # what follows needs candles in order, with prices
        yield from _gaps(store, series, start_ms, end_ms)
        yield from _spikes(series, spike_threshold)
        yield from _closed_market(series)


def _faulty_rows(series: _Series) -> Iterator[Finding]:
    """Rows that a store's own writing lets in nowhere: files changed by other programs."""
    times, close = series.times, series.values["close"]
    steps = np.diff(times, prepend=times[:1] - 1)
    yield from series.findings(
        FindingKind.DUPLICATE, steps == 0, lambda _: "the candle is there twice"
    )
    yield from series.findings(
        FindingKind.OUT_OF_ORDER, steps < 0, lambda _: "the candle stands after a later one"
    )
    yield from series.findings(
        FindingKind.OFF_GRID,
        times % series.timespan.ms != 0,
        lambda _: f"the candle does not start on a whole {series.timespan}",
    )
    yield from series.findings(
        FindingKind.BAD_CLOSE,
        ~((close > 0) & (close < np.inf)),
        lambda row: f"the close is {close[row]}",
    )


def _inconsistent(series: _Series) -> Iterator[Finding]:
    opened, high, low, close = (series.values[n] for n in ("open", "high", "low", "close"))
    # where a value is unknown (NaN) the comparison is false
    bad = (high < low) | (close > high) | (close < low) | (opened > high) | (opened < low)
    yield from series.findings(
        FindingKind.INCONSISTENT,
        bad,
        lambda row: (
            f"open {opened[row]} and close {close[row]} do not lie between "
            f"low {low[row]} and high {high[row]}"
        ),
    )


def _spikes(series: _Series, threshold: float) -> Iterator[Finding]:
    """Closes that stick out from the candles before and from those after, in one direction."""
    excess, usual = spike_excess(series.values["close"])
    yield from series.findings(
        FindingKind.SPIKE,
        excess > threshold * usual,
        lambda row: (
            f"close {series.values['close'][row]} is {math.expm1(excess[row]):.2%} off its "
            f"neighbours, {excess[row] / usual[row]:.0f} times a usual move"
        ),
    )


def spike_excess(closes: _Floats) -> tuple[_Floats, _Floats]:
    """How far each close sticks out from both its neighbourhoods, and a usual move there.

    Both as |log return|; the first is 0 where a close lies between its neighbours, or near an end.
    """
    close = np.log(closes)
    excess = np.zeros(len(close))
    width = 2 * _NEIGHBOURS + 1
    if len(close) < width:
        return excess, np.ones(len(close))
    windows = sliding_window_view(close, width)
    middle = windows[:, _NEIGHBOURS]
    from_before = middle - np.median(windows[:, :_NEIGHBOURS], axis=1)
    from_after = middle - np.median(windows[:, _NEIGHBOURS + 1 :], axis=1)
    sticks_out = np.minimum(np.abs(from_before), np.abs(from_after))
    one_sided = from_before * from_after > 0
    excess[_NEIGHBOURS:-_NEIGHBOURS] = np.where(one_sided, sticks_out, 0.0)
    return excess, _usual_moves(close)


def _usual_moves(log_close: _Floats) -> _Floats:
    """For each candle the median |log return| of its block of candles, or of all if larger."""
    moves = np.abs(np.diff(log_close, prepend=log_close[:1]))
    blocks = np.array_split(moves, max(1, len(moves) // _BLOCK))
    medians = np.concatenate([np.full(len(block), np.median(block)) for block in blocks])
    least = max(float(np.median(moves)), _SMALLEST_MOVE)
    return np.asarray(np.maximum(medians, least), dtype=np.float64)


def _gaps(store: CandleStore, series: _Series, start_ms: int, end_ms: int) -> Iterator[Finding]:
    """Minute candles missing in the range asked for, or between the first candle and the last."""
    # second candles are kept around orders only: what lies between is no hole
    if series.timespan is Timespan.SECOND or not len(series.times):
        return
    pair = series.pair.trade_pair_id
    first = start_ms if start_ms > -NEVER_MS else int(series.times[0])
    last = end_ms if end_ms < NEVER_MS else int(series.times[-1])
    for each in missing_ranges(store, {pair: [(first, last + MINUTE_MS + 1)]}):
        kind = FindingKind.KNOWN_MISSING if each.known else FindingKind.GAP
        where = (kind, pair, each.timespan, each.start_ms, each.end_ms)
        candles = "1 candle" if each.n_candles == 1 else f"{each.n_candles:,} candles"
        lacking = ": its provider has none" if each.known else ""
        detail = f"{candles} missing until {format_time(each.end_ms)}{lacking}"
        yield Finding(*where, each.n_candles, detail)


def _closed_market(series: _Series) -> Iterator[Finding]:
    """Candles while the market is closed, in stretches of successive ones."""
    closed = np.flatnonzero(~open_at(series.pair.category, series.times))
    if not len(closed):
        return
    for rows in np.split(closed, np.flatnonzero(np.diff(closed) > 1) + 1):
        start, end = int(series.times[rows[0]]), int(series.times[rows[-1]]) + series.timespan.ms
        detail = f"until {format_time(end)}: the market is closed, a replay does not read these"
        where = (FindingKind.MARKET_CLOSED, series.pair.trade_pair_id, series.timespan)
        yield Finding(*where, start, end, len(rows), detail)


def _check_orders(
    store: CandleStore, pair: TradePair, orders: Sequence[tuple[int, float]], tolerance: float
) -> Iterator[Finding]:
    """Orders without a minute candle, and orders whose price lies outside of it."""
    if not orders:
        return
    times = np.array([at for at, _ in sorted(orders)], dtype=np.int64)
    prices = np.array([price for _, price in sorted(orders)])
    low, high = _ranges_at(store, pair, times - times % MINUTE_MS)
    there = ~np.isnan(low)
    outside = np.maximum(low - prices, prices - high) / prices
    for row in np.flatnonzero(np.where(there, outside > tolerance, open_at(pair.category, times))):
        at = int(times[row])
        kind = FindingKind.ORDER_OUTSIDE_CANDLE if there[row] else FindingKind.ORDER_WITHOUT_CANDLE
        detail = (
            f"an order's price {prices[row]} is {outside[row]:.2%} outside its candle, "
            f"{low[row]} to {high[row]}"
            if there[row]
            else "an order has no minute candle"
        )
        yield Finding(kind, pair.trade_pair_id, Timespan.MINUTE, at, at, 1, detail)


def _ranges_at(store: CandleStore, pair: TradePair, starts: _Ints) -> tuple[_Floats, _Floats]:
    """Lowest and highest price of the minute candles at these starts; NaN where there is none.

    A candle without low and high reaches from the close before it to its own.
    """
    table = store.read_table(
        pair.trade_pair_id,
        Timespan.MINUTE,
        int(starts[0]) - MINUTE_MS,
        int(starts[-1]),
        ("timestamp_ms", "high", "low", "close"),
    )
    if not len(table):
        return np.full(len(starts), np.nan), np.full(len(starts), np.nan)
    times, high, low, close = (column.to_numpy() for column in table.columns)
    before = np.append(close[:1], close[:-1])
    low = np.where(np.isnan(low), np.minimum(before, close), low)
    high = np.where(np.isnan(high), np.maximum(before, close), high)
    rows = np.clip(np.searchsorted(times, starts), 0, len(times) - 1)
    there = times[rows] == starts
    return np.where(there, low[rows], np.nan), np.where(there, high[rows], np.nan)
