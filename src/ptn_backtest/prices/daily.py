"""Daily candles made from the store's minutes, and the market data that slippage rules ask for.

A day is the candles' own: midnight to midnight in UTC, for equities in New York.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import HOUR_MS
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

LOOK_BACK_DAYS = 60
"""Older daily candles say nothing about today; 31 sessions reach back 49 days at most (NASDAQ, 2018
to 2026)."""

_NEW_YORK = ZoneInfo("America/New_York")
_LATEST_QUOTE_MS = HOUR_MS


@dataclass(frozen=True, slots=True, eq=False)
class DailyCandles:
    """Daily candles of one pair; a day without candles has no row.

    Attributes:
        start_ms: start of each day, ms, strictly ascending.
        close: close of the day's last candle.
        volume: sum of the day's volumes; NaN where a candle of the day lacks its volume.
    """

    start_ms: NDArray[np.int64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start_ms)


@dataclass(frozen=True, slots=True, eq=False)
class MarketData:
    """What was known of a pair when an order was made.

    Attributes:
        closes: of the daily candles before the order's day, ascending in time.
        volumes: of the same days; NaN where unknown.
        base_currency_usd: price in USD of one unit of the pair's base currency at the order's
            time; None where unknown.
    """

    closes: NDArray[np.float64]
    volumes: NDArray[np.float64]
    base_currency_usd: float | None = None


NO_MARKET_DATA = MarketData(np.empty(0), np.empty(0))

MarketLookup = Callable[[TradePair, int], MarketData]
"""Market data of a pair as of a time in ms."""


def candle_zone(pair: TradePair) -> tzinfo:
    """The time zone whose midnights part the pair's daily candles.

    Equities trade past midnight UTC in winter (after hours until 20:00 in New York), so that a UTC
    day would split their sessions.
    """
    return _NEW_YORK if pair.category is TradePairCategory.EQUITIES else UTC


def aggregate_by_day(
    start_ms: NDArray[np.int64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    zone: tzinfo = UTC,
) -> DailyCandles:
    """Daily candles of shorter ones.

    Args:
        start_ms: start of each candle, ms, strictly ascending.
        close: price at each candle's end.
        volume: in units of the base; NaN where unknown.
        zone: where days begin at midnight.
    """
    if not len(start_ms):
        return DailyCandles(start_ms, close, volume)
    edges = _midnights(int(start_ms[0]), int(start_ms[-1]), zone)
    days = np.searchsorted(edges, start_ms, side="right") - 1
    first = np.flatnonzero(np.diff(days, prepend=-1))
    last = np.append(first[1:], len(days)) - 1
    return DailyCandles(edges[days[first]], close[last], np.add.reduceat(volume, first))


def daily_candles(store: CandleStore, pair: TradePair) -> DailyCandles:
    """Daily candles of all the minutes that the store has of a pair.

    Raises:
        CandleError: a file is damaged, or holds candles that nothing can be made of.
    """
    table = store.read_table(
        pair.trade_pair_id, Timespan.MINUTE, columns=["timestamp_ms", "close", "volume"]
    )
    start_ms, close, volume = (table[name].to_numpy() for name in table.column_names)
    if (np.diff(start_ms) <= 0).any() or not ((close > 0) & (close < np.inf)).all():
        raise CandleError(
            f"minute candles of {pair.trade_pair_id} in {store.root} are out of order, or have a "
            "close that is not above 0: see which with 'ptn-backtest candles check'"
        )
    return aggregate_by_day(start_ms, close, volume, candle_zone(pair))


def market_lookup(store: CandleStore) -> MarketLookup:
    """Market data from a store; each pair's daily candles are made once.

    What the store lacks is lacking in the answer: short arrays, NaN, None. The rule that needs it
    says so.
    """

    @cache
    def daily(pair: TradePair) -> DailyCandles:
        return daily_candles(store, pair)

    def lookup(pair: TradePair, time_ms: int) -> MarketData:
        candles = daily(pair)
        zone = candle_zone(pair)
        today = datetime.fromtimestamp(time_ms // 1_000, tz=zone).date()
        bounds = [_midnight(today - timedelta(days=LOOK_BACK_DAYS), zone), _midnight(today, zone)]
        first, beyond = np.searchsorted(candles.start_ms, bounds)
        return MarketData(
            candles.close[first:beyond],
            candles.volume[first:beyond],
            base_currency_usd(store, pair, time_ms),
        )

    return lookup


def base_currency_usd(store: CandleStore, pair: TradePair, time_ms: int) -> float | None:
    """USD for one unit of the pair's base currency (the EUR of EUR/JPY) at a time.

    The close of the last minute candle that starts at or before that time, at most an hour before
    it; None where there is no such candle, or the pair has no base currency.
    """
    base, _, quote = pair.trade_pair.partition("/")
    if not quote:
        return None
    if base == "USD":
        return 1.0
    for trade_pair, inverted in ((f"{base}/USD", False), (f"USD/{base}", True)):
        if trade_pair in _ids():
            candles = store.read(
                _ids()[trade_pair], Timespan.MINUTE, time_ms - _LATEST_QUOTE_MS, time_ms
            )
            if len(candles):
                close = float(candles.close[-1])
                return 1 / close if inverted else close
    return None


@cache
def _ids() -> dict[str, str]:
    return {pair.trade_pair: pair.trade_pair_id for pair in TradePair.all()}


def _midnights(first_ms: int, last_ms: int, zone: tzinfo) -> NDArray[np.int64]:
    """Start of each day from the one of the first time to the one of the last."""
    first, last = (
        datetime.fromtimestamp(ms // 1_000, tz=zone).date() for ms in (first_ms, last_ms)
    )
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return np.array([_midnight(day, zone) for day in days], dtype=np.int64)


def _midnight(day: date, zone: tzinfo) -> int:
    return round(datetime.combine(day, time(0), tzinfo=zone).timestamp()) * 1_000
