"""A trader's records after each of several updates, from what the ledgers left behind.

The same as `record_of` on the ledgers of each update, without making them: a day's values never
change once the day is over, so an update sees a stretch of one series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import Floats, daily_pnl, daily_returns, start_ms
from ptn_backtest.ledger.history import LedgerHistory
from ptn_backtest.rulebook.scoring_rules import RiskProfileRules, ScoringRules
from ptn_backtest.rules.class_ledgers import class_ledger
from ptn_backtest.rules.record import NO_RECORD, ClassRecord, Record, record_of
from ptn_backtest.rules.risk_profile import HeldPosition, is_reckless, position_weights
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Days:
    """Every full day that a ledger ever had."""

    begin_ms: Ints
    returns: Floats
    pnl: Floats

    def between(self, from_ms: int, to_ms: int) -> slice:
        """The days that begin at `from_ms` or later and are over at `to_ms`."""
        first, last = np.searchsorted(self.begin_ms, (from_ms, to_ms - DAY_MS + 1))
        return slice(int(first), max(int(first), int(last)))


@dataclass(frozen=True, slots=True)
class ClosedPositions:
    """A trader's closed positions in the order in which they were closed, as arrays.

    Attributes:
        held: the positions with their states.
        open_ms: when each was opened.
        close_ms: when it was closed, ascending.
        reckless: whether the risk profile flags it.
        log_weight: logarithm of its weight there.
    """

    held: tuple[HeldPosition, ...]
    open_ms: Ints
    close_ms: Ints
    reckless: NDArray[np.bool_]
    log_weight: Floats

    def risk_at(self, t_ms: int, rules: RiskProfileRules) -> float:
        """Risk score at a time; as `risk_profile.risk_score`."""
        counts = (
            (self.close_ms <= t_ms)
            & (self.open_ms >= t_ms - rules.window_ms)
            & (self.close_ms - self.open_ms >= rules.min_duration_ms)
        )
        flagged = counts & self.reckless
        if not flagged.any():
            return 0.0
        weights = position_weights(self.log_weight[counts])
        return float(weights[self.reckless[counts]].sum() / weights.sum())

    def first_close_ms(self, shortest_ms: int) -> int | None:
        """When the first position of at least this length was closed."""
        long = self.close_ms[self.close_ms - self.open_ms >= shortest_ms]
        return int(long[0]) if len(long) else None


def closed_positions(held: Sequence[HeldPosition], rules: ScoringRules) -> ClosedPositions:
    """The closed ones among a trader's positions."""
    closed = sorted((h for h in held if h.state.close_ms is not None), key=_close_ms)
    returns = np.array([h.state.return_at_close for h in closed], dtype=np.float64)
    profile = rules.risk_profile
    return ClosedPositions(
        held=tuple(closed),
        open_ms=np.array([h.position.open_ms for h in closed], dtype=np.int64),
        close_ms=np.array([_close_ms(h) for h in closed], dtype=np.int64),
        reckless=np.array([is_reckless(h.position, profile) for h in closed], dtype=bool),
        log_weight=profile.return_power * np.log(np.maximum(returns, np.finfo(np.float64).tiny)),
    )


def _close_ms(held: HeldPosition) -> int:
    return held.state.close_ms or 0


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """What scoring asks of a trader after each update of a schedule.

    Attributes:
        ledgers: after each update.
        closed: its closed positions.
        rules: which classes are scored, and what is reckless.
        portfolio: the days of the portfolio ledger.
        classes: {asset class: (place of the first pair's ledger, days of the class ledger)}.
        ended_ms: when the portfolio reached 0; from then on ledgers end at different records.
    """

    ledgers: LedgerHistory
    closed: ClosedPositions
    rules: ScoringRules
    portfolio: _Days
    classes: Mapping[TradePairCategory, tuple[int, _Days]]
    ended_ms: int | None

    def record(self, k: int, t_ms: int, account_size: float) -> Record | None:
        """The record after update k, which is at t; None without a ledger."""
        marks = self.ledgers.marks_after(k)
        if marks is None or (self.ended_ms is not None and self.ended_ms <= t_ms):
            return self._whole_record(k, t_ms, account_size)
        if not marks["used"][0]:
            return None
        oldest = self.ledgers.cps[0][marks["oldest"][0] : marks["oldest"][0] + 1]
        # with one checkpoint, the newest is the oldest: no day is over
        from_ms = int(start_ms(oldest)[0])
        days = self.portfolio.between(from_ms, t_ms)
        return Record(
            mdd=self.ledgers.mdd_after(k, 0),
            full_days=days.stop - days.start,
            classes={
                category: self._class_record(category, k, from_ms, t_ms)
                for category in self.rules.asset_classes
            },
            risk=self.closed.risk_at(t_ms, self.rules.risk_profile),
            account_size=account_size,
        )

    def _class_record(
        self, category: TradePairCategory, k: int, from_ms: int, t_ms: int
    ) -> ClassRecord:
        ledger, series = self.classes.get(category, (0, None))
        marks = self.ledgers.marks_after(k)
        if series is None or marks is None or not marks["used"][ledger]:
            return NO_RECORD
        days = series.between(from_ms, t_ms)
        return ClassRecord(
            series.returns[days], series.pnl[days], self.ledgers.mdd_after(k, ledger)
        )

    def _whole_record(self, k: int, t_ms: int, account_size: float) -> Record | None:
        ledgers = self.ledgers.ledgers_after(k)
        if PORTFOLIO not in ledgers:
            return None
        known = [held for held in self.closed.held if _close_ms(held) <= t_ms]
        return record_of(ledgers, known, account_size, t_ms, self.rules)


def record_history(
    ledgers: LedgerHistory, closed: ClosedPositions, rules: ScoringRules, ended_ms: int | None
) -> RecordHistory:
    """Records from the ledgers after each update of a schedule."""
    whole = ledgers.all_checkpoints()
    classes = {}
    for category in rules.asset_classes:
        places = [i for i, name in enumerate(ledgers.names) if _is_of(name, category)]
        if places:
            classes[category] = places[0], _days(class_ledger(whole, category))
    return RecordHistory(
        ledgers=ledgers,
        closed=closed,
        rules=rules,
        portfolio=_days(whole[PORTFOLIO]) if PORTFOLIO in whole else _NO_DAYS,
        classes=classes,
        ended_ms=ended_ms,
    )


def _is_of(name: str, category: TradePairCategory) -> bool:
    return name != PORTFOLIO and TradePair.from_trade_pair_id(name).category is category


def _days(ledger: PerfLedger) -> _Days:
    dates, returns = daily_returns(ledger)
    begin_ms = dates.astype("datetime64[ms]").astype(np.int64)
    return _Days(begin_ms, returns, daily_pnl(ledger)[1])


_NO_DAYS = _Days(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
