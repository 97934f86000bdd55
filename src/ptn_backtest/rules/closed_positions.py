"""Closed positions of many traders as arrays: who has a long enough one, and how reckless they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.columns import Floats, Ints
from ptn_backtest.rulebook.scoring_rules import RiskProfileRules
from ptn_backtest.rules.risk_profile import (
    Bools,
    OrderGroups,
    flagged_share,
    log_weights,
    reckless,
)


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """A trader's closed positions that may count, in the order in which they were closed.

    Attributes:
        open_ms: when each was opened.
        close_ms: when it was closed, ascending.
        flagged: whether it is reckless.
        logs: logarithm of its weight.
        window_ms: a position counts that was opened within this time.
    """

    open_ms: Ints
    close_ms: Ints
    flagged: Bools
    logs: Floats
    window_ms: int

    def scores(self, times_ms: Ints) -> Floats:
        """Risk score at each of some ascending times; as `risk_profile.risk_score`."""
        scores = np.zeros(len(times_ms))
        if not self.flagged.any():
            return scores
        since_ms = times_ms - self.window_ms
        n_closed = self.close_ms.searchsorted(times_ms, side="right")
        n_too_old = np.sort(self.open_ms).searchsorted(since_ms)
        # both only grow, and the score only changes when one of them does
        changes = np.flatnonzero(np.diff(n_closed + n_too_old, prepend=-1))
        for k in changes.tolist():
            counts: Ints | slice = slice(0, n_closed[k])
            if n_too_old[k]:
                counts = np.flatnonzero(self.open_ms[counts] >= since_ms[k])
            scores[k:] = flagged_share(self.flagged[counts], self.logs[counts])
        return scores


@dataclass(frozen=True, slots=True)
class ClosedPositions:
    """A trader's closed positions in the order in which they were closed.

    Attributes:
        close_ms: when each was closed, ascending.
        lasted_ms: how long it was open.
        risk: what the risk profile makes of them.
    """

    close_ms: Ints
    lasted_ms: Ints
    risk: RiskProfile
    _first_close_ms: dict[int, int | None] = field(default_factory=dict, repr=False)

    def first_close_ms(self, shortest_ms: int) -> int | None:
        """When the first position of at least this length was closed."""
        known = self._first_close_ms
        if shortest_ms not in known:
            long = self.close_ms[self.lasted_ms >= shortest_ms]
            known[shortest_ms] = int(long[0]) if len(long) else None
        return known[shortest_ms]


def closed_positions(
    timelines: Sequence[TraderTimeline], rules: RiskProfileRules
) -> Iterator[ClosedPositions]:
    """The closed ones among the positions of each trader."""
    if not timelines:
        return
    closed = [_by_close(timeline) for timeline in timelines]
    ends = np.cumsum([len(which) for which in closed], dtype=np.int64)
    flagged = np.split(_reckless(timelines, closed, rules), ends[:-1])
    for timeline, which, reckless_ones in zip(timelines, closed, flagged, strict=True):
        columns, accounts = timeline.arrays.columns, timeline.arrays.accounts
        close_ms = columns.orders["time_ms"][accounts.bounds["close"][which]]
        open_ms = np.array([one.open_ms for one in timeline.positions], dtype=np.int64)[which]
        returns = accounts.after["return_at_close"][columns.positions["last"][which] - 1]
        long = close_ms - open_ms >= rules.min_duration_ms
        risk = RiskProfile(
            open_ms=open_ms[long],
            close_ms=close_ms[long],
            flagged=reckless_ones[long],
            logs=log_weights(returns[long], rules),
            window_ms=rules.window_ms,
        )
        yield ClosedPositions(close_ms, close_ms - open_ms, risk)


def _by_close(timeline: TraderTimeline) -> Ints:
    """Indices of the closed positions in the order in which they were closed."""
    close = timeline.arrays.accounts.bounds["close"]
    which = np.flatnonzero(close >= 0)
    close_ms = timeline.arrays.columns.orders["time_ms"][close[which]]
    return which[np.argsort(close_ms, kind="stable")]


def _reckless(
    timelines: Sequence[TraderTimeline], closed: Sequence[Ints], rules: RiskProfileRules
) -> Bools:
    """Whether the closed positions of all traders, one after the other, are reckless."""
    first, last, orders, pairs, n_orders = [], [], [], [], 0
    for timeline, which in zip(timelines, closed, strict=True):
        rows = timeline.arrays.columns.positions[which]
        first.append(rows["first"] + n_orders)
        last.append(rows["last"] - 1 + n_orders)
        orders.append(timeline.arrays.columns.orders)
        pairs += [timeline.pairs[pair] for pair in rows["pair"].tolist()]
        n_orders += len(orders[-1])
    if not pairs:
        return np.zeros(0, dtype=bool)
    groups = OrderGroups(np.concatenate(orders), np.concatenate(first), np.concatenate(last))
    return reckless(groups, pairs, rules)
