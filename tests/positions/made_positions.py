"""Small positions for tests."""

from typing import Any

from hypothesis import strategies as st

from ptn_backtest.clock import parse_time
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.trade_pairs import TradePair

NOW = parse_time("2025-11-01")
"""When the latest rules of the network are in force."""


def pair_of(trade_pair_id: str) -> TradePair:
    return TradePair.from_trade_pair_id(trade_pair_id)


def position(
    trade_pair_id: str, *steps: Any, uuid: str = "p", start_ms: int = NOW, every_ms: int = 1_000
) -> Position:
    """A position whose orders are signed leverages, or 0 for FLAT, or (leverage, src)."""
    orders = []
    for n, step in enumerate(steps):
        leverage, src = step if isinstance(step, tuple) else (step, 0)
        kind = "FLAT" if src or not leverage else "LONG" if leverage > 0 else "SHORT"
        price = 0.0 if src in (1, 2) else 100.0 + n
        at_ms = start_ms + n * every_ms
        orders.append(Order(f"{uuid}{n}", OrderType(kind), leverage, price, at_ms, src=src))
    return Position("hotkey", uuid, pair_of(trade_pair_id), start_ms, tuple(orders), 5_000.0)


PAIRS = ("BTCUSD", "ETHUSD", "SOLUSD", "EURUSD", "USDJPY")
STEPS = st.lists(
    st.one_of(
        st.floats(0.001, 0.9).flatmap(lambda size: st.sampled_from([size, -size])),
        st.sampled_from([0.1, 0.25, -0.25, 0.5, 0.01, 3.0, 0, 0, (0.0, 1), (0.0, 3)]),
    ),
    max_size=8,
)


@st.composite
def traders(draw: st.DrawFn, *, ties: bool = True) -> list[Position]:
    """Positions of one trader, overlapping or not, closed or not, at times that often tie.

    Without `ties`, only orders of one position may have the same time.
    """
    made = []
    for n in range(draw(st.integers(1, 6))):
        first = draw(st.sampled_from([0.005, 0.1, 0.3, 0.5, 0.9, -0.2, -0.8]))
        steps = [first, *draw(STEPS)]
        start_ms = NOW + draw(st.integers(0, 30)) * 100 + (0 if ties else 10 * n)
        pair = draw(st.sampled_from(PAIRS))
        every_ms = draw(st.sampled_from([0, 1, 100, 400] if ties else [0, 100, 400]))
        made.append(position(pair, *steps, uuid=f"x{n}y", start_ms=start_ms, every_ms=every_ms))
    return made
