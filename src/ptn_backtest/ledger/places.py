"""Where market hours and candles of a block of ticks are in the price table (compiled)."""

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined, prefetch
from ptn_backtest.ledger.book import N_OPEN, PORTFOLIO_LEDGER, Book
from ptn_backtest.positions.columns import Floats, Ints, Row
from ptn_backtest.prices.places import (
    Index,
    bits_from,
    expect_moment,
    last_before,
    moment_of,
    place_of,
)
from ptn_backtest.prices.table import PriceTable

_LINE = 8  # numbers that memory brings at once
_NONE, _SEVERAL = -1, -2  # instead of the pair that has candles


@inlined
def market_hours(prices: PriceTable, pair: Row, second_ms: int) -> int:
    """Find out whether a pair's market is open at a time; until when that stays so.

    A trader's time only goes forward, so the search begins where the last one ended.
    """
    row = prices.rows[pair.row]
    at = first_from(prices.session_ms, pair.session, row.session_last, second_ms + 1)
    pair.session = at
    pair.market_open = (at - row.session_first) % 2 == 1
    return prices.session_ms[at] if at < row.session_last else NEVER_MS


@inlined
def find_candles(book: Book, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int) -> int:
    """Find every open pair's candles in a block; how many values the portfolio has.

    One at each of its candles if only one pair has any, otherwise one at each tick.
    """
    index, _ = candles_of(prices, step_ms)
    moment = moment_of(second_ms, step_ms)
    n_moments, moving = 1, _NONE
    for i in book.open[: book.step[N_OPEN]]:
        place = book.holdings[i].pair
        pair = book.pairs[place]
        pair.n_candles, pair.waits = 0, 1
        if not pair.market_open:
            continue
        pair.first = place_of(index, pair.row, moment)
        pair.n_candles = place_of(index, pair.row, moment + n_ticks) - pair.first
        pair.waits = 1 - (bits_from(index, pair.row, moment) & 1)
        if pair.waits + pair.n_candles > 1:
            moving = place if moving in (_NONE, place) else _SEVERAL
            n_moments = n_ticks if moving == _SEVERAL else pair.waits + pair.n_candles
    return n_moments


@inlined
def candles_of(prices: PriceTable, step_ms: int) -> tuple[Index, Floats]:
    """Where the candles of a length are, by their time, and all their closes."""
    if step_ms == MINUTE_MS:
        return prices.minutes, prices.minute_close
    return prices.seconds, prices.second_close


@inlined
def last_candles(
    prices: PriceTable, pair: Row, second_ms: int, step_ms: int, n_ticks: int
) -> tuple[int, int]:
    """Start of the last candle that a pair has in a block, and of the one before if it has two, ms."""
    index, _ = candles_of(prices, step_ms)
    last = last_before(index, pair.row, moment_of(second_ms, step_ms) + n_ticks)
    before = last_before(index, pair.row, last) if pair.n_candles > 1 else last
    return last * step_ms, before * step_ms


@inlined
def tick_of(
    book: Book, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int, value: int
) -> int:
    """The tick at which the portfolio has one of its values."""
    if value == 0 or book.ledgers[PORTFOLIO_LEDGER].n_moments == n_ticks:
        return value
    for i in book.open[: book.step[N_OPEN]]:
        pair = book.pairs[book.holdings[i].pair]
        if pair.n_candles > 0:
            times_ms = prices.minute_ms if step_ms == MINUTE_MS else prices.second_ms
            return (times_ms[pair.first + value - pair.waits] - second_ms) // step_ms
    return value


@inlined
def ticks_before(limit_ms: int, from_ms: int, step_ms: int) -> int:
    """How many of the times from, from + step, ... come before a limit."""
    return moment_of(limit_ms - from_ms + step_ms - 1, step_ms)


@inlined
def first_from(times_ms: Ints, at: int, end: int, wanted_ms: int) -> int:
    """The first place from `at` on, up to `end`, that is not before a time.

    In growing steps and then by halves: the place is mostly near, and far after a pause.
    """
    low, step = at, 1
    while at < end and times_ms[at] < wanted_ms:
        low = at + 1
        at += step
        step *= 2
    high = min(at, end)
    while low < high:
        middle = (low + high) // 2
        if times_ms[middle] < wanted_ms:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def expect_candles(
    book: Book, prices: PriceTable, start_ms: int, end_ms: int, next_ms: int
) -> None:
    """Have memory bring what a step will read: it is slow, and the steps of a trader lie far apart.

    Args:
        book: state.
        prices: candles.
        start_ms: begin of the step.
        end_ms: its end; second candles before and after it will be read.
        next_ms: end of the step after it.
    """
    for i in book.open[: book.step[N_OPEN]]:
        row = book.pairs[book.holdings[i].pair].row
        expect_moment(prices.seconds, row, next_ms // SECOND_MS)
        place = place_of(prices.seconds, row, end_ms // SECOND_MS)
        for k in range(-MINUTE_MS // SECOND_MS, MINUTE_MS // SECOND_MS, _LINE):
            prefetch(prices.second_close, place + k)
        place = place_of(prices.minutes, row, start_ms // MINUTE_MS)
        for k in range(0, 4 * _LINE, _LINE):  # of more of them, the processor itself thinks
            prefetch(prices.minute_close, place + k)
