"""One trader's orders as a timeline: what is held from when, ready for the kernel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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
    """The timeline of one trader.

    Args:
        positions: all of one trader, at least one, in stored order.
        account_sizes: (update time in ms, USD); an update counts from the next UTC day.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
    """
    order, pairs = _ledger_order(positions)
    ordered = tuple(positions[i] for i in order)
    columns = position_columns(ordered, rulebook)
    columns.positions["stored"] = order
    rules = accounting_rules(rulebook, use_slippage)
    accounts = replay_orders(columns, rules)
    close_ms = _close_times(columns, accounts)
    stored = columns.positions["stored"]
    arrays = Timeline(
        columns=columns,
        accounts=accounts,
        rules=rules,
        events=_events(columns),
        sizes=np.array(_size_steps(account_sizes, rulebook.accounts.smallest_usd), dtype=SIZE),
        by_close=np.lexsort((stored, close_ms)),
        by_stored=np.argsort(stored),
    )
    return TraderTimeline(positions[0].miner_hotkey, pairs, ordered, arrays)


def _close_times(columns: PositionColumns, accounts: Accounts) -> Ints:
    """Time of each position's closing order, `NEVER_MS` where it stays open."""
    close = accounts.bounds["close"]
    return np.where(close >= 0, columns.orders["time_ms"][close], NEVER_MS)


def _events(columns: PositionColumns) -> Rows:
    counts = columns.positions["last"] - columns.positions["first"]
    events = np.zeros(len(columns.orders), dtype=EVENT)
    events["time_ms"] = columns.orders["time_ms"]
    events["position"] = np.repeat(np.arange(len(columns.positions)), counts)
    return events[np.argsort(events["time_ms"], kind="stable")]


def open_ranges(
    timelines: Iterable[TraderTimeline], end_ms: int
) -> dict[str, list[tuple[int, int]]]:
    """{trade_pair_id: [(open, close), ...]} in ms; a position that stays open ends at `end_ms`."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for timeline in timelines:
        (rows, orders), bounds = timeline.arrays.columns, timeline.arrays.accounts.bounds
        for i, position in enumerate(timeline.positions):
            close = bounds["close"][i]
            closed_ms = int(orders["time_ms"][close]) if close >= 0 else end_ms
            opened_ms = int(orders["time_ms"][rows["first"][i]])
            pair = position.trade_pair.trade_pair_id
            ranges.setdefault(pair, []).append((opened_ms, min(closed_ms, end_ms)))
    return {pair: sorted(ranges[pair]) for pair in sorted(ranges)}


def _ledger_order(positions: Sequence[Position]) -> tuple[list[int], tuple[TradePair, ...]]:
    opened = [position.orders[0].processed_ms for position in positions]
    first_trade: dict[str, tuple[int, int]] = {}
    for i, position in enumerate(positions):
        key = (opened[i], i)
        pair_id = position.trade_pair.trade_pair_id
        first_trade[pair_id] = min(key, first_trade.get(pair_id, key))
    order = sorted(
        range(len(positions)),
        key=lambda i: (first_trade[positions[i].trade_pair.trade_pair_id], opened[i], i),
    )
    pairs = dict.fromkeys(positions[i].trade_pair for i in order)
    return order, tuple(pairs)


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
