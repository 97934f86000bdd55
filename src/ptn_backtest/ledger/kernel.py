"""The compiled walk over time: updates and steps (`ledger.definition` says the same in plain Python).

An update continues a trader's ledgers to a later time. It consists of steps, each from the last
one to the next orders; orders of one millisecond are one batch. A step with an open position has
ticks, and each tick is a record.
"""

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.compiled import compiled, inlined
from ptn_backtest.ledger.blocks import walk_ticks
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
    REGROUPED,
    Book,
)
from ptn_backtest.ledger.books import Books, book_of
from ptn_backtest.ledger.losses import forget_dropped, liquidate, watch_drawdown
from ptn_backtest.ledger.places import expect_candles
from ptn_backtest.ledger.recording import (
    copy_checkpoint,
    drop_old_checkpoints,
    forget_price,
    record,
    renew_peaks,
)
from ptn_backtest.ledger.sequence import (
    begin_open,
    choose_sequence,
    end_open,
    is_open_ledger,
    list_open,
    multiply_closed,
)
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.timelines import Timelines, timeline_of
from ptn_backtest.ledger.valuing import (
    ask_fees,
    is_closed,
    resume_values,
    stand_after_orders,
    state_after,
)
from ptn_backtest.positions.columns import Ints, Row
from ptn_backtest.prices.table import PriceTable


@compiled
def run_updates(
    books: Books,
    timelines: Timelines,
    traders: Ints,
    prices: PriceTable,
    update_times_ms: Ints,
    window_ms: int,
) -> None:
    """Continue the ledgers of one trader after the other to each update time in turn.

    Args:
        books: state; changed in place. With one ledger only the portfolio's is built.
        timelines: orders; those after an update time are not known to it.
        traders: whose books they are, by their places in the timelines.
        prices: candles and market hours.
        update_times_ms: ascending; those up to a trader's last update change nothing.
        window_ms: time that checkpoints may cover.
    """
    for k in range(len(traders)):
        timeline = timeline_of(timelines, traders[k])
        _run(book_of(books, k), timeline, prices, update_times_ms, window_ms)


@inlined
def _run(
    book: Book, timeline: Timeline, prices: PriceTable, update_times_ms: Ints, window_ms: int
) -> None:
    """Continue a trader's ledgers; they end with a liquidation."""
    _take_up(book, timeline)
    for k in range(len(update_times_ms)):
        until_ms = update_times_ms[k]
        if book.clock[LIQUIDATED] == NONE_MS and until_ms > book.clock[LAST_UPDATE]:
            _update(book, timeline, prices, until_ms)
            drop_old_checkpoints(book, window_ms)
            forget_dropped(book)
        if k < book.marks.shape[1]:
            _keep(book, k)


@inlined
def _take_up(book: Book, timeline: Timeline) -> None:
    """Derive from the orders known so far what the steps then keep up to date."""
    for i in range(len(book.sequence)):
        book.sequence[i] = i
    for i in range(len(book.holdings)):
        holding = book.holdings[i]
        holding.pair = timeline.columns.positions[i].pair
        holding.after = holding.known
        holding.closed = is_closed(timeline, i, holding.known)
        if holding.known > 0:
            stand_after_orders(book, timeline, i)
            _note_trade(book, i)
    list_open(book)


@inlined
def _note_trade(book: Book, i: int) -> None:
    book.ledgers[PORTFOLIO_LEDGER].traded = True
    if len(book.ledgers) > 1:
        book.ledgers[1 + book.holdings[i].pair].traded = True


@inlined
def _keep(book: Book, k: int) -> None:
    """Keep what update k left of every ledger; checkpoints before the newest never change again."""
    for ledger in range(len(book.ledgers)):
        row, mark = book.ledgers[ledger], book.marks[ledger, k]
        mark.oldest, mark.used, mark.peak = row.oldest, row.used, row.peak
        if row.used > 0:
            copy_checkpoint(book.newest[ledger, k], book.cps[ledger, row.used - 1])


@inlined
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
        next_ms = (
            timeline.events[batch_end].time_ms if batch_end < len(timeline.events) else until_ms
        )
        _step(book, timeline, prices, target_ms, next_ms)
        _apply_batch(book, timeline)
        book.clock[LAST_UPDATE] = target_ms
        book.clock[CURSOR] = batch_end
        resumed = False


@inlined
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


