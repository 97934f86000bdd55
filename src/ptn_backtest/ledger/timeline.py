"""One trader's orders as a timeline: what is held from when, ready for the kernel."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, NEVER_MS
from ptn_backtest.positions.accounting import Accounts, replay_orders
from ptn_backtest.positions.columns import (
    AccountingRules,
    Ints,
    PositionColumns,
    Rows,
    accounting_rules,
    position_columns,
)
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.trade_pairs import TradePair

EVENT = np.dtype([("time_ms", np.int64), ("position", np.int64)])
"""An order by its time, and the index of its position."""

SIZE = np.dtype([("from_ms", np.int64), ("usd", np.float64)])
"""Account size from a time on."""


class Timeline(NamedTuple):
    """Positions in ledger order, what each order makes of them, and all orders by time.

    Positions are sorted by pair (pairs by their first trade, ties as stored), in a pair by open
    time: products over positions are taken in this order, and the last bit matters. `events` are
    rows of EVENT, `sizes` rows of SIZE, both in time order. `by_close`: positions by the time of the
    order that closes them, ties as stored, those that stay open last; `by_stored`: as stored.
    """

    columns: PositionColumns
    accounts: Accounts
    rules: AccountingRules
    events: Rows
    sizes: Rows
    by_close: Ints
    by_stored: Ints


@dataclass(frozen=True, slots=True)
class TraderTimeline:
    """A timeline with the names behind its indices."""

    miner_hotkey: str
    pairs: tuple[TradePair, ...]
    positions: tuple[Position, ...]
    arrays: Timeline

    @property
    def stored_positions(self) -> tuple[Position, ...]:
        """The positions as they were stored."""
        stored = np.argsort(self.arrays.columns.positions["stored"])
        return tuple(self.positions[i] for i in stored)

    @property
    def first_order_ms(self) -> int:
        """Time of the trader's first order."""
        return int(self.arrays.events["time_ms"][0])

    def open_ranges(
        self, end_ms: int, from_ms: int | None = None
    ) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Each pair's id, with rows (open, close) in ms by open time; see `open_ranges`."""
        columns, pair = self.arrays.columns, self.arrays.columns.positions["pair"]
        opened = columns.opened_ms
        closed = np.minimum(_close_times(columns, self.arrays.accounts), end_ms)
        if from_ms is not None:
            lasts = closed >= from_ms
            opened, closed, pair = np.maximum(opened, from_ms)[lasts], closed[lasts], pair[lasts]
        ranges = np.stack((opened, closed), axis=1)
        ends = np.searchsorted(pair, np.arange(1, len(self.pairs)))
        for each, mine in zip(self.pairs, np.split(ranges, ends), strict=True):
            yield each.trade_pair_id, mine

    def account_size_at(self, at_ms: int) -> float:
        """USD in force at a time."""
        sizes = self.arrays.sizes
        return float(sizes["usd"][np.searchsorted(sizes["from_ms"], at_ms, side="right") - 1])


def build_timeline(
    positions: Sequence[Position],
    account_sizes: Sequence[tuple[int, float]] = (),
    rulebook: Rulebook = DEFAULT_RULEBOOK,
    *,
    use_slippage: bool | None = None,
) -> TraderTimeline:
    """The timeline of one trader, as `build_timelines` makes it.

    Args:
        positions: all of one trader, at least one, in stored order.
        account_sizes: (update time in ms, USD); an update counts from the next UTC day.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
    """
    hotkey = positions[0].miner_hotkey
    made = build_timelines(
        {hotkey: positions}, {hotkey: account_sizes}, rulebook, use_slippage=use_slippage
    )
    return made[hotkey]


def build_timelines(
    positions: Mapping[str, Sequence[Position]],
    account_sizes: Mapping[str, Sequence[tuple[int, float]]] = MappingProxyType({}),
    rulebook: Rulebook = DEFAULT_RULEBOOK,
    *,
    use_slippage: bool | None = None,
) -> dict[str, TraderTimeline]:
    """The timelines of many traders, whose arrays are parts of larger ones.

    Args:
        positions: {hotkey: all of the trader, at least one, in stored order}.
        account_sizes: {hotkey: (update time in ms, USD)}; an update counts from the next UTC day.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
    """
    everyone = [position for mine in positions.values() for position in mine]
    counts = np.array([len(mine) for mine in positions.values()], dtype=np.int64)
    trader = np.repeat(np.arange(len(counts)), counts)
    columns = position_columns(everyone, rulebook)
    order = _ledger_order(trader, columns)
    columns = columns.rearranged(order)
    new_pair = _differs(trader) | _differs(columns.positions["pair"])
    columns.positions["pair"] = np.cumsum(new_pair)
    rules = accounting_rules(rulebook, use_slippage)
    accounts = replay_orders(columns, rules)
    whole = Timeline(
        columns=columns,
        accounts=accounts,
        rules=rules,
        events=_events(trader, columns),
        sizes=np.empty(0, dtype=SIZE),
        by_close=np.lexsort((order, _close_times(columns, accounts), trader)),
        by_stored=np.argsort(order),
    )
    made = {}
    for hotkey, mine in _slices(positions):
        ordered = tuple(everyone[i] for i in order[mine])
        pairs = tuple(ordered[i].trade_pair for i in np.flatnonzero(new_pair[mine]))
        steps = _size_steps(account_sizes.get(hotkey, ()), rulebook.accounts.smallest_usd)
        arrays = _part(whole, mine, np.array(steps, dtype=SIZE))
        made[hotkey] = TraderTimeline(hotkey, pairs, ordered, arrays)
    return made


