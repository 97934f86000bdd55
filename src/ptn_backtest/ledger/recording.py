"""How a value becomes part of a ledger (compiled)."""

import math

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import DOWN, GROUP, LOG_DOWN, LOG_UP, NONE_MS, UP, Book
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS
from ptn_backtest.positions.columns import Floats, Row, Rows

NEAR_ONE = 1e-3
"""Changes up to this need no more than five terms of the logarithm's series."""


@inlined
def record(
    book: Book,
    sizes: Rows,
    ledger: int,
    at_ms: int,
    value: float,
    spread: float,
    carry: float,
    market_open: bool,
) -> None:
    """Record a value with its fee products at a time.

    The first record only opens the ledger: its value is booked by the next one.
    """
    row = book.ledgers[ledger]
    if row.used == 0:
        row.init_ms = at_ms
        row.peak = 1.0
        row.used = 1
        _begin(book.cps[ledger, 0], at_ms, at_ms % CHECKPOINT_MS, 0, 1.0, 1.0, 1.0, 1.0)
        return
    cp = book.cps[ledger, row.used - 1]
    if (  # only time goes on, as mostly in a pair without a position
        value == cp.prev_portfolio_ret
        and spread == cp.prev_portfolio_spread_fee
        and carry == cp.prev_portfolio_carry_fee
        and cp.accum_ms + at_ms - cp.last_update_ms <= CHECKPOINT_MS
    ):
        cp.accum_ms += at_ms - cp.last_update_ms
        cp.open_ms += at_ms - cp.last_update_ms if market_open else 0
        cp.last_update_ms = at_ms
        return
    previous_peak = row.peak
    row.peak = max(previous_peak, value)
    _advance(book, ledger, at_ms, market_open, previous_peak)
    cp = book.cps[ledger, row.used - 1]
    cp.mdd = min(cp.mdd, value / row.peak)
    cp.mpv = max(cp.mpv, value)
    if value != cp.prev_portfolio_ret:
        _book_change(cp, value, account_size(sizes, at_ms))
    _book_fees(cp, spread, carry)
    cp.prev_portfolio_ret = value
    cp.last_update_ms = at_ms


@inlined
def record_block(book: Book, sizes: Rows, ledger: int, at_ms: int, last_ms: int) -> None:
    """Record the values of a block from its first tick to its last, which end no checkpoint between.

    As `record` would one by one, but for the order of sums. A value that repeats the one before adds
    nothing, so that ticks without a candle need no value of their own.
    """
    row = book.ledgers[ledger]
    _advance(book, ledger, at_ms, row.market_open, row.peak)
    cp = book.cps[ledger, row.used - 1]
    _book_extremes(book, ledger, cp)
    size_usd = account_size(sizes, at_ms)
    first = value_at(book, ledger, 0)
    if first != cp.prev_portfolio_ret:
        _book_change(cp, first, size_usd)
    row.value = value_at(book, ledger, row.n_moments - 1)
    if row.n_moments > 1:
        values = book.values[row.place]
        values[0] = values[1]  # its change was booked
        _book_changes(book.changes, cp, row.factor, values, row.n_moments, size_usd)
    _book_fees(cp, row.spread, row.carry)
    cp.prev_portfolio_ret = row.value
    cp.accum_ms += last_ms - at_ms
    cp.open_ms += last_ms - at_ms if row.market_open else 0
    cp.last_update_ms = last_ms


@inlined
def _book_fees(cp: Row, spread: float, carry: float) -> None:
    if carry != cp.prev_portfolio_carry_fee:
        cp.carry_fee_loss += math.log(carry / cp.prev_portfolio_carry_fee)
        cp.prev_portfolio_carry_fee = carry
    if spread != cp.prev_portfolio_spread_fee:
        cp.spread_fee_loss += math.log(spread / cp.prev_portfolio_spread_fee)
        cp.prev_portfolio_spread_fee = spread


@inlined
def value_at(book: Book, ledger: int, moment: int) -> float:
    """One of the values that a ledger has in a block."""
    row = book.ledgers[ledger]
    value: float = row.factor
    return value * book.values[row.place, 1 + moment] if row.n_moments > 1 else value


@inlined
def _book_extremes(book: Book, ledger: int, cp: Row) -> None:
    """Peak, highest value, and the lowest value / running peak: one division per peak."""
    row = book.ledgers[ledger]
    cp.mpv = max(cp.mpv, row.highest)
    if row.highest <= row.peak:
        cp.mdd = min(cp.mdd, row.lowest / row.peak)
        return
    if row.lowest / row.highest >= cp.mdd:  # no value is further below its peak
        row.peak = row.highest
        return
    peak, mdd = row.peak, cp.mdd
    lowest = peak
    for k in range(row.n_moments):
        value = value_at(book, ledger, k)
        if value > peak:
            mdd = min(mdd, lowest / peak)
            peak, lowest = value, value
        lowest = min(lowest, value)
    row.peak, cp.mdd = peak, min(mdd, lowest / peak)


