"""From a timeline and prices to ledgers: state in, state out."""

from collections.abc import Mapping, Sequence

import numpy as np

from ptn_backtest.clock import format_time
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import CURSOR, LAST_UPDATE, LIQUIDATED, NONE_MS, Book
from ptn_backtest.ledger.checkpoint import (
    CHECKPOINT,
    CHECKPOINT_MS,
    PORTFOLIO,
    WINDOW_MS,
    LastKnownPrices,
    PerfLedger,
)
from ptn_backtest.ledger.kernel import run_updates
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.ledger.work import new_work
from ptn_backtest.prices.table import PriceTable


def update_ledgers(
    timeline: TraderTimeline,
    prices: PriceTable,
    price_rows: Mapping[str, int],
    update_times_ms: Sequence[int],
    state: LedgerState = NEW,
    *,
    portfolio_only: bool = False,
    window_ms: int = WINDOW_MS,
) -> LedgerState:
    """Continue one trader's ledgers through these update times.

    Args:
        timeline: all orders of the trader; those after an update time are not known to it.
        prices: candles of every pair from the state's last update on.
        price_rows: {trade_pair_id: row in `prices`}.
        update_times_ms: ascending; times at or before the last update do nothing.
        state: where to continue; unchanged.
        portfolio_only: build no ledgers by pair (the portfolio's then differs slightly, quirk 10).
        window_ms: time that a ledger's checkpoints may cover.

    Returns:
        The new state.

    Raises:
        LedgerError: the timeline has other orders before the last update than the state saw.
    """
    times = [t for t in update_times_ms if t > (state.last_update_ms or 0)]
    if not times or state.liquidated_ms is not None:
        return state
    names = [PORTFOLIO]
    if not portfolio_only:
        names += [pair.trade_pair_id for pair in timeline.pairs]
    book = _open_book(timeline, state, names, times[-1])
    run_updates(
        book,
        new_work(len(timeline.positions), len(timeline.pairs), len(names)),
        timeline.arrays,
        prices,
        np.array([price_rows[pair.trade_pair_id] for pair in timeline.pairs], dtype=np.int64),
        np.array(times, dtype=np.int64),
        window_ms,
    )
    return _close_book(timeline, book, names, window_ms)


def _open_book(
    timeline: TraderTimeline, state: LedgerState, names: Sequence[str], until_ms: int
) -> Book:
    """The state as arrays, with room for the checkpoints up to a time."""
    begin_ms = state.last_update_ms or timeline.first_order_ms
    kept = max((len(ledger.cps) for ledger in state.ledgers.values()), default=0)
    capacity = kept + max(0, until_ms - begin_ms) // CHECKPOINT_MS + 3
    n_ledgers, n_pairs, n_positions = len(names), len(timeline.pairs), len(timeline.positions)
    book = Book(
        cps=np.zeros((n_ledgers, capacity), dtype=CHECKPOINT),
        oldest=np.zeros(n_ledgers, dtype=np.int64),
        used=np.zeros(n_ledgers, dtype=np.int64),
        init_ms=np.zeros(n_ledgers, dtype=np.int64),
        peak=np.ones(n_ledgers),
        price=np.zeros(n_pairs),
        price_ms=np.full(n_pairs, NONE_MS, dtype=np.int64),
        before=np.zeros(n_pairs),
        before_ms=np.full(n_pairs, NONE_MS, dtype=np.int64),
        carry=np.ones(n_positions),
        carry_until_ms=np.full(n_positions, NONE_MS, dtype=np.int64),
        current=np.ones(n_positions),
        value=np.ones(n_positions),
        known=np.zeros(n_positions, dtype=np.int64),
        clock=np.array([NONE_MS, NONE_MS, 0], dtype=np.int64),
    )
    if state.last_update_ms is not None:
        _restore(book, timeline, state, names, state.last_update_ms)
    return book


def _restore(
    book: Book,
    timeline: TraderTimeline,
    state: LedgerState,
    names: Sequence[str],
    last_update_ms: int,
) -> None:
    seen = int(np.searchsorted(timeline.arrays.event_ms, last_update_ms, side="right"))
    if seen != state.orders_seen:
        raise LedgerError(
            f"trader {timeline.miner_hotkey}: {seen} orders up to "
            f"{format_time(last_update_ms)}, but the state was built from "
            f"{state.orders_seen}; build its ledgers anew"
        )
    book.clock[LAST_UPDATE] = last_update_ms
    book.clock[CURSOR] = seen
    np.add.at(book.known, timeline.arrays.event_position[:seen], 1)
    for i, name in enumerate(names):
        ledger = state.ledgers.get(name)
        if ledger is not None:
            book.cps[i, : len(ledger.cps)] = ledger.cps
            book.used[i] = len(ledger.cps)
            book.init_ms[i] = ledger.initialization_time_ms
            book.peak[i] = ledger.max_return
    prices = state.ledgers[PORTFOLIO].last_known_prices
    for j, pair in enumerate(timeline.pairs):
        if pair.trade_pair_id in prices:
            book.price[j], book.price_ms[j] = prices[pair.trade_pair_id]
        if f"{pair.trade_pair_id}_prev" in prices:
            book.before[j], book.before_ms[j] = prices[f"{pair.trade_pair_id}_prev"]
    for i, position in enumerate(timeline.positions):
        if position.position_uuid in state.carry_cache:
            book.carry[i], book.carry_until_ms[i] = state.carry_cache[position.position_uuid]


def _close_book(
    timeline: TraderTimeline, book: Book, names: Sequence[str], window_ms: int
) -> LedgerState:
    if book.clock[LAST_UPDATE] == NONE_MS:
        return NEW
    ledgers = {
        name: PerfLedger(
            initialization_time_ms=int(book.init_ms[i]),
            max_return=float(book.peak[i]),
            cps=book.cps[i, book.oldest[i] : book.used[i]].copy(),
            last_known_prices=_last_known_prices(timeline, book) if name == PORTFOLIO else {},
            target_ledger_window_ms=window_ms,
        )
        for i, name in enumerate(names)
        if book.used[i] > 0
    }
    return LedgerState(
        ledgers=ledgers,
        carry_cache={
            position.position_uuid: (float(book.carry[i]), int(book.carry_until_ms[i]))
            for i, position in enumerate(timeline.positions)
            if book.carry_until_ms[i] != NONE_MS
        },
        last_update_ms=int(book.clock[LAST_UPDATE]),
        orders_seen=int(book.clock[CURSOR]),
        liquidated_ms=None if book.clock[LIQUIDATED] == NONE_MS else int(book.clock[LIQUIDATED]),
    )


def _last_known_prices(timeline: TraderTimeline, book: Book) -> LastKnownPrices:
    prices: LastKnownPrices = {}
    for j, pair in enumerate(timeline.pairs):
        if book.price_ms[j] != NONE_MS:
            prices[pair.trade_pair_id] = (float(book.price[j]), int(book.price_ms[j]))
        if book.before_ms[j] != NONE_MS:
            prices[f"{pair.trade_pair_id}_prev"] = (float(book.before[j]), int(book.before_ms[j]))
    return prices
