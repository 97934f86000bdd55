"""Made-up orders of many traders: when they trade what, how much, and in which direction.

Everything is arrays; a trader's positions on one pair never overlap, as in the network. Times are
laid out in a market's open time, so that forex is only traded while it is open.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.market import Floats, Ints, MarketTime, Minutes, popularity
from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

POSITIONS_PER_TRADER_DAY = 20_000 / (512 * 120)
"""The network's own: about 20,000 positions of 512 traders in 120 days."""

_EXTRA_ORDERS = 3.25  # mean of the orders between the first and the last
_MOST_ORDERS = 60
_IDLE, _LATE, _STOPS = 0.06, 0.15, 0.12  # shares of traders
_BUST, _RECKLESS = 0.05, 0.01  # likewise; a reckless one loses everything
_STAYS_OPEN = 0.3  # share of the last positions on a pair
_ON_THE_HOUR = 0.25  # share of positions that open in the first 90 s of an hour
_IN_A_BURST = 0.4  # share of positions whose orders follow each other within minutes
_LEVELS = np.array([1.0, 0.5, 0.75, 1.25, 1.5, 1.75, 2.0])
"""What a position holds, as multiples of its first order; each order moves to another level."""


@dataclass(frozen=True, slots=True)
class Traders:
    """Who trades: an entry per trader.

    Attributes:
        pairs: how often which pair is traded (traders x pairs); 0 where never.
        begin, end: the active part of the time, fractions.
        length_ms: median length of a position, open time.
        leverage: of a first order, as a multiple of the pair's usual.
        skill: by how much the right direction is more frequent than half.
    """

    pairs: Floats
    begin: Floats
    end: Floats
    length_ms: Floats
    leverage: Floats
    skill: Floats


@dataclass(frozen=True, slots=True)
class Positions:
    """An entry per position, by trader, pair and time; `first` and `last` are rows of orders."""

    trader: Ints
    pair: Ints
    open_ms: Ints
    close_ms: Ints
    stays_open: NDArray[np.bool_]
    first: Ints
    last: Ints


@dataclass(frozen=True, slots=True)
class Orders:
    """An entry per order, by position and time. `leverage` is signed, 0 for a closing FLAT."""

    position: Ints
    time_ms: Ints
    leverage: Floats
    closes: NDArray[np.bool_]


def make_traders(n_traders: int, random: np.random.Generator) -> Traders:
    """Traders of many styles: idle ones, late ones, ones that stop, and ones that go bust."""
    shares = popularity()
    n_pairs = 1 + np.minimum(random.geometric(0.25, n_traders), len(shares)) - 1
    taste = np.log(shares) - np.log(-np.log(random.random((n_traders, len(shares)))))
    rank = np.argsort(np.argsort(-taste, axis=1), axis=1)
    chosen = rank < n_pairs[:, np.newaxis]
    activity = random.lognormal(0.0, 0.9, n_traders) * (random.random(n_traders) >= _IDLE)
    begin = np.where(random.random(n_traders) < _LATE, random.random(n_traders) * 0.7, 0.0)
    stops = random.random(n_traders) < _STOPS
    end = np.where(stops, begin + (1 - begin) * (0.2 + 0.7 * random.random(n_traders)), 1.0)
    leverage = np.exp(random.uniform(np.log(0.1), np.log(1.0), n_traders))
    skill = random.normal(0.04, 0.06, n_traders)
    fate = random.random(n_traders)
    bust, reckless = fate < _BUST, fate < _RECKLESS
    return Traders(
        pairs=activity[:, np.newaxis] * (end - begin)[:, np.newaxis] * shares * chosen,
        begin=begin,
        end=end,
        length_ms=random.lognormal(np.log(8 * HOUR_MS), 1.0, n_traders),
        leverage=np.where(reckless, 200.0, np.where(bust, 4.0, 1.0) * leverage),
        skill=np.where(bust, -0.3, skill),
    )


def make_positions(
    traders: Traders, markets: Sequence[MarketTime], n_positions: int, random: np.random.Generator
) -> tuple[Positions, Orders]:
    """About so many positions with the times and sizes of their orders; directions come later.

    Args:
        traders: who trades.
        markets: open time of each pair.
        n_positions: how many.
        random: source of everything.
    """
    weights = (traders.pairs / traders.pairs.sum()).ravel()
    counts = random.multinomial(n_positions, weights)
    group = np.repeat(np.arange(len(weights)), counts)
    trader, pair = group // len(markets), group % len(markets)
    begin, end, closed_last = _lay_out(traders, markets, counts, random)
    n_extra = np.minimum(random.geometric(1 / (1 + _EXTRA_ORDERS), n_positions) - 1, _MOST_ORDERS)
    n_orders = 1 + n_extra + ~closed_last
    last = np.cumsum(n_orders)
    first = last - n_orders
    position = np.repeat(np.arange(n_positions), n_orders)
    within = np.arange(len(position)) - first[position]
    offset = _offsets(end - begin, position, random)
    offset[within == 0] = 0
    closes = (within == n_orders[position] - 1) & ~closed_last[position]
    offset[closes] = (end - begin)[position[closes]]
    offset = offset[np.lexsort((offset, position))]
    times = np.empty(len(position), dtype=np.int64)
    moments = begin[position] + offset
    for index, market in enumerate(markets):
        mine = pair[position] == index
        times[mine] = market.clock_ms(moments[mine])
    made = Positions(trader, pair, times[first], times[last - 1], closed_last, first, last)
    held = _held(position, first, random) * traders.leverage[trader][position]
    return made, Orders(position, times, np.where(closes, 0.0, held), closes)


