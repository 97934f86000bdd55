"""What every writer of position files shares: which records can be written, and how."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptn_backtest.sources.records import PositionRecord


@dataclass(frozen=True, slots=True)
class Written:
    """What an export wrote.

    Attributes:
        positions: how many positions.
        orders: how many orders.
        skipped: a sentence for each record that has no place in the format.
    """

    positions: int
    orders: int
    skipped: tuple[str, ...]


class Writable:
    """The records of an export that can be written; counts them and notes the others."""

    def __init__(self, records: Iterable[PositionRecord]) -> None:
        self._records = records
        self._positions = self._orders = 0
        self._skipped: list[str] = []

    def __iter__(self) -> Iterator[PositionRecord]:
        for record in self._records:
            fault = _fault(record)
            if fault is not None:
                self._skipped.append(f"{record.origin}: {fault}")
                continue
            yield record
            self._positions += 1
            self._orders += len(record.orders)

    def written(self, also_skipped: Sequence[str] = ()) -> Written:
        """The counts, once every record has passed."""
        return Written(self._positions, self._orders, (*self._skipped, *also_skipped))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        building.write_bytes(content)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)


def _fault(record: PositionRecord) -> str | None:
    if record.error is not None:
        return record.error
    if record.orphan:
        return "orders without a position"
    missing = [name for name in ("miner_hotkey", "position_uuid") if not record.fields.get(name)]
    return f"{' and '.join(missing)} missing" if missing else None
