"""Candles on disk: a folder of Parquet files, one per trade pair, timespan and period.

    store.json                      what this folder is
    changes.csv                     what was written, in this order: `changes`
    minute/BTCUSD/2025-01.parquet   minute candles by month
    second/BTCUSD/2025-01-05.parquet  second candles by day
    missing/minute/BTCUSD/2025-01.json  candles that a provider was asked for and does not have
    quotes/EURUSD/2025-01.parquet   bid and ask at single moments: `quote_shelf`

`docs/candles.md` has the whole format. A file is replaced in one step, so that a crash leaves
either the old one or the new one. A folder that is not on this machine (`prices.place`) is read only.
"""

import fcntl
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ptn_backtest.clock import NEVER_MS, format_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.ahead import read_in_order
from ptn_backtest.prices.candle_file import (
    EVER,
    REPLAY_COLUMNS,
    SCHEMA,
    Extent,
    file_extent,
    read_file,
    replacing,
    write_file,
)
from ptn_backtest.prices.candles import Candles, Ranges, Timespan, Windows, merged_ranges, window
from ptn_backtest.prices.changes import CandleChanges, noting_changes, read_changes
from ptn_backtest.prices.known_missing import read_known_missing, write_known_missing
from ptn_backtest.prices.merging import Written, conforming, merge
from ptn_backtest.prices.periods import period_files, periods, pieces_by_period
from ptn_backtest.prices.place import StorePath, local_folder, reaching, reads_at_once, store_path
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

FORMAT = "ptn-backtest candle store"
FORMAT_VERSION = 1
_NO_CANDLES = Candles(np.empty(0, dtype=np.int64), np.empty(0))


