"""Which recorded orders the network would have reduced or refused, and what it would have kept.

A trader's orders are walked in time, over all its positions, because the portfolio has a cap of its
own. Each order meets the history that the earlier ones left: what was refused did not happen.
`docs/order-rules.md` has the rules in words.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.positions.order import Order, OrderSource, OrderType
from ptn_backtest.positions.order_bounds import SAME_LEVERAGE, OrderRule, bounds_of, judge
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook.leverage_rules import LeverageRules

NETWORK_FLATS = (
    OrderSource.ELIMINATION_FLAT,
    OrderSource.DEPRECATION_FLAT,
    OrderSource.PRICE_FILLED_ELIMINATION_FLAT,
)
"""Orders of these sources are the network's own decision, not the trader's."""


@dataclass(frozen=True, slots=True)
class OrderFinding:
    """An order that the network would not have taken as it was recorded.

    Attributes:
        miner_hotkey: the trader.
        position_uuid: the recorded position.
        order_uuid: the order.
        trade_pair_id: the pair.
        time_ms: the order's time, ms.
        rule: which rule.
        recorded_leverage: signed, as recorded.
        allowed_leverage: signed, as the rule leaves it; None where the order is refused.
        sentence: all of it in words.
    """

    miner_hotkey: str
    position_uuid: str
    order_uuid: str
    trade_pair_id: str
    time_ms: int
    rule: OrderRule
    recorded_leverage: float
    allowed_leverage: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """What checking orders found.

    Attributes:
        findings: by trader, then by time.
        positions_if_applied: the positions as the network would have kept them, in stored order; a
            position in which nothing changes is returned as it is.
    """

    findings: tuple[OrderFinding, ...]
    positions_if_applied: list[Position]


def check_orders(
    positions: Sequence[Position], rules: LeverageRules | None, *, leverage_cap: float = math.inf
) -> OrderCheck:
    """Judge every order of the traders by the network's rules.

    Args:
        positions: all of the traders' positions: the portfolio's cap counts every open one.
        rules: bounds by date, the portfolio's cap, retired and blocked pairs, orders a position;
            None judges by `leverage_cap` alone.
        leverage_cap: no position may hold more |leverage| than this, whatever the rules say.
    """
    traders: dict[str, list[_Recorded]] = {}
    for index, position in enumerate(positions):
        traders.setdefault(position.miner_hotkey, []).append(_Recorded(index, position))
    findings: list[OrderFinding] = []
    kept: list[_Kept] = []
    for recorded in traders.values():
        walk = _Walk(rules, leverage_cap)
        for event in _events(recorded):
            walk.take(event)
        findings.extend(walk.findings)
        kept.extend(walk.kept)
    kept.sort(key=lambda each: each.recorded.index)
    return OrderCheck(tuple(findings), [each.position() for each in kept])


class _Recorded:
    """A position as it was recorded: its orders up to the closing one, and any after it."""

    __slots__ = ("close_ms", "held", "index", "n_live", "position")

    def __init__(self, index: int, position: Position) -> None:
        self.index = index
        self.position = position
        self.held: list[float] = []  # leverage before each live order
        self.close_ms = NEVER_MS
        held = 0.0
        for order in position.orders:
            self.held.append(held)
            if _closes(order, held):
                self.close_ms = order.processed_ms
                break
            held += order.leverage
        self.n_live = len(self.held)


@dataclass(frozen=True, slots=True)
class _Event:
    """A recorded order, with the leverage that was held before it.

    A lane is a series of positions on one pair that do not overlap; the network has one lane per
    pair, records may have more.
    """

    recorded: _Recorded
    lane: tuple[str, int]
    order: Order
    held: float
    after: tuple[Order, ...]  # orders recorded after this one closed the position: they never count


@dataclass(slots=True, eq=False)
class _Kept:
    """A position as the network would have kept it; `recorded` is that of its first order."""

    recorded: _Recorded
    orders: list[Order] = field(default_factory=list)
    held: float = 0.0

    def position(self) -> Position:
        """The recorded position where nothing changed, else a new one."""
        before, orders = self.recorded.position, tuple(self.orders)
        if len(orders) == len(before.orders) and all(map(_is, orders, before.orders)):
            return before
        starts = orders[0].order_uuid == before.orders[0].order_uuid
        return replace(
            before,
            position_uuid=before.position_uuid if starts else orders[0].order_uuid,
            open_ms=orders[0].processed_ms,
            orders=orders,
            stored={},
        )


def _is(a: Order, b: Order) -> bool:
    return a is b


def _events(recorded: Sequence[_Recorded]) -> list[_Event]:
    """One trader's orders in time; ties as they were stored."""
    lanes = dict(_lanes(recorded))
    events = [
        _Event(
            each,
            lanes[each.index],
            order,
            each.held[k],
            tuple(each.position.orders[each.n_live :]) if k + 1 == each.n_live else (),
        )
        for each in recorded
        for k, order in enumerate(each.position.orders[: each.n_live])
    ]
    return sorted(events, key=lambda event: event.order.processed_ms)


