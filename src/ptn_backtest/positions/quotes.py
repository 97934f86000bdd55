"""Bid and ask of orders, as candles have them; slippage rules ask for them.

Pure: `prices.quotes.quote_lookup` fetches them from a candle store.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.positions.order import PRICELESS_SOURCES, Order
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.quotes import QuoteLookup
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuoteReport:
    """What fetching bid and ask did to the orders of a run.

    Attributes:
        n_orders: orders that have a price; the others need no quote.
        n_filled: have the bid and ask of a candle.
        n_changed: of these, those that were recorded with others.
        recorded: {trade pair id: orders} without a candle's quote that keep the recorded one.
        missing: {trade pair id: orders} without any quote.
        warnings: one sentence per pair that lacks some.
    """

    n_orders: int = 0
    n_filled: int = 0
    n_changed: int = 0
    recorded: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The figures by the names that a run records."""
        return {
            "quotes_filled": self.n_filled,
            "quotes_changed": self.n_changed,
            "quotes_recorded": sum(self.recorded.values()),
            "quotes_missing": sum(self.missing.values()),
        }


def with_quotes(
    positions: Sequence[Position], lookup: QuoteLookup
) -> tuple[list[Position], QuoteReport]:
    """The positions with bid and ask of their orders' times, and what was lacking.

    Args:
        positions: any; a position in which nothing changes is returned as it is.
        lookup: quote of a pair at a time; asked for every order that has a price.

    Returns:
        The positions in the same order. An order without a quote keeps the recorded bid and ask.

    Raises:
        CandleError: `lookup` cannot read its candles.
    """
    counts: Counter[str] = Counter()
    orders_of: Counter[TradePair] = Counter()
    recorded: Counter[TradePair] = Counter()
    missing: Counter[TradePair] = Counter()

    def filled(order: Order, pair: TradePair) -> Order:
        if order.src in PRICELESS_SOURCES:
            return order
        orders_of[pair] += 1
        quote = lookup(pair.trade_pair_id, order.processed_ms)
        if quote is None:
            (recorded if order.bid > 0 and order.ask > 0 else missing)[pair] += 1
            return order
        counts["filled"] += 1
        if (order.bid, order.ask) == (quote.bid, quote.ask):
            return order
        counts["changed"] += 1
        return replace(order, bid=quote.bid, ask=quote.ask)

    result = []
    for position in positions:
        orders = tuple(filled(order, position.trade_pair) for order in position.orders)
        same = all(new is old for new, old in zip(orders, position.orders, strict=True))
        result.append(position if same else replace(position, orders=orders))
    report = QuoteReport(
        n_orders=orders_of.total(),
        n_filled=counts["filled"],
        n_changed=counts["changed"],
        recorded={pair.trade_pair_id: count for pair, count in recorded.items()},
        missing={pair.trade_pair_id: count for pair, count in missing.items()},
        warnings=tuple(
            _warning(pair, orders_of[pair], recorded[pair], missing[pair])
            for pair in orders_of
            if recorded[pair] or missing[pair]
        ),
    )
    log.info(
        "bid and ask of %d of %d orders taken from candles, %d changed",
        *(report.n_filled, report.n_orders, report.n_changed),
    )
    return result, report


def _warning(pair: TradePair, n_orders: int, n_recorded: int, n_missing: int) -> str:
    """What one pair lacks, and what that means for its slippage."""
    lacking = n_recorded + n_missing
    text = (
        f"{pair.trade_pair_id}: no bid and ask in the candles for {lacking} of {n_orders} orders; "
        f"{n_recorded} keep the recorded ones, {n_missing} have none"
    )
    if pair.is_crypto:
        return f"{text}; slippage of crypto asks for none"
    return (
        f"{text}: bring them ('ptn-backtest candles pull-quotes'), or import candles with the columns "
        "bid and ask"
    )
