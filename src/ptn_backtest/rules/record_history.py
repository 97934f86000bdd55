"""The records of all traders after each of several updates, from what their ledgers left behind.

The same as `record_of` on the ledgers of each update, without making them: a day's values never
change once the day is over, so an update sees a stretch of one series.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.daily import Dates, daily_values, start_ms
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.class_ledgers import class_ledger
from ptn_backtest.rules.closed_positions import ClosedPositions
from ptn_backtest.rules.record import record_of
from ptn_backtest.rules.records import ClassRecords, Records
from ptn_backtest.rules.risk_profile import Bools
from ptn_backtest.trade_pairs import TradePair, TradePairCategory


class TraderHistory(NamedTuple):
    """A trader after each update of a schedule.

    Attributes:
        timeline: its orders.
        ledgers: its ledgers after each update.
        closed: its closed positions.
        ended_ms: when its portfolio reached 0; from then on ledgers end at different records.
    """

    timeline: TraderTimeline
    ledgers: LedgerHistory
    closed: ClosedPositions
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """What scoring asks of all traders after each update; arrays are updates x traders.

    Attributes:
        hotkeys: the traders.
        exists: whether a trader had a ledger by then.
        mdd: lowest value / running peak of its portfolio ledger.
        full_days: full days of it.
        risk: risk score of its positions, 0 to 1.
        account_size: USD, in force then.
        classes: by asset class that is scored.
    """

    hotkeys: tuple[str, ...]
    exists: Bools
    mdd: Floats
    full_days: Ints
    risk: Floats
    account_size: Floats
    classes: Mapping[TradePairCategory, ClassRecords]

    def after(self, k: int) -> Records:
        """The records after update k, of the traders that have one."""
        there = np.flatnonzero(self.exists[k])
        return Records(
            hotkeys=tuple(self.hotkeys[i] for i in there.tolist()),
            mdd=self.mdd[k, there],
            full_days=self.full_days[k, there],
            risk=self.risk[k, there],
            account_size=self.account_size[k, there],
            classes={category: one.take((k, there)) for category, one in self.classes.items()},
        )


def record_history(
    traders: Mapping[str, TraderHistory], times_ms: Sequence[int], rules: ScoringRules
) -> RecordHistory:
    """Records from the ledgers after each update of a schedule.

    Args:
        traders: {hotkey: trader}, each with a history of all these updates.
        times_ms: the update times, ascending.
        rules: which classes are scored, and what is reckless.
    """
    times = np.array(times_ms, dtype=np.int64)
    shape = (len(times), len(traders))
    exists, mdd, full_days = np.zeros(shape, bool), np.ones(shape), np.zeros(shape, np.int64)
    risk, account_size = np.zeros(shape), np.zeros(shape)
    classes = {category: _ClassDays(shape) for category in rules.asset_classes}
    for i, trader in enumerate(traders.values()):
        risk[:, i] = trader.closed.risks(times, rules.risk_profile)
        account_size[:, i] = _sizes_at(trader.timeline, times)
        for seen in _seen(trader, times, rules):
            exists[seen.updates, i] = seen.exists
            mdd[seen.updates, i], full_days[seen.updates, i] = seen.mdd, seen.full_days
            for category, own in seen.classes.items():
                classes[category].add(own, seen.updates, i)
    return RecordHistory(
        hotkeys=tuple(traders),
        exists=exists,
        mdd=mdd,
        full_days=full_days,
        risk=risk,
        account_size=account_size,
        classes={category: days.records() for category, days in classes.items()},
    )


class _Seen(NamedTuple):
    """What some updates see of one trader: arrays by update, or one value for all of them."""

    updates: slice
    exists: Bools | bool
    mdd: Floats | float
    full_days: Ints | int
    classes: Mapping[TradePairCategory, "_SeenClass"]


class _SeenClass(NamedTuple):
    """The days of a class ledger, and which of them the updates see: `first` to before `last`."""

    returns: Floats
    pnl: Floats
    first: Ints | int
    last: Ints | int
    mdd: Floats | float


class _ClassDays:
    """One asset class of all traders, in the making."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._first, self._last = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._mdd = np.ones(shape)
        self._returns, self._pnl = [np.zeros(0)], [np.zeros(0)]
        self._n_days = 0

    def add(self, seen: _SeenClass, updates: slice, trader: int) -> None:
        """Add what some updates see of a trader."""
        self._first[updates, trader] = self._n_days + seen.first
        self._last[updates, trader] = self._n_days + seen.last
        self._mdd[updates, trader] = seen.mdd
        self._returns.append(seen.returns)
        self._pnl.append(seen.pnl)
        self._n_days += len(seen.returns)

    def records(self) -> ClassRecords:
        """Everything that was added."""
        returns, pnl = np.concatenate(self._returns), np.concatenate(self._pnl)
        return ClassRecords(returns, pnl, self._first, self._last, self._mdd)


