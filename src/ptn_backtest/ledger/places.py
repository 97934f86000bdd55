"""Where market hours and candles of a block of ticks are in the price table (compiled).

A trader's time only goes forward, so every search begins at the place where the last one ended.
"""

from ptn_backtest.clock import MINUTE_MS, NEVER_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    BLOCK,
    MINUTES,
    N_OPEN,
    PORTFOLIO_LEDGER,
    SECONDS,
    SESSIONS,
    Book,
)
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.positions.columns import Floats, Ints, Row
from ptn_backtest.prices.table import PriceTable


@inlined
def market_hours(book: Book, prices: PriceTable, index: int, second_ms: int) -> int:
    """Find out whether a pair's market is open at a time; until when that stays so."""
    pair = book.pairs[index]
    row = prices.rows[pair.row]
    at = book.places[index, SESSIONS]
    at = first_from(prices.session_ms, at, row.session_last, second_ms + 1)
    book.places[index, SESSIONS] = at
    pair.market_open = (at - row.session_first) % 2 == 1
    return prices.session_ms[at] if at < row.session_last else NEVER_MS


@inlined
def find_candles(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int
) -> int:
    """Find the first candle of every open pair; how many ticks fit into a block."""
    next_ms = NEVER_MS
    for i in book.open[: book.step[N_OPEN]]:
        index = timeline.columns.positions[i].pair
        pair = book.pairs[index]
        if not pair.market_open:
            continue
        times_ms, _, end, column = candles_of(prices, pair, step_ms)
        pair.first = first_from(times_ms, book.places[index, column], end, second_ms)
        book.places[index, column] = pair.first
        if pair.first < end:
            next_ms = min(next_ms, times_ms[pair.first])
    return min(n_ticks, max(BLOCK, ticks_before(next_ms, second_ms, step_ms)))


@inlined
def count_candles(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int
) -> int:
    """Count every open pair's candles in a block; how many values the portfolio has.

    One at each of its candles if only one pair has any, otherwise one at each tick.
    """
    n_moments, moving = 1, -1
    for i in book.open[: book.step[N_OPEN]]:
        index = timeline.columns.positions[i].pair
        pair = book.pairs[index]
        pair.n_candles, pair.waits = 0, 1
        if pair.market_open:
            times_ms, _, end, _ = candles_of(prices, pair, step_ms)
            until_ms = second_ms + n_ticks * step_ms
            pair.n_candles = _count_until(times_ms, pair.first, end, until_ms, n_ticks)
            if pair.n_candles > 0 and times_ms[pair.first] == second_ms:
                pair.waits = 0
        if pair.waits + pair.n_candles > 1:
            n_moments = pair.waits + pair.n_candles if moving in (-1, index) else n_ticks
            moving = index
    return n_moments


@inlined
def candles_of(prices: PriceTable, pair: Row, step_ms: int) -> tuple[Ints, Floats, int, int]:
    """Times and closes of all candles, the end of this pair's, and their column in `places`."""
    row = prices.rows[pair.row]
    if step_ms == MINUTE_MS:
        return prices.minute_ms, prices.minute_close, row.minute_last, MINUTES
    return prices.second_ms, prices.second_close, row.second_last, SECONDS


@inlined
def tick_of(
    book: Book,
    timeline: Timeline,
    prices: PriceTable,
    second_ms: int,
    step_ms: int,
    n_ticks: int,
    moment: int,
) -> int:
    """The tick at which the portfolio has one of its values."""
    if moment == 0 or book.ledgers[PORTFOLIO_LEDGER].n_moments == n_ticks:
        return moment
    for i in book.open[: book.step[N_OPEN]]:
        pair = book.pairs[timeline.columns.positions[i].pair]
        if pair.n_candles > 0:
            times_ms, _, _, _ = candles_of(prices, pair, step_ms)
            return (times_ms[pair.first + moment - pair.waits] - second_ms) // step_ms
    return moment


@inlined
def ticks_before(limit_ms: int, from_ms: int, step_ms: int) -> int:
    """How many of the times from, from + step, ... come before a limit."""
    return (limit_ms - from_ms + step_ms - 1) // step_ms


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
def _count_until(times_ms: Ints, at: int, end: int, until_ms: int, most: int) -> int:
    """How many candles there are from place `at` on before a time, where there can be `most`."""
    end = min(end, at + most)
    if at == end or times_ms[end - 1] < until_ms:  # mostly there is no gap
        return end - at
    return first_from(times_ms, at, end, until_ms) - at
