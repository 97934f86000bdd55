"""What is odd about positions that can be replayed: counted and told, and nothing is changed for it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import SECOND_MS
from ptn_backtest.errors import some_of
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.recorded_orders import order_rows
from ptn_backtest.sources.record_table import field_columns

DUST = 1e-6
"""A net leverage below this is what rounding leaves of orders that were meant to close: of doubles 1e-16,
of the four bytes that some databases keep 1e-8. No order is smaller than 0.001."""

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A position that its source has stored as closed, and that its orders leave open.

    Attributes:
        miner_hotkey: the trader.
        position_uuid: the position.
        net_leverage: signed leverage after the last order, never 0.
    """

    miner_hotkey: str
    position_uuid: str
    net_leverage: float

    @property
    def is_dust(self) -> bool:
        """Whether the orders were meant to close it, and only rounding keeps it open."""
        return abs(self.net_leverage) < DUST


@dataclass(frozen=True, slots=True)
class Oddities:
    """What is odd about some positions.

    Attributes:
        left_open: stored as closed, but open by all orders of the source.
        similar_hotkeys: hotkeys that differ only by case or by blanks around, together.
    """

    left_open: tuple[LeftOpen, ...] = ()
    similar_hotkeys: tuple[tuple[str, ...], ...] = ()

    def counts(self) -> dict[str, int]:
        """{name: how many}: closed_but_open, closed_but_dust, similar_hotkeys."""
        dust = sum(each.is_dust for each in self.left_open)
        return {
            "closed_but_open": len(self.left_open) - dust,
            "closed_but_dust": dust,
            "similar_hotkeys": sum(map(len, self.similar_hotkeys)),
        }

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind that there is, with examples."""
        by_size = sorted(self.left_open, key=lambda each: -abs(each.net_leverage))
        really = [each for each in by_size if not each.is_dust]
        dust = [each for each in by_size if each.is_dust]
        alike = [" and ".join(map(repr, group)) for group in self.similar_hotkeys]
        found = (
            (
                len(really),
                "position is stored as closed, but its orders leave it open",
                "positions are stored as closed, but their orders leave them open",
                [f"{each.position_uuid} (net leverage {each.net_leverage:g})" for each in really],
            ),
            (
                len(dust),
                "position is stored as closed, but stays open by rounding (net leverage below 1e-6)",
                "positions are stored as closed, but stay open by rounding (net leverage below 1e-6)",
                [f"{each.position_uuid} ({each.net_leverage:g})" for each in dust],
            ),
            (
                self.counts()["similar_hotkeys"],
                "",  # there are always two
                "hotkeys differ from another only by case or blanks, and are traders of their own",
                alike,
            ),
        )
        return tuple(
            f"{count} {one if count == 1 else many}: {some_of(examples, _EXAMPLES)}"
            for count, one, many, examples in found
            if count
        )


def find_oddities(positions: Sequence[Position], end_ms: int | None = None) -> Oddities:
    """Look for what is odd.

    Args:
        positions: with what their source stored in `stored`.
        end_ms: the time after which orders were not read, None where all were. What its source
            says to have closed later, or at an unknown time, is not expected to be closed yet.
    """
    return Oddities(
        tuple(_left_open(positions, end_ms)),
        tuple(_similar({position.miner_hotkey for position in positions})),
    )


def _left_open(positions: Sequence[Position], end_ms: int | None) -> Iterable[LeftOpen]:
    stored = field_columns(
        (position.stored for position in positions), ("is_closed_position", "close_ms")
    )
    said = zip(positions, stored["is_closed_position"], stored["close_ms"], strict=True)
    closed = [each for each, flag, at in said if _is_closed(flag, at, end_ms)]
    if not closed:
        return
    rows = order_rows(each.orders for each in closed)
    last = np.cumsum([len(each.orders) for each in closed], dtype=np.int64)
    first = np.concatenate(([0], last[:-1]))
    never_flat = np.flatnonzero(~np.logical_or.reduceat(rows["kind"] == 0, first))
    for row in never_flat.tolist():
        held = _net_leverage(rows[first[row] : last[row]])
        if held:
            yield LeftOpen(closed[row].miner_hotkey, closed[row].position_uuid, held)


def _is_closed(flag: object, close_ms: object, end_ms: int | None) -> bool:
    """Whether a source says that a position was closed by orders that were read."""
    closed_ms = close_ms if isinstance(close_ms, int) and close_ms > 0 else None
    if not (closed_ms is not None if flag is None else flag in (True, 1)):
        return False
    if end_ms is None:
        return True
    # a close time may be stored in whole seconds
    return closed_ms is not None and closed_ms + SECOND_MS <= end_ms


def _net_leverage(orders: NDArray[Any]) -> float:
    """What `accounting` makes of orders none of which is FLAT; 0.0 once closed."""
    side = int(orders["kind"][0])
    held = 0.0
    for leverage in orders["leverage"].tolist():
        held += leverage
        if held * side <= 0:
            return 0.0
    return held


def _similar(hotkeys: Iterable[str]) -> Iterable[tuple[str, ...]]:
    groups: Mapping[str, list[str]] = defaultdict(list)
    for hotkey in sorted(hotkeys):
        groups[hotkey.strip().casefold()].append(hotkey)
    return (tuple(group) for group in groups.values() if len(group) > 1)
