"""Bid and ask of a pair at one moment, from what a store has of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.quote_shelf import QuoteShelf
from ptn_backtest.prices.store import CandleStore


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask in the quote currency, both above 0."""

    bid: float
    ask: float


_Columns = dict[str, NDArray[Any]]

QuoteLookup = Callable[[str, int], Quote | None]
"""Quote of a trade pair id at a time in ms; None where there is none."""


def quote_lookup(store: CandleStore) -> QuoteLookup:
    """Quotes from a store: pulled for the time, else of its second candle, else of its minute candle.

    A candle without bid or ask counts as none. Older candles are never used: a spread is that of
    its moment. A quote that was pulled for a moment is in force from when it was made until then.

    The lookup raises CandleError where a file is damaged.
    """
    shelf = QuoteShelf(store)
    # a row an order: small, and asked for once an order
    pulled: dict[str, _Columns] = {}

    def in_force(trade_pair_id: str, t_ms: int) -> Quote | None:
        if trade_pair_id not in pulled:
            table = shelf.read(trade_pair_id).drop_columns(["provider"])
            pulled[trade_pair_id] = {name: table[name].to_numpy() for name in table.column_names}
        held = pulled[trade_pair_id]
        row = int(np.searchsorted(held["at_ms"], t_ms))
        if row == len(held["at_ms"]) or held["quoted_ms"][row] > t_ms:
            return None
        return _quote(held["bid"][row], held["ask"][row])

    def of_candle(trade_pair_id: str, t_ms: int, timespan: Timespan) -> Quote | None:
        start_ms = t_ms - t_ms % timespan.ms
        table = store.read_table(
            trade_pair_id, timespan, start_ms, start_ms, ("timestamp_ms", "bid", "ask")
        )
        sides = zip(table["bid"].to_numpy(), table["ask"].to_numpy(), strict=True)
        return next((quote for bid, ask in sides if (quote := _quote(bid, ask))), None)

    def lookup(trade_pair_id: str, t_ms: int) -> Quote | None:
        return (
            in_force(trade_pair_id, t_ms)
            or of_candle(trade_pair_id, t_ms, Timespan.SECOND)
            or of_candle(trade_pair_id, t_ms, Timespan.MINUTE)
        )

    return lookup


def _quote(bid: float, ask: float) -> Quote | None:
    """A quote where both sides are prices; a null is NaN here."""
    good = 0 < bid < math.inf and 0 < ask < math.inf
    return Quote(float(bid), float(ask)) if good else None
