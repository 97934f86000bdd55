"""The network's slippage rules as data: constants, dates and tables.

`positions.slippage` computes with them.
"""

import csv
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class CryptoBucket:
    """Slippage of one pair and side for sizes in USD: usd_from <= size < usd_to."""

    trade_pair_id: str
    side: str
    usd_from: float
    usd_to: float
    slippage: float


@dataclass(frozen=True, slots=True)
class EquitiesBucket:
    """Coefficients of one pair and side for sizes in USD: usd_above < size <= usd_to."""

    trade_pair_id: str
    side: str
    usd_above: float
    usd_to: float
    intercept: float
    spread_over_price: float
    annualized_volatility: float
    order_size_over_adv: float


@cache
def _crypto_table() -> tuple[CryptoBucket, ...]:
    return tuple(
        CryptoBucket(pair, side, *map(float, numbers))
        for pair, side, *numbers in _rows("slippage_crypto.csv")
    )


@cache
def _equities_table() -> tuple[EquitiesBucket, ...]:
    return tuple(
        EquitiesBucket(pair, side, *map(float, numbers))
        for pair, side, *numbers in _rows("slippage_equities.csv")
    )


def _rows(name: str) -> list[list[str]]:
    text = files("ptn_backtest").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))[1:]


_CRYPTO_BEFORE_V2 = (
    ("BTCUSD", 0.00002),
    ("ETHUSD", 0.00002),
    ("SOLUSD", 0.0002),
    ("XRPUSD", 0.0002),
    ("DOGEUSD", 0.0002),
    ("ADAUSD", 0.0002),
)


@dataclass(frozen=True, slots=True)
class SlippageRules:
    """The network's slippage rules of November 2025, with their dates and tables.

    Attributes:
        v2_ms: orders after it use the tables for crypto and two constants for forex.
        equities_table_ms: orders of equities after it use `equities_table`.
        free_size_usd: orders of this size and below have no slippage.
        largest: the result is clipped to 0..largest, last.
        forex: forex after V2, outside the rollover hour.
        forex_rollover: forex after V2, in the rollover hour.
        rollover_hour: hour of the day in New York.
        crypto_before_v2: (trade pair id, slippage) up to V2.
        crypto_factor: what the values of `crypto_table` are multiplied by.
        crypto_table: slippage after V2 by pair, side and size.
        equities_table: coefficients by pair, side and size.
        spread_weight: of spread / mid price in the market impact formula.
        impact_weight: of volatility x root of the traded part, in the same formula.
        impact_days: days that scale the yearly volatility there.
        tradable_part: fraction of the daily volume that counts there.
        quantity_capital_usd: USD of leverage 1 where lots and shares are counted; the network
            keeps it fixed, whatever `capital` is.
        lot_units: base currency units of one forex lot.
        volatility_days: daily log returns that volatility is taken from.
        volume_days: days that the average daily volume is taken from.
        year_days: trading days that make daily volatility yearly.
    """

    v2_ms: int = 1_759_431_540_000
    equities_table_ms: int = 1_735_718_400_000
    free_size_usd: float = 1_000.0
    largest: float = 0.03
    forex: float = 0.0002
    forex_rollover: float = 0.0005
    rollover_hour: int = 17
    crypto_before_v2: tuple[tuple[str, float], ...] = _CRYPTO_BEFORE_V2
    crypto_factor: float = 3.0
    crypto_table: tuple[CryptoBucket, ...] = field(default_factory=_crypto_table)
    equities_table: tuple[EquitiesBucket, ...] = field(default_factory=_equities_table)
    spread_weight: float = 0.433
    impact_weight: float = 0.335
    impact_days: int = 250
    tradable_part: float = 0.3
    quantity_capital_usd: float = 100_000.0
    lot_units: float = 100_000.0
    volatility_days: int = 30
    volume_days: int = 10
    year_days: int = 252


DEFAULT_SLIPPAGE_RULES = SlippageRules()
