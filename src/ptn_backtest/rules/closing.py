"""Closing what an eliminated trader still holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ptn_backtest.positions.accounting import replay, replay_all
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
    held, events, returns = [], [], {}
    used: dict[str, FoundPrice] = {}
    known = up_to(positions, at_ms)
    states = replay_all(known, rulebook, use_slippage=use_slippage)
    for position, before in zip(known, states, strict=True):
        if before.is_closed_position:
            held.append(HeldPosition(position, before))
            continue
        pair = position.trade_pair.trade_pair_id
        found = used.get(pair) or price_at(pair, at_ms)
        if found:
            used[pair] = found
        closed = replace(position, orders=(*position.orders, _flat(position, at_ms, found)))
        state = replay(closed, rulebook, use_slippage=use_slippage)
        held.append(HeldPosition(closed, state))
        returns[position.position_uuid] = state.return_at_close
        events.append(
            Event(
                time_ms=at_ms,
                miner_hotkey=elimination.miner_hotkey,
                kind=EventKind.POSITION_CLOSED,
                reason=elimination.reason,
                figures={
                    "position_uuid": position.position_uuid,
                    "trade_pair_id": pair,
                    "price": found.price if found else None,
                    "candle_ms": found.candle_ms if found else None,
                    "timespan": found.timespan.value if found else None,
                    "return_at_close": state.return_at_close,
                },
            )
        )
    return Closing(
        held=tuple(held),
        elimination=replace(elimination, closing_prices=used, returns=returns),
        events=tuple(events),
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
