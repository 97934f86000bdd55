"""Which candles a replay of positions asks for, before there is a store to look into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Ranges


@dataclass(frozen=True, slots=True)
class CandleNeeds:
    """{trade pair id: ranges [start, end) of candle starts in ms}, on whole minutes and seconds.

    Attributes:
        minutes: from each pair's first order to its last, or to the end where a position is open.
        seconds: around orders: of every pair that a trader holds when it sends an order of any.
    """

    minutes: Mapping[str, Ranges]
    seconds: Mapping[str, Ranges]


def candle_needs(positions: Sequence[Position], end_ms: int | None = None) -> CandleNeeds:
    """What a replay of these positions needs.

    Args:
        positions: of any traders; orders after `end_ms` are those of the caller to leave out.
        end_ms: until when a position that stays open is valued; None means until the last order.
    """
    if not positions:
        return CandleNeeds({}, {})
    last_ms = max(position.orders[-1].processed_ms for position in positions)
    end_ms = last_ms if end_ms is None else max(end_ms, last_ms)
    by_trader = PositionManager(positions).by_hotkey()
    timelines = [build_timeline(mine) for mine in by_trader.values()]
    minutes: dict[str, tuple[int, int]] = {}
    for timeline in timelines:
        for position, close in zip(
            timeline.positions, timeline.arrays.accounts.bounds["close"], strict=True
        ):
            pair = position.trade_pair.trade_pair_id
            last = position.orders[-1].processed_ms if close >= 0 else end_ms
            first = position.orders[0].processed_ms
            before = minutes.get(pair, (first, last))
            minutes[pair] = (min(first, before[0]), max(last, before[1]))
    seconds = second_windows(timelines, [end_ms])
    return CandleNeeds(
        {pair: [_whole(*minutes[pair], MINUTE_MS)] for pair in sorted(minutes)},
        {
            pair: [_whole(start, end, SECOND_MS) for start, end in seconds[pair].tolist()]
            for pair in sorted(seconds)
        },
    )


def _whole(first_ms: int, last_ms: int, step_ms: int) -> tuple[int, int]:
    """Candles that contain a time of [first, last], as a range [start, end)."""
    return first_ms - first_ms % step_ms, last_ms - last_ms % step_ms + step_ms
