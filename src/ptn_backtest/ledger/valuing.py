"""What positions are worth, and their fees through the cache (compiled)."""

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import N_OPEN, NONE_MS, Book
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.positions.accounting import carry_at, charged_spread
from ptn_backtest.positions.columns import Row


@inlined
def _last_order(timeline: Timeline, i: int, known: int) -> int:
    return timeline.columns.positions[i].first + known - 1


@inlined
def is_closed(timeline: Timeline, i: int, known: int) -> bool:
    """Whether one of the `known` orders of position i closed it."""
    return 0 <= timeline.accounts.bounds[i].close < timeline.columns.positions[i].first + known


@inlined
def is_open(timeline: Timeline, i: int, known: int) -> bool:
    """Whether position i has orders among the `known` ones, and none of them closed it."""
    return known > 0 and not is_closed(timeline, i, known)


@inlined
def state_after(timeline: Timeline, i: int, known: int) -> Row:
    """State of position i after `known` orders, at least one."""
    return timeline.accounts.after[_last_order(timeline, i, known)]


@inlined
def current_return_at(timeline: Timeline, i: int, known: int, price: float) -> float:
    """Return of position i without fees at a price.

    Before slippage counts the realized profit is 0, so that one formula serves both rules.
    """
    state = state_after(timeline, i, known)
    unrealized = (price - state.entry_price) * state.held
    gain = (state.realized + unrealized) / timeline.accounts.bounds[i].initial_entry
    return 0.0 if gain <= -1 else 1 + gain


@inlined
def cached_carry(book: Book, timeline: Timeline, i: int, known: int, at_ms: int) -> float:
    """Carry fee of position i at a time, from the cache as long as its entry holds.

    When it was last computed decides what it is (quirk 7): the network computes it anew only at the
    next interval, or for a time before the current one.
    """
    holding = book.holdings[i]
    closed_ms = at_ms
    if is_closed(timeline, i, known):
        closed_ms = min(at_ms, timeline.columns.orders[timeline.accounts.bounds[i].close].time_ms)
    until_ms = holding.carry_until_ms
    period_ms = timeline.columns.positions[i].carry_period_ms
    if until_ms == NONE_MS or not until_ms - period_ms <= closed_ms < until_ms:
        holding.carry, holding.carry_until_ms = carry_at(
            timeline.columns, timeline.rules, timeline.accounts, i, known, at_ms
        )
    return holding.carry


@inlined
def ask_fees(book: Book, timeline: Timeline, i: int, known: int, at_ms: int) -> None:
    """Ask for both fees of position i at a time, with `known` orders."""
    holding = book.holdings[i]
    holding.fee = cached_carry(book, timeline, i, known, at_ms)
    holding.spread = charged_spread(state_after(timeline, i, known), timeline.rules, at_ms)


@inlined
def value_at_price(book: Book, timeline: Timeline, i: int, price: float, price_ms: int) -> None:
    """Value position i, without fees, at the close of a candle that starts at `price_ms`."""
    holding = book.holdings[i]
    holding.current = current_return_at(timeline, i, holding.known, price)
    holding.price, holding.price_ms = price, price_ms


@inlined
def stand_after_orders(book: Book, timeline: Timeline, i: int) -> None:
    """Value position i as its last known order left it."""
    holding = book.holdings[i]
    state = state_after(timeline, i, holding.known)
    holding.current = state.current_return
    holding.value = state.return_at_close
    holding.price = timeline.columns.orders[_last_order(timeline, i, holding.known)].price
    holding.price_ms = NONE_MS


@inlined
def resume_values(book: Book, timeline: Timeline, last_update_ms: int) -> None:
    """Value open positions as an update begins: by their orders, or by a later last known price."""
    for i in book.open[: book.step[N_OPEN]]:
        holding = book.holdings[i]
        stand_after_orders(book, timeline, i)
        last_order = timeline.columns.orders[_last_order(timeline, i, holding.known)]
        pair = book.pairs[timeline.columns.positions[i].pair]
        if pair.price_ms > last_order.time_ms:
            ask_fees(book, timeline, i, holding.known, last_update_ms)
            value_at_price(book, timeline, i, pair.price, pair.price_ms)
            holding.value = holding.current * (holding.fee * holding.spread)
