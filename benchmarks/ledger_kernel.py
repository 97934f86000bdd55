"""How many ticks a second the compiled kernel walks, against the plain-Python definition.

Both build the same ledgers of the bundled test positions, side by side in one run, and the results
are compared; machines are noisy, so the ratio is the figure. Run: python -m benchmarks.ledger_kernel
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ticks import work_of
from ptn_backtest.bundles.comparing import Comparison
from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.definition import define_ledgers
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.table import price_table
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles

DAYS = 10
REPEATS = 20


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
    # whole numbers exactly; the kernel takes logarithms of small changes by a series
    comparison = Comparison(rtol=1e-11, atol=1e-16)
    comparison.compare(timeline.miner_hotkey, compiled.to_dict(), defined.to_dict())
    if comparison.differences:
        raise SystemExit(f"kernel and definition differ: {comparison.differences[0]}")
    return work_of([timeline], [until_ms], {}).n_valuations, kernel_s, python_s


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
