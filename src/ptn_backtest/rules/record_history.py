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
class _Series:
    """Every full day that a ledger ever had, and what each update sees of it.

    Attributes:
        returns: log return of each day.
        pnl: USD of each day.
        first: first day that is in the window after each update.
        last: the day after the last one that is over by then.
        mdd: lowest value / running peak of the checkpoints in the window.
        exists: whether the ledger had a record by then.
    """

    returns: Floats
    pnl: Floats
    first: list[int]
    last: list[int]
    mdd: list[float]
    exists: list[bool]

    def record(self, update: int) -> ClassRecord:
        """What an update sees; nothing before the first record."""
        if not self.exists[update]:
            return NO_RECORD
        days = slice(self.first[update], self.last[update])
        return ClassRecord(self.returns[days], self.pnl[days], self.mdd[update])


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
        if not self.reckless.any():
            return 0.0
        counts = (
            (self.close_ms <= t_ms)
            & (self.open_ms >= t_ms - rules.window_ms)
            & (self.close_ms - self.open_ms >= rules.min_duration_ms)
        )
        if not (counts & self.reckless).any():
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
        portfolio: the portfolio ledger; None where no update changed anything.
        classes: {asset class: class ledger} of the classes that it trades.
        n_before: updates that changed nothing, which come first.
        ended_ms: when the portfolio reached 0; from then on ledgers end at different records.
    """

    ledgers: LedgerHistory
    closed: ClosedPositions
    rules: ScoringRules
    portfolio: _Series | None
    classes: Mapping[TradePairCategory, _Series]
    n_before: int
    ended_ms: int | None

    def record(self, k: int, t_ms: int, account_size: float) -> Record | None:
        """The record after update k, which is at t; None without a ledger."""
        update = k - self.n_before
        ended = self.ended_ms is not None and self.ended_ms <= t_ms
        if self.portfolio is None or update < 0 or ended:
            return self._whole_record(k, t_ms, account_size)
        if not self.portfolio.exists[update]:
            return None
        whole = self.portfolio.record(update)
        return Record(
            mdd=whole.mdd,
            full_days=len(whole.returns),
            classes={
                category: self.classes[category].record(update)
                if category in self.classes
                else NO_RECORD
                for category in self.rules.asset_classes
            },
            risk=self.closed.risk_at(t_ms, self.rules.risk_profile),
            account_size=account_size,
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
    portfolio, classes = None, {}
    if PORTFOLIO in whole:
        portfolio = _series(ledgers, 0, whole[PORTFOLIO])
        for category in rules.asset_classes:
            places = [i for i, name in enumerate(ledgers.names) if _is_of(name, category)]
            if places:
                # value and drawdown of a class are those of the pair traded first (quirk 26)
                classes[category] = _series(ledgers, places[0], class_ledger(whole, category))
    return RecordHistory(
        ledgers=ledgers,
        closed=closed,
        rules=rules,
        portfolio=portfolio,
        classes=classes,
        n_before=len(ledgers) - ledgers.n_kept,
        ended_ms=ended_ms,
    )


def _is_of(name: str, category: TradePairCategory) -> bool:
    return name != PORTFOLIO and TradePair.from_trade_pair_id(name).category is category


def _series(ledgers: LedgerHistory, place: int, days_of: PerfLedger) -> _Series:
    """The days of a ledger, seen through the window of the ledger at a place."""
    dates, returns = daily_returns(days_of)
    begin_ms = dates.astype("datetime64[ms]").astype(np.int64)
    times_ms = np.array(ledgers.times_ms[len(ledgers) - ledgers.n_kept :], dtype=np.int64)
    # all ledgers of a trader share their window; the portfolio's is the oldest
    oldest_ms = start_ms(ledgers.cps[0])[ledgers.oldest(0)]
    first = np.searchsorted(begin_ms, oldest_ms)
    last = np.searchsorted(begin_ms, times_ms - DAY_MS, side="right")
    return _Series(
        returns=returns,
        pnl=daily_pnl(days_of)[1],
        first=first.tolist(),
        last=np.maximum(first, last).tolist(),
        mdd=ledgers.lowest_mdds(place).tolist(),
        exists=ledgers.exists(place).tolist(),
    )
