"""A trader's state and history out of columns, where somebody looks at it, and a state as columns."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ptn_backtest.clock import format_time
from ptn_backtest.errors import LedgerError
from ptn_backtest.ledger.book import CURSOR, DRAWDOWN, LAST_UPDATE, LIQUIDATED, LIQUIDATION, NONE_MS
from ptn_backtest.ledger.books import new_books
from ptn_backtest.ledger.breach import Breach, HeldAtBreach
from ptn_backtest.ledger.checkpoint import (
    PORTFOLIO,
    LastKnownPrices,
    PerfLedger,
    copied,
    words,
)
from ptn_backtest.ledger.columns import LedgerColumns, columns_of
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.state import NEW, LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.ledger.timelines import joined
from ptn_backtest.positions.columns import Rows


class TraderLedgers(NamedTuple):
    """One trader in columns.

    Attributes:
        columns: of several traders.
        place: of this one among them.
        timeline: its orders.
    """

    columns: LedgerColumns
    place: int
    timeline: TraderTimeline

    @property
    def names(self) -> tuple[str, ...]:
        """Of its ledgers, in their order."""
        mine = self.of("ledger")
        return _names(self.timeline)[: mine.stop - mine.start]

    def of(self, what: str) -> slice:
        """Where its rows are: "ledger", "pair" or "position"."""
        begin, end = self.columns.begins[what][self.place : self.place + 2].tolist()
        return slice(begin, end)

    def state(self) -> LedgerState:
        """After the last update."""
        clock = self.columns.clock[self.place]
        if clock[LAST_UPDATE] == NONE_MS:
            return NEW
        return LedgerState(
            ledgers=self._ledgers(),
            carry_cache=self._carry_cache(),
            last_update_ms=int(clock[LAST_UPDATE]),
            orders_seen=int(clock[CURSOR]),
            breach=self.loss(DRAWDOWN),
            liquidation=self.loss(LIQUIDATION),
        )

    def history(self, times_ms: Sequence[int]) -> LedgerHistory:
        """The ledgers after each of the updates, whose times these are."""
        columns, mine = self.columns, self.of("ledger")
        begins, ends = columns.cps_begin[mine].tolist(), columns.cps_end[mine].tolist()
        return LedgerHistory(
            times_ms=tuple(times_ms),
            names=self.names,
            cps=tuple(columns.cps[i:j] for i, j in zip(begins, ends, strict=True)),
            newest=columns.newest[mine],
            marks=columns.marks[mine],
            init_ms=tuple(columns.ledgers["init_ms"][mine].tolist()),
            window_ms=self._window_ms,
        )

    def loss(self, which: int) -> Breach | None:
        """The record at which the drawdown reached its limit, or the value 0 (`DRAWDOWN`, ...)."""
        loss = self.columns.losses[self.place, which]
        if loss["time_ms"] == NONE_MS:
            return None
        held = self.columns.held[self.of("position"), which]
        return Breach(
            time_ms=int(loss["time_ms"]),
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
                for row, position in zip(held, self.timeline.positions, strict=True)
                if row["open"]
            ),
        )

    @property
    def _window_ms(self) -> int:
        return int(self.columns.losses["window_ms"][self.place, 0])

    def _ledgers(self) -> dict[str, PerfLedger]:
        columns, mine = self.columns, self.of("ledger")
        rows = columns.ledgers[mine][["oldest", "used", "init_ms", "peak"]].tolist()
        ledgers = {}
        for name, row, begin in zip(
            self.names, rows, columns.cps_begin[mine].tolist(), strict=True
        ):
            oldest, used, init_ms, peak = row
            if used > 0:
                ledgers[name] = PerfLedger(
                    initialization_time_ms=init_ms,
                    max_return=peak,
                    # a copy, so that a state does not hold on to the columns of all traders
                    cps=copied(columns.cps[begin + oldest : begin + used]),
                    last_known_prices=self._last_known_prices() if name == PORTFOLIO else {},
                    target_ledger_window_ms=self._window_ms,
                )
        return ledgers

    def _last_known_prices(self) -> LastKnownPrices:
        prices: LastKnownPrices = {}
        rows = self.columns.pairs[self.of("pair")]
        for row, pair in zip(rows, self.timeline.pairs, strict=True):
            if row["price_ms"] != NONE_MS:
                prices[pair.trade_pair_id] = (float(row["price"]), int(row["price_ms"]))
            if row["before_ms"] != NONE_MS:
                prices[f"{pair.trade_pair_id}_prev"] = (float(row["before"]), int(row["before_ms"]))
        return prices

    def _carry_cache(self) -> dict[str, tuple[float, int]]:
        rows = self.columns.holdings[self.of("position")]
        asked = np.flatnonzero(rows["carry_until_ms"] != NONE_MS)
        entries = (rows[name][asked].tolist() for name in ("carry", "carry_until_ms"))
        uuids = [self.timeline.positions[i].position_uuid for i in asked.tolist()]
        return dict(zip(uuids, zip(*entries, strict=True), strict=True))


def state_columns(state: LedgerState, timeline: TraderTimeline) -> LedgerColumns:
    """A state as columns of one trader, to go on from; it has to have had an update.

    Raises:
        LedgerError: the timeline has other orders before the last update than the state saw.
    """
    events, last_ms = timeline.arrays.events, state.last_update_ms or NONE_MS
    seen = int(np.searchsorted(events["time_ms"], last_ms, side="right"))
    if seen != state.orders_seen:
        raise LedgerError(
            f"trader {timeline.miner_hotkey}: {seen} orders up to {format_time(last_ms)}, "
            f"but the state was built from {state.orders_seen}; build its ledgers anew"
        )
    ledgers = state.ledgers
    books = new_books(
        joined([timeline]),
        np.zeros(1, dtype=np.int64),
        portfolio_only=False,
        capacity=max((len(ledger.cps) for ledger in ledgers.values()), default=0),
        n_kept=0,
        drawdown_limit=0.0,
        window_ms=ledgers[PORTFOLIO].target_ledger_window_ms if ledgers else 0,
    )
    rows = books.rows
    rows.clock[0, [LAST_UPDATE, CURSOR]] = last_ms, seen
    for i, name in enumerate(_names(timeline)):
        if name in ledgers:
            ledger = ledgers[name]
            words(rows.cps)[i, : len(ledger.cps)] = words(ledger.cps)
            rows.ledgers["used"][i] = len(ledger.cps)
            rows.ledgers["init_ms"][i] = ledger.initialization_time_ms
            rows.ledgers["peak"][i] = ledger.max_return
    _take_prices(rows.pairs, ledgers[PORTFOLIO].last_known_prices if ledgers else {}, timeline)
    for i, position in enumerate(timeline.positions):
        if position.position_uuid in state.carry_cache:
            entry = state.carry_cache[position.position_uuid]
            rows.holdings["carry"][i], rows.holdings["carry_until_ms"][i] = entry
    for which, breach in ((DRAWDOWN, state.breach), (LIQUIDATION, state.liquidation)):
        if breach:
            _take_loss(rows.losses[0, which], rows.held[:, which], breach, timeline)
    rows.clock[0, LIQUIDATED] = rows.losses["time_ms"][0, LIQUIDATION]
    return columns_of(books)


def _names(timeline: TraderTimeline) -> tuple[str, ...]:
    """Of all ledgers that a trader may have, in their order."""
    return (PORTFOLIO, *(pair.trade_pair_id for pair in timeline.pairs))


def _take_prices(rows: Rows, prices: LastKnownPrices, timeline: TraderTimeline) -> None:
    for row, pair in zip(rows, timeline.pairs, strict=True):
        if pair.trade_pair_id in prices:
            row["price"], row["price_ms"] = prices[pair.trade_pair_id]
        if f"{pair.trade_pair_id}_prev" in prices:
            row["before"], row["before_ms"] = prices[f"{pair.trade_pair_id}_prev"]


def _take_loss(loss: Rows, held: Rows, breach: Breach, timeline: TraderTimeline) -> None:
    loss["time_ms"], loss["value"], loss["peak"] = breach.time_ms, breach.value, breach.peak
    known = {one.position_uuid: one for one in breach.positions}
    for row, position in zip(held, timeline.positions, strict=True):
        one = known.get(position.position_uuid)
        if one is not None:
            at_ms = NONE_MS if one.candle_ms is None else one.candle_ms
            row["open"], row["leverage"], row["price"] = True, one.leverage, one.price
            row["price_ms"], row["value"] = at_ms, one.return_at_close
