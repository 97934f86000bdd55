"""Recorded plagiarism events: when a trader was flagged as a plagiarist, and when cleared.

A source gives rows as it found them, `collect` judges them: the events in time order, and the rows
that are none, each with a reason and its place. Files of events are read here; a database's table
and a validator's folder by their sources.
"""

import csv
import gzip
import json
import reprlib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, TypeAlias

from ptn_backtest.clock import FIRST_MS, parse_time
from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.sources.numeric import whole_number

EVENTS_KEY = "plagiarism_events"
"""The key that holds the rows, in a JSON object of ours."""

FLAGGED, CLEARED = "flagged", "cleared"
"""What the column `event` says; in any case."""

_NAMES = (("miner_hotkey", "hotkey"), ("time_ms", "time"), ("event",))
"""What each of the three is called; our name first."""

_LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""

_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"

_EXPECTED = (
    "expected a CSV or Parquet file with the columns miner_hotkey, time_ms and event (flagged or "
    'cleared), a JSON list of such rows, {"plagiarism_events": [...]}, or what the network\'s '
    'service answers, {hotkey: {"time": ms}}'
)

Row: TypeAlias = tuple[object, str]
"""What was found, a mapping where it is sound, and where it was found."""


@dataclass(frozen=True, slots=True)
class PlagiarismEvent:
    """One trader flagged as a plagiarist, or cleared.

    Attributes:
        miner_hotkey: the trader.
        time_ms: when.
        flagged: True where it was flagged, False where it was cleared.
        origin: where the event was found; no part of what makes two events equal.
    """

    miner_hotkey: str
    time_ms: int
    flagged: bool
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A row that was set aside.

    Attributes:
        reason: a sentence with the value at fault.
        origin: where the row was found.
        miner_hotkey: the trader, "" where unknown.
    """

    reason: str
    origin: str
    miner_hotkey: str = ""


@dataclass(frozen=True, slots=True)
class PlagiarismEvents:
    """What a source has recorded.

    Attributes:
        events: by time, then hotkey; at most one of a trader at one time.
        rejected: the rows that are no event, as they were found.
    """

    events: tuple[PlagiarismEvent, ...] = ()
    rejected: tuple[RejectedEvent, ...] = ()

    def of_traders(self, hotkeys: Collection[str] | None) -> "PlagiarismEvents":
        """Those of these traders, None for all; a rejected row of an unknown trader stays."""
        if hotkeys is None:
            return self
        wanted = {*hotkeys, ""}
        return PlagiarismEvents(
            tuple(event for event in self.events if event.miner_hotkey in wanted),
            tuple(row for row in self.rejected if row.miner_hotkey in wanted),
        )

    def left_out(self) -> tuple[str, ...]:
        """A sentence for each row that was set aside."""
        return tuple(f"{row.origin}: {row.reason}" for row in self.rejected)


def read_plagiarism_events(path: str | Path) -> PlagiarismEvents:
    """The events of a file: CSV, JSON or Parquet, by its content; CSV and JSON also gzipped.

    Columns or keys: `miner_hotkey` (or `hotkey`), `time_ms` (or `time`; ms, or an ISO time, UTC
    without an offset) and `event` ("flagged" or "cleared"); others are left alone. JSON is a list
    of such rows, `{"plagiarism_events": [...]}`, or the answer of the network's plagiarism
    service, `{hotkey: {"time": ms}}`: all whom it lists at one moment, each flagged at its time.

    Raises:
        SourceUnavailable: there is no such file.
        SourceError: it cannot be read, or holds no plagiarism events.
    """
    path = Path(path)
    content = _content(path)
    if content.startswith(_PARQUET_MAGIC):
        return collect(_parquet_rows(content, path))
    if content.removeprefix(_UTF8_MARK).lstrip()[:1] in (b"{", b"["):
        return collect(_json_rows(content, path))
    return collect(_csv_rows(content, path))


def collect(rows: Iterable[Row]) -> PlagiarismEvents:
    """Judge rows as they were found.

    Args:
        rows: mappings by the names that `read_plagiarism_events` takes, each with its place.
    """
    found: dict[tuple[str, int], PlagiarismEvent] = {}
    rejected: list[RejectedEvent] = []
    for row, origin in rows:
        try:
            event = _event(row, origin)
        except ValueError as fault:
            rejected.append(RejectedEvent(str(fault), origin, _trader(row)))
            continue
        first = found.setdefault((event.miner_hotkey, event.time_ms), event)
        if first is not event:
            what = FLAGGED if first.flagged else CLEARED
            fault_of_both = f"at the same time the trader was {what}, by {first.origin}"
            rejected.append(RejectedEvent(fault_of_both, origin, event.miner_hotkey))
    events = sorted(found.values(), key=lambda event: (event.time_ms, event.miner_hotkey))
    return PlagiarismEvents(tuple(events), tuple(rejected))


def document_rows(document: object, origin: str) -> Iterator[Row]:
    """The rows of parsed JSON, in each shape that `read_plagiarism_events` takes.

    Raises:
        SourceError: it is none of them.
    """
    if isinstance(document, Mapping) and EVENTS_KEY in document:
        document = document[EVENTS_KEY]
    if isinstance(document, list):
        return ((row, f"{origin} {EVENTS_KEY}[{at}]") for at, row in enumerate(document))
    if isinstance(document, Mapping) and (not document or any(map(_is_listed, document.values()))):
        return _listed_rows(document, origin)
    raise SourceError(f"{origin} holds no plagiarism events: {_EXPECTED}")


def challenge_rows(document: object, origin: str) -> Iterator[Row]:
    """The traders that a validator holds in PLAGIARISM, flagged when they came into that bucket.

    Args:
        document: `{hotkey: {"bucket": name, "bucket_start_time": ms, ...}}`, a validator's state
            of the challenge period. It forgets a trader that is cleared or eliminated.
        origin: where it was found.
    """
    for hotkey, state in document.items() if isinstance(document, Mapping) else ():
        if isinstance(state, Mapping) and state.get("bucket") == "PLAGIARISM":
            at = state.get("bucket_start_time")
            yield {"miner_hotkey": hotkey, "time_ms": at, "event": FLAGGED}, f"{origin} {hotkey}"


def event_fields(event: PlagiarismEvent) -> dict[str, Any]:
    """A row of the table `plagiarism_events`, or of a file, that reads back as this event."""
    return {
        "miner_hotkey": event.miner_hotkey,
        "time_ms": event.time_ms,
        "event": FLAGGED if event.flagged else CLEARED,
    }


def _is_listed(entry: object) -> bool:
    return isinstance(entry, Mapping) and "time" in entry


def _listed_rows(answer: Mapping[str, Any], origin: str) -> Iterator[Row]:
    """The service's answer lists plagiarists; it does not say who was cleared."""
    for hotkey, entry in answer.items():
        time = entry["time"] if _is_listed(entry) else None
        yield {"miner_hotkey": hotkey, "time_ms": time, "event": FLAGGED}, f"{origin} {hotkey}"


