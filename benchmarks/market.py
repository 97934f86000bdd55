"""Made-up prices of a whole market: minutes for all of its time, seconds near given moments.

Minute closes are a random walk whose volatility wanders; a second's close lies on a bridge between
two minute closes. Some candles are missing, as in any real store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.sessions import open_at, session_edges
from ptn_backtest.trade_pairs import TradePair

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

NEAR_MS = 65_000
"""Second candles exist up to this far from an order: a replay asks for about a minute of them."""

_SECONDS = MINUTE_MS // SECOND_MS
_OUTAGE_MINUTES = 4.0  # mean length of a hole in the minute candles
_OUTAGES_PER_DAY = 0.15  # which makes 0.04 % of the minutes
_REOPENING = 20.0  # how much further than in a minute the price moves while the market is closed


@dataclass(frozen=True, slots=True)
class Quoted:
    """How one pair is traded.

    Attributes:
        trade_pair_id: the pair.
        price: at the beginning.
        volatility: standard deviation of a minute's log return.
        spread: ask - bid as a fraction of the price.
        popularity: share of all positions, before traders choose their pairs.
        liquidity: share of the seconds that have a candle.
    """

    trade_pair_id: str
    price: float
    volatility: float
    spread: float
    popularity: float
    liquidity: float

    @property
    def pair(self) -> TradePair:
        """The pair itself."""
        return TradePair.from_trade_pair_id(self.trade_pair_id)


PAIRS = (
    Quoted("BTCUSD", 98_000.0, 6.0e-4, 1e-5, 0.25, 0.95),
    Quoted("ETHUSD", 3_600.0, 8.0e-4, 2e-5, 0.17, 0.90),
    Quoted("SOLUSD", 210.0, 1.1e-3, 5e-5, 0.11, 0.80),
    Quoted("XRPUSD", 2.4, 1.1e-3, 5e-5, 0.07, 0.75),
    Quoted("DOGEUSD", 0.38, 1.2e-3, 6e-5, 0.06, 0.70),
    Quoted("ADAUSD", 1.05, 1.2e-3, 8e-5, 0.04, 0.60),
    Quoted("EURUSD", 1.03, 1.3e-4, 4e-5, 0.10, 0.75),
    Quoted("GBPUSD", 1.25, 1.4e-4, 6e-5, 0.07, 0.65),
    Quoted("AUDUSD", 0.62, 1.7e-4, 8e-5, 0.04, 0.60),
    Quoted("USDCAD", 1.43, 1.2e-4, 7e-5, 0.04, 0.60),
    Quoted("NZDUSD", 0.56, 1.7e-4, 1e-4, 0.03, 0.50),
    Quoted("EURGBP", 0.83, 1.0e-4, 7e-5, 0.02, 0.50),
)


@dataclass(frozen=True, slots=True)
class MarketTime:
    """The open time of a market between two moments, laid end to end: 0 is the first open ms.

    Attributes:
        opens_ms: start of each session.
        before_ms: open time before each session, and in total as the last.
    """

    opens_ms: Ints
    before_ms: Ints

    @staticmethod
    def of(pair: TradePair, start_ms: int, end_ms: int) -> "MarketTime":
        """The sessions of a pair's market in [start_ms, end_ms)."""
        edges = session_edges(pair.category)
        if len(edges) % 2:
            edges = np.append(edges, end_ms)
        opens, closes = (edges[k::2].clip(start_ms, end_ms) for k in (0, 1))
        lasting = closes > opens
        lengths = (closes - opens)[lasting]
        return MarketTime(opens[lasting], np.concatenate(([0], np.cumsum(lengths))))

    @property
    def total_ms(self) -> int:
        """How long the market is open in all."""
        return int(self.before_ms[-1])

    def clock_ms(self, open_time_ms: Ints) -> Ints:
        """Moments from open time in [0, total); each lies inside a session."""
        session = np.searchsorted(self.before_ms, open_time_ms, side="right") - 1
        return np.asarray(self.opens_ms[session] + open_time_ms - self.before_ms[session])


