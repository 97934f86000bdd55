"""The records of all traders after each of several updates, from what their ledgers left behind.

The same as `record_of` on the ledgers of each update, without making them: a day's values never
change once the day is over, so an update sees a stretch of one series.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.book import LIQUIDATED, NONE_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.columns import LedgerColumns, lowest_mdds
from ptn_backtest.ledger.daily import start_ms
from ptn_backtest.ledger.state_columns import TraderLedgers
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.rulebook.scoring_rules import ScoringRules
from ptn_backtest.rules.closed_positions import ClosedPositions
from ptn_backtest.rules.day_table import DayTable, day_table
from ptn_backtest.rules.record import ClassRecord, record_of
from ptn_backtest.rules.records import ClassRecords, Records
from ptn_backtest.rules.risk_profile import Bools
from ptn_backtest.trade_pairs import TradePairCategory


class TraderHistories(NamedTuple):
    """Traders after each update of a schedule.

    Attributes:
        timelines: their orders.
        columns: their ledgers, with what each update left.
        closed: their closed positions.
    """

    timelines: Sequence[TraderTimeline]
    columns: LedgerColumns
    closed: Sequence[ClosedPositions]


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
    parts: Sequence[TraderHistories], times_ms: Sequence[int], rules: ScoringRules
) -> RecordHistory:
    """Records from the ledgers after each update of a schedule.

    Args:
        parts: the traders, each with what each of these updates left.
        times_ms: the update times, ascending.
        rules: which classes are scored, and what is reckless.
    """
    times = np.array(times_ms, dtype=np.int64)
    return _side_by_side([_records_of(part, times, rules) for part in parts], times, rules)


def _records_of(part: TraderHistories, times: Ints, rules: ScoringRules) -> RecordHistory:
    window = _Window(part, times)
    portfolios, shape = window.portfolios, (len(times), len(part.timelines))
    history = RecordHistory(
        hotkeys=tuple(timeline.miner_hotkey for timeline in part.timelines),
        exists=part.columns.marks["used"][portfolios].T > 0,
        mdd=lowest_mdds(part.columns, portfolios).T,
        full_days=window.n_days(),
        risk=_by_trader(shape, [closed.risk.scores(times) for closed in part.closed]),
        account_size=_by_trader(shape, [_sizes_at(one, times) for one in part.timelines]),
        classes={category: window.of(category) for category in rules.asset_classes},
    )
    return _with_whole_records(history, part, times, rules)


def _by_trader(shape: tuple[int, int], rows: Sequence[Floats]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(shape[::-1]).T


class _Window:
    """What the updates see of days: `oldest_ms` is when their window begins (updates x traders)."""

    def __init__(self, part: TraderHistories, times: Ints) -> None:
        self.timelines, self.columns, self.times = part.timelines, part.columns, times
        begins = part.columns.begins["ledger"]
        self.portfolios = begins[:-1]
        self.trader = np.repeat(np.arange(len(part.timelines)), np.diff(begins))
        # all ledgers of a trader share their window; the portfolio's is the oldest
        starts_ms = np.append(start_ms(part.columns.cps), 0)  # there may be none yet
        first = part.columns.cps_begin[self.portfolios][:, None]
        self.oldest_ms = starts_ms[first + part.columns.marks["oldest"][self.portfolios]].T

    def n_days(self) -> Ints:
        """Days of the portfolio ledgers."""
        first, last = self._stretches(self._days(self.portfolios))
        return last - first

    def of(self, category: TradePairCategory) -> ClassRecords:
        """Days of the class ledgers."""
        ledgers = self._ledgers_of(category)
        days = self._days(ledgers)
        mdd = np.ones(self.oldest_ms.shape)
        # value and drawdown of a class are those of the pair traded first (quirk 26)
        traders, leading = np.unique(self.trader[ledgers], return_index=True)
        mdd[:, traders] = lowest_mdds(self.columns, ledgers[leading]).T
        return ClassRecords(days.returns, days.pnl, *self._stretches(days), mdd)

    def _ledgers_of(self, category: TradePairCategory) -> Ints:
        """Places of the ledgers of this class that have a checkpoint."""
        if len(self.trader) == len(self.portfolios):  # none by pair
            return self.portfolios[:0]
        pairs = [pair.category is category for one in self.timelines for pair in one.pairs]
        is_pair = np.ones(len(self.trader), dtype=np.bool_)
        is_pair[self.portfolios] = False
        ledgers = np.flatnonzero(is_pair)[np.array(pairs, dtype=np.bool_)]
        return ledgers[self.columns.ledgers["used"][ledgers] > 0]

    def _days(self, ledgers: Ints) -> DayTable:
        """The days of these ledgers, by trader."""
        begins, ends = self.columns.cps_begin[ledgers], self.columns.cps_end[ledgers]
        bounds = zip(begins.tolist(), ends.tolist(), strict=True)
        cps = [self.columns.cps[begin:end] for begin, end in bounds]
        return day_table(list(zip(self.trader[ledgers].tolist(), cps, strict=True)))

    def _stretches(self, days: DayTable) -> tuple[Ints, Ints]:
        """The first day in the window, and the one after the last that is over."""
        trader = np.arange(len(self.timelines))
        first = days.place(trader, -(-self.oldest_ms // DAY_MS))
        return first, np.maximum(first, days.place(trader, (self.times // DAY_MS)[:, None]))


def _with_whole_records(
    history: RecordHistory, part: TraderHistories, times: Ints, rules: ScoringRules
) -> RecordHistory:
    """The history, with records made as a whole of updates after a portfolio reached 0.

    From then on the ledgers of a trader end at different records.
    """
    made = []
    for i in np.flatnonzero(part.columns.clock[:, LIQUIDATED] != NONE_MS).tolist():
        begin = int(np.searchsorted(times, part.columns.clock[i, LIQUIDATED]))
        if begin < len(times):
            trader = TraderLedgers(part.columns, i, part.timelines[i])
            ledgers = trader.history(times.tolist()).ledgers_after(begin)
            if PORTFOLIO in ledgers:
                updates = slice(begin, len(times))
                made.append((updates, i, record_of(ledgers, (), 0.0, 0, rules)))
    for updates, i, record in made:
        history.exists[updates, i] = True
        history.mdd[updates, i], history.full_days[updates, i] = record.mdd, record.full_days
    classes = {
        category: _with_days(one, [(k, i, record.classes[category]) for k, i, record in made])
        for category, one in history.classes.items()
    }
    return replace(history, classes=classes)


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


def _side_by_side(
    parts: Sequence[RecordHistory], times: Ints, rules: ScoringRules
) -> RecordHistory:
    """The traders of all parts, one part after the other."""

    def beside(kind: type, arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([np.zeros((len(times), 0), kind), *arrays], axis=1)

    def of_class(classes: Sequence[ClassRecords]) -> ClassRecords:
        ends = np.cumsum([0, *(len(one.returns) for one in classes)]).tolist()
        return ClassRecords(
            returns=np.concatenate([np.zeros(0), *(one.returns for one in classes)]),
            pnl=np.concatenate([np.zeros(0), *(one.pnl for one in classes)]),
            first=beside(np.int64, map(np.add, (one.first for one in classes), ends)),
            last=beside(np.int64, map(np.add, (one.last for one in classes), ends)),
            mdd=beside(np.float64, (one.mdd for one in classes)),
        )

    return RecordHistory(
        hotkeys=tuple(hotkey for part in parts for hotkey in part.hotkeys),
        exists=beside(np.bool_, (part.exists for part in parts)),
        mdd=beside(np.float64, (part.mdd for part in parts)),
        full_days=beside(np.int64, (part.full_days for part in parts)),
        risk=beside(np.float64, (part.risk for part in parts)),
        account_size=beside(np.float64, (part.account_size for part in parts)),
        classes={
            category: of_class([part.classes[category] for part in parts])
            for category in rules.asset_classes
        },
    )


def _sizes_at(timeline: TraderTimeline, times: Ints) -> Floats:
    """USD in force at each time."""
    sizes = timeline.arrays.sizes
    in_force: Floats = sizes["usd"][np.searchsorted(sizes["from_ms"], times, side="right") - 1]
    return in_force