@inlined
def in_groups(n_values: int) -> int:
    """How many values are taken, so that whole groups are."""
    return (n_values + GROUP - 1) // GROUP * GROUP


@inlined
def _book_changes(
    changes: Floats, cp: Row, factor: float, values: Floats, n_values: int, size_usd: float
) -> None:
    """Add up the changes between a ledger's values, which are a factor x `values`, from place 1 on.

    The first value is at place 0 too: it does not change.

    The four quarters of the block are added to one another, and then in order: so all but the last
    additions vectorise, and the order depends on nothing but the number of values.
    """
    n = in_groups(n_values) // 4
    up, down = changes[UP], changes[DOWN]
    log_up, log_down = changes[LOG_UP], changes[LOG_DOWN]
    first, second = values[: n + 1], values[n : 2 * n + 1]
    third, fourth = values[2 * n : 3 * n + 1], values[3 * n : 4 * n + 1]
    n_changes = n_large = 0
    for k in range(n):
        a, log_a, large_a = _change(factor * first[k], factor * first[k + 1])
        b, log_b, large_b = _change(factor * second[k], factor * second[k + 1])
        c, log_c, large_c = _change(factor * third[k], factor * third[k + 1])
        d, log_d, large_d = _change(factor * fourth[k], factor * fourth[k + 1])
        n_changes += (a != 0.0) + (b != 0.0) + (c != 0.0) + (d != 0.0)
        n_large += large_a + large_b + large_c + large_d
        up[k], down[k] = _ups(a, b, c, d), _downs(a, b, c, d)
        log_up[k], log_down[k] = (
            _ups(log_a, log_b, log_c, log_d),
            _downs(log_a, log_b, log_c, log_d),
        )
    gain = loss = pnl_gain = pnl_loss = 0.0
    for k in range(n):
        gain += log_up[k]
        loss += log_down[k]
        pnl_gain += up[k]
        pnl_loss += down[k]
    if n_large > 0:
        large_gain, large_loss = _large_changes(factor, values, n_values)
        gain, loss = gain + large_gain, loss + large_loss
    cp.n_updates += n_changes
    cp.gain, cp.loss = cp.gain + gain, cp.loss + loss
    cp.pnl_gain, cp.pnl_loss = cp.pnl_gain + pnl_gain * size_usd, cp.pnl_loss + pnl_loss * size_usd


@inlined
def _change(before: float, value: float) -> tuple[float, float, bool]:
    """A change, its logarithm unless it is large, and whether it is."""
    change = value / before - 1
    large = abs(change) > NEAR_ONE
    return change, 0.0 if large else log_near_one(change), large


@inlined
def _ups(a: float, b: float, c: float, d: float) -> float:
    return (max(a, 0.0) + max(b, 0.0)) + (max(c, 0.0) + max(d, 0.0))


@inlined
def _downs(a: float, b: float, c: float, d: float) -> float:
    return (min(a, 0.0) + min(b, 0.0)) + (min(c, 0.0) + min(d, 0.0))


@inlined
def _large_changes(factor: float, values: Floats, n_values: int) -> tuple[float, float]:
    """Sums of the logarithms that are too large for the series, up and down."""
    gain = loss = 0.0
    for k in range(n_values):
        ratio = (factor * values[k + 1]) / (factor * values[k])
        if abs(ratio - 1) > NEAR_ONE:
            log_change = math.log(ratio)
            gain, loss = gain + max(log_change, 0.0), loss + min(log_change, 0.0)
    return gain, loss


@inlined
def _book_change(cp: Row, value: float, size_usd: float) -> None:
    ratio = value / cp.prev_portfolio_ret
    change = log_of(ratio)
    if change == 0.0:
        return
    cp.n_updates += 1
    usd = (ratio - 1) * size_usd
    if change > 0:
        cp.gain += change
        cp.pnl_gain += usd
    else:
        cp.loss += change
        cp.pnl_loss += usd


@inlined
def log_of(ratio: float) -> float:
    """Logarithm of a value over the one before."""
    change = ratio - 1
    return log_near_one(change) if abs(change) <= NEAR_ONE else math.log(ratio)


@inlined
def log_near_one(change: float) -> float:
    """log(1 + change) of a small change, to a bit or two, where a logarithm is too slow.

    1 is next to every value over the one before, and the difference to it exact: the first terms of
    the series do.
    """
    rest = 1 / 2 - change * (1 / 3 - change * (1 / 4 - change * (1 / 5)))
    return change - change * change * rest


@inlined
def account_size(sizes: Rows, at_ms: int) -> float:
    """The account size in force at a time, USD."""
    i = len(sizes) - 1
    while sizes[i].from_ms > at_ms:  # the first counts from the beginning of time
        i -= 1
    return sizes[i].usd


