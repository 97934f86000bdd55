"""How much leverage an order may bring a position and a portfolio to, by date.

The rules are a history: each change says what is new from its date on, and the rest stays.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from ptn_backtest.rulebook.codec import time_text
from ptn_backtest.rulebook.kinds import ClassOrPair, Count, Positive, Shipped, Table, Time, Whole
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

OWN: Final = "own"
Bound = float | Literal["own"]
"""A leverage, or the pair's own bound of `trade_pairs.csv`."""
Bounds = Mapping[ClassOrPair, Bound]
"""{asset class or trade pair id: bound}; an id goes before its class."""

_SHIPPED = Shipped("leverage")
_NO_BOUNDS: Table[str, Bound] = Table()


@dataclass(frozen=True, slots=True)
class LeverageChange:
    """What is new from a date on.

    Attributes:
        from_ms: the change counts at this time and after it; -NEVER_MS: always, NEVER_MS: never.
        largest: largest |leverage| of a position; 0: nothing new may be opened or added.
        smallest: smallest |leverage| of a position.
        portfolio_cap: largest sum of |leverage| x multiplier over a trader's open positions.
    """

    from_ms: Time
    largest: Bounds = _NO_BOUNDS
    smallest: Bounds = _NO_BOUNDS
    portfolio_cap: Positive | None = None

    def says(self) -> Iterator[str]:
        """What it changes, by dotted keys."""
        yield from (f"largest.{name}" for name in self.largest)
        yield from (f"smallest.{name}" for name in self.smallest)
        if self.portfolio_cap is not None:
            yield "portfolio_cap"


@dataclass(frozen=True, slots=True)
class LeverageRules:
    """The bounds of leverage, of a position and of all of a trader's positions.

    Attributes:
        changes: {name: change}, the history of the bounds, in any order.
        multipliers: what a unit of leverage counts in the portfolio, by asset class.
        orders_per_position: a position with so many orders takes no other but FLAT.
        blocked: asset classes and trade pair ids that are closed to new orders.
    """

    changes: Mapping[str, LeverageChange] = _SHIPPED.changes
    multipliers: Whole[Mapping[TradePairCategory, float]] = _SHIPPED.multipliers
    orders_per_position: Count = _SHIPPED.orders_per_position
    blocked: tuple[ClassOrPair, ...] = _SHIPPED.blocked

    def faults(self) -> Iterator[tuple[str, str]]:
        """(key, message) of changes that contradict each other."""
        by_time = sorted(self.changes.items(), key=lambda named: named[1].from_ms)
        for (before, old), (after, new) in pairwise(by_time):
            both = set(old.says()) & set(new.says())
            if old.from_ms == new.from_ms and both:
                what, when = ", ".join(sorted(both)), time_text(new.from_ms)
                yield f"changes.{after}", f"it and {before} both set {what} from {when} on"

    def largest(self, pair: TradePair, t_ms: int) -> float:
        """Largest |leverage| of a position at a time; 0 where the pair is retired."""
        for change in self._newest_first(t_ms):
            bound = _bound(change.largest, pair)
            if bound is not None:
                return pair.max_leverage if bound == OWN else bound
        return 0.0

    def smallest(self, pair: TradePair, t_ms: int) -> float:
        """Smallest |leverage| of a position at a time."""
        for change in self._newest_first(t_ms):
            bound = _bound(change.smallest, pair)
            if bound is not None:
                return pair.min_leverage if bound == OWN else bound
        return 0.0

    def portfolio_cap(self, t_ms: int) -> float:
        """Largest sum of |leverage| x multiplier at a time; infinite before there was one."""
        caps = (change.portfolio_cap for change in self._newest_first(t_ms))
        return next((cap for cap in caps if cap is not None), math.inf)

    def multiplier(self, pair: TradePair) -> float:
        """What a unit of the pair's leverage counts in the portfolio."""
        return self.multipliers[pair.category]

    def is_blocked(self, pair: TradePair) -> bool:
        """Whether the pair is closed to new orders, whatever the date."""
        return pair.trade_pair_id in self.blocked or pair.category.value in self.blocked

    def _newest_first(self, t_ms: int) -> list[LeverageChange]:
        known = (change for change in self.changes.values() if change.from_ms <= t_ms)
        return sorted(known, key=lambda change: change.from_ms, reverse=True)


def _bound(bounds: Bounds, pair: TradePair) -> Bound | None:
    return bounds.get(pair.trade_pair_id, bounds.get(pair.category.value))
