import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, MINUTE_MS, NEVER_MS, SECOND_MS, parse_time
from ptn_backtest.errors import CandleError, UnknownTradePair
from ptn_backtest.prices.candle_file import Extent, write_file
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.merging import Written
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import JANUARY_31, minutes, table

MINUTE, SECOND = Timespan.MINUTE, Timespan.SECOND
EVER = (-NEVER_MS, NEVER_MS)
WITH_HELPERS = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
"""The environment of a process that imports what this one does."""


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore.create(tmp_path / "prices")


def test_candles_are_read_back_by_range_with_both_ends_included(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    read = store.read("BTCUSD", MINUTE, JANUARY_31 + MINUTE_MS, JANUARY_31 + 3 * MINUTE_MS)
    assert read.start_ms.tolist() == [JANUARY_31 + k * MINUTE_MS for k in (1, 2, 3)]
    assert read.close.tolist() == [101.0, 102.0, 103.0]
    assert (read.start_ms.dtype, read.close.dtype) == (np.int64, np.float64)


def test_a_pair_or_range_without_candles_is_empty(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    assert len(store.read("ETHUSD", MINUTE, *EVER)) == 0
    assert len(store.read("BTCUSD", SECOND, *EVER)) == 0
    assert len(store.read("BTCUSD", MINUTE, JANUARY_31 + DAY_MS, NEVER_MS)) == 0


def test_minutes_lie_in_files_by_month_and_seconds_by_day(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    store.write("BTCUSD", SECOND, minutes(200, step_ms=SECOND_MS))
    files = sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*.parquet"))
    assert files == [
        "minute/BTCUSD/2025-01.parquet",
        "minute/BTCUSD/2025-02.parquet",
        "second/BTCUSD/2025-01-31.parquet",
        "second/BTCUSD/2025-02-01.parquet",
    ]


def test_a_range_read_opens_only_the_files_of_the_range(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    (store.root / "minute/BTCUSD/2025-01.parquet").write_bytes(b"not to be opened")
    assert len(store.read("BTCUSD", MINUTE, parse_time("2025-02-01"), NEVER_MS)) == 3


def test_a_range_read_skips_row_groups(store, monkeypatch):
    start = parse_time("2025-03-01")
    store.write("BTCUSD", MINUTE, minutes(31 * 1440, start))
    read_groups: list[int] = []
    real = pq.ParquetFile.read_row_groups

    def spying(self, groups, **options):
        read_groups.extend(groups)
        return real(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", spying)
    assert len(store.read("BTCUSD", MINUTE, start + 10 * DAY_MS, start + 11 * DAY_MS)) == 1441
    n_groups = pq.ParquetFile(store.root / "minute/BTCUSD/2025-03.parquet").num_row_groups
    assert 0 < len(read_groups) < n_groups


def test_all_columns_are_kept_and_absent_ones_are_null(store):
    given = table([JANUARY_31], [2.0], open=[1.0], high=[3.0], low=[0.5], volume=[7.0])
    store.write("BTCUSD", MINUTE, given)
    row = store.read_table("BTCUSD", MINUTE).to_pylist()
    assert row == [
        {
            "timestamp_ms": JANUARY_31,
            "open": 1.0,
            "high": 3.0,
            "low": 0.5,
            "close": 2.0,
            "volume": 7.0,
            "bid": None,
            "ask": None,
        }
    ]


def test_writing_counts_what_is_new_the_same_and_other(store):
    assert store.write("BTCUSD", MINUTE, minutes(3)) == Written(added=3)
    assert store.write("BTCUSD", MINUTE, minutes(4)) == Written(added=1, repeated=3)
    written = store.write("BTCUSD", MINUTE, table([JANUARY_31 + MINUTE_MS] * 2, [101.0, 7.5]))
    assert (written.added, written.repeated, written.changed) == (0, 1, 1)
    [change] = written.changes
    assert (change.start_ms, change.old_close, change.new_close) == (
        JANUARY_31 + MINUTE_MS,
        101.0,
        7.5,
    )
    assert store.read("BTCUSD", MINUTE, *EVER).close.tolist() == [100.0, 7.5, 102.0, 103.0]


def test_closes_alone_do_not_wipe_out_what_else_is_known(store):
    store.write("BTCUSD", MINUTE, table([JANUARY_31], [2.0], high=[3.0], low=[1.0]))
    assert store.write("BTCUSD", MINUTE, table([JANUARY_31], [2.0])) == Written(repeated=1)
    assert store.read_table("BTCUSD", MINUTE)["high"].to_pylist() == [3.0]
    # another close is another candle: the old high need not hold for it
    store.write("BTCUSD", MINUTE, table([JANUARY_31], [5.0]))
    assert store.read_table("BTCUSD", MINUTE)["high"].to_pylist() == [None]


def test_writing_the_same_again_touches_no_file(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")}
    store.write("BTCUSD", MINUTE, minutes(5))
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")} == before


@settings(deadline=None)  # a slow disk is no failure
@given(
    rows=st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 3)), max_size=60),
    parts=st.integers(1, 5),
    timespan=st.sampled_from(Timespan),
)
def test_rows_in_any_order_and_any_pieces_read_as_the_last_of_each_time(
    tmp_path_factory, rows, parts, timespan
):
    store = CandleStore.create(tmp_path_factory.mktemp("prices"))
    start = parse_time("2025-01-31")
    expected = {start + at * timespan.ms: float(close) for at, close in rows}
    written = Written()
    for part in np.array_split(np.arange(len(rows)), parts):
        chosen = [rows[i] for i in part]
        piece = table([start + at * timespan.ms for at, _ in chosen], [c for _, c in chosen])
        written = written.plus(store.write("BTCUSD", timespan, piece))
    read = store.read("BTCUSD", timespan, *EVER)
    assert dict(zip(read.start_ms.tolist(), read.close.tolist(), strict=True)) == expected
    assert read.start_ms.tolist() == sorted(expected)
    assert written.added == len(expected)
    assert written.added + written.repeated + written.changed == len(rows)


def test_pairs_and_extent(store):
    store.write("ETHUSD", SECOND, minutes(3, step_ms=SECOND_MS))
    store.write("BTCUSD", MINUTE, minutes(5))
    assert store.pairs() == ["BTCUSD", "ETHUSD"]
    assert store.pairs(SECOND) == ["ETHUSD"]
    assert store.extent("BTCUSD", MINUTE) == Extent(JANUARY_31, JANUARY_31 + 4 * MINUTE_MS, 5)
    assert store.extent("BTCUSD", SECOND) is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (table([JANUARY_31 + 1], [1.0]), "1 candles start off the grid"),
        (table([JANUARY_31], [0.0]), "close that is not above 0; the first is 0.0"),
        (table([JANUARY_31], [float("nan")]), "close that is not above 0"),
        (table([JANUARY_31], [float("inf")]), "close that is not above 0"),
        (pa.table({"timestamp_ms": [JANUARY_31]}), "candles need the columns timestamp_ms, close"),
        (table([JANUARY_31], [1.0], vwap=[1.0]), "found timestamp_ms, close, vwap"),
    ],
)
def test_what_is_no_candle_is_refused_whole(store, bad, message):
    with pytest.raises(CandleError, match=message):
        store.write("BTCUSD", MINUTE, bad)
    assert store.pairs() == []


def test_an_unknown_pair_is_refused(store):
    with pytest.raises(UnknownTradePair, match="BTCUSD"):
        store.write("BTCUSDT", MINUTE, minutes(1))
    with pytest.raises(UnknownTradePair):
        store.write("../BTCUSD", MINUTE, minutes(1))


def test_a_folder_without_a_store_says_how_to_make_one(tmp_path):
    with pytest.raises(CandleError, match=r"no candle store at .*candles import"):
        CandleStore(tmp_path / "nothing")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not overwrite")
    with pytest.raises(CandleError, match="not empty and not a candle store"):
        CandleStore.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_label_is_kept(tmp_path):
    CandleStore.create(tmp_path / "a", label="synthetic, seed 8", synthetic=True)
    opened = CandleStore.create(tmp_path / "a", label="another")
    assert (opened.label, opened.synthetic) == ("synthetic, seed 8", True)
    assert "synthetic, seed 8" in opened.describe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "has format version 2, this version of ptn-backtest reads 1"),
        ({"format": "photo album"}, "does not describe a candle store"),
    ],
)
def test_another_format_is_not_read(store, change, message):
    path = store.root / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CandleError, match=message):
        CandleStore(store.root)


