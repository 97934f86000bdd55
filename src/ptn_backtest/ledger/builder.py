"""From a timeline and prices to ledgers: state in, state out."""

from collections.abc import Mapping, Sequence

import numpy as np

from ptn_backtest.clock import format_time
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import CURSOR, LAST_UPDATE, NONE_MS, Book, new_book
from ptn_backtest.ledger.checkpoint import (
    CHECKPOINT_MS,
    PORTFOLIO,
    WINDOW_MS,
    LastKnownPrices,
    PerfLedger,
)
from ptn_backtest.ledger.kernel import run_updates
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
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
    book.pairs["row"] = [price_rows[pair.trade_pair_id] for pair in timeline.pairs]
    run_updates(book, timeline.arrays, prices, np.array(times, dtype=np.int64), window_ms)
    return _close_book(timeline, book, names, window_ms)


def _open_book(
    timeline: TraderTimeline, state: LedgerState, names: Sequence[str], until_ms: int
) -> Book:
    """The state as arrays, with room for the checkpoints up to a time."""
    begin_ms = state.last_update_ms or timeline.first_order_ms
    kept = max((len(ledger.cps) for ledger in state.ledgers.values()), default=0)
    capacity = kept + max(0, until_ms - begin_ms) // CHECKPOINT_MS + 3
    book = new_book(len(names), len(timeline.pairs), len(timeline.positions), capacity)
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
    events = timeline.arrays.events
    seen = int(np.searchsorted(events["time_ms"], last_update_ms, side="right"))
    if seen != state.orders_seen:
        raise LedgerError(
            f"trader {timeline.miner_hotkey}: {seen} orders up to {format_time(last_update_ms)}, "
            f"but the state was built from {state.orders_seen}; build its ledgers anew"
        )
    book.clock[LAST_UPDATE] = last_update_ms
    book.clock[CURSOR] = seen
    n_positions = len(timeline.positions)
    book.holdings["known"] = np.bincount(events["position"][:seen], minlength=n_positions)
    for i, name in enumerate(names):
        ledger = state.ledgers.get(name)
        if ledger is not None:
            book.cps[i, : len(ledger.cps)] = ledger.cps
            book.ledgers["used"][i] = len(ledger.cps)
            book.ledgers["init_ms"][i] = ledger.initialization_time_ms
            book.ledgers["peak"][i] = ledger.max_return
    prices = state.ledgers[PORTFOLIO].last_known_prices
    for row, pair in zip(book.pairs, timeline.pairs, strict=True):
        if pair.trade_pair_id in prices:
            row["price"], row["price_ms"] = prices[pair.trade_pair_id]
        if f"{pair.trade_pair_id}_prev" in prices:
            row["before"], row["before_ms"] = prices[f"{pair.trade_pair_id}_prev"]
    for row, position in zip(book.holdings, timeline.positions, strict=True):
        if position.position_uuid in state.carry_cache:
            row["carry"], row["carry_until_ms"] = state.carry_cache[position.position_uuid]


def _close_book(
    timeline: TraderTimeline, book: Book, names: Sequence[str], window_ms: int
) -> LedgerState:
    last_update_ms, liquidated_ms, orders_seen = (int(value) for value in book.clock)
    if last_update_ms == NONE_MS:
        return NEW
    ledgers = {
        name: PerfLedger(
            initialization_time_ms=int(row["init_ms"]),
            max_return=float(row["peak"]),
            cps=book.cps[i, row["oldest"] : row["used"]].copy(),
            last_known_prices=_last_known_prices(timeline, book) if name == PORTFOLIO else {},
            target_ledger_window_ms=window_ms,
        )
        for i, (name, row) in enumerate(zip(names, book.ledgers, strict=True))
        if row["used"] > 0
    }
    return LedgerState(
        ledgers=ledgers,
        carry_cache={
            position.position_uuid: (float(row["carry"]), int(row["carry_until_ms"]))
            for row, position in zip(book.holdings, timeline.positions, strict=True)
            if row["carry_until_ms"] != NONE_MS
        },
        last_update_ms=last_update_ms,
        orders_seen=orders_seen,
        liquidated_ms=None if liquidated_ms == NONE_MS else liquidated_ms,
    )


def _last_known_prices(timeline: TraderTimeline, book: Book) -> LastKnownPrices:
    prices: LastKnownPrices = {}
    for row, pair in zip(book.pairs, timeline.pairs, strict=True):
        if row["price_ms"] != NONE_MS:
            prices[pair.trade_pair_id] = (float(row["price"]), int(row["price_ms"]))
        if row["before_ms"] != NONE_MS:
            prices[f"{pair.trade_pair_id}_prev"] = (float(row["before"]), int(row["before_ms"]))
    return prices
