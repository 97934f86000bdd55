"""The order in which an update multiplies positions: n_updates counts a change of the last bit (compiled)."""

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    BY_CLOSE,
    CURSOR,
    LAST_UPDATE,
    N_OPEN,
    NONE_MS,
    PORTFOLIO_LEDGER,
    REGROUPED,
    Book,
)
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import ask_fees

_NO_PLACE = -1


@inlined
def choose_sequence(book: Book, timeline: Timeline, until_ms: int) -> None:
    """Set the order of products for an update.

    Pairs come by their first trade, in a pair positions by open time. But the network takes an
    update without any order since the last one from its list of positions, which is sorted by close:
    then pairs come by their first closed position, in a pair positions by close time, open ones last
    (quirk 35).
    """
    events, cursor = timeline.events, book.clock[CURSOR]
    last_ms = book.clock[LAST_UPDATE]
    quiet = cursor == len(events) or events[cursor].time_ms > until_ms
    by_close = last_ms != NONE_MS and quiet and events[cursor - 1].time_ms < last_ms
    if by_close == (book.clock[BY_CLOSE] == 1):
        return  # in either order: it does not depend on the update, and orders end the one by close
    book.clock[BY_CLOSE] = by_close
    if by_close:
        _by_close(book, timeline)
    else:
        for i in range(len(book.sequence)):
            book.sequence[i] = i
    list_open(book)


@inlined
def list_open(book: Book) -> None:
    """List the open positions in the order of products; the closed ones will be multiplied anew."""
    for pair in range(len(book.pairs)):
        book.pairs[pair].n_open = 0
    n_open = 0
    for i in book.sequence:
        holding = book.holdings[i]
        if holding.known > 0 and not holding.closed:
            book.open[n_open] = i
            n_open += 1
            book.pairs[holding.pair].n_open += 1
    book.step[N_OPEN] = n_open
    book.clock[REGROUPED] = 1


@inlined
def begin_open(book: Book, i: int) -> None:
    """Put a position into the list of open ones; where orders come, products go by its index."""
    at = book.step[N_OPEN]
    while at > 0 and book.open[at - 1] > i:
        book.open[at] = book.open[at - 1]
        at -= 1
    book.open[at] = i
    book.step[N_OPEN] += 1
    book.pairs[book.holdings[i].pair].n_open += 1


@inlined
def end_open(book: Book, i: int) -> None:
    """Take a position out of the list of open ones."""
    at = 0
    for j in book.open[: book.step[N_OPEN]]:
        if j != i:
            book.open[at] = j
            at += 1
    book.step[N_OPEN] = at
    book.pairs[book.holdings[i].pair].n_open -= 1


@inlined
def is_open_ledger(book: Book, ledger: int) -> bool:
    """Whether a ledger has an open position, before the batch."""
    if ledger == PORTFOLIO_LEDGER:
        return book.step[N_OPEN] > 0
    return book.pairs[ledger - 1].n_open > 0


@inlined
def multiply_closed(book: Book, timeline: Timeline, at_ms: int) -> None:
    """Products over the closed positions; at ticks they come before the open ones."""
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        row.closed_value, row.closed_spread, row.closed_carry = 1.0, 1.0, 1.0
    value = spread = carry = 1.0
    for i in book.sequence:
        holding = book.holdings[i]
        if not holding.closed:
            continue
        if not holding.settled:
            ask_fees(book, timeline, i, holding.known, at_ms)
            holding.settled = True
        value *= holding.value
        spread *= holding.spread
        carry *= holding.fee
        if len(book.ledgers) > 1:
            row = book.ledgers[1 + holding.pair]
            row.closed_value *= holding.value
            row.closed_spread *= holding.spread
            row.closed_carry *= holding.fee
    row = book.ledgers[PORTFOLIO_LEDGER]
    row.closed_value, row.closed_spread, row.closed_carry = value, spread, carry


@inlined
def _by_close(book: Book, timeline: Timeline) -> None:
    """Sort positions by pair and close; those without an order, which count for nothing, come last."""
    end = _place_pairs(book, timeline)
    for closed in (True, False):
        for j in range(len(book.holdings)):
            i = timeline.by_close[j] if closed else timeline.by_stored[j]
            if _is(book, i, closed):
                pair = book.pairs[book.holdings[i].pair]
                book.sequence[pair.place] = i
                pair.place += 1
    for i in range(len(book.holdings)):
        if book.holdings[i].known == 0:
            book.sequence[end] = i
            end += 1


@inlined
def _place_pairs(book: Book, timeline: Timeline) -> int:
    """Find the first place of each pair's positions in the sequence; the place after all of them."""
    for pair in book.pairs:
        pair.place, pair.n_known = _NO_PLACE, 0
    for holding in book.holdings:
        book.pairs[holding.pair].n_known += holding.known > 0
    end = 0
    for closed in (True, False):
        for j in range(len(book.holdings)):
            i = timeline.by_close[j] if closed else timeline.by_stored[j]
            pair = book.pairs[book.holdings[i].pair]
            if pair.place == _NO_PLACE and _is(book, i, closed):
                pair.place = end
                end += pair.n_known
    return end


@inlined
def _is(book: Book, i: int, closed: bool) -> bool:
    """Whether position i has orders and is closed, or open."""
    return book.holdings[i].known > 0 and book.holdings[i].closed == closed
