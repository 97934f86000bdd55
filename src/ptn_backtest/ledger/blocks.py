"""Stretches of ticks between which nothing but prices changes, taken at once (compiled).

A tick asks for fees, market hours and candles, and most of the time the answers are those of the tick
before. So after a tick the ticks that follow are taken together as far as fees, market hours and
the checkpoint stay the same, and candles come without a gap, or not at all. The ledgers are those of
single ticks to the last bit.
"""

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import (
    BLOCK,
    DRAWDOWN,
    N_OPEN,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS
from ptn_backtest.ledger.recording import (
    NEAR_ONE,
    account_size,
    log_near_one,
    log_of,
    remember_price,
)
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import state_after
from ptn_backtest.positions.columns import Floats, Ints, Row
from ptn_backtest.prices.table import PriceTable


@compiled
def take_block(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> int:
    """Take up to `n_ticks` ticks from `at_ms` on, `step_ms` apart, right after a single tick.

    Returns:
        How many were taken; 0 where the next tick has to be looked at by itself.
    """
    n_ticks = _same_fees_and_hours(book, timeline, prices, at_ms, step_ms, n_ticks)
    n_ticks = min(n_ticks, _before_boundary(book, at_ms, step_ms))
    n_ticks = min(n_ticks, _same_watch(book, at_ms, step_ms, n_ticks))
    if n_ticks <= 0:
        return 0
    n_ticks, moves = _same_candles(book, timeline, prices, at_ms, step_ms, n_ticks)
    last_ms = at_ms + (n_ticks - 1) * step_ms
    if moves:
        _value_block(book, timeline, prices, at_ms, step_ms, n_ticks)
        if _is_a_loss(book, n_ticks, last_ms):
            return 0
        _keep_last(book, timeline, prices, at_ms, step_ms, n_ticks)
    elif _is_watched_loss(book, last_ms):
        return 0
    for ledger in range(len(book.ledgers)):
        if ledger == PORTFOLIO_LEDGER or book.pairs[ledger - 1].open:
            if moves:
                _record_block(book, timeline, ledger, n_ticks, last_ms)
            _let_time_pass(book, ledger, last_ms)
    return n_ticks


@compiled
def _same_fees_and_hours(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> int:
    """How many ticks have the fees and market hours of the tick before."""
    second_ms = at_ms - at_ms % SECOND_MS
    until_ms = timeline.rules.spread_until_ms
    if until_ms > second_ms - step_ms:
        n_ticks = min(n_ticks, _ticks_before(until_ms, second_ms, step_ms))
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding = book.holdings[i]
        n_ticks = min(n_ticks, _ticks_before(holding.carry_until_ms, second_ms, step_ms))
        row = prices.rows[book.pairs[timeline.columns.positions[i].pair].row]
        if holding.session_at < row.session_last:
            edge_ms = prices.session_ms[holding.session_at]
            n_ticks = min(n_ticks, _ticks_before(edge_ms, second_ms, step_ms))
    return n_ticks


@compiled
def _ticks_before(limit_ms: int, from_ms: int, step_ms: int) -> int:
    """How many of the times from, from + step, ... come before a limit."""
    return (limit_ms - from_ms + step_ms - 1) // step_ms


@compiled
def _before_boundary(book: Book, at_ms: int, step_ms: int) -> int:
    """How many ticks come before the end of the checkpoint."""
    row = book.ledgers[PORTFOLIO_LEDGER]
    cp = book.cps[PORTFOLIO_LEDGER, row.used - 1]
    return _ticks_before(cp.last_update_ms - cp.accum_ms + CHECKPOINT_MS, at_ms, step_ms)


@compiled
def _same_watch(book: Book, at_ms: int, step_ms: int, n_ticks: int) -> int:
    """How many ticks come while a noted drawdown is not yet so old that another one counts."""
    loss = book.losses[DRAWDOWN]
    forgotten_ms = loss.time_ms + loss.window_ms + 1
    if loss.time_ms == NONE_MS or forgotten_ms <= at_ms:
        return n_ticks
    return _ticks_before(forgotten_ms, at_ms, step_ms)


@compiled
def _same_candles(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> tuple[int, bool]:
    """How many ticks every open position has candles for, or none; and whether any has."""
    second_ms = at_ms - at_ms % SECOND_MS
    moves = False
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        if not _is_open(book, timeline, prices, i):
            continue
        times_ms, at, end = _candles(book, timeline, prices, i, second_ms, step_ms)
        if at == end:
            continue
        if times_ms[at] != second_ms:
            n_ticks = min(n_ticks, _ticks_before(times_ms[at], second_ms, step_ms))
            continue
        moves = True
        n_ticks = min(n_ticks, end - at, BLOCK)
        # candle times ascend by the step at least: no gap if the last one is where it should be
        while times_ms[at + n_ticks - 1] - second_ms != (n_ticks - 1) * step_ms:
            n_ticks = _without_gap(times_ms, at, second_ms, step_ms, n_ticks)
    return n_ticks, moves


@compiled
def _without_gap(times_ms: Ints, at: int, second_ms: int, step_ms: int, n_ticks: int) -> int:
    n_found = 1
    while n_found < n_ticks and times_ms[at + n_found] - second_ms == n_found * step_ms:
        n_found += 1
    return n_found


@compiled
def _is_open(book: Book, timeline: Timeline, prices: PriceTable, i: int) -> bool:
    """Whether position i's market was open at the tick before, and so at these."""
    row = prices.rows[book.pairs[timeline.columns.positions[i].pair].row]
    return (book.holdings[i].session_at - row.session_first) % 2 == 1


@compiled
def _candles(
    book: Book, timeline: Timeline, prices: PriceTable, i: int, second_ms: int, step_ms: int
) -> tuple[Ints, int, int]:
    """Times of position i's candles, the place of the first from a time on, and their end."""
    holding = book.holdings[i]
    row = prices.rows[book.pairs[timeline.columns.positions[i].pair].row]
    if step_ms == MINUTE_MS:
        at = holding.minute_at
        while at < row.minute_last and prices.minute_ms[at] < second_ms:
            at += 1
        holding.minute_at = at
        return prices.minute_ms, at, row.minute_last
    at = holding.second_at
    while at < row.second_last and prices.second_ms[at] < second_ms:
        at += 1
    holding.second_at = at
    return prices.second_ms, at, row.second_last


@compiled
def _value_block(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> None:
    """Every recorded ledger's value at every tick, in the order of single ticks."""
    second_ms = at_ms - at_ms % SECOND_MS
    for ledger in range(len(book.ledgers)):
        closed_value = book.ledgers[ledger].closed_value
        for k in range(n_ticks):
            book.values[ledger, k] = closed_value
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding, pair = book.holdings[i], timeline.columns.positions[i].pair
        own = 1 + pair if 1 + pair < len(book.ledgers) else PORTFOLIO_LEDGER
        times_ms, at, end = _candles(book, timeline, prices, i, second_ms, step_ms)
        still = not _is_open(book, timeline, prices, i) or at == end or times_ms[at] != second_ms
        portfolio, mine = book.values[PORTFOLIO_LEDGER], book.values[own]
        if still:
            _multiply_by(portfolio, holding.value, n_ticks)
            if own != PORTFOLIO_LEDGER:
                _multiply_by(mine, holding.value, n_ticks)
            continue
        closes = prices.minute_close if step_ms == MINUTE_MS else prices.second_close
        worth = book.worth[:n_ticks]
        _value_at_closes(
            worth,
            closes[at : at + n_ticks],
            state_after(timeline, i, holding.known),
            timeline.accounts.bounds[i].initial_entry,
            holding.fee * holding.spread,
        )
        _multiply(portfolio[:n_ticks], worth)
        if own != PORTFOLIO_LEDGER:
            _multiply(mine[:n_ticks], worth)


@compiled
def _value_at_closes(
    worth: Floats, closes: Floats, state: Row, initial_entry: float, fees: float
) -> None:
    """What a position is worth at each close; `valuing.current_return_at` in a form that vectorises."""
    entry, held, realized = state.entry_price, state.held, state.realized
    for k in range(len(worth)):
        gain = (realized + (closes[k] - entry) * held) / initial_entry
        worth[k] = (1 + max(gain, -1.0)) * fees


@compiled
def _multiply(values: Floats, factors: Floats) -> None:
    for k in range(len(values)):
        values[k] *= factors[k]


@compiled
def _multiply_by(values: Floats, factor: float, n_ticks: int) -> None:
    for k in range(n_ticks):
        values[k] *= factor


@compiled
def _is_watched_loss(book: Book, last_ms: int) -> bool:
    """Whether the value that stays is beyond the limit, and the noted drawdown has grown too old."""
    row, loss = book.ledgers[PORTFOLIO_LEDGER], book.losses[DRAWDOWN]
    if loss.time_ms != NONE_MS and loss.time_ms >= last_ms - loss.window_ms:
        return False
    value = book.cps[PORTFOLIO_LEDGER, row.used - 1].prev_portfolio_ret
    return bool((1 - value / row.peak) * 100 >= loss.limit_percent)


@compiled
def _is_a_loss(book: Book, n_ticks: int, last_ms: int) -> bool:
    """Whether a tick has to be looked at by itself: a value of 0, or a drawdown not yet noted."""
    row, loss = book.ledgers[PORTFOLIO_LEDGER], book.losses[DRAWDOWN]
    values = book.values[PORTFOLIO_LEDGER, :n_ticks]
    lowest, highest = row.peak, row.peak
    for k in range(len(values)):
        lowest = min(lowest, values[k])
        highest = max(highest, values[k])
    if lowest <= 0.0:
        return True
    if loss.time_ms != NONE_MS and loss.time_ms >= last_ms - loss.window_ms:
        return False
    # against the highest peak that the block may have, so that none is missed
    return bool((1 - lowest / highest) * 100 >= loss.limit_percent)


@compiled
def _keep_last(
    book: Book, timeline: Timeline, prices: PriceTable, at_ms: int, step_ms: int, n_ticks: int
) -> None:
    """Leave positions and last known prices as the last two ticks do."""
    second_ms = at_ms - at_ms % SECOND_MS
    for j in range(book.step[N_OPEN]):
        i = book.open[j]
        holding = book.holdings[i]
        if not _is_open(book, timeline, prices, i):
            continue
        times_ms, at, end = _candles(book, timeline, prices, i, second_ms, step_ms)
        if at == end or times_ms[at] != second_ms:
            continue
        closes = prices.minute_close if step_ms == MINUTE_MS else prices.second_close
        pair = book.pairs[timeline.columns.positions[i].pair]
        for k in range(max(0, n_ticks - 2), n_ticks):
            remember_price(pair, closes[at + k], times_ms[at + k])
        last = at + n_ticks - 1
        state = state_after(timeline, i, holding.known)
        gain = (
            state.realized + (closes[last] - state.entry_price) * state.held
        ) / timeline.accounts.bounds[i].initial_entry
        holding.current = 0.0 if gain <= -1 else 1 + gain
        holding.value = holding.current * (holding.fee * holding.spread)
        holding.price, holding.price_ms = closes[last], times_ms[last]
        if step_ms == MINUTE_MS:
            holding.minute_at = last
        else:
            holding.second_at = last


@compiled
def _record_block(book: Book, timeline: Timeline, ledger: int, n_ticks: int, last_ms: int) -> None:
    """Record the values of a block, whose fees are those of the record before."""
    row = book.ledgers[ledger]
    cp = book.cps[ledger, row.used - 1]
    values = book.values[ledger, :n_ticks]
    _record_extremes(row, cp, values)
    size_usd = account_size(timeline.sizes, last_ms)
    before = cp.prev_portfolio_ret
    n_changes, largest = 0, 0.0
    gain, loss, pnl_gain, pnl_loss = cp.gain, cp.loss, cp.pnl_gain, cp.pnl_loss
    for k in range(len(values)):
        change = values[k] / before - 1
        before = values[k]
        log_change = log_near_one(change)
        n_changes += change != 0.0
        gain += max(log_change, 0.0)
        loss += min(log_change, 0.0)
        pnl_gain += max(change * size_usd, 0.0)
        pnl_loss += min(change * size_usd, 0.0)
        largest = max(largest, abs(change))
    if largest > NEAR_ONE:
        gain, loss = _add_log_changes(values, cp)
    cp.n_updates += n_changes
    cp.gain, cp.loss, cp.pnl_gain, cp.pnl_loss = gain, loss, pnl_gain, pnl_loss
    cp.prev_portfolio_ret = before
    row.value = before


@compiled
def _add_log_changes(values: Floats, cp: Row) -> tuple[float, float]:
    """Gain and loss of the checkpoint with changes of any size."""
    before, gain, loss = cp.prev_portfolio_ret, cp.gain, cp.loss
    for value in values:
        log_change = log_of(value / before)
        before = value
        gain += max(log_change, 0.0)
        loss += min(log_change, 0.0)
    return gain, loss


@compiled
def _record_extremes(row: Row, cp: Row, values: Floats) -> None:
    """Peak, highest value, and the lowest value / running peak: one division per peak."""
    peak, lowest, mdd, highest = row.peak, row.peak, cp.mdd, cp.mpv
    for k in range(len(values)):
        lowest = min(lowest, values[k])
        highest = max(highest, values[k])
    if highest <= peak:
        cp.mdd, cp.mpv = min(mdd, lowest / peak), highest
        return
    lowest = peak
    for value in values:
        if value > peak:
            mdd = min(mdd, lowest / peak)
            peak, lowest = value, value
        lowest = min(lowest, value)
        highest = max(highest, value)
    row.peak, cp.mdd, cp.mpv = peak, min(mdd, lowest / peak), highest


@compiled
def _let_time_pass(book: Book, ledger: int, last_ms: int) -> None:
    row = book.ledgers[ledger]
    cp = book.cps[ledger, row.used - 1]
    elapsed_ms = last_ms - cp.last_update_ms
    cp.accum_ms += elapsed_ms
    cp.open_ms += elapsed_ms if row.market_open else 0
    cp.last_update_ms = last_ms


@compiled
def ticks_ahead(at_ms: int, target_ms: int, only_seconds: bool) -> tuple[int, int]:
    """Step size from a tick on, ms, and how many ticks there are before it changes."""
    second_ms = at_ms - at_ms % SECOND_MS
    left_ms = target_ms - second_ms
    if not only_seconds and second_ms % MINUTE_MS == 0 and left_ms > MINUTE_MS:
        return MINUTE_MS, (left_ms - 1) // MINUTE_MS
    n_ticks = (target_ms - at_ms + SECOND_MS - 1) // SECOND_MS
    if not only_seconds:
        to_minute_ms = -second_ms % MINUTE_MS
        if left_ms - to_minute_ms > MINUTE_MS:
            n_ticks = min(n_ticks, to_minute_ms // SECOND_MS)
    return SECOND_MS, n_ticks