@dataclass(frozen=True, slots=True)
class Minutes:
    """A pair's prices at the end of every open minute, without holes."""

    quoted: Quoted
    start_ms: Ints
    close: Floats

    def before(self, times_ms: Ints) -> Floats:
        """The last close at each of these times."""
        at = np.searchsorted(self.start_ms, times_ms - MINUTE_MS, side="right") - 1
        return np.asarray(self.close[at.clip(0)])


def minute_walk(quoted: Quoted, start_ms: int, end_ms: int, random: np.random.Generator) -> Minutes:
    """A random walk over the open minutes that start in [start_ms, end_ms)."""
    starts = np.arange(start_ms, end_ms, MINUTE_MS, dtype=np.int64)
    starts = starts[open_at(quoted.pair.category, starts)]
    n_days = len(starts) * MINUTE_MS // DAY_MS + 2
    calm = np.exp(0.35 * random.standard_normal(n_days))
    moods = np.interp(np.arange(len(starts)), np.arange(n_days) * DAY_MS // MINUTE_MS, calm)
    moves = random.standard_normal(len(starts)) * quoted.volatility * moods
    moves[1:][np.diff(starts) > MINUTE_MS] *= _REOPENING
    return Minutes(quoted, starts, quoted.price * np.exp(np.cumsum(moves)))


def with_holes(minutes: Minutes, random: np.random.Generator) -> pa.Table:
    """Minute candles as a store takes them, some stretches missing."""
    n_outages = round(len(minutes.start_ms) * MINUTE_MS / DAY_MS * _OUTAGES_PER_DAY)
    first = random.integers(0, len(minutes.start_ms), n_outages)
    beyond = np.minimum(
        first + random.geometric(1 / _OUTAGE_MINUTES, n_outages), len(minutes.close)
    )
    depth = np.zeros(len(minutes.close) + 1, dtype=np.int64)
    np.add.at(depth, first, 1)
    np.add.at(depth, beyond, -1)
    there = np.cumsum(depth[:-1]) == 0
    return _table(minutes.start_ms[there], minutes.close[there])


def second_walk(
    minutes: Minutes, moments_ms: Ints, random: np.random.Generator
) -> tuple[pa.Table, Floats]:
    """Second candles near these moments, and the price at each of them.

    Args:
        minutes: the pair's prices.
        moments_ms: times of orders, in any order, while the market is open.
        random: for the way between two minutes, and for the seconds without a candle.
    """
    sorted_ms = np.sort(moments_ms)
    reach = np.arange(-NEAR_MS, NEAR_MS + MINUTE_MS, MINUTE_MS)
    near = np.searchsorted(minutes.start_ms, sorted_ms[:, np.newaxis] + reach, side="right") - 1
    chosen = np.unique(near.clip(0))
    begin, end = minutes.close[(chosen - 1).clip(0)], minutes.close[chosen]
    elapsed = np.arange(1, _SECONDS + 1) / _SECONDS
    shocks = random.standard_normal((len(chosen), _SECONDS))
    walk = np.cumsum(shocks, axis=1) * minutes.quoted.volatility / np.sqrt(_SECONDS)
    bridge = np.log(begin)[:, np.newaxis] + np.log(end / begin)[:, np.newaxis] * elapsed
    close = np.exp(bridge + walk - walk[:, -1:] * elapsed)
    close[:, -1] = end
    close = close.ravel()
    times = (minutes.start_ms[chosen][:, np.newaxis] + np.arange(_SECONDS) * SECOND_MS).ravel()
    at = np.searchsorted(times, moments_ms, side="right") - 1
    there = _near(times, sorted_ms) & (random.random(len(times)) < minutes.quoted.liquidity)
    return _table(times[there], close[there]), close[at]


def _near(times_ms: Ints, sorted_ms: Ints) -> NDArray[np.bool_]:
    after = np.searchsorted(sorted_ms, times_ms - NEAR_MS)
    until = np.searchsorted(sorted_ms, times_ms + NEAR_MS)
    return np.asarray(after < until)


def _table(times_ms: Ints, closes: Floats) -> pa.Table:
    return pa.table({"timestamp_ms": times_ms, "close": closes})


def popularity(pairs: Sequence[Quoted] = PAIRS) -> Floats:
    """Shares of the pairs, which add up to 1."""
    shares = np.array([quoted.popularity for quoted in pairs])
    return np.asarray(shares / shares.sum())
