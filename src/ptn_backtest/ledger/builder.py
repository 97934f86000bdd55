"""From a timeline and prices to ledgers: state in, state out."""

from collections.abc import Mapping, Sequence

import numpy as np

from ptn_backtest.clock import format_time
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import (
    CURSOR,
    DRAWDOWN,
    LAST_UPDATE,
    LIQUIDATION,
    NONE_MS,
    Book,
    new_book,
)
from ptn_backtest.ledger.breach import DRAWDOWN_LIMIT, Breach, HeldAtBreach
from ptn_backtest.ledger.checkpoint import (
    CHECKPOINT_MS,
    PORTFOLIO,
    WINDOW_MS,
    LastKnownPrices,
    PerfLedger,
    one_after_the_other,
    words,
)
from ptn_backtest.ledger.history import LedgerHistory, after_no_change, book_history
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
    drawdown_limit: float = DRAWDOWN_LIMIT,
) -> LedgerState:
    """The state of one trader's ledgers after these update times; see `advance_ledgers`."""
    return advance_ledgers(
        timeline,
        prices,
        price_rows,
        update_times_ms,
        state,
        portfolio_only=portfolio_only,
        window_ms=window_ms,
        drawdown_limit=drawdown_limit,
        keep_history=False,
    )[0]


def advance_ledgers(
    timeline: TraderTimeline,
    prices: PriceTable,
    price_rows: Mapping[str, int],
    update_times_ms: Sequence[int],
    state: LedgerState = NEW,
    *,
    portfolio_only: bool = False,
    window_ms: int = WINDOW_MS,
    drawdown_limit: float = DRAWDOWN_LIMIT,
    keep_history: bool = True,
) -> tuple[LedgerState, LedgerHistory]:
    """Continue one trader's ledgers through these update times.

    Args:
        timeline: all orders of the trader; those after an update time are not known to it.
        prices: candles of every pair from the state's last update on.
        price_rows: {trade_pair_id: row in `prices`}.
        update_times_ms: ascending; times at or before the last update do nothing.
        state: where to continue; unchanged.
        portfolio_only: build no ledgers by pair (the portfolio's then differs slightly, quirk 10).
        window_ms: time that a ledger's checkpoints may cover.
        drawdown_limit: percent; the first record that reaches it is kept in the state.
        keep_history: also keep what each update left; otherwise the history is empty.

    Returns:
        The new state, and the ledgers after each of the given update times.

    Raises:
        LedgerError: the timeline has other orders before the last update than the state saw.
    """
    times = [t for t in update_times_ms if t > (state.last_update_ms or 0)]
    if not times or state.liquidated_ms is not None:
        done = update_times_ms if keep_history else ()
        return state, after_no_change(state, done, LedgerHistory())
    names = [PORTFOLIO]
    if not portfolio_only:
        names += [pair.trade_pair_id for pair in timeline.pairs]
    begin_ms = state.last_update_ms or timeline.first_order_ms
    kept = max((len(ledger.cps) for ledger in state.ledgers.values()), default=0)
    book = new_book(
        len(names),
        len(timeline.pairs),
        len(timeline.positions),
        capacity=kept + max(0, times[-1] - begin_ms) // CHECKPOINT_MS + 3,
        n_kept=len(times) if keep_history else 0,
        drawdown_limit=drawdown_limit,
        window_ms=window_ms,
    )
    if state.last_update_ms is not None:
        _restore(book, timeline, state, names, state.last_update_ms)
    rows = [price_rows[pair.trade_pair_id] for pair in timeline.pairs]
    book.pairs["row"] = rows
    book.pairs["session"] = prices.rows["session_first"][rows]
    run_updates(book, timeline.arrays, prices, np.array(times, dtype=np.int64), window_ms)
    after = _close_book(timeline, book, state, names, window_ms)
    if not keep_history:
        return after, LedgerHistory()
    done = update_times_ms[: -len(times)]
    return after, after_no_change(state, done, book_history(book, names, times))


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
    if state.breach:
        book.losses["time_ms"][DRAWDOWN] = state.breach.time_ms
    n_positions = len(timeline.positions)
    book.holdings["known"] = np.bincount(events["position"][:seen], minlength=n_positions)
    for i, name in enumerate(names):
        ledger = state.ledgers.get(name)
        if ledger is not None:
            words(book.cps)[i, : len(ledger.cps)] = words(ledger.cps)
            book.ledgers["used"][i] = len(ledger.cps)
            book.ledgers["init_ms"][i] = ledger.initialization_time_ms
            book.ledgers["peak"][i] = ledger.max_return
    prices = state.ledgers[PORTFOLIO].last_known_prices
    for row, pair in zip(book.pairs, timeline.pairs, strict=True):
        if pair.trade_pair_id in prices:
            row["price"], row["price_ms"] = prices[pair.trade_pair_id]
        if f"{pair.trade_pair_id}_prev" in prices:
            row["before"], row["before_ms"] = prices[f"{pair.trade_pair_id}_prev"]
    entries = [state.carry_cache.get(one.position_uuid) for one in timeline.positions]
    asked = [i for i, entry in enumerate(entries) if entry is not None]
    known = [entry for entry in entries if entry is not None]
    book.holdings["carry"][asked] = [fee for fee, _ in known]
    book.holdings["carry_until_ms"][asked] = [until_ms for _, until_ms in known]


