"""The ticks of a step: every minute, and every second near its ends (compiled).

A tick keeps the milliseconds of the step's start; what is asked at it (price, fees, market hours) is
asked for its whole second.
"""

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import N_STRETCHES, Book
from ptn_backtest.prices.places import moment_of

ONLY_SECONDS_MS = 30 * MINUTE_MS
"""A step of at most this length has a tick every second."""


@inlined
def lay_ticks(book: Book, at_ms: int, until_ms: int, end_ms: int, only_seconds: bool) -> int:
    """Take the ticks of a block as stretches with one distance each: seconds, minutes, seconds.

    Args:
        book: state; its stretches are set.
        at_ms: the first tick.
        until_ms: the block ends before the tick of this second, or with the first one.
        end_ms: end of the step, before which its ticks are.
        only_seconds: whether the step has a tick every second.

    Returns:
        Time of the tick after the block.
    """
    n_stretches = 0
    while n_stretches == 0 or (at_ms < end_ms and at_ms - at_ms % SECOND_MS < until_ms):
        second_ms = at_ms - at_ms % SECOND_MS
        step_ms, n_ticks = _ticks_ahead(at_ms, end_ms, only_seconds)
        n_ticks = max(1, min(n_ticks, ticks_before(until_ms, second_ms, step_ms)))
        stretch = book.stretches[n_stretches]
        stretch.second_ms, stretch.step_ms, stretch.n_ticks = second_ms, step_ms, n_ticks
        n_stretches += 1
        at_ms += n_ticks * step_ms
    book.step[N_STRETCHES] = n_stretches
    return at_ms


@inlined
def _ticks_ahead(at_ms: int, end_ms: int, only_seconds: bool) -> tuple[int, int]:
    """Time from a tick to the next, ms, and how many ticks there are before it changes."""
    second_ms = at_ms - at_ms % SECOND_MS
    left_ms = end_ms - second_ms
    if not only_seconds and second_ms % MINUTE_MS == 0 and left_ms > MINUTE_MS:
        return MINUTE_MS, (left_ms - 1) // MINUTE_MS
    n_ticks = (end_ms - at_ms + SECOND_MS - 1) // SECOND_MS
    if not only_seconds:
        to_minute_ms = -second_ms % MINUTE_MS
        if left_ms - to_minute_ms > MINUTE_MS:
            n_ticks = min(n_ticks, to_minute_ms // SECOND_MS)
    return SECOND_MS, n_ticks


@inlined
def ticks_before(limit_ms: int, from_ms: int, step_ms: int) -> int:
    """How many of the times from, from + step, ... come before a limit."""
    return moment_of(limit_ms - from_ms + step_ms - 1, step_ms)


@inlined
def count_ticks(book: Book) -> int:
    """How many ticks a block has."""
    n_ticks = 0
    for stretch in book.stretches[: book.step[N_STRETCHES]]:
        n_ticks += stretch.n_ticks
    return n_ticks


@inlined
def tick_second(book: Book, tick: int) -> int:
    """The second of one of a block's ticks, by its number."""
    for stretch in book.stretches[: book.step[N_STRETCHES]]:
        if tick < stretch.n_ticks:
            return stretch.second_ms + tick * stretch.step_ms
        tick -= stretch.n_ticks
    return NEVER_MS


@inlined
def second_from(book: Book, wanted_ms: int) -> int:
    """The second of a block's first tick that is not before a time; `NEVER_MS` if there is none."""
    for stretch in book.stretches[: book.step[N_STRETCHES]]:
        n_before = max(0, ticks_before(wanted_ms, stretch.second_ms, stretch.step_ms))
        if n_before < stretch.n_ticks:
            return stretch.second_ms + n_before * stretch.step_ms
    return NEVER_MS
