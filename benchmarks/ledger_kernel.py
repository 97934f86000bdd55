"""How many ticks a second the compiled kernel walks, against the plain-Python definition.

Both build the same ledgers of the bundled test positions, side by side in one run, and the results
are compared; machines are noisy, so the ratio is the figure. Then the kernel alone walks a long quiet
stretch: one position, minutes without an order. Run: python -m benchmarks.ledger_kernel
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.market import PAIRS, minute_walk, with_holes
from benchmarks.ticks import work_of
from benchmarks.workload import START_MS
from ptn_backtest.bundles.comparing import Comparison
from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.builder import update_ledgers
from ptn_backtest.ledger.definition import define_ledgers
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource, Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import price_table
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles

DAYS = 10
QUIET_DAYS = 120
REPEATS = 20


def timed(
    work: Callable[[], LedgerState],
    repeats: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, LedgerState]:
    """Seconds of the quickest repetition, and the result."""
    best = float("inf")
    for _ in range(repeats):
        begun = clock()
        state = work()
        best = min(best, clock() - begun)
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


def quiet_stretch(folder: Path, n_days: int, interval_days: int) -> float:
    """Seconds of the processor for one tick of a position that is held all the time.

    Args:
        folder: where the candles are written.
        n_days: how long it is held.
        interval_days: time between updates.
    """
    quoted = PAIRS[0]
    random = np.random.default_rng(1)
    minutes = minute_walk(quoted, START_MS, START_MS + n_days * DAY_MS, random)
    store = CandleStore.create(folder, label="a quiet stretch", synthetic=True)
    store.write(quoted.trade_pair_id, Timespan.MINUTE, with_holes(minutes, random))
    order = Order(
        order_uuid="order",
        order_type=OrderType.LONG,
        leverage=0.1,
        price=quoted.price,
        processed_ms=START_MS,
    )
    position = Position(
        miner_hotkey="trader",
        position_uuid="position",
        trade_pair=quoted.pair,
        open_ms=START_MS,
        orders=(order,),
    )
    timeline = build_timeline([position])
    times = range(START_MS, START_MS + n_days * DAY_MS + 1, interval_days * DAY_MS)
    prices = price_table(store, [quoted.pair], {quoted.trade_pair_id: (times[0], times[-1])})
    rows = {quoted.trade_pair_id: 0}
    seconds, _ = timed(
        lambda: update_ledgers(timeline, prices, rows, times), REPEATS, time.process_time
    )
    return seconds / work_of([timeline], times, {}).n_ticks


def main() -> None:
    """Print one line per trader, the totals, and the quiet stretch."""
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
        for name, interval_days in (("updated daily", 1), ("updated once", QUIET_DAYS)):
            tick_s = quiet_stretch(Path(folder) / name, QUIET_DAYS, interval_days)
            print(f"one position held for {QUIET_DAYS} days, {name}: {tick_s * 1e9:.1f} ns a tick")


def show(name: str, ticks: int, kernel_s: float, python_s: float) -> None:
    """One line of the table; speeds in ticks x open positions a second."""
    kernel, python = ticks / kernel_s / 1e6, ticks / python_s / 1e6
    print(f"{name:<18}{ticks:>9,}{kernel:>11.2f}M/s{python:>11.3f}M/s{kernel / python:>7.0f}x")


if __name__ == "__main__":
    main()
