"""The ledgers of many traders as a handful of arrays: what updates leave, and go on from.

Quick to send, to store and to look through, where one object per trader, ledger and checkpoint would
cost more than the ledgers themselves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.book import CURSOR, LAST_UPDATE, LIQUIDATED
from ptn_backtest.ledger.books import BEGIN, Books, book_of
from ptn_backtest.ledger.checkpoint import Checkpoints, checkpoints_at
from ptn_backtest.ledger.timelines import Timelines, timeline_of
from ptn_backtest.positions.columns import Floats, Ints, Rows
from ptn_backtest.positions.recorded_orders import joined_rows, spans


class LedgerColumns(NamedTuple):
    """What updates left of several traders: the rows of `Books` that outlive them.

    `begins`, `clock`, `ledgers`, `pairs`, `holdings`, `losses`, `held`: as there. `cps`: checkpoints of
    all ledgers, one ledger after the other, maybe with room between them. A ledger's begin at its
    `cps_begin`, with the first that it had when these updates began; it has `used` of them, and those
    from `oldest` on are in the window. `newest`, `marks`: each ledger's newest checkpoint
    and `book.MARK` after each update (ledgers x updates), where somebody asked for them.
    """

    begins: Rows
    clock: Ints
    ledgers: Rows
    pairs: Rows
    holdings: Rows
    losses: Rows
    held: Rows
    cps_begin: Ints
    cps: Checkpoints
    newest: Checkpoints
    marks: Rows

    @property
    def n_traders(self) -> int:
        """How many traders they are of."""
        return len(self.clock)

    @property
    def cps_end(self) -> Ints:
        """Where each ledger's checkpoints end."""
        ends: Ints = self.cps_begin + self.ledgers["used"]
        return ends

    def without_history(self) -> "LedgerColumns":
        """The same, without what each update left."""
        return self._replace(newest=self.newest[:, :0].copy(), marks=self.marks[:, :0].copy())


class Resumed(NamedTuple):
    """Traders that go on from earlier columns.

    `columns`: what earlier updates left. `sources`: traders in it. `places`: where each of them is
    among those that go on.
    """

    columns: LedgerColumns
    sources: Ints
    places: Ints


def columns_of(books: Books) -> LedgerColumns:
    """What is left of books that are done; nothing is copied."""
    rows = books.rows
    return LedgerColumns(
        begins=books.begins,
        clock=rows.clock,
        ledgers=rows.ledgers,
        pairs=rows.pairs,
        holdings=rows.holdings,
        losses=rows.losses,
        held=rows.held,
        cps_begin=np.arange(len(rows.ledgers)) * rows.cps.shape[1],
        cps=rows.cps.reshape(-1),
        newest=rows.newest,
        marks=rows.marks,
    )


def taken(columns: LedgerColumns, traders: Ints) -> LedgerColumns:
    """A copy of these traders' columns, by their places, in this order, without room in between."""
    begins, rows = np.zeros(len(traders) + 1, dtype=BEGIN), {}
    for name in BEGIN.names or ():
        first, last = columns.begins[name][traders], columns.begins[name][traders + 1]
        rows[name] = spans(first, last)
        begins[name][1:] = np.cumsum(last - first)
    ledgers = rows["ledger"]
    first, n_cps = columns.cps_begin[ledgers], columns.ledgers["used"][ledgers]
    return LedgerColumns(
        begins=begins,
        clock=columns.clock[traders],
        ledgers=columns.ledgers[ledgers],
        pairs=columns.pairs[rows["pair"]],
        holdings=columns.holdings[rows["position"]],
        losses=columns.losses[traders],
        held=columns.held[rows["position"]],
        cps_begin=np.cumsum(n_cps) - n_cps,
        cps=checkpoints_at(columns.cps, spans(first, first + n_cps)),
        newest=columns.newest[ledgers],
        marks=columns.marks[ledgers],
    )


