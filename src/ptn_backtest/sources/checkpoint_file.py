"""Positions in one JSON file: a validator's checkpoint, or a plain list; also gzipped."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import groupby
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

_GZIP_MAGIC = b"\x1f\x8b"

ACCEPTED_SHAPES = (
    'a validator checkpoint {"positions": {hotkey: {"positions": [...]}}, ...}, '
    'a list of positions, or {"positions": [...]}'
)


class CheckpointPositionSource:
    """One JSON file with positions, read as a whole when first asked for.

    Accepted: a validator checkpoint (with eliminations and miner_account_sizes), the same without
    its outer object (`{hotkey: {"positions": [...]}}`), a plain list, `{"positions": [...]}`.
    """

    def __init__(self, path: str | Path) -> None:
        """Take the file, gzipped or not.

        Raises:
            SourceUnavailable: there is no such file.
        """
        self._path = Path(path)
        self._document: Any = None
        if not self._path.is_file():
            raise SourceUnavailable(f"{self._path} is not a file")

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def describe(self) -> str:
        """The file in words."""
        return f"file {self._path}"

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """Positions by hotkey, open time and uuid.

        Raises:
            SourceError: the file is not JSON, or holds no positions.
        """
        return select(self._records(query.price_sources), query)

    def read_account_sizes(self, query: PositionQuery = ALL) -> shapes.AccountSizes:
        """From the checkpoint's `miner_account_sizes`; empty where it has none."""
        sizes = self._part("miner_account_sizes")
        return shapes.account_sizes(sizes, self._path.name, query)

    def account_sizes_place(self) -> str | None:
        """The checkpoint's part that they are read from; a plain list of positions has none."""
        is_checkpoint = self._part("miner_account_sizes") is not None
        return f"none in miner_account_sizes of {self._path.name}" if is_checkpoint else None

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """From the checkpoint's `eliminations`; empty where it has none."""
        return shapes.eliminations(self._part("eliminations"), self._path.name, query)

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """From `plagiarism_events`, which our exports have, else from `challengeperiod`.

        A validator records no events: its state of the challenge period tells whom it holds in
        PLAGIARISM, and since when.

        Raises:
            SourceError: `plagiarism_events` is there, but in no known shape.
        """
        document, name = self._load(), self._path.name
        if isinstance(document, dict) and EVENTS_KEY in document:
            rows = document_rows(document, name)
        else:
            rows = challenge_rows(self._part("challengeperiod"), f"{name} challengeperiod")
        return collect(rows).of_traders(query.hotkeys)

    def _load(self) -> Any:  # noqa: ANN401 - as found
        if self._document is None:
            try:
                content = self._path.read_bytes()
                if content.startswith(_GZIP_MAGIC):
                    content = gzip.decompress(content)
                self._document = json.loads(content)
            except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
                raise SourceError(f"{self._path} cannot be read as JSON: {error}") from error
        return self._document

    def _part(self, name: str) -> object:
        document = self._load()
        return document.get(name) if isinstance(document, dict) else None

    def _records(self, price_sources: bool) -> Iterator[PositionRecord]:
        for hotkey, positions in self._traders():
            place = f"{self._path.name} " + (f"{hotkey} " if hotkey else "")
            for number, raw in enumerate(positions):
                yield shapes.position_record(
                    raw,
                    origin=f"{place}positions[{number}]",
                    hotkey=hotkey,
                    price_sources=price_sources,
                )

    def _traders(self) -> Iterator[tuple[str | None, list[Any]]]:
        document = self._load()
        positions = document
        if isinstance(document, dict) and "positions" in document:
            positions = document["positions"]
        if isinstance(positions, list):
            yield None, positions
            return
        if isinstance(positions, dict) and (positions or positions is not document):
            traders = {hotkey: _positions_of(trader) for hotkey, trader in positions.items()}
            if None not in traders.values():
                yield from ((hotkey, found or []) for hotkey, found in traders.items())
                return
        raise SourceError(f"{self._path} holds no positions: expected {ACCEPTED_SHAPES}")


def write_checkpoint(
    path: str | Path,
    records: Iterable[PositionRecord],
    *,
    account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    eliminations: Sequence[EliminationRecord] = (),
    plagiarism_events: PlagiarismEvents | None = None,
) -> Written:
    """Write positions in the shape of a validator's checkpoint; gzipped where path ends in `.gz`.

    The file replaces an older one as a whole. It holds positions, eliminations and account sizes,
    not the rest of a validator's state; and plagiarism events where there are any, which is our
    addition.

    Args:
        path: the file.
        records: positions, each trader's together, as every source yields them.
        account_sizes: {hotkey: [(update time in ms, USD), ...]}.
        eliminations: recorded eliminations.
        plagiarism_events: recorded plagiarism events; those that were set aside are skipped.

    Raises:
        SourceError: the file cannot be written, or a trader's records are not together.
    """
    writer = Writable(records)
    traders: dict[str, Any] = {}
    for hotkey, group in groupby(writer, key=lambda record: str(record.fields["miner_hotkey"])):
        if hotkey in traders:
            raise SourceError(f"the records of trader {hotkey} do not come together")
        traders[hotkey] = {"positions": [shapes.position_json(record) for record in group]}
    document = {
        "positions": traders,
        "eliminations": shapes.eliminations_json(eliminations),
        "miner_account_sizes": shapes.account_sizes_json(account_sizes or {}),
    }
    events = plagiarism_events or PlagiarismEvents()
    if events.events:
        document[EVENTS_KEY] = [event_fields(event) for event in events.events]
    _write_json(Path(path), document)
    return writer.written(events.left_out())


def write_list(path: str | Path, records: Iterable[PositionRecord]) -> Written:
    """Write a plain list of positions; gzipped where the path ends in `.gz`.

    Raises:
        SourceError: the file cannot be written.
    """
    writer = Writable(records)
    _write_json(Path(path), [shapes.position_json(record) for record in writer])
    return writer.written()


def _positions_of(trader: object) -> list[Any] | None:
    found = trader.get("positions") if isinstance(trader, dict) else trader
    return found if isinstance(found, list) else None


def _write_json(path: Path, document: object) -> None:
    content = shapes.to_json(document).encode()
    if path.suffix == ".gz":
        buffer = BytesIO()
        # no time and no name in the header: the same positions give the same bytes
        with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as file:
            file.write(content)
        content = buffer.getvalue()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error}") from error
