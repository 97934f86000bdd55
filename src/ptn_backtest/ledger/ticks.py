"""The ticks of a step: every minute, and every second near its ends (compiled)."""

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.blocks import take_block
from ptn_backtest.ledger.book import LIQUIDATED, NONE_MS, Book
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.prices.table import PriceTable

ONLY_SECONDS_MS = 30 * MINUTE_MS
"""A step of at most this length has a tick every second."""


@inlined
def walk_ticks(
    book: Book, timeline: Timeline, prices: PriceTable, start_ms: int, target_ms: int
) -> None:
    """Value and record the open positions at every tick from `start_ms` up to before `target_ms`.

    A tick keeps the milliseconds of the start; what is asked at it (price, fees, market hours) is
    asked for its whole second. Stops at a portfolio value of 0, which is not recorded.
    """
    only_seconds = target_ms - start_ms <= ONLY_SECONDS_MS
    at_ms = start_ms
    while at_ms < target_ms and book.clock[LIQUIDATED] == NONE_MS:
        step_ms, n_ticks = ticks_ahead(at_ms, target_ms, only_seconds)
        at_ms += step_ms * take_block(book, timeline, prices, at_ms, step_ms, n_ticks)


@inlined
def ticks_ahead(at_ms: int, target_ms: int, only_seconds: bool) -> tuple[int, int]:
    """Step size from a tick on, ms, and how many ticks there are before it changes."""
    second_ms = at_ms - at_ms % SECOND_MS
    left_ms = target_ms - second_ms
    if not only_seconds and second_ms % MINUTE_MS == 0 and left_ms > MINUTE_MS:
        return MINUTE_MS, (left_ms - 1) // MINUTE_MS
    n_ticks = (target_ms - at_ms + SECOND_MS - 1) // SECOND_MS
    if not only_seconds:
        to_minute_ms = -second_ms % MINUTE_MS
        if left_ms - to_minute_ms > MINUTE_MS:
            n_ticks = min(n_ticks, to_minute_ms // SECOND_MS)
    return SECOND_MS, n_ticks
