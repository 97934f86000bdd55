"""What an order loses to the market: the network's slippage, a fraction of the price.

Everything here is pure: a rule, an order, what the market was like, and out comes a number.
`prices.daily.market_lookup` fetches the market data from a candle store; `docs/slippage.md` has the
rules in words.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import format_time
from ptn_backtest.errors import MissingCandles, SlippageError
from ptn_backtest.positions.order import PRICELESS_SOURCES, Order
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.daily import NO_MARKET_DATA, MarketData, MarketLookup
from ptn_backtest.rulebook.slippage_rules import (
    DEFAULT_SLIPPAGE_RULES,
    EquitiesBucket,
    SlippageRules,
)
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

log = logging.getLogger(__name__)

_NEW_YORK = ZoneInfo("America/New_York")


def slippage_of(
    order: Order,
    pair: TradePair,
    *,
    capital: float,
    rules: SlippageRules = DEFAULT_SLIPPAGE_RULES,
    market: MarketData = NO_MARKET_DATA,
) -> float:
    """The slippage of an order, a fraction of its price in 0..`rules.largest`.

    Args:
        order: its leverage, time, bid and ask count; its recorded slippage does not.
        pair: what it trades.
        capital: USD for leverage 1; sets the order's size.
        rules: constants, dates and tables.
        market: needed where `needs_market_data` says so.

    Raises:
        SlippageError: the rules say nothing about this pair, or this size.
        MissingCandles: `market` lacks something; the message lists everything that it lacks.
    """
    if is_small(order, capital, rules) or lacks_quote(order, pair):
        return 0.0
    size_usd = abs(order.leverage) * capital
    match pair.category:
        case TradePairCategory.CRYPTO:
            slippage = _crypto_slippage(order, pair, size_usd, rules)
        case TradePairCategory.FOREX:
            slippage = _forex_slippage(order, pair, rules, market)
        case TradePairCategory.EQUITIES:
            slippage = _equities_slippage(order, pair, size_usd, rules, market)
        case TradePairCategory.INDICES:
            raise _no_rule(pair)
    return min(max(slippage, 0.0), rules.largest)


def is_small(order: Order, capital: float, rules: SlippageRules = DEFAULT_SLIPPAGE_RULES) -> bool:
    """Whether the order is too small to move the market; a FLAT without leverage is."""
    return abs(order.leverage) * capital <= rules.free_size_usd


def lacks_quote(order: Order, pair: TradePair) -> bool:
    """Whether the order's slippage is 0 for want of a bid and an ask; crypto needs none."""
    return not pair.is_crypto and (order.bid <= 0 or order.ask <= 0)


def needs_market_data(
    order: Order,
    pair: TradePair,
    *,
    capital: float,
    rules: SlippageRules = DEFAULT_SLIPPAGE_RULES,
) -> bool:
    """Whether `slippage_of` asks for volatility, volume or a currency for this order."""
    if is_small(order, capital, rules) or lacks_quote(order, pair):
        return False
    if pair.is_forex:
        return order.processed_ms <= rules.v2_ms
    return pair.category is TradePairCategory.EQUITIES


def annualized_volatility(
    closes: NDArray[np.float64], rules: SlippageRules = DEFAULT_SLIPPAGE_RULES
) -> float | None:
    """Sample standard deviation of the last daily log returns, per year.

    Args:
        closes: daily closes, ascending in time; the last `volatility_days` + 1 count.
        rules: how many days, and how many make a year.

    Returns:
        A fraction (0.1 = 10 % a year); None where closes are too few or not above 0.
    """
    recent = closes[-(rules.volatility_days + 1) :]
    if len(recent) <= rules.volatility_days or not ((recent > 0) & np.isfinite(recent)).all():
        return None
    return float(np.diff(np.log(recent)).std(ddof=1)) * math.sqrt(rules.year_days)


def average_daily_volume(
    volumes: NDArray[np.float64], rules: SlippageRules = DEFAULT_SLIPPAGE_RULES
) -> float | None:
    """Mean of the last `volume_days` daily volumes; None where one is unknown, or all are 0."""
    recent = volumes[-rules.volume_days :]
    if len(recent) < rules.volume_days or not np.isfinite(recent).all():
        return None
    mean = float(recent.mean())
    return mean if mean > 0 else None


