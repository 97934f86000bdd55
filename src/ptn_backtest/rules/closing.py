"""Closing what an eliminated trader still holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ptn_backtest.positions.accounting import replay_all
from ptn_backtest.positions.manager import up_to
from ptn_backtest.positions.order import Order, OrderSource, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.events import Elimination, Event, EventKind
from ptn_backtest.rules.risk_profile import HeldPosition


@dataclass(frozen=True, slots=True)
class Closing:
    """What became of an eliminated trader's positions.

    Attributes:
        held: those known at its end with their states, the open ones closed; in stored order.
        elimination: with the prices used, and the returns of what was closed.
        events: one per closed position.
    """

    held: tuple[HeldPosition, ...]
    elimination: Elimination
    events: tuple[Event, ...]

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions without their states."""
        return tuple(one.position for one in self.held)


def close_positions(
    elimination: Elimination,
    positions: Sequence[Position],
    price_at: Callable[[str, int], FoundPrice | None],
    rulebook: Rulebook,
    *,
    use_slippage: bool | None,
) -> Closing:
    """Close every open position with a FLAT order at the elimination.

    Its uuid is the position's, reversed; its source 3. Where there is no price it closes the
    position as it stands (source 1, price 0).

    Args:
        elimination: whose, and when.
        positions: all of the trader's; orders after its end are left out.
        price_at: the price of a pair (by its id) at a time (ms), None where there is none.
        rulebook: fees and dates.
        use_slippage: as in the replay.
    """
    at_ms = elimination.time_ms
    known = up_to(positions, at_ms)
    held = list(map(HeldPosition, known, replay_all(known, rulebook, use_slippage=use_slippage)))
    left_open = [i for i, one in enumerate(held) if not one.state.is_closed_position]
    pairs = dict.fromkeys(held[i].position.trade_pair.trade_pair_id for i in left_open)
    found = {pair: price_at(pair, at_ms) for pair in pairs}
    closed = [_closed(held[i].position, at_ms, found) for i in left_open]
    states = replay_all(closed, rulebook, use_slippage=use_slippage)
    for i, position, state in zip(left_open, closed, states, strict=True):
        held[i] = HeldPosition(position, state)
    return Closing(
        held=tuple(held),
        elimination=replace(
            elimination,
            closing_prices={pair: price for pair, price in found.items() if price},
            returns={
                held[i].position.position_uuid: held[i].state.return_at_close for i in left_open
            },
        ),
        events=tuple(_event(elimination, held[i], found) for i in left_open),
    )


def _closed(position: Position, at_ms: int, found: Mapping[str, FoundPrice | None]) -> Position:
    flat = _flat(position, at_ms, found[position.trade_pair.trade_pair_id])
    return replace(position, orders=(*position.orders, flat))


def _event(
    elimination: Elimination, closed: HeldPosition, found: Mapping[str, FoundPrice | None]
) -> Event:
    pair = closed.position.trade_pair.trade_pair_id
    price = found[pair]
    return Event(
        time_ms=elimination.time_ms,
        miner_hotkey=elimination.miner_hotkey,
        kind=EventKind.POSITION_CLOSED,
        reason=elimination.reason,
        figures={
            "position_uuid": closed.position.position_uuid,
            "trade_pair_id": pair,
            "price": price.price if price else None,
            "candle_ms": price.candle_ms if price else None,
            "timespan": price.timespan.value if price else None,
            "return_at_close": closed.state.return_at_close,
        },
    )


def _flat(position: Position, at_ms: int, found: FoundPrice | None) -> Order:
    source = OrderSource.PRICE_FILLED_ELIMINATION_FLAT if found else OrderSource.ELIMINATION_FLAT
    return Order(
        order_uuid=position.position_uuid[::-1],
        order_type=OrderType.FLAT,
        leverage=0.0,
        price=found.price if found else 0.0,
        processed_ms=at_ms,
        src=source,
    )
