"""Stretches of ticks between which nothing but prices changes, taken at once (compiled).

A tick asks for fees, market hours and candles, and most of the time fees and hours are those of the
tick before. So ticks are taken together as far as fees, hours and the checkpoint stay the same. A
value changes only where a candle is: a block has a value for its first tick and for each candle after
it, whatever the gaps between them. The ledgers are those of single ticks to the last bit, but for the
order of sums (`recording`), which follows from where blocks end: so nothing ends one that is only watched
for, such as a drawdown, and ledgers do not depend on its limit.
"""

import numpy as np

from ptn_backtest.clock import NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    AT_CANDLES,
    AT_TICKS,
    DRAWDOWN,
    N_OPEN,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS
from ptn_backtest.ledger.losses import liquidate, note
from ptn_backtest.ledger.places import (
    candles_of,
    find_candles,
    last_candles,
    market_hours,
    tick_of,
    ticks_before,
)
from ptn_backtest.ledger.recording import (
    in_groups,
    record_block,
    remember_price,
)
from ptn_backtest.ledger.sequence import is_open_ledger
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import ask_fees, state_after, value_at_price
from ptn_backtest.positions.columns import Floats, Row
from ptn_backtest.prices.places import Index, bits_from, moment_of
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
    until_ms = _same_fees_and_hours(book, timeline, prices, second_ms)
    # the boundary counts by the time itself, not by its second
    until_ms = min(until_ms, _boundary(at_ms) - (at_ms - second_ms))
    n_ticks = max(1, min(n_ticks, ticks_before(until_ms, second_ms, step_ms)))
    while True:
        _value_block(book, timeline, prices, second_ms, step_ms, n_ticks)
        before_zero = _before_zero(book, prices, second_ms, step_ms, n_ticks)
        if before_zero == n_ticks:
            break
        n_ticks = before_zero
    if book.values[PORTFOLIO_LEDGER, 1] <= 0.0:
        _keep_last(book, timeline, prices, second_ms, step_ms, n_ticks)
        liquidate(book, timeline, at_ms, False)
        return n_ticks
    tick, value, peak = _first_breach(book, prices, at_ms, step_ms, n_ticks)
    for ledger in range(len(book.ledgers)):
        if is_open_ledger(book, ledger):
            record_block(book, timeline.sizes, ledger, at_ms, at_ms + (n_ticks - 1) * step_ms)
    if tick >= 0:
        find_candles(book, prices, second_ms, step_ms, tick + 1)
        _keep_last(book, timeline, prices, second_ms, step_ms, tick + 1)
        note(book, timeline, DRAWDOWN, at_ms + tick * step_ms, value, peak, False)
        find_candles(book, prices, second_ms, step_ms, n_ticks)
    _keep_last(book, timeline, prices, second_ms, step_ms, n_ticks)
    return n_ticks


@inlined
def _same_fees_and_hours(book: Book, timeline: Timeline, prices: PriceTable, second_ms: int) -> int:
    """Ask for fees and market hours at a tick; until when they stay the same."""
    until_ms = NEVER_MS
    if timeline.rules.spread_until_ms > second_ms:
        until_ms = timeline.rules.spread_until_ms
    for ledger in range(len(book.ledgers)):
        book.ledgers[ledger].market_open = False
    for i in book.open[: book.step[N_OPEN]]:
        holding = book.holdings[i]
        pair = book.pairs[holding.pair]
        ask_fees(book, timeline, i, holding.known, second_ms)
        until_ms = min(until_ms, holding.carry_until_ms)
        until_ms = min(until_ms, market_hours(prices, pair, second_ms))
        if not pair.market_open:
            continue  # the value waits for the first open tick (quirk 9)
        holding.value = holding.current * (holding.fee * holding.spread)
        book.ledgers[PORTFOLIO_LEDGER].market_open = True
        if 1 + holding.pair < len(book.ledgers):
            book.ledgers[1 + holding.pair].market_open = True
    return until_ms


