"""What was written to a store, in the order of writing, so that whoever read it learns what changed.

`changes.csv` has a line for each file to which a write brought closes: pair, timespan, and the starts
of the first and the last candle in it that were new, or had another close. The line is on disk before
the file is: after a crash there may be a line too many, which costs a reader some work, and never one
too few.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.prices.candle_file import sync
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.place import StorePath, reaching
from ptn_backtest.trade_pairs import TradePair

CHANGES_FILE = "changes.csv"

_HEADER = b"trade_pair_id,timespan,first_ms,last_ms\n"
_LINE = re.compile(rb"([A-Za-z0-9]+),(minute|second),(-?\d+),(-?\d+)\n")


@dataclass(frozen=True, slots=True)
class CandleChanges:
    """The lines of a store, from the oldest on.

    Attributes:
        text: of the whole file; b"" where nothing was ever noted.
    """

    text: bytes = b""

    @property
    def known(self) -> str:
        """How far a reader knows them, for `first_since`: a length, and a checksum of so many bytes."""
        return f"{len(self.text)}-{zlib.crc32(self.text):08x}"

    def first_since(self, known: str) -> dict[str, int]:
        """{trade pair id: start (ms) of the first candle that was written since they were known so far}.

        In a store that does not begin with what was known everything counts as changed: it is another
        one, or was set back.

        Args:
            known: what `known` was; "" for nothing.
        """
        size, _, checksum = (known or CandleChanges().known).partition("-")
        begin = self.text[: int(size)]
        if len(begin) < int(size) or f"{zlib.crc32(begin):08x}" != checksum:
            return dict.fromkeys((pair.trade_pair_id for pair in TradePair.all()), -NEVER_MS)
        first: dict[str, int] = {}
        # a line that a crash cut off was followed by no change
        for line in _LINE.finditer(self.text, int(size)):
            pair = line[1].decode("ascii")
            first[pair] = min(first.get(pair, NEVER_MS), int(line[3]))
        return first


@runtime_checkable
class KnowsChanges(Protocol):
    """A source that also knows what was written to it."""

    def changes(self) -> CandleChanges:
        """What was written so far."""
        ...


Noting: TypeAlias = Callable[[int, int], None]
"""Has a line on disk: candles of a file, from this start to that, are going to change."""


def read_changes(root: StorePath) -> CandleChanges:
    """The lines of a store; none where it has no such file, as older ones."""
    with reaching(root):
        try:
            return CandleChanges((root / CHANGES_FILE).read_bytes())
        except (FileNotFoundError, PermissionError):
            # the second is what S3 says where it may not tell what is there
            return CandleChanges()


@contextmanager
def noting_changes(root: Path, trade_pair_id: str, timespan: Timespan) -> Iterator[Noting]:
    """Notes changes of a pair's candles, for one who keeps other writers out."""
    descriptor = os.open(root / CHANGES_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    def note(first_ms: int, last_ms: int) -> None:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        begin = _HEADER if size == 0 else b"\n" if torn else b""
        line = f"{trade_pair_id},{timespan},{first_ms},{last_ms}\n"
        os.write(descriptor, begin + line.encode("ascii"))
        os.fsync(descriptor)
        if size == 0:
            sync(root)

    try:
        yield note
    finally:
        os.close(descriptor)
