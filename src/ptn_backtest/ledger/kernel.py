"""The compiled walk over time: updates and steps (`definition.py` says the same in plain Python).

An update continues a trader's ledgers to a later time. It consists of steps, each from the last
one to the next orders; orders of one millisecond are one batch. A step with an open position has
ticks, and each tick is a record.
"""

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import CURSOR, LAST_UPDATE, LIQUIDATED, NONE_MS, Book
from ptn_backtest.ledger.recording import (
    begin_update,
    drop_old_checkpoints,
    forget_price,
    record,
)
from ptn_backtest.ledger.ticks import walk_ticks
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import (
    cached_carry,
    is_closed,
    is_open,
    resume_values,
    stand_after_orders,
)
from ptn_backtest.ledger.work import BATCH_CLOSES, BATCH_SIZE, FIRST_CHANGED, N_OPEN, Work
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.table import PriceTable


@compiled
def run_updates(
    book: Book,
    work: Work,
    timeline: Timeline,
    prices: PriceTable,
    price_row: Ints,
    update_times_ms: Ints,
    window_ms: int,
) -> None:
    """Continue the ledgers to each update time in turn; stop at a liquidation.

    Args:
        book: state; changed in place. With one ledger only the portfolio's is built.
        work: scratch memory.
        timeline: the trader's orders; those after an update time are not known to it.
        prices: candles and market hours.
        price_row: row of each of the trader's pairs in `prices`.
        update_times_ms: ascending.
        window_ms: time that checkpoints may cover.
    """
    for k in range(len(update_times_ms)):
        if book.clock[LIQUIDATED] != NONE_MS:
            return
        _update(book, work, timeline, prices, price_row, update_times_ms[k])
        drop_old_checkpoints(book, window_ms)


@compiled
def _update(
    book: Book, work: Work, timeline: Timeline, prices: PriceTable, price_row: Ints, until_ms: int
) -> None:
    begin_update(book)
    resume_values(book, timeline, book.clock[LAST_UPDATE])
    resumed = True
    while book.clock[LIQUIDATED] == NONE_MS:
        target_ms, batch_end = _next_batch(book, timeline, until_ms)
        last_ms = book.clock[LAST_UPDATE]
        if batch_end == book.clock[CURSOR] and (last_ms == NONE_MS or last_ms >= until_ms):
            return  # no order yet, or the last ones came exactly at the update time (quirk 31)
        _learn_batch(book, work, timeline, batch_end, until_ms)
        if not resumed:
            _set_back(book, work, timeline)
        _step(book, work, timeline, prices, price_row, target_ms)
        _apply_batch(book, work, timeline)
        book.clock[LAST_UPDATE] = target_ms
        book.clock[CURSOR] = batch_end
        resumed = False


@compiled
def _next_batch(book: Book, timeline: Timeline, until_ms: int) -> tuple[int, int]:
    """Time of the next step's end and the end of its batch; an empty batch ends the update."""
    events = timeline.event_ms
    end = book.clock[CURSOR]
    if end == len(events) or events[end] > until_ms:
        return until_ms, end
    target_ms = events[end]
    while end < len(events) and events[end] == target_ms:
        end += 1
    return target_ms, end


@compiled
def _learn_batch(book: Book, work: Work, timeline: Timeline, batch_end: int, until_ms: int) -> None:
    """Note which positions the batch changes, and which are open before it."""
    work.after[:] = book.known
    for event in range(book.clock[CURSOR], batch_end):
        work.after[timeline.event_position[event]] += 1
    work.facts[:] = 0
    work.facts[FIRST_CHANGED] = -1
    work.pair_open[:] = 0
    first_key = (0, 0)
    for i in range(len(book.known)):
        known, after = book.known[i], work.after[i]
        if is_open(timeline, i, known):
            work.open[work.facts[N_OPEN]] = i
            work.facts[N_OPEN] += 1
            work.pair_open[timeline.pair[i]] = 1
        if after == known:
            continue
        work.facts[BATCH_SIZE] += 1
        if is_closed(timeline, i, after) and not is_closed(timeline, i, known):
            work.facts[BATCH_CLOSES] = 1
        if known > 0:
            key = (_close_known_at(timeline, i, until_ms), timeline.stored[i])
            if work.facts[FIRST_CHANGED] < 0 or key < first_key:
                work.facts[FIRST_CHANGED] = i
                first_key = key


@compiled
def _close_known_at(timeline: Timeline, i: int, until_ms: int) -> int:
    """Close time of a position as an update knows it; positions that stay open come last."""
    close = timeline.states.close[i]
    if close >= 0 and timeline.columns.time_ms[close] <= until_ms:
        return timeline.columns.time_ms[close]
    return NEVER_MS


@compiled
def _set_back(book: Book, work: Work, timeline: Timeline) -> None:
    """Positions with an order in the batch start the step at their previous order (quirk 12)."""
    for i in range(len(book.known)):
        if book.known[i] > 0 and work.after[i] != book.known[i]:
            stand_after_orders(book, timeline, i)


@compiled
def _apply_batch(book: Book, work: Work, timeline: Timeline) -> None:
    for i in range(len(book.known)):
        if work.after[i] != book.known[i]:
            book.known[i] = work.after[i]
            stand_after_orders(book, timeline, i)


