"""The network's slippage rules as data: constants, dates and tables.

`positions.slippage` computes with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from ptn_backtest.rulebook.kinds import (
    Count,
    Fraction,
    HourOfDay,
    IsTime,
    OneOf,
    PairId,
    Positive,
    Shipped,
    Signed,
    Time,
)

_SHIPPED = Shipped("slippage")
# its key would be that of the table
TableTime = Annotated[int, IsTime("equities_table_from")]
LongOrShort = Annotated[str, OneOf("side", lambda: ("long", "short"))]
BuyOrSell = Annotated[str, OneOf("side", lambda: ("buy", "sell"))]


@dataclass(frozen=True, slots=True)
class CryptoBucket:
    """Slippage of one pair and side for sizes in USD: usd_from <= size < usd_to."""

    trade_pair_id: PairId
    side: LongOrShort
    usd_from: float
    usd_to: Positive
    slippage: Fraction


@dataclass(frozen=True, slots=True)
class EquitiesBucket:
    """Coefficients of one pair and side for sizes in USD: usd_above < size <= usd_to."""

    trade_pair_id: PairId
    side: BuyOrSell
    usd_above: float
    usd_to: Positive
    intercept: Signed
    spread_over_price: Signed
    annualized_volatility: Signed
    order_size_over_adv: Signed


@dataclass(frozen=True, slots=True)
class SlippageRules:
    """The slippage rules with their dates and tables; the defaults are the default rulebook's.

    Attributes:
        from_ms: slippage enters entry and exit prices from here (a run may say always or never).
        v2_ms: orders after it use the tables for crypto and two constants for forex.
        equities_table_ms: orders of equities after it use `equities_table`.
        free_size_usd: orders of this size and below have no slippage.
        largest: the result is clipped to 0..largest, last.
        forex: forex after V2, outside the rollover hour.
        forex_rollover: forex after V2, in the rollover hour.
        rollover_hour: hour of the day in New York.
        crypto_before_v2: {trade pair id: slippage} up to V2.
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

    from_ms: Time = _SHIPPED.from_ms
    v2_ms: Time = _SHIPPED.v2_ms
    equities_table_ms: TableTime = _SHIPPED.equities_table_ms
    free_size_usd: float = _SHIPPED.free_size_usd
    largest: Fraction = _SHIPPED.largest
    forex: Fraction = _SHIPPED.forex
    forex_rollover: Fraction = _SHIPPED.forex_rollover
    rollover_hour: HourOfDay = _SHIPPED.rollover_hour
    crypto_before_v2: Mapping[PairId, Fraction] = _SHIPPED.crypto_before_v2
    crypto_factor: float = _SHIPPED.crypto_factor
    crypto_table: tuple[CryptoBucket, ...] = _SHIPPED.crypto_table
    equities_table: tuple[EquitiesBucket, ...] = _SHIPPED.equities_table
    spread_weight: float = _SHIPPED.spread_weight
    impact_weight: float = _SHIPPED.impact_weight
    impact_days: Count = _SHIPPED.impact_days
    tradable_part: Positive = _SHIPPED.tradable_part
    quantity_capital_usd: Positive = _SHIPPED.quantity_capital_usd
    lot_units: Positive = _SHIPPED.lot_units
    volatility_days: Count = _SHIPPED.volatility_days
    volume_days: Count = _SHIPPED.volume_days
    year_days: Count = _SHIPPED.year_days


def __getattr__(name: str) -> SlippageRules:
    # not a plain constant: the default rulebook's file can only be read once the classes are there
    if name == "DEFAULT_SLIPPAGE_RULES":
        return SlippageRules()
    raise AttributeError(name)
