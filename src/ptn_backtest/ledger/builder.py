"""From timelines and prices to ledgers: columns in, columns out; and for one trader, state to state."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.book import LAST_UPDATE, NONE_MS
from ptn_backtest.ledger.books import Books, new_books
from ptn_backtest.ledger.breach import DRAWDOWN_LIMIT
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, WINDOW_MS
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, columns_of, resume
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.kernel import run_updates
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.state_columns import TraderLedgers, state_columns
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.ledger.timelines import Timelines, joined
from ptn_backtest.positions.columns import Ints
from ptn_backtest.positions.recorded_orders import spans
from ptn_backtest.prices.table import PriceTable


def build_ledgers(
    timelines: Timelines,
    traders: Ints,
    prices: PriceTable,
    price_rows: Ints,
    update_times_ms: Sequence[int],
    before: Sequence[Resumed] = (),
    *,
    portfolio_only: bool = False,
    window_ms: int = WINDOW_MS,
    drawdown_limit: float = DRAWDOWN_LIMIT,
    keep_history: bool = False,
    zeros: Callable[..., NDArray[Any]] = np.zeros,
) -> LedgerColumns:
    """Build the ledgers of several traders, or continue them, through these update times.

    Args:
        timelines: orders; those after an update time are not known to it.
        traders: whose ledgers, by their places in the timelines.
        prices: candles of every pair from the traders' last updates on.
        price_rows: row in `prices` of every pair of the timelines, one trader's after the other.
        update_times_ms: ascending; those up to a trader's last update change nothing of it.
        before: where traders go on; the others are new.
        portfolio_only: build no ledgers by pair (the portfolio's then differs slightly, quirk 10).
        window_ms: time that a ledger's checkpoints may cover.
        drawdown_limit: percent; the first record that reaches it is kept.
        keep_history: also keep what each update left.
        zeros: as `numpy.zeros`; makes the arrays.

    Returns:
        What the updates left, in the order of `traders`.
    """
    times_ms = np.array(update_times_ms, dtype=np.int64)
    books = new_books(
        timelines,
        traders,
        portfolio_only=portfolio_only,
        capacity=_capacity(timelines, traders, times_ms, before),
        n_kept=len(times_ms) if keep_history else 0,
        drawdown_limit=drawdown_limit,
        window_ms=window_ms,
        zeros=zeros,
    )
    for columns, sources, places in before:
        resume(books, timelines, traders, columns, sources, places)
    _find_prices(books, timelines, traders, prices, price_rows)
    run_updates(books, timelines, traders, prices, times_ms, window_ms)
    return columns_of(books)


def _capacity(
    timelines: Timelines, traders: Ints, times_ms: Ints, before: Sequence[Resumed]
) -> int:
    """Room for the checkpoints of any of these ledgers."""
    begin_ms = timelines.rows.events["time_ms"][timelines.begins["order"][traders]]
    kept = 0
    for columns, sources, places in before:
        last_ms = columns.clock[sources, LAST_UPDATE]
        begin_ms[places] = np.where(last_ms == NONE_MS, begin_ms[places], last_ms)
        rows = columns.ledgers
        kept = max(kept, int((rows["used"] - rows["oldest"]).max(initial=0)))
    longest_ms = int((times_ms.max(initial=0) - begin_ms).max(initial=0))
    return kept + longest_ms // CHECKPOINT_MS + 3


def _find_prices(
    books: Books, timelines: Timelines, traders: Ints, prices: PriceTable, price_rows: Ints
) -> None:
    begins = timelines.begins["pair"]
    rows = price_rows[spans(begins[traders], begins[traders + 1])]
    books.rows.pairs["row"] = rows
    books.rows.pairs["session"] = prices.rows["session_first"][rows]


def rows_of_pairs(timelines: Sequence[TraderTimeline], price_rows: Mapping[str, int]) -> Ints:
    """The row in a price table of every pair of these traders, one trader's after the other.

    Args:
        timelines: the traders.
        price_rows: {trade_pair_id: row}.
    """
    rows = [price_rows[pair.trade_pair_id] for one in timelines for pair in one.pairs]
    return np.array(rows, dtype=np.int64)


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
    only = np.zeros(1, dtype=np.int64)
    before = [] if state.last_update_ms is None else [state_columns(state, timeline)]
    columns = build_ledgers(
        joined([timeline]),
        only,
        prices,
        rows_of_pairs([timeline], price_rows),
        update_times_ms,
        [Resumed(one, only, only) for one in before],
        portfolio_only=portfolio_only,
        window_ms=window_ms,
        drawdown_limit=drawdown_limit,
        keep_history=keep_history,
    )
    after = TraderLedgers(columns, 0, timeline)
    return after.state(), after.history(update_times_ms) if keep_history else LedgerHistory()