def _lanes(recorded: Sequence[_Recorded]) -> Iterator[tuple[int, tuple[str, int]]]:
    """(index of a position, its lane): the first lane whose last position is closed by then."""
    ends: dict[str, list[tuple[int, int]]] = {}
    for each in sorted(recorded, key=lambda each: (each.position.open_ms, each.index)):
        pair = each.position.trade_pair.trade_pair_id
        lanes = ends.setdefault(pair, [])
        opens = (each.position.open_ms, each.index)
        lane = next((n for n, end in enumerate(lanes) if end < opens), len(lanes))
        lanes[lane : lane + 1] = [(each.close_ms, each.index)]
        yield each.index, (pair, lane)


def _closes(order: Order, held: float) -> bool:
    """Whether an order closes a position (`docs/arithmetic.md`)."""
    return order.order_type is OrderType.FLAT or (
        held != 0 and math.copysign(1.0, held) * (held + order.leverage) <= 0
    )


class _Walk:
    """One trader's open positions as its orders come in."""

    def __init__(self, rules: LeverageRules | None, leverage_cap: float) -> None:
        self._rules = rules
        self._cap = leverage_cap
        self._open: dict[tuple[str, int], _Kept] = {}
        self.kept: list[_Kept] = []
        self.findings: list[OrderFinding] = []

    def take(self, event: _Event) -> None:
        """Judge the next order, and keep what the network would."""
        kept = self._open.get(event.lane)
        order: Order | None = event.order
        if event.order.src in NETWORK_FLATS or event.order.order_type is OrderType.FLAT:
            order = self._flat(event, kept)
        else:
            if self._is_full(event, kept):
                kept = None
            order = self._judged(event, kept)
        if order is None:
            return
        if kept is None:
            kept = self._open[event.lane] = _Kept(event.recorded)
            self.kept.append(kept)
        kept.orders.append(order)
        if _closes(order, kept.held):
            kept.orders.extend(event.after)
            del self._open[event.lane]
        else:
            kept.held += order.leverage

    def _flat(self, event: _Event, kept: _Kept | None) -> Order | None:
        """A FLAT closes what is open; one that carries the leverage held follows its change."""
        order = event.order
        if kept is None:
            if order.src not in NETWORK_FLATS:
                self._find(event, OrderRule.NO_POSITION, None, "no position is open: ignored")
            return None
        carries_all = order.leverage != 0 and abs(order.leverage + event.held) <= SAME_LEVERAGE
        if carries_all and kept.held != event.held:
            return replace(order, leverage=-kept.held)
        return order

    def _is_full(self, event: _Event, kept: _Kept | None) -> bool:
        """Whether the position has all the orders it may have; then the network closes it first."""
        rules, order = self._rules, event.order
        if rules is None or kept is None or len(kept.orders) < rules.orders_per_position:
            return False
        if rules.is_blocked(event.recorded.position.trade_pair):
            return False
        said = f"the position has {len(kept.orders)} orders: it is closed, and another opened"
        self._find(event, OrderRule.MAX_ORDERS, order.leverage, said)
        uuid = kept.position().position_uuid
        closing = replace(
            order,
            order_uuid=uuid[::-1],
            order_type=OrderType.FLAT,
            leverage=-kept.held,
            processed_ms=max(order.processed_ms - 1, kept.orders[-1].processed_ms),
            src=OrderSource.MAX_ORDERS_PER_POSITION,
        )
        kept.orders.append(closing)
        del self._open[event.lane]
        return True

    def _judged(self, event: _Event, kept: _Kept | None) -> Order | None:
        """The order as the bounds leave it, None where it is refused."""
        order, held = event.order, kept.held if kept else 0.0
        if kept and _closes(order, held):
            return self._closing(event, held)
        verdict = judge(
            order.leverage,
            held,
            bounds_of(
                event.recorded.position.trade_pair,
                order.processed_ms,
                self._rules,
                portfolio=self._portfolio(),
                leverage_cap=self._cap,
            ),
        )
        if verdict is None:
            return order
        self._find(event, verdict.rule, verdict.leverage, verdict.said)
        return None if verdict.leverage is None else replace(order, leverage=verdict.leverage)

    def _closing(self, event: _Event, held: float) -> Order:
        """An order that closes without being FLAT: it becomes FLAT if it would go beyond 0."""
        order = event.order
        beyond = abs(held + order.leverage) > SAME_LEVERAGE
        # without rules a flip stays as recorded, unless the cap changed what it meets
        if not beyond or (self._rules is None and held == event.held):
            return order
        said = f"against {held:g} held it would turn the position around: it becomes FLAT"
        self._find(event, OrderRule.FLIP, -held, said)
        return replace(order, order_type=OrderType.FLAT, leverage=-held)

    def _portfolio(self) -> float:
        """Leverage of all open positions, each with its multiplier."""
        if self._rules is None:
            return 0.0
        return sum(
            abs(each.held) * self._rules.multiplier(each.recorded.position.trade_pair)
            for each in self._open.values()
        )

    def _find(self, event: _Event, rule: OrderRule, allowed: float | None, said: str) -> None:
        order, position = event.order, event.recorded.position
        pair = position.trade_pair.trade_pair_id
        what = f"{order.order_type} {abs(order.leverage):g} on {pair}"
        self.findings.append(
            OrderFinding(
                miner_hotkey=position.miner_hotkey,
                position_uuid=position.position_uuid,
                order_uuid=order.order_uuid,
                trade_pair_id=pair,
                time_ms=order.processed_ms,
                rule=rule,
                recorded_leverage=order.leverage,
                allowed_leverage=allowed,
                sentence=f"{what}: {said}",
            )
        )
