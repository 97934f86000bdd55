"""The network's trade pairs, from `data/trade_pairs.csv`."""

import csv
import difflib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from ptn_backtest.errors import UnknownTradePair


class TradePairCategory(StrEnum):
    """Asset class of a trade pair; market hours, fees and leverage rules go by it."""

    CRYPTO = "crypto"
    FOREX = "forex"
    EQUITIES = "equities"
    INDICES = "indices"


@dataclass(frozen=True, slots=True)
class TradePair:
    """One instrument of the network.

    Attributes:
        trade_pair_id: "BTCUSD", the id in every file and table.
        trade_pair: "BTC/USD", as people write it.
        category: asset class.
        subcategory: group within the class ("majors", "g1"), or "".
        fee: fraction of leverage that older fee rules charge.
        min_leverage: smallest leverage of a position, for live orders.
        max_leverage: largest leverage of a position, for live orders.
    """

    trade_pair_id: str
    trade_pair: str
    category: TradePairCategory
    subcategory: str
    fee: float
    min_leverage: float
    max_leverage: float

    @property
    def is_crypto(self) -> bool:
        """Whether the pair trades around the clock."""
        return self.category is TradePairCategory.CRYPTO

    @property
    def is_forex(self) -> bool:
        """Whether the pair follows forex hours (gold and silver do)."""
        return self.category is TradePairCategory.FOREX

    @staticmethod
    def from_trade_pair_id(trade_pair_id: str) -> "TradePair":
        """The pair with this id.

        Raises:
            UnknownTradePair: no such id; the message names the nearest ones.
        """
        try:
            return _by_id()[trade_pair_id]
        except KeyError:
            near = _nearest(str(trade_pair_id))
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UnknownTradePair(f"unknown trade pair {trade_pair_id!r}{hint}") from None

    @staticmethod
    def all() -> tuple["TradePair", ...]:
        """Every pair, in the order of the table."""
        return tuple(_by_id().values())


def _nearest(text: str) -> list[str]:
    """Ids that may be meant; that which differs in case alone by itself."""
    upper = text.strip().upper()
    ids = {each.upper(): each for each in _by_id()}
    if upper in ids:
        return [ids[upper]]
    return [ids[each] for each in difflib.get_close_matches(upper, ids, n=3)]


@cache
def _by_id() -> dict[str, TradePair]:
    text = files("ptn_backtest").joinpath("data/trade_pairs.csv").read_text(encoding="utf-8")
    return {
        row["trade_pair_id"]: TradePair(
            trade_pair_id=row["trade_pair_id"],
            trade_pair=row["trade_pair"],
            category=TradePairCategory(row["category"]),
            subcategory=row["subcategory"],
            fee=float(row["fee"]),
            min_leverage=float(row["min_leverage"]),
            max_leverage=float(row["max_leverage"]),
        )
        for row in csv.DictReader(text.splitlines())
    }