@compiled
def _step(
    book: Book, work: Work, timeline: Timeline, prices: PriceTable, price_row: Ints, target_ms: int
) -> None:
    """Cover the time up to a batch with positions as before it, then book the batch."""
    for i in range(len(book.known)):
        if work.after[i] > 0:
            work.fee[i] = cached_carry(book, timeline, i, work.after[i], target_ms)
    if work.facts[N_OPEN] == 0:
        for ledger in range(len(book.used)):
            if _has_orders(work.after, timeline, ledger):
                _record_product(book, work, timeline, ledger, target_ms, work.after)
        return
    start_ms = book.clock[LAST_UPDATE] + 1
    _begin_step(book, work, timeline, start_ms)
    ticks = walk_ticks(book, work, timeline, prices, price_row, start_ms, target_ms)
    if book.clock[LIQUIDATED] == NONE_MS:
        for ledger in range(len(book.used)):
            _book_batch(book, work, timeline, ledger, target_ms, ticks > 0)


@compiled
def _begin_step(book: Book, work: Work, timeline: Timeline, start_ms: int) -> None:
    """Pairs with nothing open lose their last known price; their ledgers get a record."""
    for pair in range(len(book.price_ms)):
        if not work.pair_open[pair]:
            forget_price(book, pair)
    for ledger in range(1, len(book.used)):
        if book.used[ledger] > 0 and not work.pair_open[ledger - 1]:
            _record_product(book, work, timeline, ledger, start_ms, book.known)


@compiled
def _book_batch(
    book: Book, work: Work, timeline: Timeline, ledger: int, target_ms: int, ticked: bool
) -> None:
    """The record at the end of a step with open positions.

    A position that the batch opens does not count yet; one that it changes counts with its return
    after the order only where pair ledgers are built (quirk 10).
    """
    if ledger > 0 and not work.pair_open[ledger - 1]:
        if _has_orders(work.after, timeline, ledger):
            _record_product(book, work, timeline, ledger, target_ms, book.known)
        return
    if ticked:
        value, spread, carry = work.value[ledger], work.spread[ledger], work.carry[ledger]
    else:
        value, spread, carry = _product(book, work, timeline, ledger, work.after)
    if len(book.used) > 1:
        value = _replace_changed(book, work, timeline, ledger, value)
    if ticked:
        market_open = work.market_open[ledger] == 1
        record(book, timeline, ledger, target_ms, value, spread, carry, market_open)
    else:
        _record_without_drift(book, work, timeline, ledger, target_ms, value, spread, carry)


@compiled
def _replace_changed(
    book: Book, work: Work, timeline: Timeline, ledger: int, value: float
) -> float:
    """Exchange a changed position's return before its order for the one after it.

    The portfolio does so for the first position of the batch only (quirk 11).
    """
    for i in range(len(book.known)):
        if book.known[i] == 0 or work.after[i] == book.known[i]:
            continue
        if i == work.facts[FIRST_CHANGED] if ledger == 0 else timeline.pair[i] == ledger - 1:
            last = timeline.columns.first[i] + work.after[i] - 1
            value = value / book.value[i] * timeline.states.return_at_close[last]
    return value


@compiled
def _has_orders(known: Ints, timeline: Timeline, ledger: int) -> bool:
    """Whether any position of a ledger has orders."""
    for i in range(len(known)):
        if known[i] > 0 and (ledger == 0 or timeline.pair[i] == ledger - 1):
            return True
    return False


@compiled
def _product(
    book: Book, work: Work, timeline: Timeline, ledger: int, known: Ints
) -> tuple[float, float, float]:
    """Products of returns, spread and carry fees over a ledger's positions, with `known` orders.

    A position with a new order counts with its return after it, the others as they stand.
    """
    value, spread, carry = 1.0, 1.0, 1.0
    for i in range(len(known)):
        if known[i] > 0 and (ledger == 0 or timeline.pair[i] == ledger - 1):
            last = timeline.columns.first[i] + known[i] - 1
            changed = known[i] != book.known[i]
            value *= timeline.states.return_at_close[last] if changed else book.value[i]
            spread *= timeline.states.spread_fee[last]
            carry *= work.fee[i]
    return value, spread, carry


@compiled
def _record_product(
    book: Book, work: Work, timeline: Timeline, ledger: int, at_ms: int, known: Ints
) -> None:
    value, spread, carry = _product(book, work, timeline, ledger, known)
    _record_without_drift(book, work, timeline, ledger, at_ms, value, spread, carry)


@compiled
def _record_without_drift(
    book: Book,
    work: Work,
    timeline: Timeline,
    ledger: int,
    at_ms: int,
    value: float,
    spread: float,
    carry: float,
) -> None:
    """Record without an open position; a value that cannot have changed is kept to the last bit."""
    if ledger == 0 and value <= 0.0 and book.used[0] > 0:
        book.clock[LIQUIDATED] = at_ms
        return
    if book.used[ledger] > 0 and not work.facts[BATCH_CLOSES]:
        cp = book.cps[ledger, book.used[ledger] - 1]
        same_fees = spread == cp.prev_portfolio_spread_fee and carry == cp.prev_portfolio_carry_fee
        if same_fees and _batch_is_mine(book, work, timeline, ledger):
            value = cp.prev_portfolio_ret
    record(book, timeline, ledger, at_ms, value, spread, carry, False)


@compiled
def _batch_is_mine(book: Book, work: Work, timeline: Timeline, ledger: int) -> bool:
    """Whether the batch is empty, or has an order of this pair's ledger."""
    if work.facts[BATCH_SIZE] == 0:
        return True
    for i in range(len(book.known)):
        if work.after[i] != book.known[i] and timeline.pair[i] == ledger - 1:
            return True
    return False
