"""Bundled test positions and the synthetic candles that they were traded on.

Six made-up traders in September 2025 show the cases that a replay meets. Nothing here is real:
prices come from a seed, and each order is filled at the bid or ask of its second.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from ptn_backtest.clock import MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan, merged_ranges
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.synthetic import minute_candles, second_candles
from ptn_backtest.sources.bundled_plot import (
    ACCOUNT_SIZES,
    ELIMINATION_FLAT,
    EMEKA,
    MODELS,
    PLOTS,
    Step,
)
from ptn_backtest.sources.plagiarism import PlagiarismEvents
from ptn_backtest.sources.records import (
    ALL,
    EliminationRecord,
    OrderRecord,
    PositionQuery,
    PositionRecord,
)
from ptn_backtest.sources.selection import select
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

SEED = 20_250_901
RECIPE = 2
"""Counts up whenever the prices or positions below change, so that an older store is made anew."""

START_MS = parse_time("2025-09-01")
END_MS = parse_time("2025-10-01")
"""The range in which the test positions are traded, for a run of their whole life."""

LABEL = f"synthetic, seed {SEED}, recipe {RECIPE}"

_FIRST_CANDLE_MS = parse_time("2025-08-31")
_LAST_CANDLE_MS = parse_time("2025-10-02")
_SECONDS_AROUND_MS = 3 * MINUTE_MS
_SECONDS_BETWEEN_MS = 30 * MINUTE_MS  # a replay walks shorter steps by seconds throughout

_SLIPPAGE = {"BTCUSD": 0.00002, "ETHUSD": 0.00002, "SOLUSD": 0.0002}
_FOREX_SLIPPAGE_PER_SPREAD = 0.433
"""Fractions of the price, of the size that the network charged in September 2025."""


class BundledPositionSource:
    """The test positions as a `PositionSource`."""

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def describe(self) -> str:
        """What it is."""
        return "test positions (synthetic)"

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """The positions asked for, by hotkey, then open time, then uuid."""
        return select(_records(), query)

    def read_account_sizes(self, query: PositionQuery = ALL) -> dict[str, list[tuple[int, float]]]:
        """{hotkey: [(update time in ms, account size in USD), ...]}, each list in time order."""
        return {
            hotkey: [(parse_time(moment), size) for moment, size in sizes]
            for hotkey, sizes in ACCOUNT_SIZES.items()
            if _wanted(hotkey, query)
        }

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """Emeka's elimination, where it is asked for."""
        elimination_ms = parse_time("2025-09-12T06:00")
        late = query.end_ms is not None and elimination_ms > query.end_ms
        if late or not _wanted(EMEKA, query):
            return []
        fields = {
            "miner_hotkey": EMEKA,
            "elimination_ms": elimination_ms,
            "elimination_reason": "MAX_TOTAL_DRAWDOWN",
            "max_drawdown": 10.2,
            "creation_ms": elimination_ms,
            "updated_ms": elimination_ms,
        }
        return [EliminationRecord(fields, "bundled elimination of Emeka")]

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """None: nobody copies in the test positions."""
        del query
        return PlagiarismEvents()


def bundled_candles(root: Path | str) -> CandleStore:
    """The synthetic candles of the test positions, made in this folder unless they are there.

    Raises:
        CandleError: the folder holds something else, such as real candles.
    """
    root = Path(root)
    if (root / "store.json").exists():
        store = CandleStore(root)
        if not store.synthetic:
            raise CandleError(
                f"{root} holds real candles: name another folder for the synthetic ones"
            )
        if store.label == LABEL:
            return store
        log.info("%s: made anew, it was %s", root, store.label)
        shutil.rmtree(root)
    _make_store(root)
    return CandleStore(root)


def _make_store(root: Path) -> None:
    """Make the store beside its place and move it there at once, so that none is ever half made."""
    root.parent.mkdir(parents=True, exist_ok=True)
    making = root.with_name(f".{root.name}.{os.getpid()}.making")
    shutil.rmtree(making, ignore_errors=True)
    store = CandleStore.create(making, label=LABEL, synthetic=True)
    for (pair, timespan), table in _candles().items():
        store.write(pair, timespan, table)
    try:
        making.rename(root)
    except OSError as fault:
        shutil.rmtree(making)
        if not (root / "store.json").exists():  # else another process was first: as good as ours
            raise CandleError(
                f"{root} is not empty and not a candle store: name another folder"
            ) from fault