class CandleStore:
    """A folder of candles; implements `prices.candles.CandleSource` and `KnowsMissing`.

    Attributes:
        root: the folder, or a URL's.
        label: what its maker called it, such as "synthetic, seed 8".
        synthetic: True where the candles are made up.
    """

    def __init__(self, root: Path | str) -> None:
        """Open an existing store; `CandleStore.create` makes one.

        Args:
            root: a folder, or a URL such as "s3://bucket/candles" (extra `remote`).

        Raises:
            CandleError: there is no store, or this version cannot read it.
        """
        self.root = store_path(root)
        about = _read_about(self.root)
        self.label = str(about.get("label", ""))
        self.synthetic = bool(about.get("synthetic", False))

    @classmethod
    def create(cls, root: Path | str, *, label: str = "", synthetic: bool = False) -> "CandleStore":
        """Open the store in this folder, making an empty one first where there is none.

        Raises:
            CandleError: the folder holds something else, or is no local one.
        """
        root = local_folder(store_path(root))
        if not (root / "store.json").exists():
            if root.exists() and (not root.is_dir() or any(_without_leftovers(root))):
                raise CandleError(
                    f"{root} is not empty and not a candle store: name another folder"
                )
            _make_folder(root)
            about = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "label": label,
                "synthetic": synthetic,
                "created_by": f"ptn-backtest {version('ptn-backtest')}",
            }
            with replacing(root / "store.json") as temporary:
                temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        return cls(root)

    def describe(self) -> str:
        """The folder, and its label where it has one."""
        return f"candle store {self.root}" + (f" ({self.label})" if self.label else "")

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def pairs(self, timespan: Timespan | None = None) -> list[str]:
        """Ids of the trade pairs that have candles (of this timespan), sorted."""
        with reaching(self.root):
            found = {
                folder.name
                for each in ([timespan] if timespan else Timespan)
                for folder in (self.root / each).glob("*")
                if any(folder.glob("*.parquet"))
            }
        return sorted(found)

    def extent(self, trade_pair_id: str, timespan: Timespan) -> Extent | None:
        """First and last candle and their number, from the files' footers; None without candles."""
        files = self._files(trade_pair_id, timespan)
        read = read_in_order(file_extent, files, reads_at_once(self.root))
        extents = [each for each in read if each is not None]
        if not extents:
            return None
        return Extent(
            min(each.first_ms for each in extents),
            max(each.last_ms for each in extents),
            sum(each.n_candles for each in extents),
        )

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        """Candles that start in [start_ms, end_ms], ascending; empty where there are none.

        Raises:
            CandleError: a file is damaged, lacks a column, or holds candles no replay can use.
        """
        wanted = window(start_ms, end_ms)
        parts = [_NO_CANDLES, *self.read_windows(trade_pair_id, timespan, wanted)]
        return Candles(
            np.concatenate([part.start_ms for part in parts]),
            np.concatenate([part.close for part in parts]),
        )

    def read_windows(
        self, trade_pair_id: str, timespan: Timespan, windows: Windows
    ) -> Iterator[Candles]:
        """Candles that start in one of these windows, ascending, file by file.

        Raises:
            CandleError: as `read`.
        """
        for part in self.read_around(trade_pair_id, timespan, windows):
            yield part.within(windows)

    def read_around(
        self, trade_pair_id: str, timespan: Timespan, windows: Windows
    ) -> Iterator[Candles]:
        """Candles that start in one of these windows and those that are read with them, file by file.

        Only candles in the windows are sure to have a close that a replay can use.

        Raises:
            CandleError: as `read`.
        """
        windows = np.asfortranarray(windows)  # each file searches in both columns
        before_ms = -NEVER_MS
        files = self._files(trade_pair_id, timespan, windows)
        tables = self._tables(files, REPLAY_COLUMNS, windows)
        for path, table in zip(files, tables, strict=True):
            there = Candles(table["timestamp_ms"].to_numpy(), table["close"].to_numpy())
            if not len(there):
                continue
            early = there.start_ms[1:] <= there.start_ms[:-1]
            if there.start_ms[0] <= before_ms or early.any():
                first = 0 if there.start_ms[0] <= before_ms else early.argmax() + 1
                raise _unusable(path, there.start_ms[first], "twice or out of order")
            if not (there.close.min() > 0 and there.close.max() < np.inf):
                _refuse_bad_closes(path, there.within(windows))
            before_ms = int(there.start_ms[-1])
            yield there

    def read_table(
        self,
        trade_pair_id: str,
        timespan: Timespan,
        start_ms: int = -NEVER_MS,
        end_ms: int = NEVER_MS,
        columns: Sequence[str] = tuple(SCHEMA.names),
    ) -> pa.Table:
        """These columns of candles that start in [start_ms, end_ms], as the files have them.

        Raises:
            CandleError: a file is damaged, or lacks a column.
        """
        wanted = window(start_ms, end_ms)
        files = self._files(trade_pair_id, timespan, wanted)
        tables = self._tables(files, columns, wanted)
        empty = pa.schema([SCHEMA.field(name) for name in columns]).empty_table()
        table = pa.concat_tables([empty, *tables])
        times = table["timestamp_ms"].to_numpy()
        inside = (times >= start_ms) & (times <= end_ms)
        return table if inside.all() else table.filter(inside)

    def write(self, trade_pair_id: str, timespan: Timespan, table: pa.Table) -> Written:
        """Add candles; one that is there already is replaced, and of two in `table` the last counts.

        Where the close stays the same, values that the new row lacks stay too.

        Each file is replaced in one step. A write that was cut off is completed by repeating it.

        Args:
            trade_pair_id: the pair.
            timespan: length of the candles.
            table: columns of `SCHEMA` (timestamp_ms and close at least), rows in any order.

        Raises:
            CandleError: the table has candles that a store cannot hold, or a file is damaged.
            UnknownTradePair: no such pair.
        """
        TradePair.from_trade_pair_id(trade_pair_id)
        table = conforming(table, timespan)
        folder = local_folder(self._folder(trade_pair_id, timespan))
        names_of = periods(timespan, table["timestamp_ms"].to_numpy())
        order = np.argsort(names_of, kind="stable")
        names, firsts, counts = np.unique(names_of[order], return_index=True, return_counts=True)
        table = table.take(order)
        total = Written()
        with (
            self.writing(folder),
            noting_changes(local_folder(self.root), trade_pair_id, timespan) as note,
        ):
            for name, first, count in zip(names, firsts, counts, strict=True):
                path = folder / f"{name}.parquet"
                old = read_file(path, SCHEMA.names) if path.exists() else SCHEMA.empty_table()
                merged, written, new_ms = merge(old, table.slice(first, count))
                total = total.plus(written)
                if len(new_ms):
                    note(int(new_ms[0]), int(new_ms[-1]))
                if written.added or written.changed:
                    write_file(path, merged)
        log.debug("%s %s: %d candles added to %s", trade_pair_id, timespan, total.added, self.root)
        return total

    def changes(self) -> CandleChanges:
        """What was written so far; versions that did not note it wrote without a line."""
        return read_changes(self.root)

    def known_missing(
        self,
        trade_pair_id: str,
        timespan: Timespan,
        start_ms: int = -NEVER_MS,
        end_ms: int = NEVER_MS,
        *,
        provider: str | None = None,
    ) -> Ranges:
        """Stretches [start, end) of which a provider said that it has no candles, apart, ascending.

        A candle that is stored all the same, from elsewhere, is there. Times while the market is
        closed may lie within.

        Args:
            trade_pair_id: the pair.
            timespan: length of the candles.
            start_ms: stretches that touch [start_ms, end_ms] are given.
            end_ms: see start_ms.
            provider: only of this one; None means of any.

        Raises:
            CandleError: a file is damaged.
        """
        folder = self._missing_folder(trade_pair_id, timespan)
        found = [
            each
            for path in period_files(folder, ".json", timespan, window(start_ms, end_ms))
            for name, ranges in read_known_missing(path).items()
            if provider in (None, name)
            for each in ranges
        ]
        return merged_ranges(each for each in found if each[0] <= end_ms and start_ms <= each[1])

    def add_known_missing(
        self, trade_pair_id: str, timespan: Timespan, provider: str, ranges: Ranges
    ) -> None:
        """Remember that a provider has no candles that start in these stretches [start, end).

        Raises:
            CandleError: a file is damaged.
            UnknownTradePair: no such pair.
        """
        TradePair.from_trade_pair_id(trade_pair_id)
        folder = local_folder(self._missing_folder(trade_pair_id, timespan))
        by_period: dict[str, list[tuple[int, int]]] = {}
        for start_ms, end_ms in ranges:
            for name, bounds in pieces_by_period(timespan, start_ms, end_ms):
                by_period.setdefault(name, []).append(bounds)
        if not by_period:
            return
        with self.writing(folder):
            for name, pieces in by_period.items():
                path = folder / f"{name}.json"
                known = read_known_missing(path)
                known[provider] = merged_ranges([*known.get(provider, ()), *pieces])
                write_known_missing(path, known)

    def _folder(self, trade_pair_id: str, timespan: Timespan) -> StorePath:
        return self.root / timespan / trade_pair_id

    def _missing_folder(self, trade_pair_id: str, timespan: Timespan) -> StorePath:
        return self.root / "missing" / timespan / trade_pair_id

    def _files(
        self, trade_pair_id: str, timespan: Timespan, windows: Windows = EVER
    ) -> list[StorePath]:
        """Files whose period has a moment in one of these windows, in time order."""
        return period_files(self._folder(trade_pair_id, timespan), ".parquet", timespan, windows)

    def _tables(
        self, files: Sequence[StorePath], columns: Sequence[str], windows: Windows
    ) -> Iterator[pa.Table]:
        """`read_file` of each."""

        def read(path: StorePath) -> pa.Table:
            return read_file(path, columns, windows)

        return read_in_order(read, files, reads_at_once(self.root))

    @contextmanager
    def writing(self, folder: Path) -> Iterator[None]:
        """Keep other writers out, and clear away what a crashed one left."""
        with (self.root / "store.json").open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink()
            yield


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise CandleError(
            f"no folder for candles can be made in {root.parent}: {fault.strerror}. Name one in "
            "which you may write"
        ) from None


