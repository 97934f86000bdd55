"""The records of all traders after each of several updates, from what their ledgers left behind.

The same as `record_of` on the ledgers of each update, without making them: a day's values never
change once the day is over, so an update sees a stretch of one series.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.daily import start_ms
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.closed_positions import ClosedPositions
from ptn_backtest.rules.day_table import DayTable, day_table
from ptn_backtest.rules.record import ClassRecord, record_of
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
    times, every = np.array(times_ms, dtype=np.int64), list(traders.values())
    shape = (len(times), len(every))
    exists, mdd, oldest_ms = np.zeros(shape, bool), np.ones(shape), np.zeros(shape, np.int64)
    risk, account_size = np.zeros(shape), np.zeros(shape)
    for i, (timeline, ledgers, closed, _) in enumerate(every):
        risk[:, i] = closed.risk.scores(times)
        account_size[:, i] = _sizes_at(timeline, times)
        if ledgers.n_kept:
            changed = slice(-ledgers.n_kept, None)
            exists[changed, i], mdd[changed, i] = ledgers.exists(0), ledgers.lowest_mdds(0)
            # all ledgers of a trader share their window; the portfolio's is the oldest
            starts_ms = np.append(start_ms(ledgers.cps[0]), 0)  # there may be none yet
            oldest_ms[changed, i] = starts_ms[ledgers.oldest(0)]
    window = _Window(every, oldest_ms, times)
    history = RecordHistory(
        hotkeys=tuple(traders),
        exists=exists,
        mdd=mdd,
        full_days=window.n_days(),
        risk=risk,
        account_size=account_size,
        classes={category: window.of(category) for category in rules.asset_classes},
    )
    return _with_whole_records(history, every, times, rules)


class _Window(NamedTuple):
    """What the updates see of days: `oldest_ms` is when their window begins (updates x traders)."""

    traders: Sequence[TraderHistory]
    oldest_ms: Ints
    times: Ints

    def n_days(self) -> Ints:
        """Days of the portfolio ledgers."""
        first, last = self._stretches(self._days([[0]] * len(self.traders)))
        return last - first

    def of(self, category: TradePairCategory) -> ClassRecords:
        """Days of the class ledgers."""
        ledgers = [one.ledgers for one in self.traders]
        names = {name for one in ledgers for name in one.names}
        mine = {name for name in names if _is_of(name, category)}
        places = [[i for i, name in enumerate(one.names) if name in mine] for one in ledgers]
        days = self._days(places)
        mdd = np.ones(self.oldest_ms.shape)
        for i, (one, own) in enumerate(zip(ledgers, places, strict=True)):
            if own:
                # value and drawdown of a class are those of the pair traded first (quirk 26)
                mdd[-one.n_kept :, i] = one.lowest_mdds(own[0])
        return ClassRecords(days.returns, days.pnl, *self._stretches(days), mdd)

    def _days(self, places: Sequence[Sequence[int]]) -> DayTable:
        """The days of these ledgers (by their places) of each trader."""
        return day_table(
            [
                (i, one.ledgers.cps[place])
                for i, (one, own) in enumerate(zip(self.traders, places, strict=True))
                for place in own[: len(one.ledgers.cps)]
            ]
        )

    def _stretches(self, days: DayTable) -> tuple[Ints, Ints]:
        """The first day in the window, and the one after the last that is over."""
        trader = np.arange(len(self.traders))
        first = days.place(trader, -(-self.oldest_ms // DAY_MS))
        return first, np.maximum(first, days.place(trader, (self.times // DAY_MS)[:, None]))


def _with_whole_records(
    history: RecordHistory, traders: Sequence[TraderHistory], times: Ints, rules: ScoringRules
) -> RecordHistory:
    """The history, with records made as a whole of updates that all see the same ledgers."""
    made = [
        (updates, i, record_of(ledgers, (), 0.0, 0, rules))
        for i, trader in enumerate(traders)
        for updates in _unchanging(trader, times)
        if PORTFOLIO in (ledgers := trader.ledgers.ledgers_after(updates.start))
    ]
    for updates, i, record in made:
        history.exists[updates, i] = True
        history.mdd[updates, i], history.full_days[updates, i] = record.mdd, record.full_days
    classes = {
        category: _with_days(one, [(k, i, record.classes[category]) for k, i, record in made])
        for category, one in history.classes.items()
    }
    return replace(history, classes=classes)


def _unchanging(trader: TraderHistory, times: Ints) -> Iterator[slice]:
    """The updates that were done before, and those after the portfolio reached 0."""
    n_updates, begin = len(times), len(times) - trader.ledgers.n_kept
    end = n_updates if trader.ended_ms is None else int(np.searchsorted(times, trader.ended_ms))
    for updates in (slice(0, begin), slice(max(begin, end), n_updates)):
        if updates.start < updates.stop:
            yield updates


def _with_days(
    records: ClassRecords, added: Sequence[tuple[slice, int, ClassRecord]]
) -> ClassRecords:
    """The records of one class, where some updates of some traders see other days."""
    n_days = len(records.returns)
    for updates, i, one in added:
        records.first[updates, i] = n_days
        n_days += len(one.returns)
        records.last[updates, i], records.mdd[updates, i] = n_days, one.mdd
    return replace(
        records,
        returns=np.concatenate([records.returns, *(one.returns for *_, one in added)]),
        pnl=np.concatenate([records.pnl, *(one.pnl for *_, one in added)]),
    )


def _is_of(name: str, category: TradePairCategory) -> bool:
    return name != PORTFOLIO and TradePair.from_trade_pair_id(name).category is category


def _sizes_at(timeline: TraderTimeline, times: Ints) -> Floats:
    """USD in force at each time."""
    sizes = timeline.arrays.sizes
    in_force: Floats = sizes["usd"][np.searchsorted(sizes["from_ms"], times, side="right") - 1]
    return in_force
