import gzip
import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS, parse_time
from ptn_backtest.errors import CandleError, UnknownTradePair
from ptn_backtest.prices import reading
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.importing import import_candles
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table

MONDAY = parse_time("2025-01-06")
EVER = (-NEVER_MS, NEVER_MS)
MINUTES = [MONDAY + k * MINUTE_MS for k in range(4)]


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def lines(header, *rows):
    return "\n".join([header, *rows]) + "\n"


def closes_of(store, pair="BTCUSD", timespan=Timespan.MINUTE):
    read = store.read(pair, timespan, *EVER)
    return dict(zip(read.start_ms.tolist(), read.close.tolist(), strict=True))


SHAPES = {
    "own columns": lines(
        "timestamp_ms,open,high,low,close,volume",
        *(f"{t},1,3,1,{2 + k},5" for k, t in enumerate(MINUTES)),
    ),
    "seconds, upper case": lines(
        "TIME,CLOSE", *(f"{t // 1000},{2 + k}" for k, t in enumerate(MINUTES))
    ),
    "microseconds": lines("ts,c", *(f"{t * 1000},{2 + k}" for k, t in enumerate(MINUTES))),
    "ISO": lines("date,close", *(f"2025-01-06 00:0{k}:00+00:00,{2 + k}" for k in range(4))),
    "MetaTrader-like": lines(
        "<DATETIME>\t<CLOSE>", *(f"2025.01.06 00:0{k}\t{2 + k}" for k in range(4))
    ),
    "semicolons, quoted": lines(
        '"Open time";"Close"', *(f'"{t}";"{2 + k}"' for k, t in enumerate(MINUTES))
    ),
    "exchange without header": "".join(
        f"{t * 1000},1,3,1,{2 + k},5,{(t + 59_999) * 1000},9,4,1,1,0\n"
        for k, t in enumerate(MINUTES)
    ),
    "CRLF": lines("time,close", *(f"{t},{2 + k}\r" for k, t in enumerate(MINUTES))),
    "byte order mark": "\ufeff"
    + lines("time,close", *(f"{t},{2 + k}" for k, t in enumerate(MINUTES))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_csv_files_of_many_shapes(store, write, shape):
    report = import_candles(store, [write("BTCUSD.csv", SHAPES[shape])])
    assert closes_of(store) == {t: 2.0 + k for k, t in enumerate(MINUTES)}
    assert (report.n_rows, report.n_set_aside) == (4, 0)


def test_gzipped_csv(store, tmp_path):
    path = tmp_path / "BTCUSD_1m.csv.gz"
    path.write_bytes(gzip.compress(SHAPES["own columns"].encode()))
    import_candles(store, [path])
    assert len(closes_of(store)) == 4


def test_columns_and_unit_can_be_given(store, write):
    path = write(
        "export.csv", lines("when,mid,close", *(f"{t},{2 + k},0" for k, t in enumerate(MINUTES)))
    )
    import_candles(
        store,
        [path],
        trade_pair_id="ETHUSD",
        timespan=Timespan.MINUTE,
        columns={"time": "when", "close": "mid"},
        time_unit="ms",
    )
    assert closes_of(store, "ETHUSD") == {t: 2.0 + k for k, t in enumerate(MINUTES)}


def test_columns_of_a_csv_without_header_are_numbers(store, write):
    path = write("BTCUSD_1m.csv", "".join(f"x,{2 + k},{t}\n" for k, t in enumerate(MINUTES)))
    import_candles(store, [path], columns={"time": "3", "close": "2"})
    assert closes_of(store) == {t: 2.0 + k for k, t in enumerate(MINUTES)}


def test_all_values_of_a_candle_are_kept(store, write):
    path = write(
        "BTCUSD_1m.csv",
        lines("time,open,high,low,close,volume,bid,ask", f"{MONDAY},1,4,0.5,2,0,1.9,2.1"),
    )
    import_candles(store, [path])
    [row] = store.read_table("BTCUSD", Timespan.MINUTE).to_pylist()
    assert row == {
        "timestamp_ms": MONDAY,
        "open": 1.0,
        "high": 4.0,
        "low": 0.5,
        "close": 2.0,
        "volume": 0.0,
        "bid": 1.9,
        "ask": 2.1,
    }


def test_parquet_with_typed_times(store, tmp_path):
    times = pa.array([t * 1_000_000 for t in MINUTES], pa.timestamp("ns", tz="UTC"))
    pq.write_table(
        pa.table({"Date": times, "Close": pa.array([2, 3, 4, 5], pa.int32())}),
        tmp_path / "BTCUSD.parquet",
    )
    import_candles(store, [tmp_path / "BTCUSD.parquet"])
    assert closes_of(store) == {t: 2.0 + k for k, t in enumerate(MINUTES)}


def test_pair_and_timespan_from_columns(store, tmp_path):
    seconds = [MONDAY, MONDAY + SECOND_MS]
    pq.write_table(
        pa.table(
            {
                "trade_pair_id": ["BTCUSD", "BTC/USD", "ETHUSD", "ETHUSD", "DOGELON"],
                "timespan": ["minute", "1m", "second", "second", "minute"],
                "timestamp_ms": [*MINUTES[:2], *seconds, MONDAY],
                "close": [1.0, 2.0, 3.0, 4.0, 5.0],
            }
        ),
        tmp_path / "all.parquet",
    )
    report = import_candles(store, [tmp_path / "all.parquet"])
    assert closes_of(store) == {MINUTES[0]: 1.0, MINUTES[1]: 2.0}
    assert closes_of(store, "ETHUSD", Timespan.SECOND) == {seconds[0]: 3.0, seconds[1]: 4.0}
    [aside] = report.set_aside
    assert (aside.reason, aside.count) == ("the trade pair is unknown", 1)
    assert aside.examples == ["row 5: DOGELON"]


def test_bad_rows_are_set_aside_with_reason_row_and_value(store, write):
    path = write(
        "BTCUSD_1m.csv",
        lines(
            "timestamp_ms,close",
            f"{MINUTES[0]},2.0",
            "yesterday,2.0",
            f"{MINUTES[1]},",
            f"{MINUTES[1]},abc",
            f"{MINUTES[1]},inf",
            f"{MINUTES[1]},0",
            f"{MINUTES[1]},-3",
            f"{MINUTES[1] + 1},2.0",
            "1000,2.0",
            f"{MINUTES[2]},5.0",
        ),
    )
    report = import_candles(store, [path])
    assert closes_of(store) == {MINUTES[0]: 2.0, MINUTES[2]: 5.0}
    assert {aside.reason: (aside.count, aside.examples) for aside in report.set_aside} == {
        "the time cannot be read": (1, ["row 2: yesterday"]),
        "the time is not of the years 2000 to 2099 (another unit?)": (1, ["row 9: 1000"]),
        "the time is not on a whole minute (or second)": (1, [f"row 8: {MINUTES[1] + 1}"]),
        "the close is missing or not a number": (3, ["row 3: None", "row 4: abc", "row 5: inf"]),
        "the close is not above 0": (2, ["row 6: 0", "row 7: -3"]),
    }
    assert report.n_rows == 10
    assert report.n_set_aside + report.series["BTCUSD", Timespan.MINUTE].written.added == 10


def test_lines_with_too_few_or_too_many_cells_are_counted(store, write):
    path = write(
        "BTCUSD_1m.csv",
        lines(
            "time,close", f"{MINUTES[0]},2", f"{MINUTES[1]}", f"{MINUTES[2]},3,4", f"{MINUTES[3]},5"
        ),
    )
    report = import_candles(store, [path])
    assert closes_of(store) == {MINUTES[0]: 2.0, MINUTES[3]: 5.0}
    [aside] = report.set_aside
    assert (aside.reason, aside.count) == ("the line has too few or too many cells", 2)


def test_duplicates_and_disorder_are_counted_and_the_last_counts(store, write):
    rows = [(0, 1), (2, 3), (1, 2), (1, 2), (2, 9), (3, 4)]
    path = write("BTCUSD_1m.csv", lines("time,close", *(f"{MINUTES[k]},{c}" for k, c in rows)))
    series = import_candles(store, [path]).series["BTCUSD", Timespan.MINUTE]
    assert closes_of(store) == {MINUTES[0]: 1.0, MINUTES[1]: 2.0, MINUTES[2]: 9.0, MINUTES[3]: 4.0}
    written = series.written
    assert (written.added, written.repeated, written.changed) == (4, 1, 1)
    assert series.out_of_order == 1
    assert [(c.start_ms, c.old_close, c.new_close) for c in written.changes] == [
        (MINUTES[2], 3.0, 9.0)
    ]


def test_cells_beside_the_close_that_are_no_prices_are_blanked_and_counted(store, write):
    path = write(
        "BTCUSD_1m.csv",
        lines(
            "time,close,high,bid,volume",
            f"{MINUTES[0]},2,-1,0,5",
            f"{MINUTES[1]},2,oops,,-5",
            f"{MINUTES[2]},2,3,1,0",
        ),
    )
    report = import_candles(store, [path])
    stored = store.read_table("BTCUSD", Timespan.MINUTE)
    assert stored["high"].to_pylist() == [None, None, 3.0]
    assert stored["bid"].to_pylist() == [None, None, 1.0]
    assert stored["volume"].to_pylist() == [5.0, None, 0.0]
    # a bid of 0 is how many say that it is unknown
    assert dict(report.blanked) == {"high": 2, "volume": 1}


def test_importing_twice_changes_nothing(store, write):
    path = write("BTCUSD_1m.csv", SHAPES["own columns"])
    import_candles(store, [path])
    before = {file: file.read_bytes() for file in store.root.rglob("*.parquet")}
    report = import_candles(store, [path])
    assert report.series["BTCUSD", Timespan.MINUTE].written.repeated == 4
    assert {file: file.read_bytes() for file in store.root.rglob("*.parquet")} == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "data.csv",
            SHAPES["own columns"],
            "neither a column nor the file's name says which trade",
        ),
        ("BTCUSD_5m.csv", SHAPES["own columns"], "seems to hold 5m candles"),
        (
            "BTCUSD_1m.csv",
            lines("when,close", f"{MONDAY},1"),
            "no column is recognised as the time",
        ),
        ("BTCUSD_1m.csv", "", "is empty"),
        (
            "BTCUSD.csv",
            lines("time,close", *(f"{MONDAY + k * 300_000},1" for k in range(9))),
            "neither a minute nor a second apart",
        ),
        (
            "BTCUSD.csv",
            lines("time,close", *(f"05/10/2025 00:0{k},1" for k in range(4))),
            "times cannot be read, or are not of .*; row 1: 05/10/2025 00:00. Write them as 2025-",
        ),
        (
            "BTCUSD.csv",
            lines("time,close", *(f"{k},1" for k in range(4))),
            "times cannot be read, or are not of the years 2000 to 2099; row 1: 0. Write",
        ),
        ("BTCUSD_1m.csv", "time,close\n", "it has no rows, only the names of columns"),
        (
            "BTCUSD_1m.csv",
            lines("time,close", *(f"{t + 59_999},1" for t in MINUTES)),
            "none of its 4 rows is a candle; of 4, the time is not on a whole minute",
        ),
        ("BTCUSD_1m.parquet", "PAR1 and nothing else", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(store, write, name, text, message):
    with pytest.raises(CandleError, match=message) as refused:
        import_candles(store, [write(name, text)])
    assert name in str(refused.value)


def test_an_error_names_what_is_stored_and_what_is_not_read(store, write):
    sound = [write(f"{pair}_1m.csv", SHAPES["own columns"]) for pair in ("BTCUSD", "ETHUSD")]
    empty = write("SOLUSD_1m.csv", "time,close\n")
    last = write("XRPUSD_1m.csv", SHAPES["own columns"])
    with pytest.raises(CandleError) as refused:
        import_candles(store, [*sound, empty, last])
    first, stored, unread = str(refused.value).splitlines()
    assert first == f"{empty}: it has no rows, only the names of columns"
    assert stored == f"stored before it: {sound[0]}, {sound[1]}"
    assert unread == f"not read: {last}"
    assert closes_of(store, "ETHUSD")
    assert not closes_of(store, "XRPUSD")
    with pytest.raises(CandleError) as refused:
        import_candles(store, [empty])
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_pair(store, write, tmp_path):
    with pytest.raises(CandleError, match="there is no file"):
        import_candles(store, [tmp_path / "BTCUSD_1m.csv"])
    with pytest.raises(UnknownTradePair, match="BTCUSDT"):
        import_candles(store, [write("a.csv", SHAPES["own columns"])], trade_pair_id="BTCUSDT")


def test_real_prices_do_not_go_into_a_synthetic_store(write, tmp_path):
    made_up = CandleStore.create(tmp_path / "synthetic", label="synthetic", synthetic=True)
    with pytest.raises(CandleError, match="real and made-up prices do not mix"):
        import_candles(made_up, [write("BTCUSD_1m.csv", SHAPES["own columns"])])


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=40),
    chunk=st.integers(1, 10),
)
def test_pieces_of_any_size_give_the_same(tmp_path_factory, rows, chunk):
    folder = tmp_path_factory.mktemp("import")
    times = [MONDAY + k * MINUTE_MS for k, _ in rows]
    pq.write_table(table(times, [float(close) for _, close in rows]), folder / "BTCUSD_1m.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_CHUNK_ROWS", chunk)
        store = CandleStore.create(folder / "prices")
        report = import_candles(store, [folder / "BTCUSD_1m.parquet"])
    assert closes_of(store) == {
        time: float(close) for time, (_, close) in zip(times, rows, strict=True)
    }
    series = report.series["BTCUSD", Timespan.MINUTE]
    assert series.out_of_order == sum(a > b for a, b in itertools.pairwise(times))
    written = series.written
    assert written.added + written.repeated + written.changed == len(rows) == report.n_rows


