"""Candles as the engine reads them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, SECOND_MS


class Timespan(StrEnum):
    """Length of a candle."""

    MINUTE = "minute"
    SECOND = "second"

    @property
    def ms(self) -> int:
        """Its length in ms."""
        return MINUTE_MS if self is Timespan.MINUTE else SECOND_MS


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles of one pair and timespan.

    Attributes:
        start_ms: start of each candle, ms, strictly ascending, multiples of the timespan.
        close: price at the candle's end.
    """

    start_ms: NDArray[np.int64]
    close: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start_ms)


class CandleSource(Protocol):
    """Where a replay reads candles from: the store on disk, or a bundle's file."""

    def describe(self) -> str:
        """The source in a few words."""
        ...

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        """Candles that start in [start_ms, end_ms]; empty where there are none."""
        ...
