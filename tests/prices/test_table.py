"""A price table holds the candles of its ranges and windows, whatever source they come from."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.errors import CandleError
from ptn_backtest.prices import table as table_module
from ptn_backtest.prices.candle_file import write_file
from ptn_backtest.prices.candles import Candles, CandleSource, Timespan, Windows, clipped, window
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import SPARE, PriceTable, price_table
from ptn_backtest.trade_pairs import TradePair
from tests.prices.made_candles import JANUARY_31, minutes
from tests.prices.made_candles import table as made_table

BTC, ETH = (TradePair.from_trade_pair_id(pair) for pair in ("BTCUSD", "ETHUSD"))
FIRST = JANUARY_31 - JANUARY_31 % DAY_MS
TWO_DAYS = (FIRST, FIRST + 2 * DAY_MS)


class PlainSource:
    """A source that knows no windows."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store

    def describe(self) -> str:
        return "plain"

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        return self._store.read(trade_pair_id, timespan, start_ms, end_ms)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    """Minutes and every fifth second of two days."""
    made = CandleStore.create(tmp_path_factory.mktemp("store") / "candles")
    for pair in ("BTCUSD", "ETHUSD"):
        made.write(pair, Timespan.MINUTE, minutes(2 * 1_440, FIRST))
        seconds = minutes(2 * 17_280, FIRST, step_ms=5 * SECOND_MS)
        made.write(pair, Timespan.SECOND, seconds)
    return made


def windows_of(rows: Iterable[Sequence[int]]) -> Windows:
    return np.array(list(rows), dtype=np.int64).reshape(-1, 2)


def seconds_of(table: PriceTable, row: int) -> Candles:
    place = slice(table.rows["second_first"][row], table.rows["second_last"][row])
    return Candles(table.second_ms[place], table.second_close[place])


def inside(windows: Windows, time_ms: int) -> bool:
    return any(start <= time_ms <= end for start, end in windows.tolist())


edges = st.lists(
    st.integers(-HOUR_MS, 2 * DAY_MS + HOUR_MS).map(lambda ms: FIRST + ms), unique=True
)


@given(edges.map(sorted), st.booleans())
def test_second_candles_are_those_of_the_windows(
    store: CandleStore, times: list[int], plain: bool
) -> None:
    windows = windows_of(zip(times[::2], times[1::2], strict=False))
    source: CandleSource = PlainSource(store) if plain else store
    ranges = {"BTCUSD": TWO_DAYS, "ETHUSD": TWO_DAYS}
    table = price_table(source, [ETH, BTC], ranges, {"BTCUSD": windows})
    everything = store.read("BTCUSD", Timespan.SECOND, *TWO_DAYS)
    found = seconds_of(table, 1)
    assert found.start_ms.tolist() == [
        ms for ms in everything.start_ms.tolist() if inside(windows, ms)
    ]
    assert found.close.tolist() == (
        everything.close[np.isin(everything.start_ms, found.start_ms)].tolist()
    )
    assert len(seconds_of(table, 0)) == 0
    assert len(table.minute_ms) == 2 * 2 * 1_440
    assert len(table.minute_close) == 2 * 2 * 1_440 + SPARE


def test_a_range_begins_with_the_candle_in_which_it_lies(store: CandleStore) -> None:
    start_ms = FIRST + HOUR_MS + 32_500
    table = price_table(store, [BTC], {"BTCUSD": (start_ms, start_ms + MINUTE_MS)})
    assert table.minute_ms.tolist() == [FIRST + HOUR_MS, FIRST + HOUR_MS + MINUTE_MS]
    assert table.second_ms[0] == FIRST + HOUR_MS + 35_000
    assert table.second_ms[-1] == FIRST + HOUR_MS + 90_000


def test_a_pair_without_a_range_has_a_row_and_no_candles(store: CandleStore) -> None:
    windows = windows_of([TWO_DAYS])
    both = {"BTCUSD": windows, "ETHUSD": windows}
    table = price_table(store, [BTC, ETH], {"ETHUSD": TWO_DAYS}, both)
    assert table.rows[["minute_first", "minute_last"]].tolist() == [(0, 0), (0, 2_880)]
    assert len(seconds_of(table, 0)) == 0
    assert len(seconds_of(table, 1)) == 2 * 17_280


