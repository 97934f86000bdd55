"""What positions are worth, and their fees through the cache (compiled)."""

from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import NONE_MS, Book
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.positions.accounting import carry_at


@compiled
def is_closed(timeline: Timeline, i: int, known: int) -> bool:
    """Whether position i is closed once `known` of its orders are."""
    close = timeline.states.close[i]
    return 0 <= close < timeline.columns.first[i] + known


@compiled
def is_open(timeline: Timeline, i: int, known: int) -> bool:
    """Whether position i has orders among the `known` ones, and none of them closed it."""
    return known > 0 and not is_closed(timeline, i, known)


@compiled
def current_return_at(timeline: Timeline, i: int, last: int, price: float) -> float:
    """Return without fees at a price, given the state after order `last`.

    Before slippage counts, the realized profit is 0, so that one formula serves both rules.
    """
    states = timeline.states
    unrealized = (price - states.entry_price[last]) * states.held[last]
    gain = (states.realized[last] + unrealized) / states.initial_entry[i]
    return 0.0 if gain <= -1 else 1 + gain


@compiled
def cached_carry(book: Book, timeline: Timeline, i: int, known: int, at_ms: int) -> float:
    """Carry fee of position i at a time, from the cache as long as its entry holds.

    When it was last computed decides what it is (quirk 7): the network computes it anew only at the
    next interval, or for a time before the current one.
    """
    columns = timeline.columns
    closed = is_closed(timeline, i, known)
    last = columns.first[i] + known
    if closed:
        last = timeline.states.close[i] + 1
        at_ms = min(at_ms, columns.time_ms[last - 1])
    until_ms = book.carry_until_ms[i]
    if until_ms != NONE_MS and until_ms - columns.carry_period_ms[i] <= at_ms < until_ms:
        return book.carry[i]
    fee, until_ms = carry_at(columns, timeline.rules, timeline.states, i, last, closed, at_ms)
    book.carry[i] = fee
    book.carry_until_ms[i] = until_ms
    return fee


@compiled
def stand_after_orders(book: Book, timeline: Timeline, i: int) -> None:
    """Value position i as its last known order left it."""
    last = timeline.columns.first[i] + book.known[i] - 1
    book.current[i] = timeline.states.current_return[last]
    book.value[i] = timeline.states.return_at_close[last]


@compiled
def resume_values(book: Book, timeline: Timeline, last_update_ms: int) -> None:
    """Value all positions as an update begins: by their orders, or by a later last known price."""
    columns = timeline.columns
    for i in range(len(book.known)):
        known = book.known[i]
        if known == 0:
            continue
        stand_after_orders(book, timeline, i)
        pair, last = timeline.pair[i], columns.first[i] + known - 1
        if is_open(timeline, i, known) and book.price_ms[pair] > columns.time_ms[last]:
            carry = cached_carry(book, timeline, i, known, last_update_ms)
            book.current[i] = current_return_at(timeline, i, last, book.price[pair])
            book.value[i] = book.current[i] * (carry * timeline.states.spread_fee[last])
