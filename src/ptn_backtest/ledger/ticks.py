"""The ticks of a step: every minute, and every second near its ends (compiled)."""

import numpy as np

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.blocks import take_block, ticks_ahead
from ptn_backtest.ledger.book import N_OPEN, PORTFOLIO_LEDGER, Book
from ptn_backtest.ledger.losses import liquidate, watch_drawdown
from ptn_backtest.ledger.recording import record, remember_price
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import ask_fees, is_closed, value_at_price
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.prices.table import PriceTable

ONLY_SECONDS_MS = 30 * MINUTE_MS
"""A step of at most this length has a tick every second."""


@compiled
def walk_ticks(
    book: Book, timeline: Timeline, prices: PriceTable, start_ms: int, target_ms: int
) -> int:
    """Value and record the open positions at every tick from `start_ms` up to before `target_ms`.

    A tick keeps the milliseconds of the start; what is asked at it (price, fees, market hours) is
    asked for its whole second. Stops at a portfolio value of 0, which is not recorded.

    Returns:
        The number of ticks.
    """
    _multiply_closed(book, timeline)
    _find_places(book, timeline, prices, start_ms - start_ms % SECOND_MS)
    only_seconds = target_ms - start_ms <= ONLY_SECONDS_MS
    at_ms, n_ticks = start_ms, 0
    while at_ms < target_ms:
        second_ms = at_ms - at_ms % SECOND_MS
        whole_minute = second_ms % MINUTE_MS == 0
        by_minute = not only_seconds and whole_minute and target_ms - second_ms > MINUTE_MS
        _value_open_positions(book, timeline, prices, second_ms, by_minute)
        _multiply_open(book, timeline)
        if book.ledgers[PORTFOLIO_LEDGER].value <= 0.0:
            liquidate(book, timeline, at_ms, False)
            return n_ticks
        for ledger in range(len(book.ledgers)):
            if ledger == PORTFOLIO_LEDGER or book.pairs[ledger - 1].open:
                row = book.ledgers[ledger]
                value, spread, carry = row.value, row.spread, row.carry
                record(book, timeline.sizes, ledger, at_ms, value, spread, carry, row.market_open)
        watch_drawdown(book, timeline, at_ms, False)
        at_ms += MINUTE_MS if by_minute else SECOND_MS
        n_ticks += 1
        if at_ms < target_ms:
            step_ms, ahead = ticks_ahead(at_ms, target_ms, only_seconds)
            taken = take_block(book, timeline, prices, at_ms, step_ms, ahead)
            at_ms += taken * step_ms
            n_ticks += taken
    return n_ticks


@compiled
def _multiply_closed(book: Book, timeline: Timeline) -> None:
    """Products over the closed positions; at ticks they come before the open ones."""
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        row.closed_value = 1.0
        row.closed_spread = 1.0
        row.closed_carry = 1.0
    for i in book.sequence:
        holding = book.holdings[i]
        if holding.known == 0 or not is_closed(timeline, i, holding.known):
            continue
        for ledger in (PORTFOLIO_LEDGER, 1 + timeline.columns.positions[i].pair):
            if ledger < len(book.ledgers):
                row = book.ledgers[ledger]
                row.closed_value *= holding.value
                row.closed_spread *= holding.spread
                row.closed_carry *= holding.fee


@compiled
def _multiply_open(book: Book, timeline: Timeline) -> None:
    """Products over all positions, from the closed ones' and the open ones in ledger order."""
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        row.value = row.closed_value
        row.spread = row.closed_spread
        row.carry = row.closed_carry
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding = book.holdings[i]
        for ledger in (PORTFOLIO_LEDGER, 1 + timeline.columns.positions[i].pair):
            if ledger < len(book.ledgers):
                row = book.ledgers[ledger]
                row.value *= holding.value
                row.spread *= holding.spread
                row.carry *= holding.fee


@compiled
def _value_open_positions(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, by_minute: bool
) -> None:
    for ledger in range(len(book.ledgers)):
        book.ledgers[ledger].market_open = False
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding, index = book.holdings[i], timeline.columns.positions[i].pair
        pair = book.pairs[index]
        ask_fees(book, timeline, i, holding.known, second_ms)
        if not _is_market_open(book, prices, i, pair.row, second_ms):
            continue  # the value waits for the first open tick (quirk 9)
        book.ledgers[PORTFOLIO_LEDGER].market_open = True
        if 1 + index < len(book.ledgers):
            book.ledgers[1 + index].market_open = True
        found, price = _close_at(book, prices, i, pair.row, second_ms, by_minute)
        if found:
            remember_price(pair, price, second_ms)
            value_at_price(book, timeline, i, price, second_ms)
        holding.value = holding.current * (holding.fee * holding.spread)


@compiled
def _find_places(book: Book, timeline: Timeline, prices: PriceTable, from_ms: int) -> None:
    """Find where each open position's candles and sessions begin; from there they are walked."""
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding = book.holdings[i]
        row = prices.rows[book.pairs[timeline.columns.positions[i].pair].row]
        minutes = prices.minute_ms[row.minute_first : row.minute_last]
        seconds = prices.second_ms[row.second_first : row.second_last]
        edges = prices.session_ms[row.session_first : row.session_last]
        holding.minute_at = row.minute_first + np.searchsorted(minutes, from_ms)
        holding.second_at = row.second_first + np.searchsorted(seconds, from_ms)
        holding.session_at = row.session_first + np.searchsorted(edges, from_ms)


@compiled
def _is_market_open(book: Book, prices: PriceTable, i: int, row_index: int, at_ms: int) -> bool:
    row, holding = prices.rows[row_index], book.holdings[i]
    at = holding.session_at
    while at < row.session_last and prices.session_ms[at] <= at_ms:
        at += 1
    holding.session_at = at
    return (at - row.session_first) % 2 == 1


@compiled
def _close_at(
    book: Book, prices: PriceTable, i: int, row_index: int, at_ms: int, by_minute: bool
) -> tuple[bool, float]:
    """Whether a candle starts at a time, and its close."""
    row, holding = prices.rows[row_index], book.holdings[i]
    if by_minute:
        at = _walk(prices.minute_ms, holding.minute_at, row.minute_last, at_ms)
        holding.minute_at = at
        return _found(prices.minute_ms, prices.minute_close, at, row.minute_last, at_ms)
    at = _walk(prices.second_ms, holding.second_at, row.second_last, at_ms)
    holding.second_at = at
    return _found(prices.second_ms, prices.second_close, at, row.second_last, at_ms)


@compiled
def _walk(times_ms: Ints, at: int, end: int, wanted_ms: int) -> int:
    """The first place from `at` on that is not before a time."""
    while at < end and times_ms[at] < wanted_ms:
        at += 1
    return at


@compiled
def _found(times_ms: Ints, closes: Floats, at: int, end: int, wanted_ms: int) -> tuple[bool, float]:
    if at < end and times_ms[at] == wanted_ms:
        return True, closes[at]
    return False, 0.0
