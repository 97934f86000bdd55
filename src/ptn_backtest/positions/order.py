"""An order as the network recorded it."""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from ptn_backtest.errors import InvalidPosition

MIN_LEVERAGE = 0.001
MAX_LEVERAGE = 500.0
"""Bounds of the |leverage| of an order that is not FLAT, as the network's own orders check."""

LAST_MS = 253_402_300_799_999
"""The end of the year 9999; a later time is in another unit than milliseconds."""


class OrderType(StrEnum):
    """Direction of an order, or of a position."""

    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"

    @property
    def sign(self) -> int:
        """1, -1 or 0."""
        return {"LONG": 1, "SHORT": -1, "FLAT": 0}[self.value]


class OrderSource(IntEnum):
    """Where an order came from (`src`)."""

    ORGANIC = 0
    ELIMINATION_FLAT = 1
    DEPRECATION_FLAT = 2
    PRICE_FILLED_ELIMINATION_FLAT = 3
    MAX_ORDERS_PER_POSITION = 4


PRICELESS_SOURCES = (OrderSource.ELIMINATION_FLAT, OrderSource.DEPRECATION_FLAT)
"""Orders of these sources carry price 0 and close a position without valuing it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a position.

    Attributes:
        order_uuid: the order's key.
        order_type: LONG, SHORT or FLAT; a text is taken for the type that it names.
        leverage: signed change of leverage (LONG > 0, SHORT < 0); a SHORT given with a positive
            leverage is negated. A FLAT may carry any value.
        price: fill price in the quote currency; 0 only for `PRICELESS_SOURCES`.
        processed_ms: time of the order, ms.
        bid: best bid at the time, 0 where unknown.
        ask: best ask at the time, 0 where unknown.
        slippage: fraction of the price.
        src: see `OrderSource`; 5 to 10 (limit and bracket orders) count as organic.
        price_sources: the recorded price sources as JSON text, where they were asked for.

    Raises:
        InvalidPosition: a field is out of its range; the message names it and its value.
    """

    order_uuid: str
    order_type: OrderType
    leverage: float
    price: float
    processed_ms: int
    bid: float = 0.0
    ask: float = 0.0
    slippage: float = 0.0
    src: int = 0
    price_sources: str | None = None

    def __post_init__(self) -> None:
        kind = self.order_type
        if type(kind) is not OrderType:
            kind = _order_type(kind)
            object.__setattr__(self, "order_type", kind)
        if kind is OrderType.SHORT and self.leverage > 0:
            object.__setattr__(self, "leverage", -self.leverage)
        if not all(
            map(math.isfinite, (self.leverage, self.price, self.bid, self.ask, self.slippage))
        ):
            raise InvalidPosition(self._not_finite())
        if kind is OrderType.LONG and self.leverage < 0:
            raise InvalidPosition(f"leverage {self.leverage} of a LONG order is negative")
        if kind is not OrderType.FLAT and not (MIN_LEVERAGE <= abs(self.leverage) <= MAX_LEVERAGE):
            raise InvalidPosition(
                f"leverage {self.leverage} is outside {MIN_LEVERAGE}..{MAX_LEVERAGE:g}"
            )
        if self.price < 0 or (self.price == 0 and self.src not in PRICELESS_SOURCES):
            raise InvalidPosition(f"price {self.price} is not above 0")

    def _not_finite(self) -> str:
        names = ("leverage", "price", "bid", "ask", "slippage")
        name = next(name for name in names if not math.isfinite(getattr(self, name)))
        return f"{name} is {getattr(self, name)}, not a finite number"


def _order_type(given: object) -> OrderType:
    try:
        return OrderType(str(given).upper())
    except ValueError:
        raise InvalidPosition(f"order type {given!r} is not LONG, SHORT or FLAT") from None
