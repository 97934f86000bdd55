import math
from typing import Any

import pytest

from ptn_backtest.errors import InvalidPosition
from ptn_backtest.positions.order import Order, OrderSource, OrderType


def order(
    kind: Any = OrderType.LONG, leverage: Any = 0.1, price: Any = 100.0, **others: Any
) -> Any:
    return Order("o", kind, leverage, price, 1_735_689_600_000, **others)


def test_a_short_with_positive_leverage_is_negated() -> None:
    assert order(OrderType.SHORT, 0.1).leverage == -0.1
    assert order(OrderType.SHORT, -0.1).leverage == -0.1


@pytest.mark.parametrize("leverage", [0.0, 0.5, -0.5, 1e6, 1e-12])
def test_a_flat_may_carry_any_leverage(leverage: Any) -> None:
    assert order(OrderType.FLAT, leverage).leverage == leverage


@pytest.mark.parametrize("kind", [OrderType.LONG, OrderType.SHORT])
@pytest.mark.parametrize("size", [0.001, 1.0, 500.0])
def test_the_bounds_of_the_leverage_belong_to_it(kind: Any, size: Any) -> None:
    assert order(kind, kind.sign * size).leverage == kind.sign * size


@pytest.mark.parametrize("kind", [OrderType.LONG, OrderType.SHORT])
@pytest.mark.parametrize("size", [0.0, 0.00099, 500.001])
def test_a_leverage_out_of_bounds_is_refused_with_its_value(kind: Any, size: Any) -> None:
    with pytest.raises(InvalidPosition, match=str(size)):
        order(kind, kind.sign * size)


def test_a_long_with_negative_leverage_is_refused() -> None:
    with pytest.raises(InvalidPosition, match=r"-0\.1 of a LONG"):
        order(leverage=-0.1)


@pytest.mark.parametrize("src", [OrderSource.ELIMINATION_FLAT, OrderSource.DEPRECATION_FLAT])
def test_an_administrative_flat_may_have_no_price(src: Any) -> None:
    assert order(OrderType.FLAT, 0.0, 0.0, src=src).price == 0


@pytest.mark.parametrize("src", [0, 3, 4, 5, 10])
def test_any_other_order_needs_a_price(src: Any) -> None:
    with pytest.raises(InvalidPosition, match="price"):
        order(OrderType.FLAT, 0.0, 0.0, src=src)


def test_a_negative_price_is_refused_whatever_the_source() -> None:
    with pytest.raises(InvalidPosition, match=r"price -1\.0"):
        order(OrderType.FLAT, 0.0, -1.0, src=1)


@pytest.mark.parametrize("name", ["leverage", "price", "bid", "ask", "slippage"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidPosition, match=f"{name} is {value}"):
        order(**{name: value})


@pytest.mark.parametrize("text", ["LONG", "long", OrderType.LONG.value])
def test_a_type_given_as_text_is_that_type(text: Any) -> None:
    assert order(kind=text).order_type is OrderType.LONG
    assert order(kind=text) == order(kind=OrderType.LONG)
    assert order(kind="SHORT").leverage == -0.1


@pytest.mark.parametrize("text", ["BUY", "", None, 1])
def test_another_type_is_named(text: Any) -> None:
    with pytest.raises(InvalidPosition, match=f"order type {text!r} is not LONG, SHORT or FLAT"):
        order(kind=text)