@inlined
def _learn_batch(book: Book, timeline: Timeline, batch_end: int, until_ms: int) -> None:
    """Note which positions the batch changes, ascending as events of one millisecond are."""
    step = book.step
    step[N_CHANGED], step[BATCH_CLOSES], step[FIRST_CHANGED] = 0, 0, -1
    for event in range(book.clock[CURSOR], batch_end):
        i = timeline.events[event].position
        if book.holdings[i].after == book.holdings[i].known:
            book.changed[step[N_CHANGED]] = i
            step[N_CHANGED] += 1
        book.holdings[i].after += 1
    first_key = (0, 0)
    for i in book.changed[: step[N_CHANGED]]:
        known, after = book.holdings[i].known, book.holdings[i].after
        _note_trade(book, i)
        if not book.holdings[i].closed and is_closed(timeline, i, after):
            step[BATCH_CLOSES] = 1
        if known > 0:
            key = (_close_known_at(timeline, i, until_ms), timeline.columns.positions[i].stored)
            if step[FIRST_CHANGED] < 0 or key < first_key:
                step[FIRST_CHANGED] = i
                first_key = key


@inlined
def _close_known_at(timeline: Timeline, i: int, until_ms: int) -> int:
    """Close time of a position as an update knows it; positions that stay open come last."""
    close = timeline.accounts.bounds[i].close
    if close >= 0 and timeline.columns.orders[close].time_ms <= until_ms:
        return timeline.columns.orders[close].time_ms
    return NEVER_MS


@inlined
def _set_back(book: Book, timeline: Timeline) -> None:
    """Positions with an order in the batch start the step at their previous order (quirk 12)."""
    for i in book.changed[: book.step[N_CHANGED]]:
        if book.holdings[i].known > 0:
            stand_after_orders(book, timeline, i)


@inlined
def _apply_batch(book: Book, timeline: Timeline) -> None:
    for i in book.changed[: book.step[N_CHANGED]]:
        holding = book.holdings[i]
        was_open = holding.known > 0 and not holding.closed
        was_closed = holding.closed
        holding.known = holding.after
        holding.closed = is_closed(timeline, i, holding.known)
        stand_after_orders(book, timeline, i)
        if holding.closed and not was_closed:
            book.clock[REGROUPED] = 1
        if was_open and holding.closed:
            end_open(book, i)
        elif not (was_open or holding.closed):
            begin_open(book, i)


@inlined
def _step(book: Book, timeline: Timeline, prices: PriceTable, target_ms: int, next_ms: int) -> None:
    """Cover the time up to a batch with positions as before it, then book the batch."""
    _ask_all_fees(book, timeline, target_ms)
    ticked = False
    if book.step[N_OPEN] > 0:
        start_ms = book.clock[LAST_UPDATE] + 1
        _begin_step(book, timeline, start_ms)
        if book.clock[LIQUIDATED] == NONE_MS:
            expect_candles(book, prices, start_ms, target_ms, next_ms)
            walk_ticks(book, timeline, prices, start_ms, target_ms)
            ticked = start_ms < target_ms
    if book.clock[LIQUIDATED] == NONE_MS:
        _end_step(book, timeline, target_ms, ticked)


@inlined
def _ask_all_fees(book: Book, timeline: Timeline, at_ms: int) -> None:
    """Ask for the fees of all positions, counting the batch; products over the closed ones.

    Once the fees of a position were asked after its close, only the date at which the spread ends
    can change them.
    """
    if book.clock[LAST_UPDATE] < timeline.rules.spread_until_ms <= at_ms:
        for i in range(len(book.holdings)):
            book.holdings[i].settled = False
        book.clock[REGROUPED] = 1
    for i in book.open[: book.step[N_OPEN]]:
        ask_fees(book, timeline, i, book.holdings[i].after, at_ms)
    for i in book.changed[: book.step[N_CHANGED]]:
        ask_fees(book, timeline, i, book.holdings[i].after, at_ms)
    if book.clock[REGROUPED]:
        multiply_closed(book, timeline, at_ms)
        book.clock[REGROUPED] = 0


@inlined
def _begin_step(book: Book, timeline: Timeline, start_ms: int) -> None:
    """Pairs with nothing open lose their last known price; their ledgers get a record.

    A pair may have been lost within the millisecond of its first order: that liquidates here.
    """
    for pair in range(len(book.pairs)):
        if book.pairs[pair].n_open == 0:
            forget_price(book.pairs[pair])
    for ledger in range(1, len(book.ledgers)):
        if book.ledgers[ledger].used > 0 and book.pairs[ledger - 1].n_open == 0:
            _take_closed(book.ledgers[ledger])
            if book.ledgers[ledger].value <= 0.0:
                liquidate(book, timeline, start_ms, False)
                return
    for ledger in range(1, len(book.ledgers)):
        if book.ledgers[ledger].used > 0 and book.pairs[ledger - 1].n_open == 0:
            _record_without_drift(book, timeline, ledger, start_ms)


