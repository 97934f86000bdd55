"""How a value becomes part of a ledger (compiled)."""

import math

from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import NONE_MS, Book
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, CheckpointRow
from ptn_backtest.ledger.timeline import SMALLEST_ACCOUNT_USD, Timeline


@compiled
def record(
    book: Book,
    timeline: Timeline,
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
    if book.used[ledger] == 0:
        _open_ledger(book, ledger, at_ms)
        return
    previous_peak = book.peak[ledger]
    book.peak[ledger] = max(previous_peak, value)
    _advance(book, ledger, at_ms, market_open, previous_peak)
    cp = book.cps[ledger, book.used[ledger] - 1]
    cp.mdd = min(cp.mdd, value / book.peak[ledger])
    cp.mpv = max(cp.mpv, value)
    if value != cp.prev_portfolio_ret:
        _book_change(timeline, cp, at_ms, value)
    if carry != cp.prev_portfolio_carry_fee:
        cp.carry_fee_loss += math.log(carry / cp.prev_portfolio_carry_fee)
    if spread != cp.prev_portfolio_spread_fee:
        cp.spread_fee_loss += math.log(spread / cp.prev_portfolio_spread_fee)
    cp.prev_portfolio_ret = value
    cp.prev_portfolio_carry_fee = carry
    cp.prev_portfolio_spread_fee = spread
    cp.last_update_ms = at_ms


@compiled
def _book_change(timeline: Timeline, cp: CheckpointRow, at_ms: int, value: float) -> None:
    ratio = value / cp.prev_portfolio_ret
    change = math.log(ratio)
    if change == 0.0:
        return
    cp.n_updates += 1
    usd = (ratio - 1) * account_size(timeline, at_ms)
    if change > 0:
        cp.gain += change
        cp.pnl_gain += usd
    else:
        cp.loss += change
        cp.pnl_loss += usd


@compiled
def account_size(timeline: Timeline, at_ms: int) -> float:
    """The trader's account size in force at a time, USD."""
    i = len(timeline.size_from_ms) - 1
    while i >= 0 and timeline.size_from_ms[i] > at_ms:
        i -= 1
    return timeline.size_usd[i] if i >= 0 else SMALLEST_ACCOUNT_USD


@compiled
def _open_ledger(book: Book, ledger: int, at_ms: int) -> None:
    book.init_ms[ledger] = at_ms
    book.peak[ledger] = 1.0
    _append(book, ledger, at_ms, at_ms % CHECKPOINT_MS, 0, 1.0, 1.0, 1.0, 1.0)


@compiled
def _append(
    book: Book,
    ledger: int,
    last_update_ms: int,
    accum_ms: int,
    open_ms: int,
    value: float,
    spread: float,
    carry: float,
    mdd: float,
) -> None:
    """Begin a checkpoint at an unchanged value."""
    cp = book.cps[ledger, book.used[ledger]]
    book.used[ledger] += 1
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


@compiled
def _advance(book: Book, ledger: int, at_ms: int, market_open: bool, peak: float) -> None:
    """Cover the time since the last record, completing checkpoints at their boundaries.

    A record exactly on a boundary belongs to the checkpoint that ends there (quirk 15).
    """
    cp = book.cps[ledger, book.used[ledger] - 1]
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
    mdd = value / peak
    while at_ms - boundary_ms > CHECKPOINT_MS:
        boundary_ms += CHECKPOINT_MS
        _append(book, ledger, boundary_ms, CHECKPOINT_MS, 0, value, spread, carry, mdd)
    covered_ms = at_ms - boundary_ms
    open_ms = covered_ms if market_open else 0
    _append(book, ledger, at_ms, covered_ms, open_ms, value, spread, carry, mdd)


@compiled
def begin_update(book: Book) -> None:
    """Take every ledger's peak anew from the checkpoints that are left (quirk 16)."""
    for ledger in range(len(book.used)):
        peak = 1.0
        for i in range(book.oldest[ledger], book.used[ledger]):
            peak = max(peak, book.cps[ledger, i].mpv)
        book.peak[ledger] = peak


@compiled
def drop_old_checkpoints(book: Book, window_ms: int) -> None:
    """Drop the oldest checkpoints while a ledger covers more than its window."""
    for ledger in range(len(book.used)):
        covered_ms = 0
        i = book.used[ledger]
        while i > book.oldest[ledger]:
            covered_ms += book.cps[ledger, i - 1].accum_ms
            if covered_ms > window_ms:
                break
            i -= 1
        book.oldest[ledger] = i


@compiled
def remember_price(book: Book, pair: int, price: float, start_ms: int) -> None:
    """Keep a candle's close as the pair's last known price, and the one before it."""
    if book.price_ms[pair] != NONE_MS and book.price_ms[pair] != start_ms:
        book.before[pair] = book.price[pair]
        book.before_ms[pair] = book.price_ms[pair]
    book.price[pair] = price
    book.price_ms[pair] = start_ms


@compiled
def forget_price(book: Book, pair: int) -> None:
    """Forget a pair's last known prices."""
    book.price_ms[pair] = NONE_MS
    book.before_ms[pair] = NONE_MS
