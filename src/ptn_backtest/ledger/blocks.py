"""Blocks of ticks between which nothing but prices changes, taken at once (compiled).

A tick asks for fees, market hours and candles, and most of the time fees and hours are those of the
tick before. So ticks are taken together as far as the step, fees, hours and the checkpoint go. A
value changes only where a candle is: a block has a value for its first tick and for each candle after
it, whatever the gaps between them. The ledgers are those of single ticks to the last bit, but for the
order of sums (`recording`), which follows from where blocks end: so nothing ends one that is only watched
for, such as a drawdown, and ledgers do not depend on its limit.
"""

import numpy as np

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    AT_CANDLES,
    AT_TICKS,
    DRAWDOWN,
    LIQUIDATED,
    N_OPEN,
    N_STRETCHES,
    NONE_MS,
    PORTFOLIO_LEDGER,
    Book,
)
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS
from ptn_backtest.ledger.losses import liquidate, note
from ptn_backtest.ledger.places import (
    find_candles,
    last_candles,
    market_hours,
    value_second,
)
from ptn_backtest.ledger.recording import (
    in_groups,
    record_block,
    remember_price,
    value_at,
)
from ptn_backtest.ledger.sequence import is_open_ledger
from ptn_backtest.ledger.ticks import ONLY_SECONDS_MS, lay_ticks, second_from
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.valuing import ask_fees, state_after, value_at_price
from ptn_backtest.positions.columns import Floats, Row
from ptn_backtest.prices.places import Index, bits_from
from ptn_backtest.prices.table import PriceTable


@inlined
def walk_ticks(
    book: Book, timeline: Timeline, prices: PriceTable, start_ms: int, end_ms: int
) -> None:
    """Value and record the open positions at every tick from `start_ms` up to before `end_ms`.

    Stops at a portfolio value of 0, which is not recorded.
    """
    only_seconds = end_ms - start_ms <= ONLY_SECONDS_MS
    at_ms = start_ms
    while at_ms < end_ms and book.clock[LIQUIDATED] == NONE_MS:
        at_ms = _take_block(book, timeline, prices, at_ms, end_ms, only_seconds)


@inlined
def _take_block(
    book: Book,
    timeline: Timeline,
    prices: PriceTable,
    at_ms: int,
    end_ms: int,
    only_seconds: bool,
) -> int:
    """Take ticks from `at_ms` on, at least one, and record them; the time of the tick after them.

    A portfolio value of 0 liquidates the trader there, and is not recorded.
    """
    second_ms = at_ms - at_ms % SECOND_MS
    until_ms = _same_fees_and_hours(book, timeline, prices, second_ms)
    # the boundary counts by the time itself, not by its second
    until_ms = min(until_ms, _boundary(at_ms) - (at_ms - second_ms))
    while True:
        next_ms = lay_ticks(book, at_ms, until_ms, end_ms, only_seconds)
        n_moments = find_candles(book, prices)
        _value_block(book, timeline, prices, n_moments)
        zero_ms = _first_zero(book, prices)
        if zero_ms in (NEVER_MS, until_ms):
            break
        until_ms = zero_ms
    if value_at(book, PORTFOLIO_LEDGER, 0) <= 0.0:
        _keep_last(book, timeline, prices)
        liquidate(book, timeline, at_ms, False)
        return next_ms
    last_ms = next_ms - book.stretches[book.step[N_STRETCHES] - 1].step_ms
    breach_ms, value, peak = _first_breach(book, prices, at_ms, last_ms)
    for ledger in range(len(book.ledgers)):
        if is_open_ledger(book, ledger):
            record_block(book, timeline.sizes, ledger, at_ms, last_ms)
    if breach_ms != NEVER_MS:
        lay_ticks(book, at_ms, breach_ms + 1, end_ms, only_seconds)
        find_candles(book, prices)
        _keep_last(book, timeline, prices)
        note(book, timeline, DRAWDOWN, breach_ms + at_ms - second_ms, value, peak, False)
        lay_ticks(book, at_ms, until_ms, end_ms, only_seconds)
        find_candles(book, prices)
    _keep_last(book, timeline, prices)
    return next_ms


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
def _value_block(book: Book, timeline: Timeline, prices: PriceTable, n_moments: int) -> None:
    """The values of every ledger in a block: closed positions first, then open ones in sequence."""
    for ledger in range(len(book.ledgers)):
        if is_open_ledger(book, ledger):
            _begin_products(book.ledgers[ledger])
    before = -1
    for i in book.open[: book.step[N_OPEN]]:
        place = book.holdings[i].pair
        pair = book.pairs[place]
        # positions of a pair come together; what the first of them is worth is still wanted then
        worth = AT_CANDLES if place == before else 1 + place
        before = place
        n_worth = pair.waits + pair.n_candles
        _value_position(book, timeline, prices, i, book.values[worth, 1:])
        if n_worth in (1, n_moments):
            _multiply(book, i, PORTFOLIO_LEDGER, worth, n_worth)
        else:
            first = book.ledgers[PORTFOLIO_LEDGER].n_moments == 1
            at_ticks = PORTFOLIO_LEDGER if first else AT_TICKS
            _spread_out(book, prices, pair, book.values[worth, 1:], book.values[at_ticks, 1:])
            _multiply(book, i, PORTFOLIO_LEDGER, at_ticks, n_moments)
        if 1 + place < len(book.ledgers):
            _multiply(book, i, 1 + place, worth, n_worth)
    for ledger in range(len(book.ledgers)):
        if is_open_ledger(book, ledger):
            _find_extremes(book.ledgers[ledger], book.values)


