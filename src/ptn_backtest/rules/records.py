"""The records of several traders at one time, as arrays: what scoring works on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.rules.formulas import Series, series
from ptn_backtest.rules.record import Record
from ptn_backtest.rules.risk_profile import Bools
from ptn_backtest.trade_pairs import TradePairCategory


@dataclass(frozen=True, slots=True)
class ClassRecords:
    """One asset class.

    Attributes:
        returns: log returns of full days, oldest first; of several traders, one after the other.
        pnl: USD of the same days.
        first: each trader's first day therein.
        last: the day after its last one.
        mdd: lowest value / running peak of each class ledger.
    """

    returns: Floats
    pnl: Floats
    first: Ints
    last: Ints
    mdd: Floats

    @property
    def n_days(self) -> Ints:
        """Full days of each trader."""
        return self.last - self.first

    def take(self, places: Ints | tuple[int, Ints]) -> "ClassRecords":
        """The records of some traders; of one update, where there are several."""
        first, last, mdd = self.first[places], self.last[places], self.mdd[places]
        return ClassRecords(self.returns, self.pnl, first, last, mdd)

    def series(self) -> tuple[Series, Series]:
        """Returns and PnL."""
        returns, pnl = series((self.returns, self.pnl), self.first, self.last)
        return returns, pnl


@dataclass(frozen=True)
class Records:
    """Several traders; arrays in the order of `hotkeys`, see `Record`."""

    hotkeys: tuple[str, ...]
    mdd: Floats
    full_days: Ints
    risk: Floats
    account_size: Floats
    classes: Mapping[TradePairCategory, ClassRecords]

    @cached_property
    def places(self) -> Mapping[str, int]:
        """{hotkey: its place in the arrays}."""
        return {hotkey: place for place, hotkey in enumerate(self.hotkeys)}

    @property
    def longest(self) -> list[int]:
        """Most full days of any trader, by class."""
        return [int(one.n_days.max(initial=0)) for one in self.classes.values()]

    def whose(self, chosen: Bools) -> list[str]:
        """Hotkeys of the traders for whom an array in their order says yes."""
        return [self.hotkeys[place] for place in np.flatnonzero(chosen).tolist()]

    def of(self, hotkeys: Iterable[str]) -> "Records":
        """The records of some traders, in their order; without those who have none."""
        among = self.places
        known = [hotkey for hotkey in hotkeys if hotkey in among]
        places = np.array([among[hotkey] for hotkey in known], dtype=np.int64)
        return Records(
            hotkeys=tuple(known),
            mdd=self.mdd[places],
            full_days=self.full_days[places],
            risk=self.risk[places],
            account_size=self.account_size[places],
            classes={category: one.take(places) for category, one in self.classes.items()},
        )


def side_by_side(records: Mapping[str, Record], categories: Iterable[TradePairCategory]) -> Records:
    """The records of several traders as arrays.

    Args:
        records: {hotkey: its record}.
        categories: the classes that are scored.
    """
    every = list(records.values())
    return Records(
        hotkeys=tuple(records),
        mdd=np.array([one.mdd for one in every], dtype=np.float64),
        full_days=np.array([one.full_days for one in every], dtype=np.int64),
        risk=np.array([one.risk for one in every], dtype=np.float64),
        account_size=np.array([one.account_size for one in every], dtype=np.float64),
        classes={category: _class_records(every, category) for category in categories},
    )


def _class_records(records: list[Record], category: TradePairCategory) -> ClassRecords:
    own = [record.classes[category] for record in records]
    last = np.cumsum([len(one.returns) for one in own], dtype=np.int64)
    return ClassRecords(
        returns=np.concatenate([np.zeros(0), *(one.returns for one in own)]),
        pnl=np.concatenate([np.zeros(0), *(one.pnl for one in own)]),
        first=np.append(0, last)[:-1],
        last=last,
        mdd=np.array([one.mdd for one in own], dtype=np.float64),
    )
