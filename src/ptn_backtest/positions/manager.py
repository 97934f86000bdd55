"""The positions of a replay, by trader."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ptn_backtest.errors import InvalidPosition
from ptn_backtest.positions.order import Order
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import RecordedOrders, last_times_ms


class PositionManager:
    """Positions by hotkey, each trader's in stored order.

    The order matters where times are equal: the network replays ties as they were stored.
    """

    def __init__(self, positions: Iterable[Position] = ()) -> None:
        """Save the given positions.

        Raises:
            InvalidPosition: one is something else.
        """
        self._by_hotkey: dict[str, dict[str, Position]] = {}
        for position in positions:
            self.save(position)

    def __repr__(self) -> str:
        return f"<PositionManager: {self.counted()}>"

    def counted(self) -> str:
        """How many there are, in words."""
        return f"{len(self):,} positions of {len(self._by_hotkey):,} traders"

    def save(self, position: Position) -> None:
        """Save a position; one with the same uuid is replaced where it stood.

        Raises:
            InvalidPosition: it is something else.
        """
        if not isinstance(position, Position):
            raise InvalidPosition(
                f"{type(position).__name__} is not a Position: convert(records).positions gives such"
            )
        mine = self._by_hotkey.setdefault(position.miner_hotkey, {})
        mine[position.position_uuid] = position

    @property
    def hotkeys(self) -> tuple[str, ...]:
        """Every trader with a position, sorted."""
        return tuple(sorted(self._by_hotkey))

    def positions(self, hotkey: str) -> tuple[Position, ...]:
        """One trader's positions in stored order; empty for an unknown trader."""
        return tuple(self._by_hotkey.get(hotkey, {}).values())

    def by_hotkey(self) -> Mapping[str, Sequence[Position]]:
        """{hotkey: positions}, hotkeys sorted."""
        return {hotkey: self.positions(hotkey) for hotkey in self.hotkeys}

    def __iter__(self) -> Iterator[Position]:
        """Iterate over all positions, by hotkey."""
        for hotkey in self.hotkeys:
            yield from self.positions(hotkey)

    def __len__(self) -> int:
        return sum(len(mine) for mine in self._by_hotkey.values())


def up_to(positions: Iterable[Position], end_ms: int) -> list[Position]:
    """The positions as known at a time: without later orders, and without positions opened later."""
    given = list(positions)
    is_late = last_times_ms(position.orders for position in given) > end_ms
    known = []
    for position, late in zip(given, is_late.tolist(), strict=True):
        if not late:
            known.append(position)
        elif orders := _up_to(position.orders, end_ms):
            known.append(replace(position, orders=orders))
    return known


def _up_to(orders: Sequence[Order], end_ms: int) -> Sequence[Order]:
    if isinstance(orders, RecordedOrders):
        return orders.up_to(end_ms)
    return tuple(order for order in orders if order.processed_ms <= end_ms)