@inlined
def _begin_products(row: Row) -> None:
    row.factor, row.n_moments = row.closed_value, 1
    row.spread, row.carry = row.closed_spread, row.closed_carry


@inlined
def _value_position(
    book: Book, timeline: Timeline, prices: PriceTable, i: int, worth: Floats
) -> None:
    """What a position is worth at the first tick, if that has no candle, and at each close.

    `valuing.current_return_at` in a form that vectorises.
    """
    holding = book.holdings[i]
    pair = book.pairs[holding.pair]
    worth[0] = holding.value  # unless there is a candle
    if pair.n_candles == 0:
        return
    state = state_after(timeline, i, holding.known)
    initial_entry = timeline.accounts.bounds[i].initial_entry
    entry, held, realized = state.entry_price, state.held, state.realized
    fees, at = holding.fee * holding.spread, pair.waits
    for k in range(book.step[N_STRETCHES]):
        found = book.found[holding.pair, k]
        by_minute = book.stretches[k].step_ms == MINUTE_MS
        closes = prices.minute_close if by_minute else prices.second_close
        # slices: with an index that might be negative, a loop does not vectorise
        closes, later = closes[found.first :], worth[at:]
        for j in range(in_groups(found.n_candles)):
            gain = (realized + (closes[j] - entry) * held) / initial_entry
            later[j] = (1 + max(gain, -1.0)) * fees
        at += found.n_candles
    _repeat_last(worth, at)


@inlined
def _repeat_last(worth: Floats, n_worth: int) -> None:
    """Fill up to whole groups: a value that repeats the one before adds nothing to a ledger."""
    last = worth[n_worth - 1]
    for k in range(n_worth, in_groups(n_worth)):
        worth[k] = last


@inlined
def _spread_out(book: Book, prices: PriceTable, pair: Row, worth: Floats, at_ticks: Floats) -> None:
    """What a position is worth at every tick, where other pairs move too."""
    at, n_before = pair.waits - 1, 0
    for stretch in book.stretches[: book.step[N_STRETCHES]]:
        here, second_ms, n_ticks = at_ticks[n_before:], stretch.second_ms, stretch.n_ticks
        if stretch.step_ms == MINUTE_MS:
            at = _spread_stretch(
                prices.minutes, pair.row, second_ms // MINUTE_MS, n_ticks, at, worth, here
            )
        else:
            at = _spread_stretch(
                prices.seconds, pair.row, second_ms // SECOND_MS, n_ticks, at, worth, here
            )
        n_before += n_ticks
    _repeat_last(at_ticks, n_before)


@inlined
def _spread_stretch(
    index: Index, row: int, moment: int, n_ticks: int, at: int, worth: Floats, here: Floats
) -> int:
    """As `_spread_out`, from value `at` on; the value at the last tick."""
    k = 0
    while k < n_ticks:
        bits = bits_from(index, row, moment + k)
        until = min(n_ticks, k + 64 - (moment + k) % 64)
        while k < until:
            at += bits & 1
            bits >>= 1
            here[k] = worth[at]
            k += 1
    return at


