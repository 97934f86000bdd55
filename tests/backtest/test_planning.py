"""Minute candles are read once, before a replay, and looked at as they were read; seconds as it goes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ptn_backtest.backtest.planning import PlannedPrices, plan_prices
from ptn_backtest.clock import HOUR_MS, MINUTE_MS, NEVER_MS, SECOND_MS, parse_time
from ptn_backtest.errors import MissingCandles
from ptn_backtest.ledger.timeline import build_timeline
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, CandleSource, Timespan, Windows
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import candles_of
from ptn_backtest.trade_pairs import TradePair
from tests.prices.made_candles import minutes

MONDAY = parse_time("2025-01-06")
OPENED, CLOSED = MONDAY + HOUR_MS, MONDAY + 5 * HOUR_MS
UPDATES = (MONDAY + 3 * HOUR_MS, MONDAY + 6 * HOUR_MS)
HOLE = (MONDAY + 2 * HOUR_MS, MONDAY + 2 * HOUR_MS + 10 * MINUTE_MS)


class Counting:
    """A store that counts how often each candle is read."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store
        self.times_read: Counter[tuple[str, Timespan, int]] = Counter()

    def describe(self) -> str:
        return self._store.describe()

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        window = np.array([[start_ms, end_ms]])
        [candles] = self.read_around(trade_pair_id, timespan, window)
        return candles

    def read_around(
        self, trade_pair_id: str, timespan: Timespan, windows: Windows
    ) -> Iterator[Candles]:
        for part in self._store.read_around(trade_pair_id, timespan, windows):
            self.times_read.update((trade_pair_id, timespan, ms) for ms in part.start_ms.tolist())
            yield part


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """A day of two pairs: minutes with a hole in those of BTCUSD, and seconds around its first order."""
    made = CandleStore.create(tmp_path / "candles")
    day = minutes(1_440, MONDAY)
    made.write("ETHUSD", Timespan.MINUTE, day)
    times = day["timestamp_ms"].to_numpy()
    made.write("BTCUSD", Timespan.MINUTE, day.filter((times < HOLE[0]) | (times >= HOLE[1])))
    made.write("BTCUSD", Timespan.SECOND, minutes(120, OPENED - MINUTE_MS, SECOND_MS))
    return made


def planned(
    candles: CandleSource, *, hold: bool = False, after_ms: int | None = None
) -> PlannedPrices:
    """What is read for a trader who holds both pairs for four hours."""
    positions = [
        Position(
            "trader",
            pair,
            TradePair.from_trade_pair_id(pair),
            OPENED,
            (
                Order(f"{pair} 1", OrderType.LONG, 0.1, 100.0, OPENED),
                Order(f"{pair} 2", OrderType.FLAT, 0.0, 100.0, CLOSED),
            ),
        )
        for pair in ("BTCUSD", "ETHUSD")
    ]
    return plan_prices(
        {"trader": build_timeline(positions)},
        candles,
        UPDATES,
        after_ms=after_ms,
        missing_candles="hold" if hold else "error",
    )


def test_no_candle_is_read_twice(store: CandleStore) -> None:
    source = Counting(store)
    prices = planned(source, hold=True)
    assert {n for (_, timespan, _), n in source.times_read.items() if timespan == "minute"} == {1}
    for pair, row in prices.rows.items():
        first, last = prices.table.rows[["minute_first", "minute_last"]][row]
        whole = store.read(pair, Timespan.MINUTE, OPENED, UPDATES[-1])
        assert prices.table.minute_ms[first:last].tolist() == whole.start_ms.tolist()


def test_seconds_are_read_a_stretch_of_time_after_another(store: CandleStore) -> None:
    # around the first update too, which ends one stretch and begins the next
    store.write("BTCUSD", Timespan.SECOND, minutes(120, UPDATES[0] - MINUTE_MS, SECOND_MS))
    prices = planned(store, hold=True)
    row = prices.rows["BTCUSD"]
    assert not len(candles_of(prices.table, row, Timespan.SECOND))

    def between(after_ms: int, until_ms: int) -> list[int]:
        table = prices.with_seconds(after_ms, until_ms)
        assert table.minute_ms is prices.table.minute_ms
        times_ms: list[int] = candles_of(table, row, Timespan.SECOND).start_ms.tolist()
        return times_ms

    first, second = between(-NEVER_MS, UPDATES[0]), between(UPDATES[0], UPDATES[1])
    assert first[-1] == second[0] == UPDATES[0]  # a step may begin within the second of an update
    assert [*first, *second[1:]] == between(-NEVER_MS, UPDATES[1])
    assert first[0] == OPENED
    assert len(first) > 60


def test_missing_candles_are_named_with_where_they_were_looked_for(store: CandleStore) -> None:
    with pytest.raises(MissingCandles, match=r"^10 minute candles of 1 trade pair missing") as stop:
        planned(store)
    assert store.describe() in str(stop.value)
    assert "BTCUSD minute 2025-01-06 02:00 UTC .. 2025-01-06 02:10 UTC" in str(stop.value)


def test_what_no_provider_has_is_a_warning(store: CandleStore) -> None:
    store.add_known_missing("BTCUSD", Timespan.MINUTE, "massive", [HOLE])
    warnings = planned(store).warnings
    assert "their provider has none" in warnings[0]
    assert warnings[1].startswith("BTCUSD minute 2025-01-06 02:00 UTC")


def test_a_source_may_know_nothing_of_missing_candles(store: CandleStore) -> None:
    store.add_known_missing("BTCUSD", Timespan.MINUTE, "massive", [HOLE])
    with pytest.raises(MissingCandles, match="10 minute candles"):
        planned(Counting(store))


def test_what_is_missing_before_a_continued_run_is_its_own_affair(store: CandleStore) -> None:
    warnings = planned(store, after_ms=UPDATES[0]).warnings
    assert not any("missing" in sentence for sentence in warnings)
    with pytest.raises(MissingCandles):
        planned(store, after_ms=HOLE[0] - MINUTE_MS)


def test_pairs_without_seconds_are_named(store: CandleStore) -> None:
    assert [s for s in planned(store, hold=True).warnings if "no second candles" in s] == [
        (
            "no second candles of ETHUSD: around orders and updates, where the network looks every "
            "second, values hold between whole minutes"
        )
    ]
