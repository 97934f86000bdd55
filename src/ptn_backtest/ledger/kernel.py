"""The compiled walk over time: updates and steps (`ledger.definition` says the same in plain Python).

An update continues a trader's ledgers to a later time. It consists of steps, each from the last
one to the next orders; orders of one millisecond are one batch. A step with an open position has
ticks, and each tick is a record.
"""

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import (
    BATCH_CLOSES,
    CURSOR,
    FIRST_CHANGED,
    LAST_UPDATE,
    LIQUIDATED,
    N_CHANGED,
    N_OPEN,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.losses import forget_dropped, liquidate, watch_drawdown
from ptn_backtest.ledger.recording import (
    copy_checkpoint,
    drop_old_checkpoints,
    forget_price,
    record,
    renew_peaks,
)
from ptn_backtest.ledger.sequence import choose_sequence
from ptn_backtest.ledger.ticks import walk_ticks
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import (
    ask_fees,
    is_closed,
    is_open,
    resume_values,
    stand_after_orders,
    state_after,
)
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.table import PriceTable


@compiled
def run_updates(
    book: Book, timeline: Timeline, prices: PriceTable, update_times_ms: Ints, window_ms: int
) -> None:
    """Continue the ledgers to each update time in turn; stop at a liquidation.

    Args:
        book: state; changed in place. With one ledger only the portfolio's is built.
        timeline: the trader's orders; those after an update time are not known to it.
        prices: candles and market hours.
        update_times_ms: ascending.
        window_ms: time that checkpoints may cover.
    """
    for k in range(len(update_times_ms)):
        if book.clock[LIQUIDATED] == NONE_MS:
            _update(book, timeline, prices, update_times_ms[k])
            drop_old_checkpoints(book, window_ms)
            forget_dropped(book)
        if k < len(book.marks):
            _keep(book, k)


@compiled
def _keep(book: Book, k: int) -> None:
    """Keep what update k left of every ledger; checkpoints before the newest never change again."""
    for ledger in range(len(book.ledgers)):
        row, mark = book.ledgers[ledger], book.marks[k, ledger]
        mark.oldest, mark.used, mark.peak = row.oldest, row.used, row.peak
        if row.used > 0:
            copy_checkpoint(book.newest[k, ledger], book.cps[ledger, row.used - 1])


@compiled
def _update(book: Book, timeline: Timeline, prices: PriceTable, until_ms: int) -> None:
    renew_peaks(book)
    choose_sequence(book, timeline, until_ms)
    resume_values(book, timeline, book.clock[LAST_UPDATE])
    resumed = True
    while book.clock[LIQUIDATED] == NONE_MS:
        target_ms, batch_end = _next_batch(book, timeline, until_ms)
        last_ms = book.clock[LAST_UPDATE]
        if batch_end == book.clock[CURSOR] and (last_ms == NONE_MS or last_ms >= until_ms):
            return  # no order yet, or the last ones came exactly at the update time (quirk 31)
        _learn_batch(book, timeline, batch_end, until_ms)
        if not resumed:
            _set_back(book, timeline)
        _step(book, timeline, prices, target_ms)
        _apply_batch(book, timeline)
        book.clock[LAST_UPDATE] = target_ms
        book.clock[CURSOR] = batch_end
        resumed = False


@compiled
def _next_batch(book: Book, timeline: Timeline, until_ms: int) -> tuple[int, int]:
    """Time of the next step's end and the end of its batch; an empty batch ends the update."""
    events = timeline.events
    end = book.clock[CURSOR]
    if end == len(events) or events[end].time_ms > until_ms:
        return until_ms, end
    target_ms = events[end].time_ms
    while end < len(events) and events[end].time_ms == target_ms:
        end += 1
    return target_ms, end


@compiled
def _learn_batch(book: Book, timeline: Timeline, batch_end: int, until_ms: int) -> None:
    """Note which positions the batch changes, and which are open before it."""
    for i in range(len(book.holdings)):
        book.holdings[i].after = book.holdings[i].known
    for event in range(book.clock[CURSOR], batch_end):
        book.holdings[timeline.events[event].position].after += 1
    for pair in range(len(book.pairs)):
        book.pairs[pair].open = False
    step = book.step
    step[N_OPEN], step[N_CHANGED], step[BATCH_CLOSES], step[FIRST_CHANGED] = 0, 0, 0, -1
    first_key = (0, 0)
    for i in book.sequence:
        known, after = book.holdings[i].known, book.holdings[i].after
        position = timeline.columns.positions[i]
        if is_open(timeline, i, known):
            book.open[step[N_OPEN]] = i
            step[N_OPEN] += 1
            book.pairs[position.pair].open = True
        if after == known:
            continue
        step[N_CHANGED] += 1
        if is_closed(timeline, i, after) and not is_closed(timeline, i, known):
            step[BATCH_CLOSES] = 1
        if known > 0:
            key = (_close_known_at(timeline, i, until_ms), position.stored)
            if step[FIRST_CHANGED] < 0 or key < first_key:
                step[FIRST_CHANGED] = i
                first_key = key


@compiled
def _close_known_at(timeline: Timeline, i: int, until_ms: int) -> int:
    """Close time of a position as an update knows it; positions that stay open come last."""
    close = timeline.accounts.bounds[i].close
    if close >= 0 and timeline.columns.orders[close].time_ms <= until_ms:
        return timeline.columns.orders[close].time_ms
    return NEVER_MS


@compiled
def _set_back(book: Book, timeline: Timeline) -> None:
    """Positions with an order in the batch start the step at their previous order (quirk 12)."""
    for i in range(len(book.holdings)):
        holding = book.holdings[i]
        if holding.known > 0 and holding.after != holding.known:
            stand_after_orders(book, timeline, i)


@compiled
def _apply_batch(book: Book, timeline: Timeline) -> None:
    for i in range(len(book.holdings)):
        holding = book.holdings[i]
        if holding.after != holding.known:
            holding.known = holding.after
            stand_after_orders(book, timeline, i)


@compiled
def _step(book: Book, timeline: Timeline, prices: PriceTable, target_ms: int) -> None:
    """Cover the time up to a batch with positions as before it, then book the batch."""
    for i in range(len(book.holdings)):
        holding = book.holdings[i]
        if holding.after > 0:
            ask_fees(book, timeline, i, holding.after, target_ms)
    ticked = False
    if book.step[N_OPEN] > 0:
        start_ms = book.clock[LAST_UPDATE] + 1
        _begin_step(book, timeline, start_ms)
        if book.clock[LIQUIDATED] == NONE_MS:
            ticked = walk_ticks(book, timeline, prices, start_ms, target_ms) > 0
    if book.clock[LIQUIDATED] == NONE_MS:
        _end_step(book, timeline, target_ms, ticked)


@compiled
def _begin_step(book: Book, timeline: Timeline, start_ms: int) -> None:
    """Pairs with nothing open lose their last known price; their ledgers get a record.

    A pair may have been lost within the millisecond of its first order: that liquidates here.
    """
    for pair in range(len(book.pairs)):
        if not book.pairs[pair].open:
            forget_price(book.pairs[pair])
    for ledger in range(1, len(book.ledgers)):
        if book.ledgers[ledger].used > 0 and not book.pairs[ledger - 1].open:
            _multiply(book, timeline, ledger, False)
            if book.ledgers[ledger].value <= 0.0:
                liquidate(book, timeline, start_ms, False)
                return
    for ledger in range(1, len(book.ledgers)):
        if book.ledgers[ledger].used > 0 and not book.pairs[ledger - 1].open:
            _record_without_drift(book, timeline, ledger, start_ms)


@compiled
def _end_step(book: Book, timeline: Timeline, at_ms: int, ticked: bool) -> None:
    """The record at the end of a step, in every ledger that has a position by then.

    A value of 0 in any of them liquidates the trader: then nothing is recorded. The very first
    record only opens the ledgers, whatever the value.
    """
    for ledger in range(len(book.ledgers)):
        if _has_orders(book, timeline, ledger):
            _read_batch(book, timeline, ledger, ticked)
            if book.ledgers[ledger].value <= 0.0 and book.ledgers[PORTFOLIO_LEDGER].used > 0:
                liquidate(book, timeline, at_ms, True)
                return
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        if not _has_orders(book, timeline, ledger):
            continue
        if ticked and _is_open_ledger(book, ledger):
            value, spread, carry = row.value, row.spread, row.carry
            record(book, timeline.sizes, ledger, at_ms, value, spread, carry, row.market_open)
        else:
            _record_without_drift(book, timeline, ledger, at_ms)
    watch_drawdown(book, timeline, at_ms, True)


@compiled
def _read_batch(book: Book, timeline: Timeline, ledger: int, ticked: bool) -> None:
    """Make a ledger's value what it is at the end of the step.

    A position that the batch opens does not count yet, unless nothing was open; one that it changes
    counts with its return after the order only where pair ledgers are built (quirk 10).
    """
    if book.step[N_OPEN] == 0:
        _multiply(book, timeline, ledger, True)
        return
    if not _is_open_ledger(book, ledger):
        _multiply(book, timeline, ledger, False)
        return
    if not ticked:
        _multiply(book, timeline, ledger, True)
    if len(book.ledgers) > 1:
        book.ledgers[ledger].value = _replace_changed(
            book, timeline, ledger, book.ledgers[ledger].value
        )


@compiled
def _is_open_ledger(book: Book, ledger: int) -> bool:
    """Whether a ledger has an open position, in a step that has one."""
    if ledger == PORTFOLIO_LEDGER:
        return book.step[N_OPEN] > 0
    return book.pairs[ledger - 1].open


@compiled
def _replace_changed(book: Book, timeline: Timeline, ledger: int, value: float) -> float:
    """Exchange a changed position's return before its order for the one after it.

    The portfolio does so for the first position of the batch only (quirk 11).
    """
    for i in range(len(book.holdings)):
        holding = book.holdings[i]
        if holding.known in (0, holding.after):
            continue
        if ledger == PORTFOLIO_LEDGER:
            counts = i == book.step[FIRST_CHANGED]
        else:
            counts = timeline.columns.positions[i].pair == ledger - 1
        if counts and value > 0.0:
            after = state_after(timeline, i, holding.after)
            value = value / holding.value * after.return_at_close
    return value


@compiled
def _multiply(book: Book, timeline: Timeline, ledger: int, after: bool) -> None:
    """Take the products over a ledger's positions, before or after the batch.

    After the batch a position that it changes counts with its return after the order; the others
    count as they stand.
    """
    row = book.ledgers[ledger]
    row.value, row.spread, row.carry = 1.0, 1.0, 1.0
    for i in book.sequence:
        holding = book.holdings[i]
        known = holding.after if after else holding.known
        if known == 0 or not _belongs(timeline, i, ledger):
            continue
        state = state_after(timeline, i, known)
        row.value *= state.return_at_close if known != holding.known else holding.value
        row.spread *= holding.spread
        row.carry *= holding.fee


@compiled
def _belongs(timeline: Timeline, i: int, ledger: int) -> bool:
    return ledger == PORTFOLIO_LEDGER or timeline.columns.positions[i].pair == ledger - 1


@compiled
def _has_orders(book: Book, timeline: Timeline, ledger: int) -> bool:
    """Whether a ledger has a position, counting those that the batch opens."""
    for i in range(len(book.holdings)):
        if book.holdings[i].after > 0 and _belongs(timeline, i, ledger):
            return True
    return False


@compiled
def _record_without_drift(book: Book, timeline: Timeline, ledger: int, at_ms: int) -> None:
    """Record without an open position; a value that cannot have changed is kept to the last bit."""
    row = book.ledgers[ledger]
    value = row.value
    if row.used > 0 and not book.step[BATCH_CLOSES] and _batch_is_mine(book, timeline, ledger):
        cp = book.cps[ledger, row.used - 1]
        if row.spread == cp.prev_portfolio_spread_fee and row.carry == cp.prev_portfolio_carry_fee:
            value = cp.prev_portfolio_ret
    record(book, timeline.sizes, ledger, at_ms, value, row.spread, row.carry, False)


@compiled
def _batch_is_mine(book: Book, timeline: Timeline, ledger: int) -> bool:
    """Whether the batch is empty, or has an order of this pair's ledger."""
    if book.step[N_CHANGED] == 0:
        return True
    for i in range(len(book.holdings)):
        changed = book.holdings[i].after != book.holdings[i].known
        if changed and timeline.columns.positions[i].pair == ledger - 1:
            return True
    return False
