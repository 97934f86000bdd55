"""Whose each position of a run is, and on which pair, as numbers."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.result import ReplayedPosition

__all__ = ["PositionIndex", "position_index"]


class PositionIndex(NamedTuple):
    """Numbers in place of names, which are looked at once: a network has tens of thousands.

    hotkeys: traders in the order of their positions. pairs: trade pair ids, sorted. trader, pair: of
    each position, places in these.
    """

    hotkeys: list[str]
    pairs: list[str]
    trader: NDArray[np.int64]
    pair: NDArray[np.int64]


def position_index(positions: Sequence[ReplayedPosition]) -> PositionIndex:
    """The index of a run's positions."""
    hotkeys = list(map(attrgetter("position.miner_hotkey"), positions))
    pairs = list(map(attrgetter("position.trade_pair.trade_pair_id"), positions))
    traders, kinds = list(dict.fromkeys(hotkeys)), sorted(set(pairs))
    return PositionIndex(traders, kinds, _places(hotkeys, traders), _places(pairs, kinds))


def _places(names: Sequence[str], among: Iterable[str]) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(among)}
    return np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))
