"""The working memory of many traders: one allocation for all of their books."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.book import (
    BLOCK,
    FOUND,
    GROUP,
    HELD,
    HOLDING,
    LEDGER,
    LOSS,
    MARK,
    NONE_MS,
    PAIR,
    STRETCH,
    STRETCHES,
    Book,
)
from ptn_backtest.ledger.checkpoint import CHECKPOINT
from ptn_backtest.ledger.timelines import Timelines
from ptn_backtest.positions.columns import Ints, Rows

BEGIN = np.dtype([("ledger", np.int64), ("pair", np.int64), ("position", np.int64)])
"""Where a trader's ledgers, pairs and positions begin."""


class Books(NamedTuple):
    """The books of several traders.

    `begins`: a BEGIN for each trader, and one for the end. `rows`: a `Book` whose arrays hold those of one
    trader after the other; its `clock` and `losses` have a row per trader, and `sequence`, `open`,
    `changed`, `step`, and what belongs to a block, are used by one after the other.
    """

    begins: Rows
    rows: Book


def new_books(
    timelines: Timelines,
    traders: Ints,
    *,
    portfolio_only: bool,
    capacity: int,
    n_kept: int,
    drawdown_limit: float,
    window_ms: int,
    zeros: Callable[..., NDArray[Any]] = np.zeros,
) -> Books:
    """Books without any record.

    Args:
        timelines: orders.
        traders: whose books, by their places in the timelines.
        portfolio_only: no ledgers by pair.
        capacity: room for checkpoints in each ledger.
        n_kept: updates after which every ledger's newest checkpoint is kept.
        drawdown_limit: percent.
        window_ms: time that checkpoints may cover.
        zeros: as `numpy.zeros`; makes what outlives the updates.
    """
    n_pairs, n_positions = (
        np.diff(timelines.begins[name])[traders] for name in ("pair", "position")
    )
    counts = (np.ones_like(n_pairs) if portfolio_only else 1 + n_pairs, n_pairs, n_positions)
    begins = zeros(len(traders) + 1, dtype=BEGIN)
    for name, count in zip(BEGIN.names or (), counts, strict=True):
        begins[name][1:] = np.cumsum(count)
    n_ledgers, n_pairs_in_all, n_positions_in_all = begins[-1].item()
    most_pairs, most_positions = (int(n.max(initial=1)) for n in (n_pairs, n_positions))
    rows = Book(
        cps=zeros((n_ledgers, capacity), dtype=CHECKPOINT),
        ledgers=zeros(n_ledgers, dtype=LEDGER),
        pairs=zeros(n_pairs_in_all, dtype=PAIR),
        holdings=zeros(n_positions_in_all, dtype=HOLDING),
        sequence=np.zeros(most_positions, dtype=np.int64),
        open=np.zeros(most_positions, dtype=np.int64),
        changed=np.zeros(most_positions, dtype=np.int64),
        clock=zeros((len(traders), 5), dtype=np.int64),
        step=np.zeros(5, dtype=np.int64),
        losses=zeros((len(traders), 2), dtype=LOSS),
        held=zeros((n_positions_in_all, 2), dtype=HELD),
        newest=zeros((n_ledgers, n_kept), dtype=CHECKPOINT),
        marks=zeros((n_ledgers, n_kept), dtype=MARK),
        stretches=np.zeros(STRETCHES, dtype=STRETCH),
        found=np.zeros((most_pairs, STRETCHES), dtype=FOUND),
        values=np.empty((most_pairs + 3, BLOCK + GROUP)),
        changes=np.empty((4, BLOCK // 4)),
    )
    rows.clock[:] = (NONE_MS, NONE_MS, 0, 0, 1)
    rows.losses["limit_percent"] = (drawdown_limit, 100.0)
    rows.losses["window_ms"] = window_ms
    rows.losses["time_ms"] = NONE_MS
    rows.ledgers["peak"] = 1.0
    rows.ledgers["peak_left"] = True
    rows.pairs["price_ms"] = NONE_MS
    rows.pairs["before_ms"] = NONE_MS
    rows.holdings["carry_until_ms"] = NONE_MS
    return Books(begins, rows)


@inlined
def book_of(books: Books, trader: int) -> Book:
    """The book of the trader at a place."""
    begin, end = books.begins[trader], books.begins[trader + 1]
    rows = books.rows
    n_pairs, n_positions = end.pair - begin.pair, end.position - begin.position
    return Book(
        rows.cps[begin.ledger : end.ledger],
        rows.ledgers[begin.ledger : end.ledger],
        rows.pairs[begin.pair : end.pair],
        rows.holdings[begin.position : end.position],
        rows.sequence[:n_positions],
        rows.open[:n_positions],
        rows.changed[:n_positions],
        rows.clock[trader],
        rows.step,
        rows.losses[trader],
        rows.held[begin.position : end.position],
        rows.newest[begin.ledger : end.ledger],
        rows.marks[begin.ledger : end.ledger],
        rows.stretches,
        rows.found[:n_pairs],
        rows.values[: n_pairs + 3],
        rows.changes,
    )