def _crypto_slippage(order: Order, pair: TradePair, size_usd: float, rules: SlippageRules) -> float:
    if order.processed_ms <= rules.v2_ms:
        if pair.trade_pair_id not in rules.crypto_before_v2:
            raise _no_rule(pair)
        return rules.crypto_before_v2[pair.trade_pair_id]
    side = "long" if order.leverage > 0 else "short"
    rows = [
        row
        for row in rules.crypto_table
        if row.trade_pair_id == pair.trade_pair_id and row.side == side
    ]
    if not rows:
        raise _no_rule(pair)
    # larger sizes than the table knows take its last row
    bucket = next((row for row in rows if size_usd < row.usd_to), rows[-1])
    return rules.crypto_factor * bucket.slippage


def _forex_slippage(
    order: Order, pair: TradePair, rules: SlippageRules, market: MarketData
) -> float:
    if order.processed_ms > rules.v2_ms:
        at = datetime.fromtimestamp(order.processed_ms // 1_000, tz=_NEW_YORK)
        return rules.forex_rollover if at.hour == rules.rollover_hour else rules.forex
    volatility, adv = _volatility_and_volume(pair, rules, market, currency=True)
    lot_usd = rules.lot_units * (market.base_currency_usd or math.nan)
    lots = abs(order.leverage) * rules.quantity_capital_usd / lot_usd
    return _market_impact(order, lots, volatility, adv, rules)


def _equities_slippage(
    order: Order, pair: TradePair, size_usd: float, rules: SlippageRules, market: MarketData
) -> float:
    mid = (order.bid + order.ask) / 2
    shares = abs(order.leverage) * rules.quantity_capital_usd / mid
    if order.processed_ms <= rules.equities_table_ms:
        volatility, adv = _volatility_and_volume(pair, rules, market)
        return _market_impact(order, shares, volatility, adv, rules)
    bucket = _equities_bucket(order, pair, size_usd, rules)
    volatility, adv = _volatility_and_volume(pair, rules, market)
    return (
        bucket.intercept
        + bucket.spread_over_price * (order.ask - order.bid) / mid
        + bucket.annualized_volatility * volatility
        + bucket.order_size_over_adv * shares / adv
    )


def _equities_bucket(
    order: Order, pair: TradePair, size_usd: float, rules: SlippageRules
) -> EquitiesBucket:
    side = "buy" if order.leverage > 0 else "sell"
    rows = [
        row
        for row in rules.equities_table
        if row.trade_pair_id == pair.trade_pair_id and row.side == side
    ]
    if not rows:
        raise _no_rule(pair)
    for row in rows:
        if row.usd_above < size_usd <= row.usd_to:
            return row
    raise SlippageError(
        f"no slippage rule for orders of {pair.trade_pair_id} above {rows[-1].usd_to:,.0f} USD: "
        "replay with a smaller capital, or with the recorded slippage"
    )


def _market_impact(
    order: Order, quantity: float, volatility: float, adv: float, rules: SlippageRules
) -> float:
    """Half-spread and square-root impact, the network's first formula."""
    spread, mid = order.ask - order.bid, (order.bid + order.ask) / 2
    daily_volatility = math.sqrt(volatility**2 / 3 / rules.impact_days)
    traded_part = math.sqrt(quantity / (rules.tradable_part * adv))
    return rules.spread_weight * spread / mid + rules.impact_weight * daily_volatility * traded_part


def _volatility_and_volume(
    pair: TradePair, rules: SlippageRules, market: MarketData, *, currency: bool = False
) -> tuple[float, float]:
    volatility = annualized_volatility(market.closes, rules)
    adv = average_daily_volume(market.volumes, rules)
    missing = []
    if volatility is None:
        missing.append(f"closes of the {rules.volatility_days + 1} daily candles before its day")
    if adv is None:
        missing.append(f"volumes of the {rules.volume_days} daily candles before its day")
    if currency and not market.base_currency_usd:
        missing.append(f"the price of {pair.trade_pair.partition('/')[0]} in USD at its time")
    if volatility is None or adv is None or missing:
        raise MissingCandles(
            f"the slippage of an order on {pair.trade_pair_id} needs {', '.join(missing)}: import "
            "those candles, or replay with the recorded slippage"
        )
    return volatility, adv


def _no_rule(pair: TradePair) -> SlippageError:
    return SlippageError(
        f"no slippage rule for {pair.trade_pair_id}: replay it with the recorded slippage"
    )


@dataclass(frozen=True, slots=True)
class Unfilled:
    """Orders of one pair whose slippage could not be computed, for one reason.

    Attributes:
        trade_pair_id: the pair.
        reason: the error's text.
        n_orders: how many; they keep the slippage that was recorded.
        first_order_uuid: the first of them.
        first_ms: its time.
    """

    trade_pair_id: str
    reason: str
    n_orders: int
    first_order_uuid: str
    first_ms: int


@dataclass(frozen=True, slots=True)
class SlippageReport:
    """What computing slippage did to the orders of a run.

    Attributes:
        n_orders: all orders.
        n_recorded: had slippage, which was kept.
        n_priceless: close a position without a price, where slippage means nothing; unchanged.
        n_computed: got the slippage of the rules (which may be 0).
        n_changed: of these, those whose slippage is another than the recorded one.
        without_quote: {trade pair id: orders} outside crypto whose slippage is 0 because bid or
            ask is missing; they count as computed.
        unfilled: what could not be computed, by pair and reason.
    """

    n_orders: int = 0
    n_recorded: int = 0
    n_priceless: int = 0
    n_computed: int = 0
    n_changed: int = 0
    without_quote: Mapping[str, int] = field(default_factory=dict)
    unfilled: tuple[Unfilled, ...] = ()

    @property
    def n_unfilled(self) -> int:
        """Orders whose slippage could not be computed."""
        return sum(each.n_orders for each in self.unfilled)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence per pair and thing that was missing."""
        quotes = (
            f"{pair}: {count} orders have no bid or ask, so their slippage is 0: record both, or "
            "set fetch_slippage_data"
            for pair, count in self.without_quote.items()
        )
        unfilled = (
            f"{each.trade_pair_id}: {each.n_orders} orders keep their recorded slippage, the first "
            f"is {each.first_order_uuid} of {format_time(each.first_ms)}: {each.reason}"
            for each in self.unfilled
        )
        return (*quotes, *unfilled)


def with_slippage(
    positions: Sequence[Position],
    lookup: MarketLookup,
    rules: SlippageRules = DEFAULT_SLIPPAGE_RULES,
    *,
    capital: float,
    recalculate: bool,
) -> tuple[list[Position], SlippageReport]:
    """The positions with slippage on their orders, and what was done.

    Args:
        positions: any; a position in which nothing changes is returned as it is.
        lookup: market data of a pair as of a time in ms; asked only for orders that need it.
        rules: constants, dates and tables.
        capital: USD for leverage 1.
        recalculate: compute all orders; otherwise only those whose recorded slippage is 0.

    Returns:
        The positions in the same order; orders without a rule or without data keep what was
        recorded and stand in the report.

    Raises:
        CandleError: `lookup` cannot read its candles.
    """
    counts: Counter[str] = Counter()
    without_quote: Counter[str] = Counter()
    unfilled: dict[tuple[str, str], Unfilled] = {}

    def filled(order: Order, pair: TradePair) -> Order:
        if order.src in PRICELESS_SOURCES:
            counts["priceless"] += 1
            return order
        if order.slippage and not recalculate:
            counts["recorded"] += 1
            return order
        needed = needs_market_data(order, pair, capital=capital, rules=rules)
        market = lookup(pair, order.processed_ms) if needed else NO_MARKET_DATA
        try:
            slippage = slippage_of(order, pair, capital=capital, rules=rules, market=market)
        except (SlippageError, MissingCandles) as fault:
            key = (pair.trade_pair_id, str(fault))
            before = unfilled.get(key) or Unfilled(*key, 0, order.order_uuid, order.processed_ms)
            unfilled[key] = replace(before, n_orders=before.n_orders + 1)
            return order
        counts["computed"] += 1
        if lacks_quote(order, pair) and not is_small(order, capital, rules):
            without_quote[pair.trade_pair_id] += 1
        if slippage == order.slippage:
            return order
        counts["changed"] += 1
        return replace(order, slippage=slippage)

    result = []
    for position in positions:
        orders = tuple(filled(order, position.trade_pair) for order in position.orders)
        same = all(new is old for new, old in zip(orders, position.orders, strict=True))
        result.append(position if same else replace(position, orders=orders))
    report = SlippageReport(
        n_orders=sum(len(position.orders) for position in positions),
        n_recorded=counts["recorded"],
        n_priceless=counts["priceless"],
        n_computed=counts["computed"],
        n_changed=counts["changed"],
        without_quote=dict(without_quote),
        unfilled=tuple(unfilled.values()),
    )
    log.info(
        "slippage: %d of %d orders computed with capital %.0f USD, %d changed, %d unfilled",
        *(report.n_computed, report.n_orders, capital, report.n_changed, report.n_unfilled),
    )
    return result, report
