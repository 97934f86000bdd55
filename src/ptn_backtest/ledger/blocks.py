"""Stretches of ticks between which nothing but prices changes, taken at once (compiled).

A tick asks for fees, market hours and candles, and most of the time fees and hours are those of the
tick before. So ticks are taken together as far as fees, hours and the checkpoint stay the same. A
value changes only where a candle is: a block has a value for its first tick and for each candle after
it, whatever the gaps between them. The ledgers are those of single ticks to the last bit.
"""

import math

from ptn_backtest.clock import NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    DRAWDOWN,
    N_OPEN,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS
from ptn_backtest.ledger.losses import liquidate, watch_drawdown
from ptn_backtest.ledger.places import (
    candles_of,
    count_candles,
    find_candles,
    market_hours,
    tick_of,
    ticks_before,
)
from ptn_backtest.ledger.recording import extremes, record_block, remember_price
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import ask_fees, state_after, value_at_price
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.prices.table import PriceTable


@inlined
def take_block(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> int:
    """Take up to `n_ticks` ticks from `at_ms` on, `step_ms` apart, and record them.

    A portfolio value of 0 liquidates the trader there, and is not recorded.

    Returns:
        How many were taken, at least one.
    """
    second_ms = at_ms - at_ms % SECOND_MS
    n_ticks = min(n_ticks, _same_fees_and_hours(book, timeline, prices, second_ms, step_ms))
    n_ticks = min(n_ticks, _before_boundary(at_ms, step_ms), _same_watch(book, at_ms, step_ms))
    n_ticks = find_candles(book, timeline, prices, second_ms, step_ms, max(1, n_ticks))
    while True:
        _value_block(book, timeline, prices, second_ms, step_ms, n_ticks)
        before_loss = _before_loss(book, timeline, prices, at_ms, step_ms, n_ticks)
        if before_loss == n_ticks:
            break
        n_ticks = before_loss
    last_ms = at_ms + (n_ticks - 1) * step_ms
    _keep_last(book, timeline, prices, step_ms)
    if book.values[PORTFOLIO_LEDGER, 0] <= 0.0:
        liquidate(book, timeline, at_ms, False)
        return n_ticks
    for ledger in range(len(book.ledgers)):
        if ledger == PORTFOLIO_LEDGER or book.pairs[ledger - 1].open:
            record_block(book, timeline.sizes, ledger, at_ms, last_ms)
    watch_drawdown(book, timeline, last_ms, False)
    return n_ticks


@inlined
def _same_fees_and_hours(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int
) -> int:
    """Ask for fees and market hours at a tick; how many ticks have the same."""
    until_ms = NEVER_MS
    if timeline.rules.spread_until_ms > second_ms:
        until_ms = timeline.rules.spread_until_ms
    for ledger in range(len(book.ledgers)):
        book.ledgers[ledger].market_open = False
    for i in book.open[: book.step[N_OPEN]]:
        holding, index = book.holdings[i], timeline.columns.positions[i].pair
        ask_fees(book, timeline, i, holding.known, second_ms)
        until_ms = min(until_ms, holding.carry_until_ms)
        until_ms = min(until_ms, market_hours(book, prices, index, second_ms))
        if not book.pairs[index].market_open:
            continue  # the value waits for the first open tick (quirk 9)
        holding.value = holding.current * (holding.fee * holding.spread)
        book.ledgers[PORTFOLIO_LEDGER].market_open = True
        if 1 + index < len(book.ledgers):
            book.ledgers[1 + index].market_open = True
    return ticks_before(until_ms, second_ms, step_ms)


@inlined
def _before_boundary(at_ms: int, step_ms: int) -> int:
    """How many ticks come before the end of the checkpoint; 0 if the first is exactly there."""
    return ticks_before(at_ms + (-at_ms) % CHECKPOINT_MS, at_ms, step_ms)


@inlined
def _same_watch(book: Book, at_ms: int, step_ms: int) -> int:
    """How many ticks come while a noted drawdown is not yet so old that another one counts."""
    loss = book.losses[DRAWDOWN]
    forgotten_ms = loss.time_ms + loss.window_ms + 1
    if loss.time_ms == NONE_MS or forgotten_ms <= at_ms:
        forgotten_ms = NEVER_MS
    return ticks_before(forgotten_ms, at_ms, step_ms)


@inlined
def _value_block(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int
) -> None:
    """The values of every ledger in a block: closed positions first, then open ones in sequence."""
    n_moments = count_candles(book, timeline, prices, second_ms, step_ms, n_ticks)
    _begin_values(book, PORTFOLIO_LEDGER, n_moments)
    for i in book.open[: book.step[N_OPEN]]:
        index = timeline.columns.positions[i].pair
        if 1 + index < len(book.ledgers):
            pair = book.pairs[index]
            _begin_values(book, 1 + index, pair.waits + pair.n_candles)
    for i in book.open[: book.step[N_OPEN]]:
        index = timeline.columns.positions[i].pair
        pair = book.pairs[index]
        times_ms, closes, _, _ = candles_of(prices, pair, step_ms)
        times_ms = times_ms[pair.first : pair.first + pair.n_candles]
        closes = closes[pair.first : pair.first + pair.n_candles]
        worth = book.worth[: pair.waits + pair.n_candles]
        _value_position(book, timeline, i, worth, closes)
        portfolio = book.values[PORTFOLIO_LEDGER, :n_moments]
        if len(worth) in (1, n_moments):
            _multiply(portfolio, worth)
        else:
            _multiply_between(portfolio, worth, times_ms, second_ms, step_ms)
        _multiply_fees(book, i, PORTFOLIO_LEDGER)
        if 1 + index < len(book.ledgers):
            _multiply(book.values[1 + index, : len(worth)], worth)
            _multiply_fees(book, i, 1 + index)


@inlined
def _begin_values(book: Book, ledger: int, n_moments: int) -> None:
    row = book.ledgers[ledger]
    row.n_moments = n_moments
    row.spread, row.carry = row.closed_spread, row.closed_carry
    book.values[ledger, :n_moments] = row.closed_value


@inlined
def _multiply_fees(book: Book, i: int, ledger: int) -> None:
    row, holding = book.ledgers[ledger], book.holdings[i]
    row.spread *= holding.spread
    row.carry *= holding.fee


@inlined
def _value_position(book: Book, timeline: Timeline, i: int, worth: Floats, closes: Floats) -> None:
    """What a position is worth at the first tick, if that has no candle, and at each close.

    `valuing.current_return_at` in a form that vectorises.
    """
    holding = book.holdings[i]
    state = state_after(timeline, i, holding.known)
    initial_entry = timeline.accounts.bounds[i].initial_entry
    entry, held, realized = state.entry_price, state.held, state.realized
    fees = holding.fee * holding.spread
    waits = len(worth) - len(closes)
    if waits:
        worth[0] = holding.value
    at_closes = worth[waits:]
    for k in range(len(closes)):
        gain = (realized + (closes[k] - entry) * held) / initial_entry
        at_closes[k] = (1 + max(gain, -1.0)) * fees


@inlined
def _multiply(values: Floats, factors: Floats) -> None:
    """Multiply each value by its factor, or all by the only one."""
    if len(factors) == 1:
        for k in range(len(values)):
            values[k] *= factors[0]
    else:
        for k in range(len(values)):
            values[k] *= factors[k]


@inlined
def _multiply_between(
    values: Floats, worth: Floats, times_ms: Ints, second_ms: int, step_ms: int
) -> None:
    """Multiply a value per tick by a worth that changes only at candles."""
    waits = len(worth) - len(times_ms)
    k, at_ms = 0, second_ms
    for moment in range(len(worth)):
        after = moment + 1 - waits
        until_ms = times_ms[after] if after < len(times_ms) else second_ms + len(values) * step_ms
        while at_ms < until_ms:
            values[k] *= worth[moment]
            k += 1
            at_ms += step_ms


@inlined
def _before_loss(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> int:
    """How many ticks come before a value of 0, or before a drawdown that is to be noted.

    All of them if there is none. One if it is the first: that tick is then a block by itself.
    """
    row, loss = book.ledgers[PORTFOLIO_LEDGER], book.losses[DRAWDOWN]
    values = book.values[PORTFOLIO_LEDGER, : row.n_moments]
    limit_percent = loss.limit_percent
    if loss.time_ms != NONE_MS and loss.time_ms >= at_ms - loss.window_ms:
        limit_percent = math.inf  # one is noted already
    lowest, highest = extremes(values)
    # against the highest peak that the block may have, so that none is missed
    if lowest > 0.0 and (1 - lowest / max(row.peak, highest)) * 100 < limit_percent:
        return n_ticks
    peak = row.peak
    for k in range(len(values)):
        peak = max(peak, values[k])
        if values[k] <= 0.0 or (1 - values[k] / peak) * 100 >= limit_percent:
            second_ms = at_ms - at_ms % SECOND_MS
            return max(1, tick_of(book, timeline, prices, second_ms, step_ms, n_ticks, k))
    return n_ticks


@inlined
def _keep_last(book: Book, timeline: Timeline, prices: PriceTable, step_ms: int) -> None:
    """Leave positions and last known prices as the last two candles do."""
    for i in book.open[: book.step[N_OPEN]]:
        index = timeline.columns.positions[i].pair
        pair, holding = book.pairs[index], book.holdings[i]
        if pair.n_candles == 0:
            continue
        times_ms, closes, _, column = candles_of(prices, pair, step_ms)
        last = pair.first + pair.n_candles - 1
        for at in range(max(pair.first, last - 1), last + 1):
            remember_price(pair, closes[at], times_ms[at])
        value_at_price(book, timeline, i, closes[last], times_ms[last])
        holding.value = holding.current * (holding.fee * holding.spread)
        book.places[index, column] = last
