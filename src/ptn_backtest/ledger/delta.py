"""What a stretch of updates added to traders' ledgers: small to store, and enough to go on from.

A checkpoint before the newest one never changes again. So a stretch is told by the checkpoints from
the newest of before on, and by where each update left the ledgers; with what was there before, it
gives back what was there after, and after each update, exactly. Rows stand for what has begun by then:
positions with an order, their pairs and ledgers. What later orders add comes after or between them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import LAST_UPDATE, LOSS, MARK, PAIR
from ptn_backtest.ledger.books import BEGIN, new_books
from ptn_backtest.ledger.checkpoint import CHECKPOINT, Checkpoints, checkpoints_at, words
from ptn_backtest.ledger.columns import LedgerColumns, Resumed, columns_of
from ptn_backtest.ledger.timelines import Timelines
from ptn_backtest.positions.columns import Ints, Rows
from ptn_backtest.positions.recorded_orders import spans

ADDED = np.dtype([("kept", np.int64), ("added", np.int64), ("init_ms", np.int64)])
"""A ledger: how many checkpoints of before it begins with, how many follow, and its first record."""

SEEN = np.dtype([(name, PAIR[name]) for name in ("price", "price_ms", "before", "before_ms")])
"""A pair's last known prices, by the names of PAIR."""

ASKED = np.dtype([("carry", np.float64), ("carry_until_ms", np.int64)])
"""A position's cached fee, by the names of HOLDING."""

LOST = np.dtype([(name, LOSS[name]) for name in ("time_ms", "value", "peak")])
"""A drawdown or liquidation, by the names of LOSS."""


class LedgerDeltas(NamedTuple):
    """What a stretch of updates added to several traders' ledgers, as arrays.

    `begins`: where a trader's ledgers, pairs and positions begin, and the end (BEGIN). `clock`, `losses`
    (LOST), `held`: as in `LedgerColumns`. `ledgers`, `pairs`, `holdings`: rows of ADDED, SEEN, ASKED.
    `cps`: the added checkpoints, one ledger after the other. `marks`: where each update left each
    ledger (ledgers x updates). `earlier_at`: places in it, flat, where the newest checkpoint went on
    later; `earlier`: these newest checkpoints, as the update left them.
    """

    begins: Rows
    clock: Ints
    losses: Rows
    ledgers: Rows
    pairs: Rows
    holdings: Rows
    held: Rows
    cps: Checkpoints
    marks: Rows
    earlier_at: Ints
    earlier: Checkpoints


def deltas_of(
    timelines: Timelines, traders: Ints, before: Sequence[Resumed], after: LedgerColumns
) -> LedgerDeltas:
    """What updates added.

    Args:
        timelines: orders.
        traders: whose columns they are, by their places in the timelines.
        before: where the updates began, as in `LedgerBatch`; () leaves nothing to it, so that the deltas
            can be put on anything.
        after: what they left, with what each of them left.
    """
    begun = _Begun(timelines, traders, after.clock[:, LAST_UPDATE])
    ledgers = np.flatnonzero(after.ledgers["used"] > 0)
    added = np.zeros(len(ledgers), dtype=ADDED)
    added["kept"] = _kept(before, after)[ledgers]
    added["added"] = after.ledgers["used"][ledgers] - added["kept"]
    added["init_ms"] = after.ledgers["init_ms"][ledgers]
    first = after.cps_begin[ledgers] + added["kept"]
    marks, newest = after.marks[ledgers], words(after.newest[ledgers])
    # to the last bit, which is also quicker than field by field
    closing = _closing(words(after.cps), after.cps_begin[ledgers], marks)
    earlier = np.flatnonzero((closing != newest).any(axis=2))
    begun.begins["ledger"] = np.searchsorted(ledgers, after.begins["ledger"])
    return LedgerDeltas(
        begins=begun.begins,
        clock=after.clock,
        losses=_narrow(after.losses, LOST),
        ledgers=added,
        pairs=_narrow(after.pairs[begun.pairs], SEEN),
        holdings=_narrow(after.holdings[begun.positions], ASKED),
        held=after.held[begun.positions],
        cps=checkpoints_at(after.cps, spans(first, first + added["added"])),
        marks=marks,
        earlier_at=earlier,
        earlier=checkpoints_at(after.newest[ledgers].reshape(-1), earlier),
    )


def with_update(columns: LedgerColumns) -> LedgerColumns:
    """The same, as left by an update that changed nothing."""
    marks = _narrow(columns.ledgers, MARK)[:, None]
    closing = _closing(words(columns.cps), columns.cps_begin, marks)
    return columns._replace(newest=closing.view(CHECKPOINT)[..., 0], marks=marks)


class Stretch(NamedTuple):
    """Deltas of some of the traders that are asked for.

    Attributes:
        deltas: of several traders.
        sources: traders in them.
        places: where each of these is among those that are asked for.
    """

    deltas: LedgerDeltas
    sources: Ints
    places: Ints