def side_by_side(parts: Sequence[LedgerColumns]) -> LedgerColumns:
    """The columns of several, at least one, that went through as many updates."""
    begins = np.zeros(1 + sum(part.n_traders for part in parts), dtype=BEGIN)
    for name in BEGIN.names or ():
        begins[name][1:] = np.cumsum(np.concatenate([np.diff(part.begins[name]) for part in parts]))
    n_cps = np.cumsum([0, *(len(part.cps) for part in parts)]).tolist()
    cps_begin = map(np.add, (part.cps_begin for part in parts), n_cps)
    arrays = {
        name: joined_rows([getattr(part, name) for part in parts], getattr(parts[0], name).dtype)
        for name in LedgerColumns._fields
        if name not in ("begins", "cps_begin")
    }
    return LedgerColumns(begins=begins, cps_begin=np.concatenate(list(cps_begin)), **arrays)


def lowest_mdds(columns: LedgerColumns, ledgers: Ints) -> Floats:
    """Lowest mdd of the checkpoints in a ledger's window after each update; 1 before its first.

    Args:
        columns: with what each update left.
        ledgers: places of ledgers.

    Returns:
        Ledgers x updates.
    """
    marks = columns.marks[ledgers]
    first = columns.cps_begin[ledgers][:, None] + marks["oldest"]
    # up to the newest one, which has gone on since
    last = first + np.maximum(marks["used"] - 1 - marks["oldest"], 0)
    done = np.append(columns.cps["mdd"], np.inf)
    # every second stretch is a window; an empty one gives its first element, which is not meant
    lowest = np.minimum.reduceat(done, np.stack((first, last), axis=2).ravel())[::2]
    lowest = np.where(first == last, np.inf, lowest.reshape(first.shape))
    newest: Floats = columns.newest["mdd"][ledgers]
    return np.where(marks["used"] > 0, np.minimum(lowest, newest), 1.0)


@compiled
def resume(
    books: Books,
    timelines: Timelines,
    traders: Ints,
    before: LedgerColumns,
    sources: Ints,
    places: Ints,
) -> None:
    """Let traders go on from where earlier updates left them.

    Args:
        books: empty ones; changed in place.
        timelines: orders.
        traders: whose books they are, by their places in the timelines.
        before: what the earlier updates left.
        sources: traders in it.
        places: where each of them is among the books.
    """
    for k in range(len(sources)):
        source, place = sources[k], places[k]
        book, begin = book_of(books, place), before.begins[source]
        for which in (LAST_UPDATE, LIQUIDATED, CURSOR):
            book.clock[which] = before.clock[source, which]
        events = timeline_of(timelines, traders[place]).events
        for event in range(book.clock[CURSOR]):
            book.holdings[events[event].position].known += 1
        for which in range(len(book.losses)):
            loss, known = book.losses[which], before.losses[source, which]
            loss.time_ms, loss.value, loss.peak = known.time_ms, known.value, known.peak
        for i in range(len(book.holdings)):
            holding, held = book.holdings[i], before.holdings[begin.position + i]
            holding.carry, holding.carry_until_ms = held.carry, held.carry_until_ms
            for which in range(len(book.losses)):
                book.held[i, which] = before.held[begin.position + i, which]
        for i in range(len(book.pairs)):
            pair, seen = book.pairs[i], before.pairs[begin.pair + i]
            pair.price, pair.price_ms = seen.price, seen.price_ms
            pair.before, pair.before_ms = seen.before, seen.before_ms
        for ledger in range(len(book.ledgers)):
            row, done = book.ledgers[ledger], before.ledgers[begin.ledger + ledger]
            row.init_ms, row.peak, row.used = done.init_ms, done.peak, done.used - done.oldest
            first = before.cps_begin[begin.ledger + ledger] + done.oldest
            for i in range(row.used):
                book.cps[ledger, i] = before.cps[first + i]