@inlined
def _begin(
    cp: Row,
    last_update_ms: int,
    accum_ms: int,
    open_ms: int,
    value: float,
    spread: float,
    carry: float,
    mdd: float,
) -> None:
    """Begin a checkpoint at an unchanged value."""
    cp.last_update_ms = last_update_ms
    cp.prev_portfolio_ret = value
    cp.prev_portfolio_spread_fee = spread
    cp.prev_portfolio_carry_fee = carry
    cp.accum_ms = accum_ms
    cp.open_ms = open_ms
    cp.n_updates = 0
    cp.gain = 0.0
    cp.loss = 0.0
    cp.spread_fee_loss = 0.0
    cp.carry_fee_loss = 0.0
    cp.mdd = mdd
    cp.mpv = value
    cp.pnl_gain = 0.0
    cp.pnl_loss = 0.0


@inlined
def _advance(book: Book, ledger: int, at_ms: int, market_open: bool, peak: float) -> None:
    """Cover the time since the last record, completing checkpoints at their boundaries.

    A record exactly on a boundary belongs to the checkpoint that ends there (quirk 15).
    """
    row = book.ledgers[ledger]
    cp = book.cps[ledger, row.used - 1]
    elapsed_ms = at_ms - cp.last_update_ms
    if cp.accum_ms + elapsed_ms <= CHECKPOINT_MS:
        cp.accum_ms += elapsed_ms
        cp.open_ms += elapsed_ms if market_open else 0
        return
    to_boundary_ms = CHECKPOINT_MS - cp.accum_ms
    cp.accum_ms = CHECKPOINT_MS
    cp.open_ms += to_boundary_ms if market_open else 0
    cp.last_update_ms += to_boundary_ms
    value, spread = cp.prev_portfolio_ret, cp.prev_portfolio_spread_fee
    carry, boundary_ms = cp.prev_portfolio_carry_fee, cp.last_update_ms
    while at_ms - boundary_ms > CHECKPOINT_MS:
        boundary_ms += CHECKPOINT_MS
        empty = book.cps[ledger, row.used]
        _begin(empty, boundary_ms, CHECKPOINT_MS, 0, value, spread, carry, value / peak)
        row.used += 1
    covered_ms = at_ms - boundary_ms
    open_ms = covered_ms if market_open else 0
    current = book.cps[ledger, row.used]
    _begin(current, at_ms, covered_ms, open_ms, value, spread, carry, value / peak)
    row.used += 1


@inlined
def copy_checkpoint(to: Row, cp: Row) -> None:
    """Copy every field of a checkpoint."""
    to.last_update_ms = cp.last_update_ms
    to.prev_portfolio_ret = cp.prev_portfolio_ret
    to.prev_portfolio_spread_fee = cp.prev_portfolio_spread_fee
    to.prev_portfolio_carry_fee = cp.prev_portfolio_carry_fee
    to.accum_ms = cp.accum_ms
    to.open_ms = cp.open_ms
    to.n_updates = cp.n_updates
    to.gain = cp.gain
    to.loss = cp.loss
    to.spread_fee_loss = cp.spread_fee_loss
    to.carry_fee_loss = cp.carry_fee_loss
    to.mdd = cp.mdd
    to.mpv = cp.mpv
    to.pnl_gain = cp.pnl_gain
    to.pnl_loss = cp.pnl_loss


@inlined
def renew_peaks(book: Book) -> None:
    """Take every ledger's peak anew from the checkpoints that are left (quirk 16)."""
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        if row.peak_left:
            row.peak_left = False
            row.peak = 1.0
            for i in range(row.oldest, row.used):
                row.peak = max(row.peak, book.cps[ledger, i].mpv)


@inlined
def drop_old_checkpoints(book: Book, window_ms: int) -> None:
    """Drop the oldest checkpoints while a ledger covers more than its window."""
    for ledger in range(len(book.ledgers)):
        row = book.ledgers[ledger]
        while row.oldest < row.used:
            oldest = book.cps[ledger, row.oldest]
            end_ms = book.cps[ledger, row.used - 1].last_update_ms
            # checkpoints leave no time between them
            if end_ms - oldest.last_update_ms + oldest.accum_ms <= window_ms:
                break
            row.peak_left = row.peak_left or oldest.mpv == row.peak
            row.oldest += 1


@inlined
def remember_price(pair: Row, price: float, start_ms: int) -> None:
    """Keep a candle's close as a pair's last known price, and the one before it."""
    if pair.price_ms not in (NONE_MS, start_ms):
        pair.before = pair.price
        pair.before_ms = pair.price_ms
    pair.price = price
    pair.price_ms = start_ms


@inlined
def forget_price(pair: Row) -> None:
    """Forget a pair's last known prices."""
    pair.price_ms = NONE_MS
    pair.before_ms = NONE_MS
