"""Where market hours and candles of a block of ticks are in the price table (compiled)."""

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined, prefetch
from ptn_backtest.ledger.book import N_OPEN, N_STRETCHES, PORTFOLIO_LEDGER, Book
from ptn_backtest.ledger.ticks import count_ticks, tick_second
from ptn_backtest.positions.columns import Ints, Row
from ptn_backtest.prices.places import (
    Index,
    bits_from,
    expect_moment,
    last_before,
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
def find_candles(book: Book, prices: PriceTable) -> int:
    """Find every open pair's candles in a block; how many values the portfolio has.

    One at each of its candles if only one pair has any, otherwise one at each tick.
    """
    n_moments, moving = 1, _NONE
    for i in book.open[: book.step[N_OPEN]]:
        place = book.holdings[i].pair
        pair = book.pairs[place]
        pair.n_candles, pair.waits = 0, 1
        if not pair.market_open:
            continue
        for k in range(book.step[N_STRETCHES]):
            _find_in_stretch(book, prices, place, k)
        if moves(pair):
            moving = place if moving in (_NONE, place) else _SEVERAL
            n_moments = count_ticks(book) if moving == _SEVERAL else pair.waits + pair.n_candles
    return n_moments


@inlined
def _find_in_stretch(book: Book, prices: PriceTable, place: int, k: int) -> None:
    """A branch for minutes, one for seconds: to choose an index at run time is slow."""
    pair, stretch, found = book.pairs[place], book.stretches[k], book.found[place, k]
    second_ms, n_ticks = stretch.second_ms, stretch.n_ticks
    if stretch.step_ms == MINUTE_MS:
        first, n_candles, waits = _span(prices.minutes, pair.row, second_ms // MINUTE_MS, n_ticks)
    else:
        first, n_candles, waits = _span(prices.seconds, pair.row, second_ms // SECOND_MS, n_ticks)
    found.first, found.n_candles = first, n_candles
    pair.n_candles += n_candles
    if k == 0:
        pair.waits = waits


@inlined
def _span(index: Index, row: int, moment: int, n_ticks: int) -> tuple[int, int, int]:
    """Place of the first candle in a stretch, how many there are, 1 if its first tick has none or 0."""
    first = place_of(index, row, moment)
    n_candles = place_of(index, row, moment + n_ticks) - first
    return first, n_candles, 1 - (bits_from(index, row, moment) & 1)


@inlined
def moves(pair: Row) -> bool:
    """Whether a pair's price may change within a block."""
    changes: bool = pair.waits + pair.n_candles > 1
    return changes


@inlined
def last_candles(book: Book, prices: PriceTable, place: int, k: int) -> tuple[int, int]:
    """Start of the last candle that a pair has in a stretch, and of the one before if it has two, ms."""
    pair, stretch = book.pairs[place], book.stretches[k]
    several = book.found[place, k].n_candles > 1
    end_ms = stretch.second_ms + stretch.n_ticks * stretch.step_ms
    if stretch.step_ms == MINUTE_MS:
        last, before = _last_two(prices.minutes, pair.row, end_ms // MINUTE_MS, several)
        return last * MINUTE_MS, before * MINUTE_MS
    last, before = _last_two(prices.seconds, pair.row, end_ms // SECOND_MS, several)
    return last * SECOND_MS, before * SECOND_MS


@inlined
def _last_two(index: Index, row: int, moment: int, several: bool) -> tuple[int, int]:
    """Moments of the last two candles before a moment, or twice that of the last one."""
    last = last_before(index, row, moment)
    return last, last_before(index, row, last) if several else last


@inlined
def value_second(book: Book, prices: PriceTable, value: int) -> int:
    """The second of the tick at which the portfolio has one of its values."""
    at_ticks = book.ledgers[PORTFOLIO_LEDGER].n_moments == count_ticks(book)
    for i in book.open[: book.step[N_OPEN]]:
        place = book.holdings[i].pair
        candle = value - book.pairs[place].waits
        if at_ticks or candle < 0 or not moves(book.pairs[place]):
            continue
        for k in range(book.step[N_STRETCHES]):
            found = book.found[place, k]
            if candle < found.n_candles:
                by_minute = book.stretches[k].step_ms == MINUTE_MS
                times_ms = prices.minute_ms if by_minute else prices.second_ms
                second_ms: int = times_ms[found.first + candle]
                return second_ms
            candle -= found.n_candles
    return tick_second(book, value)


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