@cache
def _candles() -> dict[tuple[str, Timespan], pa.Table]:
    windows = _second_windows()
    tables = {}
    for pair, model in MODELS.items():
        minutes = minute_candles(model, _FIRST_CANDLE_MS, _LAST_CANDLE_MS, SEED)
        tables[pair, Timespan.MINUTE] = minutes
        tables[pair, Timespan.SECOND] = second_candles(model, minutes, windows[pair], SEED)
    return tables


def _second_windows() -> dict[str, list[tuple[int, int]]]:
    """Where a replay of each trader asks for seconds: around its orders, for all of its pairs."""
    windows: dict[str, list[tuple[int, int]]] = {pair: [] for pair in MODELS}
    for plots in PLOTS.values():
        times = sorted({step.ms for _, steps in plots for step in steps})
        around = [(ms - _SECONDS_AROUND_MS, ms + _SECONDS_AROUND_MS) for ms in times]
        between = [(a, b) for a, b in pairwise(times) if b - a <= _SECONDS_BETWEEN_MS]
        for pair in {pair for pair, _ in plots}:
            windows[pair] += around + between
    return {pair: merged_ranges(each) for pair, each in windows.items()}


@cache
def _records() -> tuple[PositionRecord, ...]:
    return tuple(
        _record(hotkey, number, pair, steps)
        for hotkey, plots in PLOTS.items()
        for number, (pair, steps) in enumerate(plots, start=1)
    )


def _record(hotkey: str, number: int, pair: str, steps: Sequence[Step]) -> PositionRecord:
    origin = f"bundled position {number} of {hotkey.rstrip('x')}"
    held = 0.0
    orders = []
    for index, step in enumerate(steps, start=1):
        rises = step.leverage > 0 if step.order_type != "FLAT" else held < 0
        order_uuid = _uuid(hotkey, number, index)
        fields = {
            "order_uuid": order_uuid,
            "order_type": step.order_type,
            "leverage": step.leverage,
            "processed_ms": step.ms,
            "src": int(step.src),
            **_fill(pair, step, rises=rises),
        }
        orders.append(OrderRecord(fields, f"{origin}, order {index}"))
        held += step.leverage
    opening = orders[0].fields
    sizes = [
        size for moment, size in ACCOUNT_SIZES.get(hotkey, ()) if parse_time(moment) <= steps[0].ms
    ]
    fields = {
        "miner_hotkey": hotkey,
        "position_uuid": opening["order_uuid"],
        "trade_pair_id": pair,
        "open_ms": opening["processed_ms"],
        "account_size": sizes[-1] if sizes else 0.0,
    }
    closes = steps[-1].order_type == "FLAT" or held * steps[0].leverage <= 0
    stored = {"is_closed_position": closes, "close_ms": steps[-1].ms if closes else None}
    return PositionRecord(fields, orders, stored, origin)


def _fill(pair: str, step: Step, *, rises: bool) -> dict[str, float]:
    """Price, bid, ask and slippage of an order: buyers pay the ask, sellers get the bid."""
    if step.src == ELIMINATION_FLAT:
        return {"price": 0.0, "bid": 0.0, "ask": 0.0, "slippage": 0.0}
    seconds = _candles()[pair, Timespan.SECOND]
    row = int(np.searchsorted(seconds["timestamp_ms"].to_numpy(), step.ms - step.ms % SECOND_MS))
    bid, ask = seconds["bid"][row].as_py(), seconds["ask"][row].as_py()
    forex = TradePair.from_trade_pair_id(pair).is_forex
    slippage = _FOREX_SLIPPAGE_PER_SPREAD * MODELS[pair].spread / bid if forex else _SLIPPAGE[pair]
    return {"price": ask if rises else bid, "bid": bid, "ask": ask, "slippage": round(slippage, 8)}


def _uuid(hotkey: str, position: int, order: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ptn-backtest test {hotkey} {position} {order}"))


def _wanted(hotkey: str, query: PositionQuery) -> bool:
    return query.hotkeys is None or hotkey in query.hotkeys