def _close_book(
    timeline: TraderTimeline,
    book: Book,
    before: LedgerState,
    names: Sequence[str],
    window_ms: int,
) -> LedgerState:
    last_update_ms, orders_seen = int(book.clock[LAST_UPDATE]), int(book.clock[CURSOR])
    if last_update_ms == NONE_MS:
        return NEW
    ledgers = {
        name: PerfLedger(
            initialization_time_ms=int(row["init_ms"]),
            max_return=float(row["peak"]),
            cps=one_after_the_other([book.cps[i, row["oldest"] : row["used"]]]),
            last_known_prices=_last_known_prices(timeline, book) if name == PORTFOLIO else {},
            target_ledger_window_ms=window_ms,
        )
        for i, (name, row) in enumerate(zip(names, book.ledgers, strict=True))
        if row["used"] > 0
    }
    asked = np.flatnonzero(book.holdings["carry_until_ms"] != NONE_MS)
    entries = (book.holdings[name][asked].tolist() for name in ("carry", "carry_until_ms"))
    uuids = [timeline.positions[i].position_uuid for i in asked.tolist()]
    return LedgerState(
        ledgers=ledgers,
        carry_cache=dict(zip(uuids, zip(*entries, strict=True), strict=True)),
        last_update_ms=last_update_ms,
        orders_seen=orders_seen,
        breach=_breach(timeline, book, DRAWDOWN, before.breach),
        liquidation=_breach(timeline, book, LIQUIDATION, None),
    )


def _breach(
    timeline: TraderTimeline, book: Book, which: int, before: Breach | None
) -> Breach | None:
    """What the kernel noted; a breach from before is known already."""
    loss = book.losses[which]
    time_ms = int(loss["time_ms"])
    if time_ms == NONE_MS or (before and before.time_ms == time_ms):
        return None if time_ms == NONE_MS else before
    return Breach(
        time_ms=time_ms,
        value=float(loss["value"]),
        peak=float(loss["peak"]),
        positions=tuple(
            HeldAtBreach(
                position_uuid=position.position_uuid,
                trade_pair_id=position.trade_pair.trade_pair_id,
                leverage=float(row["leverage"]),
                price=float(row["price"]),
                candle_ms=None if row["price_ms"] == NONE_MS else int(row["price_ms"]),
                return_at_close=float(row["value"]),
            )
            for row, position in zip(book.held[which], timeline.positions, strict=True)
            if row["open"]
        ),
    )


def _last_known_prices(timeline: TraderTimeline, book: Book) -> LastKnownPrices:
    prices: LastKnownPrices = {}
    for row, pair in zip(book.pairs, timeline.pairs, strict=True):
        if row["price_ms"] != NONE_MS:
            prices[pair.trade_pair_id] = (float(row["price"]), int(row["price_ms"]))
        if row["before_ms"] != NONE_MS:
            prices[f"{pair.trade_pair_id}_prev"] = (float(row["before"]), int(row["before_ms"]))
    return prices