@inlined
def _multiply(book: Book, i: int, ledger: int, place: int, n_worth: int) -> None:
    """Multiply a ledger's values by a position's worth, and its fees.

    As long as one position moves, nothing is multiplied yet: the values are its worth, at `place`, times
    a factor.
    """
    row, holding = book.ledgers[ledger], book.holdings[i]
    row.spread *= holding.spread
    row.carry *= holding.fee
    worth = book.values[place, 1:]
    if row.n_moments == 1 and n_worth == 1:
        row.factor *= worth[0]
        return
    if row.n_moments == 1:
        row.place, row.n_moments = place, n_worth
        return
    so_far, product = book.values[row.place, 1:], book.values[ledger, 1:]
    factor, steady = row.factor, worth[0]
    for k in range(in_groups(row.n_moments)):
        product[k] = factor * so_far[k] * (steady if n_worth == 1 else worth[k])
    row.place, row.factor = ledger, 1.0


@inlined
def _find_extremes(row: Row, values: Floats) -> None:
    """The lowest and the highest value of a block.

    Values are not negative. The bits of such numbers, taken as whole ones, ascend as the numbers do;
    and minima of whole numbers vectorise, where those of floating point are taken one by one.
    Rounding keeps the order, so that the lowest value is the lowest worth times the factor.
    """
    row.lowest = row.highest = row.factor
    if row.n_moments > 1:
        lowest, highest = np.int64(np.iinfo(np.int64).max), np.int64(0)
        values = values[row.place, 1:]
        for k in range(in_groups(row.n_moments)):
            bits = np.float64(values[k]).view(np.int64)
            lowest, highest = min(lowest, bits), max(highest, bits)
        row.lowest *= np.int64(lowest).view(np.float64)
        row.highest *= np.int64(highest).view(np.float64)


@inlined
def _first_zero(book: Book, prices: PriceTable) -> int:
    """The second of the first tick at which the portfolio is worth 0; `NEVER_MS` if there is none."""
    row = book.ledgers[PORTFOLIO_LEDGER]
    if row.lowest > 0.0:
        return NEVER_MS
    for k in range(row.n_moments):
        if value_at(book, PORTFOLIO_LEDGER, k) <= 0.0:
            return value_second(book, prices, k)
    return NEVER_MS


@inlined
def _first_breach(
    book: Book, prices: PriceTable, at_ms: int, last_ms: int
) -> tuple[int, float, float]:
    """The second of the first tick whose drawdown is to be noted; value and peak there.

    `NEVER_MS` if there is none.
    """
    row, loss = book.ledgers[PORTFOLIO_LEDGER], book.losses[DRAWDOWN]
    from_ms = at_ms
    if loss.time_ms != NONE_MS:  # while one is noted, no other counts
        from_ms = max(at_ms, loss.time_ms + loss.window_ms + 1)
    # against the highest peak that the block may have, so that none is missed
    deepest = (1 - row.lowest / max(row.peak, row.highest)) * 100
    if from_ms > last_ms or deepest < loss.limit_percent:
        return NEVER_MS, 0.0, 0.0
    peak, from_second_ms = row.peak, second_from(book, from_ms - at_ms % SECOND_MS)
    for k in range(row.n_moments):
        value = value_at(book, PORTFOLIO_LEDGER, k)
        peak = max(peak, value)
        if (1 - value / peak) * 100 < loss.limit_percent:
            continue
        until_ms = NEVER_MS  # the tick at which the value is another one
        if k + 1 < row.n_moments:
            until_ms = value_second(book, prices, k + 1)
        if until_ms > from_second_ms:
            return max(value_second(book, prices, k), from_second_ms), value, peak
    return NEVER_MS, 0.0, 0.0


@inlined
def _keep_last(book: Book, timeline: Timeline, prices: PriceTable) -> None:
    """Leave positions and last known prices as the last two candles that were found do."""
    for i in book.open[: book.step[N_OPEN]]:
        holding = book.holdings[i]
        pair = book.pairs[holding.pair]
        if pair.n_candles == 0:
            continue
        k, wanted = book.step[N_STRETCHES], min(2, pair.n_candles)
        while wanted > 0:
            k -= 1
            wanted -= book.found[holding.pair, k].n_candles
        while k < book.step[N_STRETCHES]:
            found = book.found[holding.pair, k]
            if found.n_candles > 0:
                by_minute = book.stretches[k].step_ms == MINUTE_MS
                closes = prices.minute_close if by_minute else prices.second_close
                last_ms, before_ms = last_candles(book, prices, holding.pair, k)
                last = found.first + found.n_candles - 1
                if found.n_candles > 1:
                    remember_price(pair, closes[last - 1], before_ms)
                remember_price(pair, closes[last], last_ms)
            k += 1
        value_at_price(book, timeline, i, pair.price, pair.price_ms)
        holding.value = holding.current * (holding.fee * holding.spread)