def ledgers_after(
    timelines: Timelines,
    traders: Ints,
    before: Sequence[Resumed],
    stretches: Sequence[Stretch],
    *,
    window_ms: int,
    keep_history: bool = False,
) -> LedgerColumns:
    """What stretches of updates left, one after the other.

    Args:
        timelines: orders as they are now, the same up to then.
        traders: whose columns are wanted, by their places in the timelines; each is in a stretch.
        before: where the first stretch of a trader began.
        stretches: in the order of time.
        window_ms: time that checkpoints may cover.
        keep_history: also give what each update of the last stretch left, which has everybody then.

    Raises:
        LedgerError: a delta belongs to another state.
    """
    books = new_books(
        timelines,
        traders,
        portfolio_only=False,
        capacity=0,
        n_kept=stretches[-1].deltas.marks.shape[1] if keep_history else 0,
        drawdown_limit=0.0,
        window_ms=window_ms,
    )
    cps, cps_begin = _chained(books.begins, before, stretches)
    columns = columns_of(books)._replace(cps=cps, cps_begin=cps_begin)
    newest_stretch = np.zeros(len(traders), dtype=np.int64)
    for number, stretch in enumerate(stretches):
        newest_stretch[stretch.places] = number
    for number, (deltas, sources, places) in enumerate(stretches):
        last = newest_stretch[places] == number
        _put_rows(columns, timelines, traders, Stretch(deltas, sources[last], places[last]))
    if keep_history:
        _put_history(columns, stretches[-1])
    return columns


class _Source(NamedTuple):
    """Some ledgers as a stretch has them: the last `kept` of before, then those `first` to `end`.

    `rows`: which ledgers of those wanted. Its window begins at `oldest` of all of these.
    """

    rows: Ints
    cps: Checkpoints
    first: Ints
    end: Ints
    kept: Ints
    oldest: Ints


def _chained(
    begins: Rows, before: Sequence[Resumed], stretches: Sequence[Stretch]
) -> tuple[Checkpoints, Ints]:
    """The checkpoints of all ledgers, one after the other, and where those of each begin.

    From the last stretch backwards: what it does not have itself lies in the window of the one before.
    """
    sources = [*(_source_before(begins, one) for one in before if len(one.sources))]
    sources += [_source(begins, one) for one in stretches if len(one.sources)]
    n_ledgers = int(begins["ledger"][-1])
    # of each ledger: places that are still to be found, and whether a stretch was seen
    low, high = np.zeros(n_ledgers, dtype=np.int64), np.zeros(n_ledgers, dtype=np.int64)
    seen, found = np.zeros(n_ledgers, dtype=np.bool_), []
    for rows, cps, first, end, kept, oldest in reversed(sources):
        n_there = kept + end - first
        goes_on = seen[rows] & (high[rows] > 0)
        if (goes_on & (n_there - oldest != high[rows] + 1)).any():
            raise LedgerError(
                "what was stored of ledgers continues others than those that are there; build the "
                "ledgers anew"
            )
        low[rows] = np.where(seen[rows], low[rows] + oldest, 0)
        until = np.where(seen[rows], np.where(goes_on, high[rows] + oldest, 0), n_there)
        begin = np.maximum(low[rows], kept)
        found.append((rows, cps, first + begin - kept, first + np.maximum(until, begin) - kept))
        high[rows] = np.where(low[rows] < kept, np.minimum(until, kept), 0)
        seen[rows] = True
    if high.any():
        raise LedgerError("what was stored of ledgers lacks its beginning; build the ledgers anew")
    counts = np.zeros(n_ledgers, dtype=np.int64)
    for rows, _, first, end in found:
        counts[rows] += end - first
    begin = np.cumsum(counts) - counts
    joined, at = np.zeros(int(counts.sum()), dtype=CHECKPOINT), begin.copy()
    for rows, cps, first, end in reversed(found):
        words(joined)[spans(at[rows], at[rows] + end - first)] = words(cps)[spans(first, end)]
        at[rows] += end - first
    return joined, begin


def _source_before(begins: Rows, before: Resumed) -> _Source:
    columns = before.columns
    rows, there = _matched(begins, before.places, columns.begins, before.sources)
    first, end = columns.cps_begin[there], columns.cps_end[there]
    return _Source(
        rows, columns.cps, first, end, np.zeros_like(rows), columns.ledgers["oldest"][there]
    )


def _source(begins: Rows, stretch: Stretch) -> _Source:
    deltas = stretch.deltas
    rows, there = _matched(begins, stretch.places, deltas.begins, stretch.sources)
    end = np.cumsum(deltas.ledgers["added"])[there]
    first, kept = end - deltas.ledgers["added"][there], deltas.ledgers["kept"][there]
    return _Source(rows, deltas.cps, first, end, kept, deltas.marks["oldest"][there, -1])


def _matched(
    begins: Rows, places: Ints, other_begins: Rows, sources: Ints, what: str = "ledger"
) -> tuple[Ints, Ints]:
    """Rows of the same ledgers (or pairs) here and there; one may have fewer, of those that come first."""
    here, there = begins[what][places], other_begins[what][sources]
    counts = np.minimum(begins[what][places + 1] - here, other_begins[what][sources + 1] - there)
    return spans(here, here + counts), spans(there, there + counts)


