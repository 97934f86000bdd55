"""Random traders: positions, candles, update times and settings that belong together.

Orders and updates crowd where the rules turn: the same millisecond, 1 ms apart, the lengths at which
the tick grid changes, the dates of new fees and slippage, weekends, ends of checkpoints. Candles come
from a drawn seed, so that a failing case shrinks by its orders, not by its prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, WINDOW_MS
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.order import Order, OrderSource, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, Timespan
from ptn_backtest.rulebook import DEFAULT_RULEBOOK
from ptn_backtest.trade_pairs import TradePair

FIRST_PRICES = {"BTCUSD": 50_000.0, "ETHUSD": 3_000.0, "EURUSD": 1.1, "USDJPY": 150.0}

INTERESTING_MS = (
    DEFAULT_RULEBOOK.fee_v4_ms,
    DEFAULT_RULEBOOK.carry_from_ms,
    DEFAULT_RULEBOOK.slippage_v1_ms,
    1_741_380_000_000,  # Friday 7 March 2025, 20:40 UTC: forex closes, then New York changes clocks
    1_735_073_990_000,  # 24 December 2024, 20:59:50 UTC: a carry interval ends, Christmas follows
    1_746_057_600_000,  # 1 May 2025, 00:00 UTC: a checkpoint and a day end
)

LONGEST_MS = 3 * DAY_MS

_JITTER_MS = st.sampled_from([0, 1, 500, 999]) | st.integers(0, MINUTE_MS)

GAPS_MS = st.one_of(
    st.sampled_from([0, 0, 0, 1, 1, 2, 999, 1_000, 1_001, 59_999, 60_000, 60_001, 61_001]),
    st.sampled_from([1_799_999, 1_800_000, 1_800_001, 1_800_002, 8 * HOUR_MS, CHECKPOINT_MS]),
    # small ranges are drawn evenly, large ones are not
    st.builds(lambda minutes, ms: minutes * MINUTE_MS + ms, st.integers(0, 100), _JITTER_MS),
    st.builds(lambda hours, ms: hours * HOUR_MS + ms, st.integers(1, 20), _JITTER_MS),
)
"""Times between one order, or update, and the next."""

LEVERAGES = st.one_of(
    st.sampled_from([0.001, 0.1, 0.2, 0.3, 0.5, 1.0]),
    st.floats(0.001, 3.0),
    st.sampled_from([5.0, 40.0]),
)

ACTIONS = st.sampled_from(["add", "add", "reduce", "flat", "flip", "unpriced", "late"])


@dataclass(frozen=True)
class GivenCandles:
    """A candle source that holds its candles."""

    by_pair: Mapping[tuple[str, Timespan], Candles]

    def describe(self) -> str:
        return "candles of a test"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        found = self.by_pair[trade_pair_id, timespan]
        kept = (found.start_ms >= start_ms) & (found.start_ms <= end_ms)
        return Candles(found.start_ms[kept], found.close[kept])


@dataclass(frozen=True)
class Trader:
    """One trader, with all that its ledgers follow from."""

    positions: tuple[Position, ...]
    candles: GivenCandles = field(repr=False)
    update_times_ms: tuple[int, ...]
    account_sizes: tuple[tuple[int, float], ...]
    use_slippage: bool | None
    portfolio_only: bool
    window_ms: int


@st.composite
def traders(draw: st.DrawFn, *, orders_apart: bool = False) -> Trader:
    """A trader of 1 to 3 pairs, over hours to days.

    With `orders_apart`, nothing happens within 1 ms of an order but an update at its very time, and
    the last update comes after the last order.
    """
    gaps_ms = GAPS_MS.filter(lambda gap_ms: gap_ms > 1) if orders_apart else GAPS_MS
    begin_ms = draw(st.sampled_from(INTERESTING_MS))
    begin_ms += draw(st.sampled_from([-1, 0, 1]) | st.integers(-2 * HOUR_MS, 10 * MINUTE_MS))
    pairs = draw(st.permutations(sorted(FIRST_PRICES)))[: draw(st.sampled_from([1, 2, 3]))]
    times = [begin_ms]
    for gap_ms in draw(st.lists(gaps_ms, min_size=draw(st.integers(0, 8)), max_size=14)):
        if times[-1] + gap_ms <= begin_ms + LONGEST_MS:
            times.append(times[-1] + gap_ms)
    updates = draw(update_times(times, gaps_ms))
    if orders_apart:
        beside = {time_ms + ms for time_ms in times for ms in (-1, 1)}
        updates = tuple(time_ms for time_ms in updates if time_ms not in beside)
    size_updates = st.tuples(
        st.integers(begin_ms - 2 * DAY_MS, times[-1]), st.floats(1_000, 100_000)
    )
    return Trader(
        positions=draw(positions_at(times, pairs)),
        candles=draw(price_paths(pairs, sorted([*times, *updates]))),
        update_times_ms=updates,
        account_sizes=tuple(draw(st.lists(size_updates, max_size=3, unique_by=lambda s: s[0]))),
        use_slippage=draw(st.sampled_from([None, True, False])),
        portfolio_only=draw(st.sampled_from([False, False, True])),
        window_ms=draw(st.sampled_from([WINDOW_MS, 2 * DAY_MS, CHECKPOINT_MS + 1, CHECKPOINT_MS])),
    )


@st.composite
def update_times(
    draw: st.DrawFn, order_times_ms: Sequence[int], gaps_ms: st.SearchStrategy[int]
) -> tuple[int, ...]:
    """Ascending: at orders, 1 ms beside them, anywhere between, and a gap after the last."""
    first_ms, last_ms = order_times_ms[0], order_times_ms[-1]
    beside_orders = st.builds(int.__add__, st.sampled_from(order_times_ms), st.integers(-1, 1))
    share = st.integers(0, 100).map(lambda percent: percent * (last_ms - first_ms) // 100)
    anywhere = st.builds(lambda ms, jitter_ms: first_ms + ms + jitter_ms, share, _JITTER_MS)
    boundary = st.just(last_ms - last_ms % CHECKPOINT_MS)
    too_early = st.just(first_ms - MINUTE_MS)
    times = draw(st.sets(beside_orders | anywhere | boundary | too_early, max_size=5))
    return tuple(sorted(times | {last_ms + draw(gaps_ms)}))


@st.composite
def positions_at(
    draw: st.DrawFn, times_ms: Sequence[int], pairs: Sequence[str]
) -> tuple[Position, ...]:
    """Positions with one order at each of these times, in any stored order.

    A pair has one open position at a time, as in the network; orders may follow a closing one.
    """
    newest: dict[str, Position] = {}
    done: list[Position] = []
    for i, at_ms in enumerate(times_ms):
        pair = draw(st.sampled_from(pairs))
        action = draw(ACTIONS)
        position = newest.get(pair)
        if position is not None and _held(position) == 0 and action != "late":
            done.append(position)
            position = None
        order = draw(_orders(f"order-{i}", at_ms, pair, action, _held(position)))
        earlier = () if position is None else position.orders
        newest[pair] = Position(
            miner_hotkey="trader",
            position_uuid=f"position-{i}" if position is None else position.position_uuid,
            trade_pair=TradePair.from_trade_pair_id(pair),
            open_ms=earlier[0].processed_ms if earlier else at_ms,
            orders=(*earlier, order),
        )
    return tuple(draw(st.permutations([*done, *newest.values()])))


def _held(position: Position | None) -> float:
    return 0.0 if position is None else replay(position).net_leverage


@st.composite
def _orders(draw: st.DrawFn, uuid: str, at_ms: int, pair: str, action: str, held: float) -> Order:
    """An order that does this to a position; where nothing is held, one that opens it."""
    price = FIRST_PRICES[pair] * draw(st.floats(0.97, 1.03))
    slippage = draw(st.sampled_from([0.0, 0.0001, 0.03]))
    if held != 0 and action in ("flat", "unpriced"):
        unpriced = action == "unpriced"
        return Order(
            order_uuid=uuid,
            order_type=OrderType.FLAT,
            leverage=draw(st.sampled_from([0.0, -held])),
            price=0.0 if unpriced else price,
            processed_ms=at_ms,
            slippage=slippage,
            src=OrderSource.ELIMINATION_FLAT if unpriced else OrderSource.ORGANIC,
        )
    size = draw(LEVERAGES)
    direction = (1 if held > 0 else -1) if held != 0 else draw(st.sampled_from([1, -1]))
    if held != 0 and action in ("reduce", "flip"):
        direction = -direction
        size = max(0.001, abs(held) * draw(st.floats(0.1, 0.9))) if action == "reduce" else size
    return Order(
        order_uuid=uuid,
        order_type=OrderType.LONG if direction > 0 else OrderType.SHORT,
        leverage=direction * size,
        price=price,
        processed_ms=at_ms,
        slippage=slippage,
    )


@st.composite
def price_paths(
    draw: st.DrawFn, pairs: Sequence[str], event_times_ms: Sequence[int]
) -> GivenCandles:
    """Random walks by the minute; candles by the second where ticks go by the second; holes in both.

    Each pair has its own: single candles are missing, and long stretches.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    volatility = draw(st.sampled_from([0.0, 1e-5, 1e-4, 1e-3, 1e-2]))
    shares_of_holes = st.sampled_from([0.0, 0.0, 0.1, 0.9, 1.0])
    n_outages = st.sampled_from([0, 0, 1, 5])
    first_ms, last_ms = event_times_ms[0], event_times_ms[-1]
    minutes = np.arange(first_ms // MINUTE_MS, last_ms // MINUTE_MS + 1) * MINUTE_MS
    seconds = _seconds_before(event_times_ms)
    by_pair = {}
    for pair in pairs:
        walk = FIRST_PRICES[pair] * np.exp(np.cumsum(rng.normal(0, volatility, len(minutes))))
        wiggled = np.interp(seconds, minutes, walk) * np.exp(
            rng.normal(0, volatility / 8, len(seconds))
        )
        for timespan, times, closes in (
            (Timespan.MINUTE, minutes, walk),
            (Timespan.SECOND, seconds, wiggled),
        ):
            kept = rng.random(len(times)) >= draw(shares_of_holes)
            for first, length in rng.integers(0, len(times), (draw(n_outages), 2)):
                kept[first : first + length // 4] = False
            by_pair[pair, timespan] = Candles(times[kept], np.round(closes[kept], 5))
    return GivenCandles(by_pair)


def _seconds_before(event_times_ms: Sequence[int]) -> NDArray[np.int64]:
    """Starts of seconds within the half hour before each event, and the minute after."""
    near = [np.arange(t // 1_000 - 1_830, t // 1_000 + 61) for t in event_times_ms]
    return np.unique(np.concatenate(near)) * 1_000