@inlined
def _end_step(book: Book, timeline: Timeline, at_ms: int, ticked: bool) -> None:
    """The record at the end of a step, in every ledger that has a position by then.

    A value of 0 in any of them liquidates the trader: then nothing is recorded. The very first
    record only opens the ledgers, whatever the value.
    """
    for ledger in range(len(book.ledgers)):
        if book.ledgers[ledger].traded:
            _read_batch(book, timeline, ledger, ticked)
            if book.ledgers[ledger].value <= 0.0 and book.ledgers[PORTFOLIO_LEDGER].used > 0:
                liquidate(book, timeline, at_ms, True)
                return
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        if not row.traded:
            continue
        if ticked and is_open_ledger(book, ledger):
            value, spread, carry = row.value, row.spread, row.carry
            record(book, timeline.sizes, ledger, at_ms, value, spread, carry, row.market_open)
        else:
            _record_without_drift(book, timeline, ledger, at_ms)
    watch_drawdown(book, timeline, at_ms, True)


@inlined
def _read_batch(book: Book, timeline: Timeline, ledger: int, ticked: bool) -> None:
    """Make a ledger's value what it is at the end of the step.

    A position that the batch opens does not count yet, unless there was no tick; one that it changes
    counts with its return after the order only where pair ledgers are built (quirk 10).
    """
    if not is_open_ledger(book, ledger):
        if not ticked and _batch_has(book, ledger):
            _multiply_after_batch(book, timeline, ledger)
        else:
            _take_closed(book.ledgers[ledger])
        return
    if not ticked:
        _multiply_after_batch(book, timeline, ledger)
    if len(book.ledgers) > 1:
        _replace_changed(book, timeline, ledger)


@inlined
def _batch_has(book: Book, ledger: int) -> bool:
    """Whether the batch has an order of this ledger."""
    has = False
    for i in book.changed[: book.step[N_CHANGED]]:
        has = has or _belongs(book, i, ledger)
    return has


@inlined
def _belongs(book: Book, i: int, ledger: int) -> bool:
    return ledger == PORTFOLIO_LEDGER or book.holdings[i].pair == ledger - 1


@inlined
def _take_closed(row: Row) -> None:
    """The products of a ledger in which only closed positions count."""
    row.value, row.spread, row.carry = row.closed_value, row.closed_spread, row.closed_carry


@inlined
def _multiply_after_batch(book: Book, timeline: Timeline, ledger: int) -> None:
    """Take the products over a ledger's positions after the batch.

    A position that it changes counts with its return after the order; the others count as they
    stand.
    """
    row = book.ledgers[ledger]
    row.value, row.spread, row.carry = 1.0, 1.0, 1.0
    for i in book.sequence:
        holding = book.holdings[i]
        if holding.after == 0 or not _belongs(book, i, ledger):
            continue
        if holding.after != holding.known:
            row.value *= state_after(timeline, i, holding.after).return_at_close
        else:
            row.value *= holding.value
        row.spread *= holding.spread
        row.carry *= holding.fee


@inlined
def _replace_changed(book: Book, timeline: Timeline, ledger: int) -> None:
    """Exchange a changed position's return before its order for the one after it.

    The portfolio does so for the first position of the batch only (quirk 11).
    """
    row = book.ledgers[ledger]
    for i in book.changed[: book.step[N_CHANGED]]:
        holding = book.holdings[i]
        if holding.known == 0 or not _belongs(book, i, ledger):
            continue
        if ledger == PORTFOLIO_LEDGER and i != book.step[FIRST_CHANGED]:
            continue
        if row.value > 0.0:
            after = state_after(timeline, i, holding.after)
            row.value = row.value / holding.value * after.return_at_close


@inlined
def _record_without_drift(book: Book, timeline: Timeline, ledger: int, at_ms: int) -> None:
    """Record without an open position; a value that cannot have changed is kept to the last bit."""
    row = book.ledgers[ledger]
    value = row.value
    is_pair = ledger != PORTFOLIO_LEDGER
    mine = book.step[N_CHANGED] == 0 or (is_pair and _batch_has(book, ledger))
    if row.used > 0 and not book.step[BATCH_CLOSES] and mine:
        cp = book.cps[ledger, row.used - 1]
        if row.spread == cp.prev_portfolio_spread_fee and row.carry == cp.prev_portfolio_carry_fee:
            value = cp.prev_portfolio_ret
    record(book, timeline.sizes, ledger, at_ms, value, row.spread, row.carry, False)
