"""A network of any size, made from a seed: traders' positions in a database, and a candle store.

    python -m benchmarks.workload network
    python -m benchmarks.workload small --url postgresql://user:password@host/database

Made once per size, seed and `VERSION`, in a folder under `runs/bench`. A size is a name from
`SIZES`, or traders x days ("64x30").
"""

import argparse
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table

from benchmarks.market import (
    PAIRS,
    Floats,
    MarketTime,
    Minutes,
    minute_walk,
    second_walk,
    with_holes,
)
from benchmarks.orders import (
    POSITIONS_PER_TRADER_DAY,
    Orders,
    Positions,
    Traders,
    make_positions,
    make_traders,
    with_directions,
)
from ptn_backtest.clock import DAY_MS, parse_time
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.database.connect import database_errors, open_engine, parse_url
from ptn_backtest.sources.database.schema import ACCOUNT_SIZES, ORDERS, POSITIONS, create_schema

log = logging.getLogger(__name__)

VERSION = 1
"""Counts up whenever the same seed makes another network, so that older folders are left alone."""

SEED = 8
FOLDER = Path("runs") / "bench"
START_MS = parse_time("2025-07-01")
"""Every network begins here: fees, slippage and the challenge period change along the way."""

_CANDLES_BEFORE_MS = DAY_MS
_ROWS_AT_ONCE = 20_000
_USUAL_LEVERAGE = {"crypto": 0.15, "forex": 1.2}
_SIZES_PER_TRADER = 2.5  # mean number of dated account sizes
_BASE58 = np.array(list("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is."""

    n_traders: int
    n_days: int

    @property
    def end_ms(self) -> int:
        """End of the last day."""
        return START_MS + self.n_days * DAY_MS


SIZES = {
    "small": Size(32, 30),
    "network": Size(512, 120),
    "year": Size(512, 365),
    "large": Size(5_000, 120),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A network that was made.

    Attributes:
        name: "network", or "64x30".
        seed: what it was made from.
        url: the database.
        candles: folder of the candle store.
        start_ms: first order at the earliest.
        end_ms: last order at the latest.
        counts: traders (with a position), positions, orders, account_sizes, minute_candles,
            second_candles.
        seconds: how long making it took.
    """

    name: str
    seed: int
    url: str
    candles: Path
    start_ms: int
    end_ms: int
    counts: dict[str, int]
    seconds: float


def size_of(name: str) -> Size:
    """A size by its name.

    Raises:
        SystemExit: no such size; the message names them.
    """
    n_traders, _, n_days = name.partition("x")
    if name in SIZES:
        return SIZES[name]
    if n_traders.isdigit() and n_days.isdigit():
        return Size(int(n_traders), int(n_days))
    raise SystemExit(f"no size {name!r}: take {', '.join(SIZES)}, or traders x days such as 64x30")


def workload(
    name: str, *, seed: int = SEED, folder: Path = FOLDER, url: str | None = None
) -> Workload:
    """The network of this size and seed, made unless it is there.

    Args:
        name: a size, see `size_of`.
        seed: another seed makes another network.
        folder: where networks are kept.
        url: an empty database to write to, in place of a SQLite file in the folder; then the
            network is made anew each time.
    """
    place = folder / f"{name}-seed{seed}-v{VERSION}"
    about = place / "workload.json"
    if url is not None or not about.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        making = place.with_name(f".{place.name}.{os.getpid()}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        made = _make(name, seed, making, url)
        (making / about.name).write_text(json.dumps(made, indent=1) + "\n")
        shutil.rmtree(place, ignore_errors=True)
        making.rename(place)
    known = json.loads(about.read_text())
    return Workload(
        **known,
        url=url or f"sqlite:///{(place / 'positions.db').as_posix()}",
        candles=place / "candles",
    )


def _make(name: str, seed: int, place: Path, url: str | None) -> dict[str, Any]:
    begun = time.perf_counter()
    size = size_of(name)
    # a stream of its own for each purpose, so that a change in one leaves the others as they were
    streams = iter(np.random.default_rng([seed, size.n_traders, size.n_days]).spawn(64))
    traders = make_traders(size.n_traders, next(streams))
    markets = [MarketTime.of(quoted.pair, START_MS, size.end_ms) for quoted in PAIRS]
    n_positions = round(size.n_traders * size.n_days * POSITIONS_PER_TRADER_DAY)
    positions, orders = make_positions(traders, markets, n_positions, next(streams))
    minutes = [
        minute_walk(quoted, START_MS - _CANDLES_BEFORE_MS, size.end_ms, next(streams))
        for quoted in PAIRS
    ]
    usual = np.array([_USUAL_LEVERAGE[quoted.pair.category] for quoted in PAIRS])
    leverage = with_directions(traders, positions, orders, minutes, usual, next(streams))
    store = CandleStore.create(place / "candles", label=f"{name}, seed {seed}", synthetic=True)
    prices, n_minutes, n_seconds = _write_candles(store, minutes, positions, orders, streams)
    network = _Network(traders, positions, orders, leverage, prices, next(streams))
    counts = network.write(url or f"sqlite:///{place / 'positions.db'}", size)
    return {
        "name": name,
        "seed": seed,
        "start_ms": START_MS,
        "end_ms": size.end_ms,
        "counts": {**counts, "minute_candles": n_minutes, "second_candles": n_seconds},
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _write_candles(
    store: CandleStore,
    minutes: Sequence[Minutes],
    positions: Positions,
    orders: Orders,
    streams: Iterator[np.random.Generator],
) -> tuple[Floats, int, int]:
    """Fill the store; the price at every order, and the number of minute and second candles."""
    prices = np.zeros(len(orders.time_ms))
    n_minutes = n_seconds = 0
    pair_of_order = positions.pair[orders.position]
    for index, each in enumerate(minutes):
        mine = pair_of_order == index
        random = next(streams)
        pair = each.quoted.trade_pair_id
        n_minutes += store.write(pair, Timespan.MINUTE, with_holes(each, random)).added
        if mine.any():
            seconds, prices[mine] = second_walk(each, orders.time_ms[mine], random)
            n_seconds += store.write(pair, Timespan.SECOND, seconds).added
    return prices, n_minutes, n_seconds


@dataclass(frozen=True, slots=True)
class _Network:
    """Everything that goes into the database."""

    traders: Traders
    positions: Positions
    orders: Orders
    leverage: Floats
    prices: Floats
    random: np.random.Generator

    def write(self, url: str, size: Size) -> dict[str, int]:
        """Fill an empty database of our schema; gives the number of rows."""
        parsed = parse_url(url)
        engine = open_engine(parsed, read_only=False)
        hotkeys = _hotkeys(size.n_traders, self.random)
        position_uuids = _uuids(len(self.positions.pair), self.random)
        with database_errors(parsed):
            create_schema(engine)
            with engine.begin() as connection:
                _insert(connection, POSITIONS, self._position_rows(hotkeys, position_uuids))
                _insert(connection, ORDERS, self._order_rows(position_uuids))
                n_sizes = _insert(connection, ACCOUNT_SIZES, self._size_rows(hotkeys, size))
        engine.dispose()
        return {
            "traders": len(np.unique(self.positions.trader)),
            "positions": len(position_uuids),
            "orders": len(self.orders.time_ms),
            "account_sizes": n_sizes,
        }

    def _position_rows(self, hotkeys: list[str], uuids: list[str]) -> Iterator[dict[str, Any]]:
        """Rows by open time, as a network writes them."""
        made, prices = self.positions, self.prices
        names = [quoted.trade_pair_id for quoted in PAIRS]
        sign = np.where(self.leverage[made.first] > 0, 1, -1)
        gain = sign * (prices[made.last - 1] / prices[made.first] - 1)
        value = np.maximum(0.0, 1 + gain * np.abs(self.leverage[made.first]))
        held = np.add.reduceat(self.leverage, made.first) * made.stays_open
        by_time = np.argsort(made.open_ms, kind="stable")
        columns = (by_time, made.trader, made.pair, made.open_ms, made.close_ms, made.stays_open)
        return (
            {
                "position_uuid": uuids[i],
                "miner_hotkey": hotkeys[trader],
                "trade_pair_id": names[pair],
                "position_type": ("SHORT" if direction < 0 else "LONG") if stays else "FLAT",
                "open_ms": open_ms,
                "close_ms": None if stays else close_ms,
                "is_closed_position": not stays,
                "current_return": worth,
                "return_at_close": worth,
                "net_leverage": leverage,
                "average_entry_price": price,
                "cumulative_entry_value": 0.0,
                "realized_pnl": 0.0,
                "account_size": None,
                "updated_ms": close_ms,
            }
            for i, trader, pair, open_ms, close_ms, stays, direction, worth, leverage, price in zip(
                by_time.tolist(),
                *(column[by_time].tolist() for column in columns[1:]),
                *(c[by_time].tolist() for c in (sign, value, held, prices[made.first])),
                strict=True,
            )
        )

    def _order_rows(self, uuids: list[str]) -> Iterator[dict[str, Any]]:
        """Rows by time."""
        orders, random = self.orders, self.random
        pair = self.positions.pair[orders.position]
        spread = np.array([quoted.spread for quoted in PAIRS])[pair]
        crypto = np.array([quoted.pair.is_crypto for quoted in PAIRS])[pair]
        n = len(pair)
        held = np.cumsum(self.leverage)
        held -= (held - self.leverage)[self.positions.first][orders.position]
        buys = np.where(orders.closes, held < 0, self.leverage > 0)
        bid, ask = self.prices * (1 - spread / 2), self.prices * (1 + spread / 2)
        slippage = np.where(crypto, 2e-5, np.round(random.lognormal(-11.0, 0.7, n), 8))
        kind = np.where(orders.closes, 0, np.where(self.leverage > 0, 1, 2))
        within = np.arange(n) - self.positions.first[orders.position]
        by_time = np.argsort(orders.time_ms, kind="stable")
        columns = (
            *(orders.position, kind, self.leverage, np.where(buys, ask, bid), bid, ask),
            *(slippage, orders.time_ms, within),
        )
        return (
            {
                "order_uuid": order_uuid,
                "position_uuid": uuids[position],
                "order_type": ("FLAT", "LONG", "SHORT")[kind],
                "leverage": leverage,
                "price": price,
                "bid": low,
                "ask": high,
                "slippage": slipped,
                "processed_ms": time_ms,
                "src": 0,
                "sequence": place,
            }
            for order_uuid, position, kind, leverage, price, low, high, slipped, time_ms, place in zip(
                _uuids(n, random), *(column[by_time].tolist() for column in columns), strict=True
            )
        )

    def _size_rows(self, hotkeys: list[str], size: Size) -> Iterator[dict[str, Any]]:
        """Collateral of a few moments, of idle traders too."""
        counts = self.random.poisson(_SIZES_PER_TRADER, size.n_traders)
        trader = np.repeat(np.arange(size.n_traders), counts)
        theta = np.round(self.random.lognormal(np.log(200.0), 0.9, len(trader)), 3)
        times = self.random.integers(START_MS - DAY_MS, size.end_ms, len(trader))
        return (
            {
                "miner_hotkey": hotkeys[i],
                "account_size": min(amount, 1_000.0) * 500.0,
                "account_size_theta": amount,
                "update_time_ms": time_ms,
            }
            for i, amount, time_ms in zip(
                trader.tolist(), theta.tolist(), times.tolist(), strict=True
            )
        )


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    rows, count = iter(rows), 0
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        connection.execute(table.insert(), batch)
        count += len(batch)
    return count


def _hotkeys(count: int, random: np.random.Generator) -> list[str]:
    letters = _BASE58[random.integers(0, len(_BASE58), (count, 47))]
    return ["5" + "".join(row) for row in letters]


def _uuids(count: int, random: np.random.Generator) -> list[str]:
    text = random.bytes(16 * count).hex()
    rows = (text[i : i + 32] for i in range(0, len(text), 32))
    return [f"{row[:8]}-{row[8:12]}-{row[12:16]}-{row[16:20]}-{row[20:]}" for row in rows]


def main() -> None:
    """Make a network, and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size", help=f"{', '.join(SIZES)}, or traders x days")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--url", help="an empty database, in place of a SQLite file")
    given = parser.parse_args()
    made = workload(given.size, seed=given.seed, folder=given.folder, url=given.url)
    about = {name: value for name, value in asdict(made).items() if name != "url"}
    print(json.dumps(about, indent=1, default=str))


if __name__ == "__main__":
    main()
