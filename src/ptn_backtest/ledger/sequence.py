"""The order in which an update multiplies positions: n_updates counts a change of the last bit (compiled)."""

from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import CURSOR, LAST_UPDATE, NONE_MS, Book
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import is_closed


@compiled
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
    if last_ms != NONE_MS and quiet and events[cursor - 1].time_ms < last_ms:
        _by_close(book, timeline)
        return
    for i in range(len(book.sequence)):
        book.sequence[i] = i


@compiled
def _by_close(book: Book, timeline: Timeline) -> None:
    for pair in range(len(book.pairs)):
        book.pairs[pair].placed = False
    at = 0
    for closed in (True, False):
        for j in range(len(book.holdings)):
            first = timeline.by_close[j] if closed else timeline.by_stored[j]
            pair = timeline.columns.positions[first].pair
            if not book.pairs[pair].placed and _is(book, timeline, first, closed):
                book.pairs[pair].placed = True
                at = _place_pair(book, timeline, pair, at)
    for i in range(len(book.holdings)):
        if book.holdings[i].known == 0:
            book.sequence[at] = i
            at += 1


@compiled
def _place_pair(book: Book, timeline: Timeline, pair: int, at: int) -> int:
    """Put a pair's positions into the sequence from place `at` on; the place after them."""
    for closed in (True, False):
        for j in range(len(book.holdings)):
            i = timeline.by_close[j] if closed else timeline.by_stored[j]
            if timeline.columns.positions[i].pair == pair and _is(book, timeline, i, closed):
                book.sequence[at] = i
                at += 1
    return at


@compiled
def _is(book: Book, timeline: Timeline, i: int, closed: bool) -> bool:
    """Whether position i has orders and is closed, or open."""
    known = book.holdings[i].known
    return known > 0 and is_closed(timeline, i, known) == closed
