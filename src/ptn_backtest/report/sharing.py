"""How much of each trader a page shows, so that it stays a few MB however many there are."""

from collections.abc import Sequence

import numpy as np

__all__ = ["share"]


def share(counts: Sequence[int], most: int, page: int) -> int:
    """How many rows each trader may show at most: `most`, or what shares a page out evenly.

    Who has fewer than others leaves the rest to them. One row is always shown.

    Args:
        counts: how many rows each trader has.
        most: of one trader.
        page: of all of them.
    """
    found = np.asarray(counts, np.int64)
    low, high = 1, max(most, 1)
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(found, middle).sum()) <= page:
            low = middle
        else:
            high = middle - 1
    return low
