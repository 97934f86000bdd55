"""Recorded plagiarism events: files of every kind, validators' folders and checkpoints."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.sources.bundled import BundledPositionSource
from ptn_backtest.sources.checkpoint_file import CheckpointPositionSource, write_checkpoint
from ptn_backtest.sources.disk import DiskPositionSource, write_disk
from ptn_backtest.sources.plagiarism import (
    PlagiarismEvent,
    PlagiarismEvents,
    collect,
    event_fields,
    read_plagiarism_events,
)
from ptn_backtest.sources.records import PositionQuery
from ptn_backtest.sources.taoshi import TaoshiPositionOrderSource

T = 1_757_000_000_000  # 2025-09-04T15:33:20Z
DAY_MS = 86_400_000

EXPECTED = (
    PlagiarismEvent("5Alice", T, flagged=True),
    PlagiarismEvent("5Bob", T, flagged=True),
    PlagiarismEvent("5Alice", T + DAY_MS, flagged=False),
)
ROWS: list[dict[str, Any]] = [
    {"miner_hotkey": "5Alice", "time_ms": T + DAY_MS, "event": "cleared"},
    {"miner_hotkey": "5Bob", "time_ms": T, "event": "flagged"},
    {"miner_hotkey": "5Alice", "time_ms": T, "event": "flagged"},
]


def put(folder: Path, content: str | bytes, name: str = "events") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "events.parquet"
    pq.write_table(pa.table(columns), path)
    return path


CSV = (
    "miner_hotkey,time_ms,event\n"
    f"5Alice,{T + DAY_MS},cleared\n"
    "5Bob,2025-09-04T15:33:20,FLAGGED\n"
    "5Alice,2025-09-04T17:33:20+02:00,Flagged\n"
)


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
        CSV.replace(",", ";"),
        CSV.replace("miner_hotkey", " hotkey ").replace("time_ms", "time"),
        CSV.replace("\n5", "\n\n 5"),
        gzip.compress(CSV.encode()),
        json.dumps(ROWS),
        json.dumps({"plagiarism_events": ROWS}),
        gzip.compress(json.dumps(ROWS).encode()),
        json.dumps([{**row, "time_ms": float(row["time_ms"])} for row in ROWS]),
        json.dumps([{**row, "score": 0.9, "victim": None} for row in ROWS]),
    ],
)
def test_every_form_of_text_gives_the_same_events(tmp_path: Path, content: str | bytes) -> None:
    found = read_plagiarism_events(put(tmp_path, content))
    assert found.events == EXPECTED
    assert found.rejected == ()


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.float64(), pa.string(), pa.timestamp("ns"), pa.timestamp("s", "UTC")]
)
def test_parquet_with_every_type_of_time(tmp_path: Path, kind: pa.DataType) -> None:
    times: list[Any] = [row["time_ms"] for row in ROWS]
    if pa.types.is_timestamp(kind):
        moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms) for ms in times]
        times = [moment if kind.tz else moment.replace(tzinfo=None) for moment in moments]
    elif pa.types.is_string(kind):
        times = [str(ms) for ms in times]
    columns: dict[str, Any] = {
        "hotkey": [row["miner_hotkey"] for row in ROWS],
        "time_ms": pa.array(times, kind),
        "event": pa.array([row["event"] for row in ROWS]).dictionary_encode(),
    }
    found = read_plagiarism_events(parquet(tmp_path, columns))
    assert found.events == EXPECTED
    assert [event.origin for event in found.events] == [
        "events.parquet row 3",
        "events.parquet row 2",
        "events.parquet row 1",
    ]


def test_what_the_networks_service_answers(tmp_path: Path) -> None:
    """A trader it lists is a plagiarist since "time"; other keys of an entry do not matter."""
    answer = {"5Bob": {"time": T + 7}, "5Alice": {"time": T, "score": 0.93}}
    found = read_plagiarism_events(put(tmp_path, json.dumps(answer)))
    assert found.events == (
        PlagiarismEvent("5Alice", T, flagged=True),
        PlagiarismEvent("5Bob", T + 7, flagged=True),
    )
    assert found.events[0].origin == "events 5Alice"
    assert read_plagiarism_events(put(tmp_path, "{}")) == PlagiarismEvents()


def test_a_bad_entry_of_the_service_is_set_aside(tmp_path: Path) -> None:
    answer = {"5Bob": {"time": T}, "5Eve": {}, "5Mallory": T, "5Oscar": {"time": None}}
    found = read_plagiarism_events(put(tmp_path, json.dumps(answer)))
    assert [event.miner_hotkey for event in found.events] == ["5Bob"]
    assert [row.miner_hotkey for row in found.rejected] == ["5Eve", "5Mallory", "5Oscar"]
    assert all(row.reason.startswith("time_ms missing") for row in found.rejected)


@pytest.mark.parametrize(
    ("row", "reason", "trader"),
    [
        ({"time_ms": T, "event": "flagged"}, "miner_hotkey missing", ""),
        ({"hotkey": " ", "time_ms": T, "event": "flagged"}, "miner_hotkey missing", ""),
        ({"hotkey": 5, "time_ms": T, "event": "flagged"}, "miner_hotkey 5 is not a text", ""),
        ({"hotkey": "a", "event": "flagged"}, "time_ms missing", "a"),
        ({"hotkey": "a", "time_ms": T}, "event missing", "a"),
        ({}, "miner_hotkey and time_ms and event missing", ""),
        ({"hotkey": "a", "time_ms": T, "event": "whitelisted"}, "'whitelisted' is neither", "a"),
        ({"hotkey": "a", "time_ms": T, "event": True}, "event True is neither", "a"),
        ({"hotkey": "a", "time_ms": "soon", "event": "flagged"}, "'soon' is not a time", "a"),
        ({"hotkey": "a", "time_ms": T + 0.5, "event": "flagged"}, "not a whole number", "a"),
        ({"hotkey": "a", "time_ms": True, "event": "flagged"}, "not a whole number", "a"),
        ({"hotkey": "a", "time_ms": float("nan"), "event": "flagged"}, "not a whole number", "a"),
        ({"hotkey": "a", "time_ms": T // 1000, "event": "flagged"}, "not a time in ms", "a"),
        ({"hotkey": "a", "time_ms": T * 1000, "event": "flagged"}, "not a time in ms", "a"),
        ({"hotkey": "a", "time_ms": -1, "event": "flagged"}, "not a time in ms", "a"),
        (["a", T, "flagged"], "has not one value for each name", ""),
        (None, "has not one value for each name", ""),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason_and_place(
    tmp_path: Path, row: object, reason: str, trader: str
) -> None:
    path = put(tmp_path, json.dumps([ROWS[0], row, ROWS[1]]))
    found = read_plagiarism_events(path)
    assert len(found.events) == 2
    [rejected] = found.rejected
    assert reason in rejected.reason
    assert rejected.origin == "events plagiarism_events[1]"
    assert rejected.miner_hotkey == trader
    assert found.left_out() == (f"events plagiarism_events[1]: {rejected.reason}",)


def test_a_bad_line_is_named_by_its_number_in_the_file(tmp_path: Path) -> None:
    text = f"event,hotkey,time_ms\nflagged,a,{T}\n\nflagged,b\nflagged,c,{T},5\ncleared,a,{T + 1}\n"
    found = read_plagiarism_events(put(tmp_path, text))
    assert [event.time_ms for event in found.events] == [T, T + 1]
    assert [row.origin for row in found.rejected] == ["events line 4", "events line 5"]
    assert found.rejected[0].miner_hotkey == "b"


@pytest.mark.parametrize("second", ["flagged", "cleared"])
def test_a_second_event_of_a_trader_at_one_time_is_set_aside(tmp_path: Path, second: str) -> None:
    rows = [
        {"hotkey": "a", "time_ms": T, "event": "flagged"},
        {"hotkey": "a", "time_ms": T, "event": second},
    ]
    found = read_plagiarism_events(put(tmp_path, json.dumps(rows)))
    assert found.events == (PlagiarismEvent("a", T, flagged=True),)
    [rejected] = found.rejected
    assert rejected.origin == "events plagiarism_events[1]"
    assert "was flagged, by events plagiarism_events[0]" in rejected.reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "cannot be read as JSON"),
        ("[" * 200_000, "cannot be read as JSON"),
        ('{"positions": {"a": {}}}', "holds no plagiarism events"),
        ('{"plagiarism_events": 5}', "holds no plagiarism events"),
        ("hotkey,when\na,5\n", "has no column time_ms or time, no column event"),
        (b"\xff\xfe\x00\x01", "cannot be read as CSV"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b"PAR1 broken", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_no_file_of_events(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said) as raised:
        read_plagiarism_events(put(tmp_path, content, "wrong.file"))
    assert "wrong.file" in str(raised.value)


def test_parquet_without_a_column(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no column event \(it has hotkey, time\)"):
        read_plagiarism_events(parquet(tmp_path, {"hotkey": ["a"], "time": [T]}))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(SourceUnavailable, match="is not a file: check plagiarism_events"):
            read_plagiarism_events(place)


def test_a_header_alone_is_no_event(tmp_path: Path) -> None:
    found = read_plagiarism_events(put(tmp_path, "miner_hotkey,time_ms,event\n"))
    assert found == PlagiarismEvents()


def test_the_events_of_some_traders_and_the_rows_of_nobody() -> None:
    rows = [
        ({"hotkey": "a", "time_ms": T, "event": "flagged"}, "1"),
        ({"hotkey": "b", "time_ms": T, "event": "flagged"}, "2"),
        ({"hotkey": "b", "time_ms": T, "event": "?"}, "3"),
        ({"hotkey": "a", "time_ms": T, "event": "?"}, "4"),
        ({"time_ms": T, "event": "flagged"}, "5"),
    ]
    found = collect(rows).of_traders(("a",))
    assert [event.origin for event in found.events] == ["1"]
    assert [row.origin for row in found.rejected] == ["4", "5"]
    assert len(collect(rows).of_traders(None).rejected) == 3
    assert collect(rows).of_traders(()).events == ()


_ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "miner_hotkey": st.sampled_from(["a", "b", " a ", "", 5]),
            "time_ms": st.integers(T, T + 3)
            | st.integers()
            | st.floats()
            | st.text("0257-T:", max_size=12),
            "event": st.sampled_from(["flagged", "cleared", "CLEARED ", "else", 1]),
        },
    )
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(_ROWS)
def test_every_row_is_an_event_or_is_set_aside_and_reads_back(rows: list[dict[str, Any]]) -> None:
    found = collect((row, str(number)) for number, row in enumerate(rows))

    places = [int(event.origin) for event in found.events]
    places += [int(row.origin) for row in found.rejected]
    assert sorted(places) == list(range(len(rows)))
    keys = [(event.time_ms, event.miner_hotkey) for event in found.events]
    assert keys == sorted(set(keys))
    again = collect((event_fields(event), "") for event in found.events)
    assert again == PlagiarismEvents(found.events)


# --- validators' folders and checkpoints ---

STATE = {
    "5Alice": {
        "bucket": "PLAGIARISM",
        "bucket_start_time": T,
        "previous_bucket": "MAINCOMP",
        "previous_bucket_start_time": T - 90 * DAY_MS,
    },
    "5Bob": {"bucket": "MAINCOMP", "bucket_start_time": T, "previous_bucket": None},
    "5Carol": {"bucket": "PLAGIARISM", "bucket_start_time": None, "previous_bucket": "CHALLENGE"},
}


def folder_of(root: Path, **files: object) -> DiskPositionSource:
    (root / "miners").mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        (root / f"{name}.json").write_text(json.dumps(document))
    return DiskPositionSource(root)


def checkpoint_of(root: Path, **parts: object) -> CheckpointPositionSource:
    path = root / "checkpoint.json"
    path.write_text(json.dumps({"positions": {}, **parts}))
    return CheckpointPositionSource(path)


@pytest.mark.parametrize("source_of", [folder_of, checkpoint_of])
def test_a_validator_tells_whom_it_holds_in_plagiarism(tmp_path: Path, source_of: Any) -> None:
    source = source_of(tmp_path, challengeperiod=STATE)
    found = source.read_plagiarism_events()
    assert found.events == (PlagiarismEvent("5Alice", T, flagged=True),)
    assert "challengeperiod" in found.events[0].origin
    [rejected] = found.rejected
    assert rejected.miner_hotkey == "5Carol"
    assert rejected.reason.startswith("time_ms missing")
    assert source.read_plagiarism_events(PositionQuery(hotkeys=("5Bob",))) == PlagiarismEvents()


@pytest.mark.parametrize("source_of", [folder_of, checkpoint_of])
def test_recorded_events_come_before_a_validators_state(tmp_path: Path, source_of: Any) -> None:
    source = source_of(tmp_path, challengeperiod=STATE, plagiarism_events=ROWS)
    assert source.read_plagiarism_events() == PlagiarismEvents(EXPECTED)
    of_bob = source.read_plagiarism_events(PositionQuery(hotkeys=("5Bob",)))
    assert of_bob.events == (EXPECTED[1],)


@pytest.mark.parametrize("source_of", [folder_of, checkpoint_of])
@pytest.mark.parametrize(
    "parts", [{}, {"challengeperiod": {"testing": {"5Alice": T}, "success": {}}}]
)
def test_most_validators_know_of_no_event(tmp_path: Path, source_of: Any, parts: Any) -> None:
    assert source_of(tmp_path, **parts).read_plagiarism_events() == PlagiarismEvents()


@pytest.mark.parametrize("source_of", [folder_of, checkpoint_of])
def test_events_in_no_known_shape_are_an_error(tmp_path: Path, source_of: Any) -> None:
    source = source_of(tmp_path, plagiarism_events="none")
    with pytest.raises(SourceError, match="holds no plagiarism events"):
        source.read_plagiarism_events()


def written_to_disk(root: Path, events: PlagiarismEvents | None) -> Any:
    return write_disk(root, [], plagiarism_events=events), DiskPositionSource(root)


def written_to_checkpoint(root: Path, events: PlagiarismEvents | None) -> Any:
    path = root / "c.json.gz"
    return write_checkpoint(path, [], plagiarism_events=events), CheckpointPositionSource(path)


@pytest.mark.parametrize("write", [written_to_disk, written_to_checkpoint])
def test_what_is_written_reads_back_and_what_is_not_is_named(tmp_path: Path, write: Any) -> None:
    rows = [(row, "row") for row in ROWS]
    found = collect([*rows, ({"hotkey": "5Eve", "time_ms": "?", "event": "flagged"}, "there")])
    written, source = write(tmp_path, found)
    assert source.read_plagiarism_events() == PlagiarismEvents(EXPECTED)
    [skipped] = written.skipped
    assert skipped.startswith("there: time_ms")


def test_without_events_an_export_has_nothing_of_ours(tmp_path: Path) -> None:
    write_disk(tmp_path / "disk", [])
    write_checkpoint(tmp_path / "c.json", [])
    assert not (tmp_path / "disk" / "plagiarism_events.json").exists()
    assert "plagiarism_events" not in json.loads((tmp_path / "c.json").read_text())


def test_an_export_leaves_no_events_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "plagiarism_events.json").write_text(json.dumps(ROWS))
    write_disk(tmp_path, [])
    assert DiskPositionSource(tmp_path).read_plagiarism_events() == PlagiarismEvents()


def test_sources_that_have_none() -> None:
    assert BundledPositionSource().read_plagiarism_events() == PlagiarismEvents()
    assert TaoshiPositionOrderSource().read_plagiarism_events() == PlagiarismEvents()
