"""Closed positions of many traders as arrays: who has a long enough one, and how reckless they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
class ClosedPositions:
    """A trader's closed positions in the order in which they were closed, as arrays.

    Attributes:
        open_ms: when each was opened.
        close_ms: when it was closed, ascending.
        longest_ms: how long the longest lasted of those closed up to then.
        reckless: whether the risk profile flags it.
        log_weight: logarithm of its weight there.
    """

    open_ms: Ints
    close_ms: Ints
    longest_ms: Ints
    reckless: Bools
    log_weight: Floats

    def risks(self, times_ms: Ints, rules: RiskProfileRules) -> Floats:
        """Risk score at each of some ascending times; as `risk_profile.risk_score`."""
        risks = np.zeros(len(times_ms))
        if not self.reckless.any():
            return risks
        long = self.close_ms - self.open_ms >= rules.min_duration_ms
        open_ms, flagged, logs = self.open_ms[long], self.reckless[long], self.log_weight[long]
        since_ms = times_ms - rules.window_ms
        n_closed = np.searchsorted(self.close_ms[long], times_ms, side="right")
        n_too_old = np.searchsorted(np.sort(open_ms), since_ms)
        # the score only changes with the positions that count
        changes = (np.diff(n_closed, prepend=-1) != 0) | (np.diff(n_too_old, prepend=-1) != 0)
        for k in np.flatnonzero(changes).tolist():
            known = slice(0, n_closed[k])
            counts = open_ms[known] >= since_ms[k]
            risks[k:] = flagged_share(flagged[known][counts], logs[known][counts])
        return risks

    def first_close_ms(self, shortest_ms: int) -> int | None:
        """When the first position of at least this length was closed."""
        first = self.longest_ms.searchsorted(shortest_ms)
        return int(self.close_ms[first]) if first < len(self.close_ms) else None


def closed_positions(
    timelines: Sequence[TraderTimeline], rules: RiskProfileRules
) -> Iterator[ClosedPositions]:
    """The closed ones among the positions of each trader."""
    closed = [np.flatnonzero(one.arrays.accounts.bounds["close"] >= 0) for one in timelines]
    flagged = _reckless(timelines, closed, rules)
    for timeline, which in zip(timelines, closed, strict=True):
        (positions, orders), accounts = timeline.arrays.columns, timeline.arrays.accounts
        close_ms = orders["time_ms"][accounts.bounds["close"][which]]
        open_ms = np.array([one.open_ms for one in timeline.positions], dtype=np.int64)[which]
        returns = accounts.after["return_at_close"][positions["last"][which] - 1]
        mine, flagged = flagged[: len(which)], flagged[len(which) :]
        order = np.argsort(close_ms, kind="stable")
        yield ClosedPositions(
            open_ms=open_ms[order],
            close_ms=close_ms[order],
            longest_ms=np.maximum.accumulate((close_ms - open_ms)[order]),
            reckless=mine[order],
            log_weight=log_weights(returns, rules)[order],
        )


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
