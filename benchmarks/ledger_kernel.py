"""How many ticks a second the compiled kernel walks, against the plain-Python definition.

Both build the same ledgers of the bundled test positions, side by side in one run, and the results
are compared; machines are noisy, so the ratio is the figure. Run: make bench
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.definition import define_ledgers
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import TraderTimeline, build_timeline, open_ranges
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.table import price_table
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles

DAYS = 10
REPEATS = 20


def count_ticks(timeline: TraderTimeline, until_ms: int) -> int:
    """Ticks x open positions in one update to a time (the rule of `docs/arithmetic.md`)."""
    ranges = [r for mine in open_ranges([timeline], until_ms).values() for r in mine]
    moments = {o.processed_ms for p in timeline.positions for o in p.orders}
    ends = sorted({m for m in moments if m <= until_ms} | {until_ms})
    count = 0
    for last_ms, end_ms in pairwise(ends):
        held = sum(opened <= last_ms and closed > last_ms for opened, closed in ranges)
        at_ms = last_ms + 1
        while held and at_ms < end_ms:
            second_ms = at_ms - at_ms % SECOND_MS
            by_second = end_ms - last_ms - 1 <= 30 * MINUTE_MS or end_ms - second_ms <= MINUTE_MS
            count += held
            at_ms += SECOND_MS if by_second or second_ms % MINUTE_MS else MINUTE_MS
    return count


def timed(work: Callable[[], LedgerState], repeats: int = 1) -> tuple[float, LedgerState]:
    """Seconds of the quickest repetition, and the result."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        state = work()
        best = min(best, time.perf_counter() - begun)
    return best, state


def compare(mine: tuple[Position, ...], candles: CandleSource) -> tuple[int, float, float]:
    """Ticks of one trader, and the seconds that kernel and definition take for them."""
    until_ms = mine[0].open_ms + DAYS * DAY_MS
    known = up_to(mine, until_ms)
    timeline = build_timeline(known)
    pairs = list(timeline.pairs)
    whole = {pair.trade_pair_id: (timeline.first_order_ms, until_ms) for pair in pairs}
    prices = price_table(candles, pairs, whole)
    rows = {pair.trade_pair_id: row for row, pair in enumerate(pairs)}
    kernel_s, compiled = timed(lambda: update_ledgers(timeline, prices, rows, [until_ms]), REPEATS)
    python_s, defined = timed(lambda: define_ledgers(known, candles, [until_ms]))
    if compiled.to_dict() != defined.to_dict():
        raise SystemExit(f"{timeline.miner_hotkey}: kernel and definition differ")
    return count_ticks(timeline, until_ms), kernel_s, python_s


def main() -> None:
    """Print one line per trader, and the totals."""
    positions = PositionManager(convert(BundledPositionSource().read()).positions)
    print(f"{'trader':<18}{'ticks':>9}{'kernel':>14}{'definition':>14}{'ratio':>8}")
    total = [0, 0.0, 0.0]
    with TemporaryDirectory() as folder:
        candles = bundled_candles(Path(folder) / "candles")
        for hotkey, mine in positions.by_hotkey().items():
            ticks, kernel_s, python_s = compare(tuple(mine), candles)
            total = [total[0] + ticks, total[1] + kernel_s, total[2] + python_s]
            show(hotkey[:16], ticks, kernel_s, python_s)
    show("all", int(total[0]), total[1], total[2])


def show(name: str, ticks: int, kernel_s: float, python_s: float) -> None:
    """One line of the table; speeds in ticks x open positions a second."""
    kernel, python = ticks / kernel_s / 1e6, ticks / python_s / 1e6
    print(f"{name:<18}{ticks:>9,}{kernel:>11.2f}M/s{python:>11.3f}M/s{kernel / python:>7.0f}x")


if __name__ == "__main__":
    main()