def _ledger_order(trader: Ints, columns: PositionColumns) -> NDArray[np.intp]:
    """Positions by trader, first trade of their pair, open time, and as stored."""
    place = np.argsort(np.argsort(columns.opened_ms, kind="stable"))
    pair = trader * (1 + columns.positions["pair"].max(initial=0)) + columns.positions["pair"]
    first_trade = np.full(1 + pair.max(initial=0), len(place))
    np.minimum.at(first_trade, pair, place)
    return np.lexsort((place, first_trade[pair], trader))


def _differs(numbers: Ints) -> NDArray[np.bool_]:
    """Where a number is not the one before it; the first never is."""
    return np.diff(numbers, prepend=-1) != 0


def _slices(positions: Mapping[str, Sequence[Position]]) -> Iterator[tuple[str, slice]]:
    """Where each trader's positions are among all of them."""
    begin = 0
    for hotkey, mine in positions.items():
        yield hotkey, slice(begin, begin + len(mine))
        begin += len(mine)


def _part(whole: Timeline, mine: slice, sizes: Rows) -> Timeline:
    """One trader's part of the arrays of all, its indices counted from its own first rows."""
    rows, bounds = whole.columns.positions[mine].copy(), whole.accounts.bounds[mine].copy()
    orders = slice(rows["first"][0], rows["last"][-1])
    rows["first"] -= orders.start
    rows["last"] -= orders.start
    rows["stored"] -= mine.start
    rows["pair"] -= rows["pair"][0]
    bounds["close"] -= np.where(bounds["close"] >= 0, orders.start, 0)
    events = whole.events[orders].copy()
    events["position"] -= mine.start
    return Timeline(
        columns=PositionColumns(rows, whole.columns.orders[orders]),
        accounts=Accounts(whole.accounts.after[orders], bounds),
        rules=whole.rules,
        events=events,
        sizes=sizes,
        by_close=whole.by_close[mine] - mine.start,
        by_stored=whole.by_stored[mine] - mine.start,
    )


def _close_times(columns: PositionColumns, accounts: Accounts) -> Ints:
    """Time of each position's closing order, `NEVER_MS` where it stays open."""
    close = accounts.bounds["close"]
    return np.where(close >= 0, columns.orders["time_ms"][close], NEVER_MS)


def _events(trader: Ints, columns: PositionColumns) -> Rows:
    """All orders, by trader and time; of one time in ledger order."""
    counts = columns.positions["last"] - columns.positions["first"]
    events = np.zeros(len(columns.orders), dtype=EVENT)
    events["time_ms"] = columns.orders["time_ms"]
    events["position"] = np.repeat(np.arange(len(columns.positions)), counts)
    return events[np.lexsort((events["time_ms"], np.repeat(trader, counts)))]


def open_ranges(
    timelines: Iterable[TraderTimeline], end_ms: int, from_ms: int | None = None
) -> dict[str, list[tuple[int, int]]]:
    """When positions are open, by pair.

    Args:
        timelines: the traders.
        end_ms: end of a position that stays open.
        from_ms: where given, ranges begin here at the earliest, and those that end before are left
            out: what a replay looks at that continues ledgers whose last update this was.

    Returns:
        {trade_pair_id: [(open, close), ...]} in ms, sorted; every pair that was ever traded.
    """
    found: dict[str, list[NDArray[np.int64]]] = {}
    for timeline in timelines:
        for pair, ranges in timeline.open_ranges(end_ms, from_ms):
            found.setdefault(pair, []).append(ranges)
    return {
        pair: sorted(map(tuple, np.concatenate(found[pair]).tolist())) for pair in sorted(found)
    }


def _size_steps(
    updates: Sequence[tuple[int, float]], smallest_usd: float
) -> list[tuple[int, float]]:
    """(time from which it counts, size): from the start of the UTC day after each update.

    The smallest before the first update, and at least (quirk 18).
    """
    steps: Mapping[int, float] = {
        update_ms - update_ms % DAY_MS + DAY_MS: max(size, smallest_usd)
        for update_ms, size in sorted(updates)
    }
    return [(-NEVER_MS, smallest_usd), *steps.items()]
