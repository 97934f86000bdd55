"""What each order did to its position, as a chart marks it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LABELS", "TONES", "order_marks"]

TONES = ("long", "short", "change", "exit")
"""What an order did, by its mark; a chart knows how each looks."""
LABELS = ("opened long", "opened short", "changed", "closed")
"""The same in words."""


def order_marks(
    position: NDArray[Any], held: NDArray[np.float64], price: NDArray[np.float64]
) -> NDArray[np.int8]:
    """The mark of each order: a place in `TONES`, or -1 where there is nothing to draw.

    Nothing is drawn of an order without a price, with which the network closed a position, and of
    those that came after the closing one.

    Args:
        position: which position each order belongs to; a position's orders stand together, by time.
        held: the position's signed leverage after the order.
        price: at which it was filled.
    """
    first = np.ones(len(position), bool)
    first[1:] = position[1:] != position[:-1]
    before = np.concatenate(([0.0], held[:-1]))[: len(held)]
    opened = np.where(held > 0, 0, 1)
    marks = np.where(first, opened, np.where(held == 0, 3, 2))
    nothing = ~(price > 0) | (~first & (before == 0) & (held == 0))
    return np.where(nothing, -1, marks).astype(np.int8)
