"""The candles of a replay while it goes on: seconds are brought leg by leg, and what was read is counted."""

from collections.abc import Callable, Sequence

from ptn_backtest.backtest.execution.contract import Room
from ptn_backtest.backtest.legs import Leg
from ptn_backtest.backtest.planning import PlannedPrices
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.prices.fingerprint import CandleSum, candle_sum
from ptn_backtest.prices.table import PriceTable


class LegCandles:
    """Candles for one leg after another; the seconds that were brought last stay until they are given back."""

    def __init__(
        self,
        planned: PlannedPrices,
        legs: Sequence[Leg],
        open_room: Callable[[], Room],
        counted: tuple[int, CandleSum],
    ) -> None:
        """No second candle is read yet.

        Args:
            planned: minute candles, and where the seconds are.
            legs: update times of each.
            open_room: makes a place for the second candles of a stretch.
            counted: how many legs, from the first on, have their candles counted, and those candles.
        """
        self._table = planned.table
        self._planned = planned
        self._legs = legs
        self._open_room = open_room
        self._room: Room | None = None
        self._stretch = (0, 0)
        n_legs, candles = counted
        # by leg, not only the last one: a leg that was interrupted is done, and counted, again
        self._counted = {n_legs - 1: candles}

    def bring(self, after_ms: int, until_ms: int) -> PriceTable:
        """The table with the second candles of the updates after a time and up to another.

        Also those of later updates of the same leg, which are read in one go.
        """
        begin_ms, end_ms = self._stretch
        if not (begin_ms <= after_ms and until_ms <= end_ms):
            end_ms = next(leg[-1] for leg in self._legs if leg[-1] >= until_ms)
            self.give_back()
            self._room = self._open_room()
            self._table = self._planned.with_seconds(after_ms, end_ms, self._room)
            self._stretch = after_ms, end_ms
        return self._table

    def count(self, leg: int) -> CandleSum:
        """The candles from the beginning to the end of a leg, those of the leg before being counted.

        A candle that starts at the end of a leg is looked at by the next one.
        """
        after_ms, end_ms = self._legs[leg - 1][-1] if leg else -NEVER_MS, self._legs[leg][-1]
        pairs = tuple(self._planned.rows)
        read = candle_sum(self.bring(after_ms, end_ms), pairs, after_ms, end_ms)
        self._counted[leg] = self._counted[leg - 1].plus(read)
        return self._counted[leg]

    def give_back(self) -> PriceTable:
        """Let second candles go, and their memory; the table without them."""
        self._table, self._stretch = self._planned.table, (0, 0)
        if self._room is not None:
            self._room.close()
            self._room = None
        return self._table