def _seen(trader: TraderHistory, times: Ints, rules: ScoringRules) -> Iterator[_Seen]:
    """Updates before anything changed, those that went on, and those after the end."""
    ledgers, n_updates = trader.ledgers, len(times)
    begin = n_updates - ledgers.n_kept
    end = n_updates if trader.ended_ms is None else int(np.searchsorted(times, trader.ended_ms))
    yield from _alike(ledgers, slice(0, begin), rules)
    yield from _growing(ledgers, slice(begin, n_updates), times, rules)
    yield from _alike(ledgers, slice(max(begin, end), n_updates), rules)


def _growing(
    ledgers: LedgerHistory, updates: slice, times: Ints, rules: ScoringRules
) -> Iterator[_Seen]:
    """Updates that each see a stretch of the same days."""
    whole = ledgers.all_checkpoints()
    if PORTFOLIO not in whole:
        return
    # all ledgers of a trader share their window; the portfolio's is the oldest
    oldest_ms = start_ms(ledgers.cps[0])[ledgers.oldest(0)]
    newest_ms = times[updates] - DAY_MS

    def stretch(dates: Dates) -> tuple[Ints, Ints]:
        begin_ms = dates.astype("datetime64[ms]").astype(np.int64)
        first = np.searchsorted(begin_ms, oldest_ms)
        return first, np.maximum(first, np.searchsorted(begin_ms, newest_ms, side="right"))

    classes = {}
    for category in rules.asset_classes:
        places = [i for i, name in enumerate(ledgers.names) if _is_of(name, category)]
        if places:
            dates, returns, pnl = daily_values(class_ledger(whole, category))
            # value and drawdown of a class are those of the pair traded first (quirk 26)
            mdd = ledgers.lowest_mdds(places[0])
            classes[category] = _SeenClass(returns, pnl, *stretch(dates), mdd)
    first, last = stretch(daily_values(whole[PORTFOLIO])[0])
    yield _Seen(updates, ledgers.exists(0), ledgers.lowest_mdds(0), last - first, classes)


def _alike(ledgers: LedgerHistory, updates: slice, rules: ScoringRules) -> Iterator[_Seen]:
    """Updates that all see the same ledgers."""
    if updates.start == updates.stop:
        return
    whole = ledgers.ledgers_after(updates.start)
    if PORTFOLIO not in whole:
        return
    record = record_of(whole, (), 0.0, 0, rules)
    classes = {
        category: _SeenClass(one.returns, one.pnl, 0, len(one.returns), one.mdd)
        for category, one in record.classes.items()
    }
    yield _Seen(updates, True, record.mdd, record.full_days, classes)


def _is_of(name: str, category: TradePairCategory) -> bool:
    return name != PORTFOLIO and TradePair.from_trade_pair_id(name).category is category


def _sizes_at(timeline: TraderTimeline, times: Ints) -> Floats:
    """USD in force at each time."""
    sizes = timeline.arrays.sizes
    in_force: Floats = sizes["usd"][np.searchsorted(sizes["from_ms"], times, side="right") - 1]
    return in_force
