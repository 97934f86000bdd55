"""What if: the positions of a run as they would be had traders ordered otherwise.

Pairs left out, orders later, less leverage, the network's order rules: in this order, because a
rule sees the orders as they come in. Prices come from a callable, nothing is read here;
`docs/what-if.md` says what each change means.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.positions.order import PRICELESS_SOURCES, Order
from ptn_backtest.positions.order_checks import NETWORK_FLATS, OrderFinding, check_orders
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook.leverage_rules import LeverageRules

log = logging.getLogger(__name__)

PriceAt = Callable[[str, int], float | None]
"""Price of a trade pair id at a time in ms; None where there is none."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is changed about traders' orders; false where nothing is.

    Attributes:
        drop_pairs: ids of trade pairs without positions.
        leverage_cap: largest |leverage| of a position.
        delay_orders_ms: how much later orders come.
        apply_order_rules: whether the network's order rules reduce and refuse orders.
        hotkeys: whose orders; empty for all.
    """

    drop_pairs: tuple[str, ...] = ()
    leverage_cap: float | None = None
    delay_orders_ms: int = 0
    apply_order_rules: bool = False
    hotkeys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(
            self.drop_pairs
            or self.leverage_cap is not None
            or self.delay_orders_ms
            or self.apply_order_rules
        )


@dataclass(frozen=True, slots=True)
class WhatIfReport:
    """What a what-if changed.

    Attributes:
        n_positions_dropped: recorded positions of which no order is left.
        n_orders_dropped: orders that are gone, those of such positions included.
        n_orders_changed: orders with another time, price, type or leverage.
        n_orders_added: FLATs of positions that had too many orders.
        n_delayed: orders that come later.
        unpriced: {trade pair id: delayed orders without a price at their new time}; they keep the
            recorded one.
        overtaken: {trade pair id: orders that come after the network has closed their position};
            they are dropped.
        findings: what the leverage cap and the order rules did.
        warnings: one sentence per thing that could not be done as asked.
    """

    n_positions_dropped: int = 0
    n_orders_dropped: int = 0
    n_orders_changed: int = 0
    n_orders_added: int = 0
    n_delayed: int = 0
    unpriced: Mapping[str, int] = field(default_factory=dict)
    overtaken: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[OrderFinding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The figures by the names that a run records."""
        return {
            "what_if_positions_dropped": self.n_positions_dropped,
            "what_if_orders_dropped": self.n_orders_dropped,
            "what_if_orders_changed": self.n_orders_changed,
            "what_if_orders_added": self.n_orders_added,
            "what_if_orders_delayed": self.n_delayed,
            "what_if_orders_unpriced": sum(self.unpriced.values()),
            "what_if_orders_overtaken": sum(self.overtaken.values()),
            "what_if_order_findings": len(self.findings),
        }


def apply_what_if(
    positions: Sequence[Position], what_if: WhatIf, rules: LeverageRules, price_at: PriceAt
) -> tuple[list[Position], WhatIfReport]:
    """The positions with a what-if's changes, and what they were.

    Args:
        positions: any; those of other traders, and those in which nothing changes, are returned as
            they are.
        what_if: the changes.
        rules: used where the what-if applies order rules.
        price_at: asked for every delayed order that has a price, at its new time.

    Returns:
        The positions in the same order.
    """
    chosen = [not what_if.hotkeys or each.miner_hotkey in what_if.hotkeys for each in positions]
    before = [each for each, mine in zip(positions, chosen, strict=True) if mine]
    after = [each for each in before if each.trade_pair.trade_pair_id not in what_if.drop_pairs]
    delay = _Delay(what_if.delay_orders_ms, price_at)
    if what_if.delay_orders_ms:
        after = [late for each in after if (late := delay.position(each)) is not None]
    findings: tuple[OrderFinding, ...] = ()
    if what_if.apply_order_rules or what_if.leverage_cap is not None:
        cap = math.inf if what_if.leverage_cap is None else what_if.leverage_cap
        check = check_orders(after, rules if what_if.apply_order_rules else None, leverage_cap=cap)
        after, findings = check.positions_if_applied, check.findings
    report = replace(
        _compared(before, after),
        n_delayed=delay.n_delayed,
        unpriced=dict(delay.unpriced),
        overtaken=dict(delay.overtaken),
        findings=findings,
        warnings=(*_idle(positions, what_if), *delay.warnings()),
    )
    log.info("what if: %s", ", ".join(f"{name} {count}" for name, count in report.counts.items()))
    return _merged(positions, chosen, after), report