@inlined
def _boundary(at_ms: int) -> int:
    """The end of the checkpoint at a time; the time itself, if it is exactly there."""
    return at_ms + (-at_ms) % CHECKPOINT_MS


@inlined
def _value_block(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int
) -> None:
    """The values of every ledger in a block: closed positions first, then open ones in sequence."""
    n_moments = find_candles(book, prices, second_ms, step_ms, n_ticks)
    _begin_products(book, PORTFOLIO_LEDGER)
    for i in book.open[: book.step[N_OPEN]]:
        if 1 + book.holdings[i].pair < len(book.ledgers):
            _begin_products(book, 1 + book.holdings[i].pair)
    index, closes = candles_of(prices, step_ms)
    worth, at_ticks = book.worth[AT_CANDLES], book.worth[AT_TICKS]
    for i in book.open[: book.step[N_OPEN]]:
        pair, ledger = book.pairs[book.holdings[i].pair], 1 + book.holdings[i].pair
        _value_position(book, timeline, i, pair, closes)
        n_worth = pair.waits + pair.n_candles
        _repeat_last(worth, n_worth, n_moments)
        if n_worth in (1, n_moments):
            _multiply(book, PORTFOLIO_LEDGER, n_moments, worth)
        else:
            _spread_out(book, index, pair, moment_of(second_ms, step_ms), n_ticks)
            _multiply(book, PORTFOLIO_LEDGER, n_ticks, at_ticks)
        _multiply_fees(book, i, PORTFOLIO_LEDGER)
        if ledger < len(book.ledgers):
            _multiply(book, ledger, n_worth, worth)
            _multiply_fees(book, i, ledger)


@inlined
def _begin_products(book: Book, ledger: int) -> None:
    row = book.ledgers[ledger]
    row.n_moments = 0  # no position is multiplied yet
    row.spread, row.carry = row.closed_spread, row.closed_carry


@inlined
def _multiply_fees(book: Book, i: int, ledger: int) -> None:
    row, holding = book.ledgers[ledger], book.holdings[i]
    row.spread *= holding.spread
    row.carry *= holding.fee


@inlined
def _value_position(book: Book, timeline: Timeline, i: int, pair: Row, closes: Floats) -> None:
    """What a position is worth at the first tick, if that has no candle, and at each close.

    `valuing.current_return_at` in a form that vectorises.
    """
    holding, worth = book.holdings[i], book.worth[AT_CANDLES]
    state = state_after(timeline, i, holding.known)
    initial_entry = timeline.accounts.bounds[i].initial_entry
    entry, held, realized = state.entry_price, state.held, state.realized
    fees = holding.fee * holding.spread
    if pair.waits:
        worth[0] = holding.value
    if pair.n_candles > 0:
        # slices: with an index that might be negative, a loop does not vectorise
        closes, worth = closes[pair.first :], worth[pair.waits :]
        for k in range(in_groups(pair.n_candles)):
            gain = (realized + (closes[k] - entry) * held) / initial_entry
            worth[k] = (1 + max(gain, -1.0)) * fees


@inlined
def _repeat_last(worth: Floats, n_worth: int, n_wanted: int) -> None:
    """Fill up to whole groups: a value that repeats the one before adds nothing to a ledger."""
    last = worth[n_worth - 1]
    for k in range(n_worth, in_groups(n_wanted)):
        worth[k] = last


@inlined
def _spread_out(book: Book, index: Index, pair: Row, moment: int, n_ticks: int) -> None:
    """What a position is worth at every tick, where other pairs move too."""
    worth, at_ticks = book.worth[AT_CANDLES], book.worth[AT_TICKS]
    at, bits = pair.waits - 1, 0
    for k in range(n_ticks):
        if k == 0 or (moment + k) % 64 == 0:
            bits = bits_from(index, pair.row, moment + k)
        at += bits & 1
        bits >>= 1
        at_ticks[k] = worth[at]
    _repeat_last(at_ticks, n_ticks, n_ticks)


