"""The moment of a drawdown beyond the limit, and of a liquidation (compiled)."""

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    DRAWDOWN,
    LIQUIDATED,
    LIQUIDATION,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import is_open, state_after


@inlined
def watch_drawdown(book: Book, timeline: Timeline, at_ms: int, after: bool) -> None:
    """Note the portfolio's record at a time, if its drawdown is the first to reach the limit.

    Args:
        book: state.
        timeline: the trader's orders.
        at_ms: time of the record that was just made.
        after: whether it is the one at the end of a step, after the orders of its batch.
    """
    loss = book.losses[DRAWDOWN]
    if loss.time_ms != NONE_MS and loss.time_ms >= at_ms - loss.window_ms:
        return
    row = book.ledgers[PORTFOLIO_LEDGER]
    value = book.cps[PORTFOLIO_LEDGER, row.used - 1].prev_portfolio_ret
    # as the network computes it, so that the same records are beyond the limit
    if (1 - value / row.peak) * 100 >= loss.limit_percent:
        note(book, timeline, DRAWDOWN, at_ms, value, row.peak, after)


@inlined
def liquidate(book: Book, timeline: Timeline, at_ms: int, after: bool) -> None:
    """End the trader: its value is 0 at this time, which is not recorded."""
    book.clock[LIQUIDATED] = at_ms
    peak = book.ledgers[PORTFOLIO_LEDGER].peak
    note(book, timeline, LIQUIDATION, at_ms, 0.0, peak, after)
    if book.losses[DRAWDOWN].time_ms == NONE_MS:
        note(book, timeline, DRAWDOWN, at_ms, 0.0, peak, after)


@inlined
def forget_dropped(book: Book) -> None:
    """Forget a drawdown whose checkpoint has left the window: another one may come."""
    row = book.ledgers[PORTFOLIO_LEDGER]
    if row.used == 0:
        return
    oldest = book.cps[PORTFOLIO_LEDGER, row.oldest]
    if book.losses[DRAWDOWN].time_ms <= oldest.last_update_ms - oldest.accum_ms:
        book.losses[DRAWDOWN].time_ms = NONE_MS


@inlined
def note(
    book: Book,
    timeline: Timeline,
    which: int,
    at_ms: int,
    value: float,
    peak: float,
    after: bool,
) -> None:
    """Keep value, peak, and every position that was open before the batch, as it stands.

    A position with an order in the batch is worth what its orders make of it, where the record comes
    after them.
    """
    loss = book.losses[which]
    loss.time_ms, loss.value, loss.peak = at_ms, value, peak
    for i in range(len(book.holdings)):
        holding, held = book.holdings[i], book.held[i, which]
        held.open = is_open(timeline, i, holding.known)
        if not held.open:
            continue
        held.leverage = state_after(timeline, i, holding.known).held
        held.price, held.price_ms, held.value = holding.price, holding.price_ms, holding.value
        if after and holding.after != holding.known:
            position = timeline.columns.positions[i]
            held.price = timeline.columns.orders[position.first + holding.after - 1].price
            held.price_ms = NONE_MS
            held.value = state_after(timeline, i, holding.after).return_at_close