class _Delay:
    """Makes orders later, and keeps count of what that met."""

    def __init__(self, by_ms: int, price_at: PriceAt) -> None:
        self._by_ms = by_ms
        self._price_at = price_at
        self.n_delayed = 0
        self.unpriced: Counter[str] = Counter()
        self.overtaken: Counter[str] = Counter()

    def position(self, position: Position) -> Position | None:
        """The position with its trader's orders later; None where the network closes it first.

        The network's own flats come when they came.
        """
        pair = position.trade_pair.trade_pair_id
        flats_ms = [order.processed_ms for order in position.orders if order.src in NETWORK_FLATS]
        orders: list[Order] = []
        for order in position.orders:
            if order.src in NETWORK_FLATS:
                orders.append(order)
            elif flats_ms and order.processed_ms + self._by_ms > flats_ms[0]:
                self.overtaken[pair] += 1
            else:
                orders.append(self._later(order, pair))
        if not orders or orders[0].src in NETWORK_FLATS:
            return None
        return replace(position, open_ms=orders[0].processed_ms, orders=tuple(orders), stored={})

    def _later(self, order: Order, pair: str) -> Order:
        self.n_delayed += 1
        later_ms = order.processed_ms + self._by_ms
        price = order.price
        if order.src not in PRICELESS_SOURCES:
            found = self._price_at(pair, later_ms)
            if found is None:
                self.unpriced[pair] += 1
            else:
                price = found
        return replace(order, processed_ms=later_ms, price=price)

    def warnings(self) -> Iterable[str]:
        """A sentence per pair and trouble."""
        for pair, count in sorted(self.unpriced.items()):
            yield (
                f"{pair}: {count} delayed orders keep their recorded price, because there is no "
                "candle at their new time or in the hour before it: import those candles"
            )
        for pair, count in sorted(self.overtaken.items()):
            yield (
                f"{pair}: {count} delayed orders are dropped, because the network closed their "
                "position before they came"
            )


def _idle(positions: Sequence[Position], what_if: WhatIf) -> Iterable[str]:
    """What was asked for and changes nothing, because nobody is or trades that."""
    pairs = {each.trade_pair.trade_pair_id for each in positions}
    hotkeys = {each.miner_hotkey for each in positions}
    for pair in what_if.drop_pairs:
        if pair not in pairs:
            yield f"drop_pairs: there is no position on {pair}"
    for hotkey in what_if.hotkeys:
        if hotkey not in hotkeys:
            yield f"what_if_hotkeys: there is no position of {hotkey}"


def _compared(before: Sequence[Position], after: Sequence[Position]) -> WhatIfReport:
    """How many orders are gone, changed and new."""
    old = {order.order_uuid: order for each in before for order in each.orders}
    new = {order.order_uuid: order for each in after for order in each.orders}
    return WhatIfReport(
        n_positions_dropped=sum(
            not any(order.order_uuid in new for order in each.orders) for each in before
        ),
        n_orders_dropped=sum(uuid not in new for uuid in old),
        n_orders_changed=sum(uuid in new and new[uuid] != order for uuid, order in old.items()),
        n_orders_added=sum(uuid not in old for uuid in new),
    )


def _merged(
    positions: Sequence[Position], chosen: Sequence[bool], after: Sequence[Position]
) -> list[Position]:
    """Everyone's positions in stored order, trader by trader where a what-if changed them."""
    if all(chosen):
        return list(after)
    changed: dict[str, list[Position]] = {}
    for position in after:
        changed.setdefault(position.miner_hotkey, []).append(position)
    merged: list[Position] = []
    for position, mine in zip(positions, chosen, strict=True):
        merged.extend(changed.pop(position.miner_hotkey, []) if mine else [position])
    return merged