@inlined
def _multiply(book: Book, ledger: int, n_moments: int, worth: Floats) -> None:
    """Multiply a ledger's values by a position's worth, the first position by the closed ones.

    Values are not negative. The bits of such numbers, taken as whole ones, ascend as the numbers do;
    and minima of whole numbers vectorise, where those of floating point are taken one by one.
    """
    row, values = book.ledgers[ledger], book.values[ledger, 1:]
    first, closed_value = row.n_moments == 0, row.closed_value
    lowest, highest = np.int64(np.iinfo(np.int64).max), np.int64(0)
    for k in range(in_groups(n_moments)):
        value = (closed_value if first else values[k]) * worth[k]
        values[k] = value
        bits = np.float64(value).view(np.int64)
        lowest, highest = min(lowest, bits), max(highest, bits)
    row.n_moments = n_moments
    row.lowest = np.int64(lowest).view(np.float64)
    row.highest = np.int64(highest).view(np.float64)


@inlined
def _before_zero(book: Book, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int) -> int:
    """How many ticks come before a value of 0: all if there is none; one if it is the first."""
    row = book.ledgers[PORTFOLIO_LEDGER]
    if row.lowest > 0.0:
        return n_ticks
    for k in range(row.n_moments):
        if book.values[PORTFOLIO_LEDGER, 1 + k] <= 0.0:
            return max(1, tick_of(book, prices, second_ms, step_ms, n_ticks, k))
    return n_ticks


@inlined
def _first_breach(
    book: Book, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> tuple[int, float, float]:
    """The first tick whose drawdown is to be noted, -1 if there is none; value and peak there."""
    row, loss = book.ledgers[PORTFOLIO_LEDGER], book.losses[DRAWDOWN]
    from_tick = 0
    if loss.time_ms != NONE_MS:  # while one is noted, no other counts
        from_tick = ticks_before(max(at_ms, loss.time_ms + loss.window_ms + 1), at_ms, step_ms)
    # against the highest peak that the block may have, so that none is missed
    deepest = (1 - row.lowest / max(row.peak, row.highest)) * 100
    if from_tick >= n_ticks or deepest < loss.limit_percent:
        return -1, 0.0, 0.0
    peak, second_ms = row.peak, at_ms - at_ms % SECOND_MS
    for k in range(row.n_moments):
        value = book.values[PORTFOLIO_LEDGER, 1 + k]
        peak = max(peak, value)
        if (1 - value / peak) * 100 < loss.limit_percent:
            continue
        until = n_ticks  # the tick at which the value is another one
        if k + 1 < row.n_moments:
            until = tick_of(book, prices, second_ms, step_ms, n_ticks, k + 1)
        if until > from_tick:
            first = tick_of(book, prices, second_ms, step_ms, n_ticks, k)
            return max(first, from_tick), value, peak
    return -1, 0.0, 0.0


@inlined
def _keep_last(
    book: Book, timeline: Timeline, prices: PriceTable, second_ms: int, step_ms: int, n_ticks: int
) -> None:
    """Leave positions and last known prices as the last two candles that were found do."""
    _, closes = candles_of(prices, step_ms)
    for i in book.open[: book.step[N_OPEN]]:
        holding = book.holdings[i]
        pair = book.pairs[holding.pair]
        if pair.n_candles == 0:
            continue
        last_ms, before_ms = last_candles(prices, pair, second_ms, step_ms, n_ticks)
        last = pair.first + pair.n_candles - 1
        if pair.n_candles > 1:
            remember_price(pair, closes[last - 1], before_ms)
        remember_price(pair, closes[last], last_ms)
        value_at_price(book, timeline, i, closes[last], last_ms)
        holding.value = holding.current * (holding.fee * holding.spread)
