"""Positions in validators' folders: `miners/<hotkey>/positions/<pair>/{open,closed}/<uuid>`."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptn_backtest.errors import SourceError, SourceUnavailable
from ptn_backtest.sources import shapes
from ptn_backtest.sources.exporting import Writable, Written, write_atomically
from ptn_backtest.sources.plagiarism import (
    EVENTS_KEY,
    PlagiarismEvents,
    challenge_rows,
    collect,
    document_rows,
    event_fields,
)
from ptn_backtest.sources.records import ALL, EliminationRecord, PositionQuery, PositionRecord
from ptn_backtest.sources.selection import select

ACCOUNT_SIZES_FILE = "miner_account_sizes.json"
ELIMINATIONS_FILE = "eliminations.json"
CHALLENGE_FILE = "challengeperiod.json"
"""Files that a validator keeps beside its `miners` folder; read where they are there."""

PLAGIARISM_EVENTS_FILE = "plagiarism_events.json"
"""A file of ours beside them, since a validator records no events."""

_STATUSES = ("closed", "open")  # a stale open copy of a closed position comes second
_SAFE_NAME = re.compile(r"\A[\w-][\w.-]*\Z")


class DiskPositionSource:
    """A validator's folder of positions."""

    def __init__(self, path: str | Path) -> None:
        """Take the folder that holds `miners`, or `miners` itself.

        Raises:
            SourceUnavailable: there is no such folder.
        """
        root = Path(path)
        self._miners = root / "miners" if (root / "miners").is_dir() else root
        if not is_miners_folder(self._miners):
            raise SourceUnavailable(
                f"{root} holds no positions: expected "
                "miners/<hotkey>/positions/<trade_pair_id>/{open,closed}/<position_uuid> in it"
            )

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def describe(self) -> str:
        """The folder in words."""
        return f"folder {self._miners}"

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """Positions by hotkey, open time and uuid; one trader is held in memory at a time.

        A file that is not a position's JSON gives a record with an `error`.
        """
        for hotkey in _folders(self._miners):
            if query.hotkeys is None or hotkey in query.hotkeys:
                yield from select(self._trader(hotkey, query.price_sources), query)

    def read_account_sizes(self, query: PositionQuery = ALL) -> shapes.AccountSizes:
        """From `miner_account_sizes.json` beside `miners`; empty where there is no such file."""
        path = self._miners.parent / ACCOUNT_SIZES_FILE
        return shapes.account_sizes(_read_beside(path), str(path), query)

    def account_sizes_place(self) -> str:
        """The file that they are read from."""
        return f"none in {self._miners.parent / ACCOUNT_SIZES_FILE}"

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """From `eliminations.json` beside `miners`; empty where there is no such file."""
        path = self._miners.parent / ELIMINATIONS_FILE
        document = _read_beside(path)
        rows = document.get("eliminations") if isinstance(document, dict) else document
        return shapes.eliminations(rows, str(path), query)

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """From `plagiarism_events.json` beside `miners`, else from `challengeperiod.json`.

        The first is ours, and holds events. The second is the validator's state, and tells whom it
        holds in PLAGIARISM, and since when. None where neither is there.
        """
        path = self._miners.parent / PLAGIARISM_EVENTS_FILE
        if path.is_file():
            rows = document_rows(_read_beside(path), str(path))
        else:
            path = self._miners.parent / CHALLENGE_FILE
            rows = challenge_rows(_read_beside(path), str(path))
        return collect(rows).of_traders(query.hotkeys)

    def _trader(self, hotkey: str, price_sources: bool) -> Iterator[PositionRecord]:
        positions = self._miners / hotkey / "positions"
        for pair in _folders(positions):
            for status in _STATUSES:
                folder = positions / pair / status
                for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if path.is_file() and not path.name.startswith("."):
                        yield self._position(path, hotkey, pair, price_sources)

    def _position(self, path: Path, hotkey: str, pair: str, price_sources: bool) -> PositionRecord:
        origin = str(path.relative_to(self._miners.parent))
        try:
            raw = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            known = {"miner_hotkey": hotkey, "position_uuid": path.name, "trade_pair_id": pair}
            return PositionRecord(known, (), origin=origin, error=f"not JSON: {error}")
        return shapes.position_record(
            raw, origin=origin, hotkey=hotkey, price_sources=price_sources
        )


def is_miners_folder(path: Path) -> bool:
    """Whether the folder is a validator's `miners` (an empty one counts by its name)."""
    if not path.is_dir():
        return False
    return path.name == "miners" or any(
        (path / hotkey / "positions").is_dir() for hotkey in _folders(path)
    )


def write_disk(
    path: str | Path,
    records: Iterable[PositionRecord],
    *,
    account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    eliminations: Sequence[EliminationRecord] = (),
    plagiarism_events: PlagiarismEvents | None = None,
) -> Written:
    """Write a validator's folder of positions; `DiskPositionSource(path)` reads it back.

    `path/miners` appears complete, or not at all. Plagiarism events, where there are any, go to a
    file of ours beside it; those that were set aside are skipped.

    Raises:
        SourceError: `path/miners` is there already or cannot be written, or a name or uuid
            cannot be the name of a file.
    """
    root = Path(path)
    miners = root / "miners"
    if miners.exists():
        raise SourceError(f"{miners} is there already: give another folder, or remove it")
    building = root / f".miners.{os.getpid()}.tmp"
    writer = Writable(records)
    events = plagiarism_events or PlagiarismEvents()
    try:
        building.mkdir(parents=True)
        for record in writer:
            _write_position(building, record)
        sizes = shapes.account_sizes_json(account_sizes or {})
        write_atomically(root / ACCOUNT_SIZES_FILE, shapes.to_json(sizes).encode())
        rows = {"eliminations": shapes.eliminations_json(eliminations)}
        write_atomically(root / ELIMINATIONS_FILE, shapes.to_json(rows).encode())
        beside = root / PLAGIARISM_EVENTS_FILE
        if events.events or beside.exists():  # no file of ours where there is nothing to say
            found = {EVENTS_KEY: [event_fields(event) for event in events.events]}
            write_atomically(beside, shapes.to_json(found).encode())
        building.rename(miners)
    except OSError as error:
        raise SourceError(f"cannot write to {root}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return writer.written(events.left_out())


def _write_position(miners: Path, record: PositionRecord) -> None:
    names = ("miner_hotkey", "trade_pair_id", "position_uuid")
    hotkey, pair, uuid = (str(record.fields.get(name, "")) for name in names)
    for name, text in zip(names, (hotkey, pair, uuid), strict=True):
        if not _SAFE_NAME.match(text):
            raise SourceError(
                f"{record.origin}: {name} {text!r} cannot be the name of a file; "
                "export as a checkpoint or a list instead"
            )
    folder = miners / hotkey / "positions" / pair / ("closed" if _closed(record) else "open")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / uuid).open("x", encoding="utf-8") as file:
            file.write(shapes.to_json(shapes.position_json(record)))
    except FileExistsError:
        raise SourceError(f"{record.origin}: a second position with the uuid {uuid}") from None


def _closed(record: PositionRecord) -> bool:
    closed = record.stored.get("is_closed_position")
    if closed is not None:
        return bool(closed)
    if record.stored.get("close_ms") is not None:
        return True
    return bool(record.orders) and str(record.orders[-1].fields.get("order_type")) == "FLAT"


def _folders(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def _read_beside(path: Path) -> Any:  # noqa: ANN401 - as found
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