def test_all_time_is_a_range_too(store: CandleStore) -> None:
    table = price_table(store, [BTC], {"BTCUSD": (-NEVER_MS, NEVER_MS)})
    assert len(table.minute_ms) == 2 * 1_440
    assert len(table.second_ms) == 2 * 17_280


def test_candles_for_which_there_was_no_room_find_some(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = {"BTCUSD": TWO_DAYS, "ETHUSD": TWO_DAYS}
    roomy = price_table(store, [BTC, ETH], ranges)
    monkeypatch.setattr(table_module, "_MOST_ROOM", 10)
    monkeypatch.setattr(table_module, "_WHOLE_FILE", 1)
    narrow = price_table(store, [BTC, ETH], ranges)
    assert narrow.rows.tolist() == roomy.rows.tolist()
    for name in ("minute_ms", "minute_close", "second_ms", "second_close"):
        assert getattr(narrow, name).tolist() == getattr(roomy, name).tolist()


def test_a_close_that_no_replay_can_use_is_an_error_where_it_is_asked_for(tmp_path: Path) -> None:
    store = CandleStore.create(tmp_path / "candles")
    store.write("BTCUSD", Timespan.MINUTE, minutes(3, FIRST))
    [file] = (tmp_path / "candles/minute/BTCUSD").iterdir()
    write_file(file, made_table([FIRST + k * MINUTE_MS for k in range(3)], [1.0, -2.0, 3.0]))
    last = (FIRST + 2 * MINUTE_MS,) * 2
    assert price_table(store, [BTC], {"BTCUSD": last}).minute_close[:1].tolist() == [3.0]
    with pytest.raises(CandleError, match=r"00:01:00 UTC with close -2\.0"):
        price_table(store, [BTC], {"BTCUSD": TWO_DAYS})


def test_no_pairs_make_an_empty_table(store: CandleStore) -> None:
    table = price_table(store, [], {})
    arrays = (table.rows, table.minute_ms, table.second_ms, table.session_ms, table.minutes.pages)
    assert [len(array) for array in arrays] == [0] * len(arrays)
    assert len(table.minute_close) == len(table.second_close) == SPARE


def test_files_and_row_groups_outside_the_windows_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CandleStore.create(tmp_path / "candles")
    store.write("BTCUSD", Timespan.SECOND, minutes(3 * 86_400, FIRST, step_ms=SECOND_MS))
    days = sorted((tmp_path / "candles/second/BTCUSD").iterdir())
    days[1].write_bytes(b"not to be opened")
    read: list[int] = []
    real = pq.ParquetFile.read_row_groups

    def spying(self: pq.ParquetFile, groups: Sequence[int], **options: object) -> object:
        read.append(len(groups))
        return real(self, groups, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", spying)
    third_day = FIRST + 2 * DAY_MS
    windows = windows_of(
        [
            (FIRST + 2 * HOUR_MS, FIRST + 2 * HOUR_MS + 9_000),
            (FIRST + 20 * HOUR_MS, FIRST + 20 * HOUR_MS + 9_000),
            (third_day, third_day + 9_000),
        ]
    )
    parts = list(store.read_windows("BTCUSD", Timespan.SECOND, windows))
    assert [len(part) for part in parts] == [20, 10]
    assert read == [2, 1]
    assert pq.ParquetFile(days[0]).num_row_groups == 8


def test_windows_are_clipped_to_a_range() -> None:
    windows = windows_of([(0, 10), (20, 30), (40, 50)])
    assert clipped(windows, 10, 45).tolist() == [[10, 10], [20, 30], [40, 45]]
    assert clipped(windows, 11, 19).tolist() == []


@given(bounds=st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)))
def test_a_stretch_that_ends_before_it_starts_has_no_candle(bounds: tuple[int, int]) -> None:
    first, last = min(bounds), max(bounds) + 1
    everything = np.array([[-(10**9), 10**9]])
    assert len(window(last, first)) == len(clipped(everything, last, first)) == 0
    assert window(first, last).tolist() == clipped(everything, first, last).tolist()
    assert window(first, last).tolist() == [[first, last]]
