import numpy as np

from ptn_backtest.results.order_marks import TONES, order_marks


def marks(*orders: tuple[int, float, float]) -> list[str | None]:
    """Of orders as (position, leverage held after it, price)."""
    position, held, price = (np.array(each) for each in zip(*orders, strict=True))
    found = order_marks(position, held.astype(float), price.astype(float))
    return [TONES[mark] if mark >= 0 else None for mark in found]


def test_an_order_opens_changes_or_closes() -> None:
    assert marks((0, 0.2, 5), (0, 0.5, 6), (0, 0, 7), (1, -1, 5), (1, -0.5, 4), (2, 0.1, 9)) == [
        "long", "change", "exit", "short", "change", "long",
    ]  # fmt: skip


def test_nothing_is_drawn_without_a_price_or_after_the_end() -> None:
    assert marks((0, 0.2, 5), (0, 0, 6), (0, 0, 7), (1, 0.3, 5), (1, 0, 0)) == [
        "long", "exit", None, "long", None,
    ]  # fmt: skip


def test_no_order_has_no_mark() -> None:
    assert len(order_marks(np.zeros(0, int), np.zeros(0), np.zeros(0))) == 0