def test_a_broken_store_json_is_named(store):
    (store.root / "store.json").write_text("{")
    with pytest.raises(CandleError, match=r"store\.json is damaged"):
        CandleStore(store.root)


def test_a_truncated_file_is_named_with_what_to_do(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    path = store.root / "minute/BTCUSD/2025-01.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CandleError, match=r"2025-01\.parquet cannot be read as Parquet.*delete it"):
        store.read("BTCUSD", MINUTE, *EVER)
    with pytest.raises(CandleError, match=r"2025-01\.parquet"):
        store.extent("BTCUSD", MINUTE)


def test_a_flipped_byte_in_a_price_is_noticed(store):
    store.write("BTCUSD", MINUTE, minutes(2))
    path = store.root / "minute/BTCUSD/2025-01.parquet"
    content = bytearray(path.read_bytes())
    at = content.find(np.float64(101.0).tobytes())
    content[at + 5] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(CandleError, match=r"2025-01\.parquet cannot be read"):
        store.read("BTCUSD", MINUTE, *EVER)


def test_a_missing_column_is_named(store):
    store.write("BTCUSD", MINUTE, minutes(5))
    path = store.root / "minute/BTCUSD/2025-01.parquet"
    pq.write_table(pa.table({"timestamp_ms": [JANUARY_31], "price": [1.0]}), path)
    with pytest.raises(CandleError, match=r"2025-01\.parquet has no column 'close' of type double"):
        store.read("BTCUSD", MINUTE, *EVER)


@pytest.mark.parametrize(
    ("times", "closes", "message"),
    [
        ([JANUARY_31, JANUARY_31], [1.0, 2.0], "twice or out of order"),
        ([JANUARY_31 + MINUTE_MS, JANUARY_31], [1.0, 2.0], "twice or out of order"),
        (
            [JANUARY_31, JANUARY_31 + MINUTE_MS],
            [1.0, -2.0],
            "2025-01-31 23:59:00 UTC with close -2.0",
        ),
    ],
)
def test_a_file_put_there_by_hand_is_not_trusted(store, times, closes, message):
    store.write("BTCUSD", MINUTE, minutes(5))
    write_file(
        store.root / "minute/BTCUSD/2025-01.parquet",
        table(times, closes).select(["timestamp_ms", "close"]),
    )
    with pytest.raises(CandleError, match=message):
        store.read("BTCUSD", MINUTE, *EVER)


@pytest.mark.parametrize("name", ["BTCUSD_1m", "2025-01-31", "2025-13", "NaT"])
def test_a_file_of_another_name_is_named(store, name):
    store.write("BTCUSD", MINUTE, minutes(1))
    (store.root / f"minute/BTCUSD/{name}.parquet").touch()
    with pytest.raises(CandleError, match=f"{name}.parquet does not belong in a candle store"):
        store.read("BTCUSD", MINUTE, *EVER)


def test_a_file_written_elsewhere_without_statistics_is_read(store):
    path = store.root / "minute/BTCUSD/2025-01.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(minutes(2), path, write_statistics=False)
    assert store.read("BTCUSD", MINUTE, JANUARY_31, JANUARY_31).close.tolist() == [100.0]


def test_a_write_that_fails_leaves_the_old_candles_and_no_litter(store, monkeypatch):
    store.write("BTCUSD", MINUTE, minutes(2))

    def full_disk(*_arguments, **_options):
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            store.write("BTCUSD", MINUTE, table([JANUARY_31], [5.0]))
    assert store.read("BTCUSD", MINUTE, *EVER).close.tolist() == [100.0, 101.0]
    assert list(store.root.rglob("*.tmp")) == []


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from tests.prices.made_candles import JANUARY_31, table
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
store = CandleStore(sys.argv[1])
to_do = [None] * int(sys.argv[2])
os.fsync = lambda descriptor: to_do.pop() if to_do else os.kill(os.getpid(), signal.SIGKILL)
store.write("BTCUSD", Timespan.MINUTE, table([JANUARY_31], [5.0]))
"""


@pytest.mark.parametrize("n_synced", [0, 1])
def test_a_writer_killed_before_its_file_is_in_place_leaves_the_old_one(store, n_synced):
    """Killed when a line says what is going to change, or when the new file is beside the old one."""
    store.write("BTCUSD", MINUTE, minutes(2))
    command = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(store.root), str(n_synced)]
    killed = subprocess.run(command, env=WITH_HELPERS, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(store.root.rglob("*.tmp"))) == n_synced
    assert store.read("BTCUSD", MINUTE, *EVER).close.tolist() == [100.0, 101.0]
    store.write("BTCUSD", MINUTE, table([JANUARY_31], [5.0]))
    assert list(store.root.rglob("*.tmp")) == []
    assert store.read("BTCUSD", MINUTE, *EVER).close.tolist() == [5.0, 101.0]


ENDLESS_WRITER = """
import sys
from tests.prices.made_candles import JANUARY_31, minutes
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
store = CandleStore(sys.argv[1])
generation = 0
while True:
    generation += 1
    table = minutes(40_000)
    closes = [float(generation)] * 40_000
    table = table.set_column(1, "close", [closes])
    store.write("BTCUSD", Timespan.MINUTE, table)
    print(generation, flush=True)
"""


def test_a_killed_writer_leaves_whole_files(store):
    """Each file holds one generation of candles, whenever the writer is killed."""
    for delay in (0.0, 0.02, 0.04, 0.06, 0.09, 0.13):
        writer = subprocess.Popen(
            [sys.executable, "-c", ENDLESS_WRITER, str(store.root)],
            stdout=subprocess.PIPE,
            env=WITH_HELPERS,
        )
        assert writer.stdout is not None
        writer.stdout.readline()  # one generation is complete
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        for path in store.root.rglob("*.parquet"):
            assert len(set(pq.read_table(path)["close"].to_pylist())) == 1
        assert len(store.read("BTCUSD", MINUTE, *EVER)) == 40_000
    store.write("BTCUSD", MINUTE, minutes(40_000))
    assert list(store.root.rglob("*.tmp")) == []
    assert store.read("BTCUSD", MINUTE, *EVER).close[0] == 100.0


WRITER = """
import sys
from tests.prices.made_candles import minutes
from ptn_backtest.clock import MINUTE_MS
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
store = CandleStore(sys.argv[1])
for turn in range(10):
    store.write("BTCUSD", Timespan.MINUTE, minutes(1, (int(sys.argv[2]) * 10 + turn) * MINUTE_MS))
"""


def test_two_writers_at_once_lose_nothing(store):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.root), str(number)],
            env=WITH_HELPERS,
        )
        for number in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    read = store.read("BTCUSD", MINUTE, *EVER)
    assert read.start_ms.tolist() == [k * MINUTE_MS for k in range(30)]