def _lay_out(
    traders: Traders, markets: Sequence[MarketTime], counts: Ints, random: np.random.Generator
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Open and close of every position in its market's open time, and whether it stays open."""
    groups = np.flatnonzero(counts)
    counts = counts[groups]
    n = int(counts.sum())
    index = np.repeat(np.arange(len(groups)), counts)
    trader = groups // len(markets)
    total = np.array([market.total_ms for market in markets])[groups % len(markets)]
    begin, end = traders.begin[trader] * total, traders.end[trader] * total
    span = end - begin
    lengths = random.lognormal(0.0, 1.2, n) * traders.length_ms[trader][index]
    lengths = lengths.clip(2 * MINUTE_MS, 21 * DAY_MS)
    held = np.bincount(index, lengths)
    lengths *= np.minimum(1.0, 0.85 * span / held)[index]
    held = np.bincount(index, lengths)
    gaps = random.exponential(1.0, n)
    tail = np.where(
        (random.random(len(groups)) < _STAYS_OPEN) & (traders.end[trader] == 1.0),
        0.0,
        random.exponential(1.0, len(groups)),
    )
    gaps *= ((span - held) / (np.bincount(index, gaps) + tail))[index]
    ends = np.cumsum(gaps + lengths)
    last_rows = np.cumsum(counts) - 1
    ends -= np.concatenate(([0.0], ends[last_rows[:-1]]))[index]
    closes = begin[index] + ends
    opens = closes - lengths
    stays_open = np.zeros(n, dtype=np.bool_)
    stays_open[last_rows] = tail == 0.0
    hour = np.floor(opens / HOUR_MS) * HOUR_MS + random.random(n) * 90 * SECOND_MS
    before = np.where(
        np.append(True, index[1:] != index[:-1]), begin[index], np.append(0, closes[:-1])
    )
    pulled = (random.random(n) < _ON_THE_HOUR) & (hour > before + SECOND_MS) & (hour < opens)
    opens = np.where(pulled, hour, opens)
    # whole ms inside the market's time, a close after its open
    first_ms = np.ceil(opens).astype(np.int64).clip(0, total[index] - MINUTE_MS)
    last_ms = np.floor(closes).astype(np.int64).clip(first_ms + SECOND_MS, total[index] - 1)
    return first_ms, last_ms, stays_open


def _offsets(lengths_ms: Ints, position: Ints, random: np.random.Generator) -> Ints:
    """Times of orders since their position's opening: in a burst, or all over its life."""
    n = len(position)
    bursts = (random.random(len(lengths_ms)) < _IN_A_BURST)[position]
    longest = lengths_ms[position] - 1
    soon = random.exponential(3 * MINUTE_MS, n)
    later = random.random(n) ** 1.3 * longest
    return np.minimum(np.where(bursts, soon, later).astype(np.int64) + 1, longest)


def _held(position: Ints, first: Ints, random: np.random.Generator) -> Floats:
    """What each order leaves held, as a multiple of the usual leverage; no two in a row are equal."""
    moves = random.integers(1, len(_LEVELS), len(position))
    moves[first] = 0
    walked = np.cumsum(moves)
    levels = (walked - walked[first][position]) % len(_LEVELS)
    return np.asarray(_LEVELS[levels])


def with_directions(
    traders: Traders,
    positions: Positions,
    orders: Orders,
    minutes: Sequence[Minutes],
    usual: Floats,
    random: np.random.Generator,
) -> Floats:
    """Signed leverage of every order; skilled traders choose the right direction more often.

    Args:
        traders: their skill.
        positions: what was made.
        orders: their orders, with what each leaves held.
        minutes: prices of each pair.
        usual: usual leverage of each pair.
        random: source of luck.
    """
    n = len(positions.pair)
    rose = np.zeros(n)
    for index, each in enumerate(minutes):
        mine = positions.pair == index
        rose[mine] = each.before(positions.close_ms[mine]) - each.before(positions.open_ms[mine])
    right = random.random(n) < 0.5 + traders.skill[positions.trader]
    sign = np.where((rose >= 0) == right, 1.0, -1.0)
    held = np.round(orders.leverage * usual[positions.pair][orders.position], 5)
    before = np.append(0.0, held[:-1])
    before[positions.first] = 0.0
    change = np.where(orders.closes, 0.0, held - before)
    return np.asarray(np.round(change * sign[orders.position], 5))
