"""The timelines of many traders, one after the other, for compiled code to go through."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.compiled import inlined
from ptn_backtest.ledger.timeline import Timeline, TraderTimeline
from ptn_backtest.positions.accounting import Accounts
from ptn_backtest.positions.columns import Ints, PositionColumns, Rows
from ptn_backtest.positions.recorded_orders import joined_rows

SPAN = np.dtype(
    [("pair", np.int64), ("position", np.int64), ("order", np.int64), ("size", np.int64)]
)
"""Where a trader's pairs, positions, orders and account sizes begin."""


class Timelines(NamedTuple):
    """The timelines of several traders.

    `begins`: a SPAN for each trader, and one for the end; pairs have no array here. `rows`: a `Timeline`
    whose arrays hold those of one trader after the other. Indices in them are counted from a trader's
    own first row.
    """

    begins: Rows
    rows: Timeline


class Traders:
    """All traders of a replay, by hotkey: their places are those that batches and columns tell.

    Attributes:
        timelines: {hotkey: orders}.
        hotkeys: ascending.
        places: {hotkey: its place}.
    """

    def __init__(self, timelines: Mapping[str, TraderTimeline]) -> None:
        """In any order."""
        self.timelines = {hotkey: timelines[hotkey] for hotkey in sorted(timelines)}
        self.hotkeys = tuple(self.timelines)
        self.places = {hotkey: place for place, hotkey in enumerate(self.hotkeys)}

    @cached_property
    def joined(self) -> Timelines:
        """All orders."""
        return joined(list(self.timelines.values()))

    @cached_property
    def trade_pair_ids(self) -> frozenset[str]:
        """The pairs that anybody has orders in."""
        timelines = self.timelines.values()
        return frozenset(pair.trade_pair_id for timeline in timelines for pair in timeline.pairs)

    def hotkeys_at(self, places: Ints) -> list[str]:
        """The hotkeys of some traders."""
        return [self.hotkeys[place] for place in places.tolist()]

    def timelines_at(self, places: Ints) -> list[TraderTimeline]:
        """The orders of some traders."""
        return [self.timelines[hotkey] for hotkey in self.hotkeys_at(places)]

    def places_of(self, hotkeys: Iterable[str]) -> Ints:
        """The places of some traders."""
        return np.array([self.places[hotkey] for hotkey in hotkeys], dtype=np.int64)


def joined(traders: Sequence[TraderTimeline]) -> Timelines:
    """The timelines of these traders, at least one, in this order."""
    parts = [trader.arrays for trader in traders]
    begins = np.zeros(len(parts) + 1, dtype=SPAN)
    begins["pair"][1:] = np.cumsum([len(trader.pairs) for trader in traders])
    begins["position"][1:] = np.cumsum([len(part.by_stored) for part in parts])
    begins["order"][1:] = np.cumsum([len(part.events) for part in parts])
    begins["size"][1:] = np.cumsum([len(part.sizes) for part in parts])

    def of_all(array: Callable[[Timeline], NDArray[Any]]) -> NDArray[Any]:
        every = [array(part) for part in parts]
        return joined_rows(every, every[0].dtype)

    rows = Timeline(
        columns=PositionColumns(
            of_all(lambda part: part.columns.positions), of_all(lambda part: part.columns.orders)
        ),
        accounts=Accounts(
            of_all(lambda part: part.accounts.after), of_all(lambda part: part.accounts.bounds)
        ),
        rules=parts[0].rules,
        events=of_all(lambda part: part.events),
        sizes=of_all(lambda part: part.sizes),
        by_close=of_all(lambda part: part.by_close),
        by_stored=of_all(lambda part: part.by_stored),
    )
    return Timelines(begins, rows)


@inlined
def timeline_of(timelines: Timelines, trader: int) -> Timeline:
    """The timeline of the trader at a place."""
    begin, end = timelines.begins[trader], timelines.begins[trader + 1]
    rows, columns, accounts = timelines.rows, timelines.rows.columns, timelines.rows.accounts
    return Timeline(
        PositionColumns(
            columns.positions[begin.position : end.position],
            columns.orders[begin.order : end.order],
        ),
        Accounts(
            accounts.after[begin.order : end.order],
            accounts.bounds[begin.position : end.position],
        ),
        rows.rules,
        rows.events[begin.order : end.order],
        rows.sizes[begin.size : end.size],
        rows.by_close[begin.position : end.position],
        rows.by_stored[begin.position : end.position],
    )