def _put_rows(
    columns: LedgerColumns, timelines: Timelines, traders: Ints, stretch: Stretch
) -> None:
    """Everything but checkpoints, as a stretch left it."""
    deltas, sources, places = stretch
    columns.clock[places] = deltas.clock[sources]
    for name in LOST.names or ():
        columns.losses[name][places] = deltas.losses[name][sources]
    rows, there = _matched(columns.begins, places, deltas.begins, sources)
    columns.ledgers["init_ms"][rows] = deltas.ledgers["init_ms"][there]
    for name in MARK.names or ():
        columns.ledgers[name][rows] = deltas.marks[name][there, -1]
    rows, there = _matched(columns.begins, places, deltas.begins, sources, "pair")
    for name in SEEN.names or ():
        columns.pairs[name][rows] = deltas.pairs[name][there]
    begun = _Begun(timelines, traders[places], columns.clock[places, LAST_UPDATE])
    first, last = deltas.begins["position"][sources], deltas.begins["position"][sources + 1]
    if (np.diff(begun.begins["position"]) != last - first).any():
        raise LedgerError("what was stored of ledgers has other positions; build the ledgers anew")
    rows = columns.begins["position"][places][begun.trader] + begun.within
    there = spans(first, last)
    for name in ASKED.names or ():
        columns.holdings[name][rows] = deltas.holdings[name][there]
    columns.held[rows] = deltas.held[there]


def _put_history(columns: LedgerColumns, stretch: Stretch) -> None:
    """What each update of a stretch left."""
    deltas, sources, places = stretch
    rows, there = _matched(columns.begins, places, deltas.begins, sources)
    columns.marks[rows] = deltas.marks[there]
    newest = _closing(words(columns.cps), columns.cps_begin[rows], columns.marks[rows])
    words(columns.newest)[rows] = newest
    row_of = np.full(len(deltas.ledgers), -1)
    row_of[there] = rows
    ledgers, updates = np.divmod(deltas.earlier_at, max(deltas.marks.shape[1], 1))
    mine = row_of[ledgers] >= 0
    words(columns.newest)[row_of[ledgers[mine]], updates[mine]] = words(deltas.earlier)[mine]


class _Begun:
    """Positions that have an order by some time, with their pairs, of several traders.

    `begins`: where a trader's pairs and positions begin (BEGIN, its ledgers being 0). `positions`, `pairs`:
    which they are of all that these traders have, one after the other. Of each position: `trader`, which
    of these it is of, and `within`, its place among that trader's.
    """

    def __init__(self, timelines: Timelines, traders: Ints, last_ms: Ints) -> None:
        """The traders by their places in the timelines, and a time of each, ms."""
        first, last = timelines.begins[traders], timelines.begins[traders + 1]
        rows = spans(first["position"], last["position"])
        trader = np.repeat(np.arange(len(traders)), last["position"] - first["position"])
        positions, orders = timelines.rows.columns
        opened_ms = orders["time_ms"][positions["first"][rows] + first["order"][trader]]
        self.positions = np.flatnonzero(opened_ms <= last_ms[trader])
        self.trader = trader[self.positions]
        rows = rows[self.positions]
        self.within = rows - first["position"][self.trader]
        n_pairs = np.zeros(len(traders), dtype=np.int64)
        # pairs come in the order of their first orders
        np.maximum.at(n_pairs, self.trader, positions["pair"][rows] + 1)
        ends = np.cumsum(last["pair"] - first["pair"])
        begin = ends - (last["pair"] - first["pair"])
        self.pairs = spans(begin, begin + n_pairs)
        self.begins = np.zeros(len(traders) + 1, dtype=BEGIN)
        self.begins["pair"][1:] = np.cumsum(n_pairs)
        n_positions = np.bincount(self.trader, minlength=len(traders))
        self.begins["position"][1:] = np.cumsum(n_positions)


def _kept(before: Sequence[Resumed], after: LedgerColumns) -> Ints:
    """How many checkpoints of before each ledger begins with, whose newest one went on."""
    kept = np.zeros(len(after.ledgers), dtype=np.int64)
    for columns, sources, places in before:
        rows, there = _matched(after.begins, places, columns.begins, sources)
        window = columns.ledgers["used"][there] - columns.ledgers["oldest"][there]
        kept[rows] = np.maximum(window - 1, 0)
    return kept


def _closing(cps: NDArray[np.int64], first: Ints, marks: Rows) -> NDArray[np.int64]:
    """Every update's newest checkpoint as it is in the end (ledgers x updates x words)."""
    used = marks["used"]
    there = used > 0
    closing = np.zeros((*used.shape, cps.shape[1]), dtype=np.int64)
    closing[there] = cps[(first[:, None] + used - 1)[there]]
    return closing


def _narrow(rows: Rows, kind: np.dtype[np.void]) -> Rows:
    narrow = np.zeros(rows.shape, dtype=kind)
    for name in kind.names or ():
        narrow[name] = rows[name]
    return narrow
