"""The ticks of a step: every minute, and every second near its ends (compiled)."""

import numpy as np

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import LIQUIDATED, Book
from ptn_backtest.ledger.recording import record, remember_price
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import cached_carry, current_return_at, is_closed
from ptn_backtest.ledger.work import N_OPEN, Work
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.table import PriceTable

ONLY_SECONDS_MS = 30 * MINUTE_MS
"""A step of at most this length has a tick every second."""


@compiled
def walk_ticks(
    book: Book,
    work: Work,
    timeline: Timeline,
    prices: PriceTable,
    price_row: Ints,
    start_ms: int,
    target_ms: int,
) -> int:
    """Value and record the open positions at every tick from `start_ms` up to before `target_ms`.

    A tick keeps the milliseconds of the start; what is asked at it (price, fees, market hours) is
    asked for its whole second. Stops at a portfolio value of 0, which is not recorded.

    Returns:
        The number of ticks.
    """
    _multiply_closed(book, work, timeline)
    _find_cursors(work, timeline, prices, price_row, start_ms - start_ms % SECOND_MS)
    only_seconds = target_ms - start_ms <= ONLY_SECONDS_MS
    at_ms, n_ticks = start_ms, 0
    while at_ms < target_ms:
        second_ms = at_ms - at_ms % SECOND_MS
        by_minute = (
            not only_seconds and second_ms % MINUTE_MS == 0 and target_ms - second_ms > MINUTE_MS
        )
        _value_open_positions(book, work, timeline, prices, price_row, second_ms, by_minute)
        _multiply_open(book, work, timeline)
        if work.value[0] <= 0.0:
            book.clock[LIQUIDATED] = at_ms
            return n_ticks
        for ledger in range(len(book.used)):
            if ledger == 0 or work.pair_open[ledger - 1]:
                record(
                    book,
                    timeline,
                    ledger,
                    at_ms,
                    work.value[ledger],
                    work.spread[ledger],
                    work.carry[ledger],
                    work.market_open[ledger] == 1,
                )
        at_ms += MINUTE_MS if by_minute else SECOND_MS
        n_ticks += 1
    return n_ticks


@compiled
def _multiply_closed(book: Book, work: Work, timeline: Timeline) -> None:
    """Products over the closed positions; at ticks they come before the open ones."""
    work.closed_value[:] = 1.0
    work.closed_spread[:] = 1.0
    work.closed_carry[:] = 1.0
    n_ledgers = len(book.used)
    for i in range(len(book.known)):
        if book.known[i] == 0 or not is_closed(timeline, i, book.known[i]):
            continue
        spread = timeline.states.spread_fee[timeline.columns.first[i] + book.known[i] - 1]
        for ledger in (0, 1 + timeline.pair[i]):
            if ledger < n_ledgers:
                work.closed_value[ledger] *= book.value[i]
                work.closed_spread[ledger] *= spread
                work.closed_carry[ledger] *= work.fee[i]


@compiled
def _multiply_open(book: Book, work: Work, timeline: Timeline) -> None:
    """Products over all positions, from the closed ones' and the open ones in ledger order."""
    work.value[:] = work.closed_value
    work.spread[:] = work.closed_spread
    work.carry[:] = work.closed_carry
    n_ledgers = len(book.used)
    for j in range(work.facts[N_OPEN]):
        i = work.open[j]
        spread = timeline.states.spread_fee[timeline.columns.first[i] + book.known[i] - 1]
        for ledger in (0, 1 + timeline.pair[i]):
            if ledger < n_ledgers:
                work.value[ledger] *= book.value[i]
                work.spread[ledger] *= spread
                work.carry[ledger] *= work.fee[i]


@compiled
def _find_cursors(
    work: Work, timeline: Timeline, prices: PriceTable, price_row: Ints, from_ms: int
) -> None:
    for j in range(work.facts[N_OPEN]):
        i = work.open[j]
        row = price_row[timeline.pair[i]]
        work.minute_at[i] = _first_not_before(prices.minute_ms, prices.minute_first, row, from_ms)
        work.second_at[i] = _first_not_before(prices.second_ms, prices.second_first, row, from_ms)
        work.session_at[i] = _first_not_before(
            prices.session_ms, prices.session_first, row, from_ms
        )


@compiled
def _first_not_before(times_ms: Ints, first: Ints, row: int, from_ms: int) -> int:
    begin, end = first[row], first[row + 1]
    return begin + np.searchsorted(times_ms[begin:end], from_ms)


@compiled
def _value_open_positions(
    book: Book,
    work: Work,
    timeline: Timeline,
    prices: PriceTable,
    price_row: Ints,
    second_ms: int,
    by_minute: bool,
) -> None:
    work.market_open[:] = 0
    for j in range(work.facts[N_OPEN]):
        i = work.open[j]
        pair = timeline.pair[i]
        row = price_row[pair]
        work.fee[i] = cached_carry(book, timeline, i, book.known[i], second_ms)
        if not _is_market_open(work, prices, row, i, second_ms):
            continue  # the value waits for the first open tick (quirk 9)
        work.market_open[0] = 1
        if 1 + pair < len(work.market_open):
            work.market_open[1 + pair] = 1
        last = timeline.columns.first[i] + book.known[i] - 1
        if by_minute:
            at = _seek(prices.minute_ms, work.minute_at[i], prices.minute_first[row + 1], second_ms)
            work.minute_at[i] = at
            found = at < prices.minute_first[row + 1] and prices.minute_ms[at] == second_ms
            price = prices.minute_close[at] if found else 0.0
        else:
            at = _seek(prices.second_ms, work.second_at[i], prices.second_first[row + 1], second_ms)
            work.second_at[i] = at
            found = at < prices.second_first[row + 1] and prices.second_ms[at] == second_ms
            price = prices.second_close[at] if found else 0.0
        if found:
            remember_price(book, pair, price, second_ms)
            book.current[i] = current_return_at(timeline, i, last, price)
        book.value[i] = book.current[i] * (work.fee[i] * timeline.states.spread_fee[last])


@compiled
def _is_market_open(work: Work, prices: PriceTable, row: int, i: int, at_ms: int) -> bool:
    first, last = prices.session_first[row], prices.session_first[row + 1]
    at = work.session_at[i]
    while at < last and prices.session_ms[at] <= at_ms:
        at += 1
    work.session_at[i] = at
    return (at - first) % 2 == 1


@compiled
def _seek(times_ms: Ints, at: int, end: int, wanted_ms: int) -> int:
    """The first place from `at` on that is not before a time; candles are walked, never searched."""
    while at < end and times_ms[at] < wanted_ms:
        at += 1
    return at