def test_every_column_survives_a_round_trip_in_pieces(store, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_ROWS", 1_000)
    random = np.random.default_rng(1)
    close = random.uniform(1, 2, 5_000)
    given_table = pa.table(
        {
            "timestamp_ms": MONDAY + np.arange(5_000) * SECOND_MS,
            "close": close,
            "high": close + random.uniform(0, 1, 5_000),
            "low": close / 2,
        }
    )
    pq.write_table(given_table, tmp_path / "BTCUSD.parquet")
    import_candles(store, [tmp_path / "BTCUSD.parquet"])
    stored = store.read_table("BTCUSD", Timespan.SECOND)
    for name in given_table.column_names:
        assert stored[name].to_pylist() == given_table[name].to_pylist()
    assert stored["bid"].null_count == 5_000


def test_progress_counts_every_row(store, write):
    seen: list[int] = []
    import_candles(store, [write("BTCUSD_1m.csv", SHAPES["own columns"])], progress=seen.append)
    assert sum(seen) == 4


def test_the_golden_candles_come_over_exactly(store, shared):
    golden = shared / "golden/second_steps/candles.parquet"
    report = import_candles(store, [golden])
    rows = pq.read_table(golden).to_pylist()
    assert (report.n_rows, report.n_set_aside) == (len(rows), 0)
    expected: dict[tuple[str, Timespan], dict[int, float]] = {}
    for row in rows:
        key = row["trade_pair_id"], Timespan(row["timespan"])
        expected.setdefault(key, {})[row["timestamp_ms"]] = row["close"]
    assert len(expected) > 1
    for (pair, timespan), closes in expected.items():
        assert closes_of(store, pair, timespan) == closes
    assert all(math.isfinite(close) for closes in expected.values() for close in closes.values())


def test_real_files_are_recognised_by_their_names(store, shared):
    files = sorted((shared / "data/candles").glob("*.parquet"))
    report = import_candles(store, files)
    assert report.n_set_aside == 0
    assert store.pairs(Timespan.MINUTE) == [
        "ADAUSD",
        "BTCUSD",
        "ETHUSD",
        "EURUSD",
        "SOLUSD",
        "XRPUSD",
    ]
    assert store.pairs(Timespan.SECOND) == []
    for pair in store.pairs():
        parts = [pq.read_table(f) for f in files if f.name.startswith(pair)]
        real = pa.concat_tables(parts).sort_by("timestamp_ms")
        stored = store.read(pair, Timespan.MINUTE, *EVER)
        assert np.array_equal(stored.start_ms, real["timestamp_ms"].to_numpy())
        assert np.array_equal(stored.close, real["close"].to_numpy())