def _read_about(root: StorePath) -> dict[str, Any]:
    path = root / "store.json"
    try:
        with reaching(path):
            text = path.read_text(encoding="utf-8")
        about = json.loads(text)
    except FileNotFoundError:
        raise CandleError(
            f"no candle store at {root}: make one with 'ptn-backtest candles import {root} FILES...'"
        ) from None
    except OSError as fault:
        raise CandleError(
            f"{path} cannot be read: {fault.strerror}. Give the folder of a candle store that you may "
            "read"
        ) from None
    except ValueError as fault:
        raise CandleError(
            f"{path} is damaged ({fault}): restore it, or import the candles into another folder"
        ) from fault
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CandleError(f'{path} does not describe a candle store: "format" is not {FORMAT!r}')
    if about.get("version") != FORMAT_VERSION:
        raise CandleError(
            f"{path} has format version {about.get('version')}, this version of ptn-backtest "
            f"reads {FORMAT_VERSION}: install the version that wrote it ({about.get('created_by')})"
        )
    return about


def _unusable(path: StorePath, start_ms: np.int64, what: str) -> CandleError:
    return CandleError(
        f"{path} holds the candle of {format_time(int(start_ms))} {what}: see all such with "
        "'ptn-backtest candles check', then delete the file and import it again"
    )


def _refuse_bad_closes(path: StorePath, candles: Candles) -> None:
    bad = ~((candles.close > 0) & (candles.close < np.inf))
    if bad.any():
        first = bad.argmax()
        raise _unusable(path, candles.start_ms[first], f"with close {candles.close[first]}")


def _without_leftovers(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix != ".tmp")