def _event(row: object, origin: str) -> PlagiarismEvent:
    if not isinstance(row, Mapping):
        raise ValueError(f"{reprlib.repr(row)} has not one value for each name")  # noqa: TRY004
    hotkey, time, what = (_value(row, names) for names in _NAMES)
    missing = [
        names[0] for names, value in zip(_NAMES, (hotkey, time, what), strict=True) if value is None
    ]
    if missing:
        raise ValueError(f"{' and '.join(missing)} missing: {reprlib.repr(dict(row))}")
    if not isinstance(hotkey, str):
        raise ValueError(f"miner_hotkey {hotkey!r} is not a text")  # noqa: TRY004 - one kind
    word = str(what).strip().lower()
    if word not in (FLAGGED, CLEARED):
        raise ValueError(f"event {what!r} is neither {FLAGGED} nor {CLEARED}")
    return PlagiarismEvent(hotkey.strip(), _time_ms(time), word == FLAGGED, origin)


def _time_ms(value: Any) -> int:  # noqa: ANN401 - as found
    try:
        # parse_time takes a plain date too
        time_ms = parse_time(value) if isinstance(value, str | date) else whole_number(value)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"time_ms: {error}") from None
    if not FIRST_MS <= time_ms <= _LAST_MS:
        raise ValueError(f"time_ms {value!r} is not a time in ms, or before 1973")
    return time_ms


def _trader(row: object) -> str:
    hotkey = _value(row, _NAMES[0]) if isinstance(row, Mapping) else None
    return hotkey.strip() if isinstance(hotkey, str) else ""


def _value(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401 - as found
    values = (row.get(name) for name in names)
    return next((v for v in values if v is not None and str(v).strip()), None)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise SourceUnavailable(f"{path} is not a file: check plagiarism_events, or leave it out")
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if not content.strip():
        raise SourceError(f"{path} is empty: {_EXPECTED}")
    return content


def _json_rows(content: bytes, path: Path) -> Iterator[Row]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read as JSON: {error}") from error
    return document_rows(document, path.name)


def _csv_rows(content: bytes, path: Path) -> list[Row]:
    try:
        text = content.decode("utf-8-sig")
        delimiter = max(",;\t|", key=text.partition("\n")[0].count)
        reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter)
        _check_columns([name.strip() for name in reader.fieldnames or ()], path)
        return [(_cells(row), f"{path.name} line {reader.line_num}") for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as CSV: {error}; {_EXPECTED}") from error


def _cells(row: dict[str | None, Any]) -> object:
    """The named cells; a row with more cells than the header is out of line, so not named."""
    if None in row:
        return list(row.values())
    return {str(name).strip(): cell for name, cell in row.items()}


def _parquet_rows(content: bytes, path: Path) -> list[Row]:
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from error
    _check_columns(table.column_names, path)
    names = [name for names in _NAMES for name in names if name in table.column_names]
    columns = []
    for name in names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            # Python's datetimes hold no nanoseconds; a time without a zone is UTC
            column = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
        columns.append(column.to_pylist())
    return [
        (dict(zip(names, values, strict=True)), f"{path.name} row {number}")
        for number, values in enumerate(zip(*columns, strict=True), start=1)
    ]


def _check_columns(columns: Sequence[str], path: Path) -> None:
    missing = [" or ".join(names) for names in _NAMES if not {*names} & {*columns}]
    if missing:
        raise SourceError(
            f"{path} has no column {', no column '.join(missing)} "
            f"(it has {', '.join(columns) or 'none'}): {_EXPECTED}"
        )
