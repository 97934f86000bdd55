"""Bid and ask of a pair at one moment, from the candles of a store that have them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask in the quote currency, both above 0."""

    bid: float
    ask: float


QuoteLookup = Callable[[str, int], Quote | None]
"""Quote of a trade pair id at a time in ms; None where there is none."""


def quote_lookup(store: CandleStore) -> QuoteLookup:
    """Quotes from a store: of the second candle that contains the time, else of its minute candle.

    A candle without bid or ask counts as none. Older candles are never used: a spread is that of
    its moment.

    The lookup raises CandleError where a file is damaged.
    """

    def lookup(trade_pair_id: str, t_ms: int) -> Quote | None:
        for timespan in (Timespan.SECOND, Timespan.MINUTE):
            start_ms = t_ms - t_ms % timespan.ms
            table = store.read_table(
                trade_pair_id, timespan, start_ms, start_ms, ("timestamp_ms", "bid", "ask")
            )
            for bid, ask in zip(table["bid"].to_numpy(), table["ask"].to_numpy(), strict=True):
                if 0 < bid < math.inf and 0 < ask < math.inf:  # a null is NaN here
                    return Quote(float(bid), float(ask))
        return None

    return lookup
