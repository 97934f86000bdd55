"""Bring candles from Parquet and CSV files into a store: nothing is guessed silently or lost.

A row that cannot be a candle is set aside with a reason and counted; what a replay would read
differently than the file (a candle given twice with two values) is counted too.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptn_backtest.errors import CandleError, some_of
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.merging import Written
from ptn_backtest.prices.reading import CandleFile
from ptn_backtest.prices.recognising import (
    UNREADABLE,
    Column,
    TimeUnit,
    floats,
    recognise_columns,
    recognise_pair,
    recognise_timespan,
    time_unit_of_name,
    times_in_ms,
    timespan_of_spacing,
)
from ptn_backtest.prices.store import CandleStore

log = logging.getLogger(__name__)

_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000  # the years 2000 to 2099
_N_EXAMPLES = 3
_Label = TypeVar("_Label", bound=str)
_PRICES = ("open", "high", "low", "bid", "ask")


@dataclass(slots=True)
class SetAside:
    """Rows of one file that were not imported for one reason: how many, and the first few."""

    file: str
    reason: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ImportedSeries:
    """What became of the candles of one pair and timespan.

    Attributes:
        written: candles added, repeated and changed.
        out_of_order: rows that start before the row before them.
        first_ms: start of the earliest candle.
        last_ms: start of the latest candle.
    """

    written: Written = field(default_factory=Written)
    out_of_order: int = 0
    first_ms: int = _LATEST_MS
    last_ms: int = _EARLIEST_MS


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        files: the files read, in order.
        n_rows: rows in them.
        series: by (trade pair id, timespan).
        set_aside: rows that are no candles, by file and reason.
        blanked: {column: cells that were no price and became null}, close excepted.
    """

    files: list[str] = field(default_factory=list)
    n_rows: int = 0
    series: dict[tuple[str, Timespan], ImportedSeries] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    blanked: Counter[str] = field(default_factory=Counter)

    @property
    def n_set_aside(self) -> int:
        """Rows that were not imported."""
        return sum(each.count for each in self.set_aside)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "files": self.files,
            "rows": self.n_rows,
            "series": [
                {"trade_pair_id": pair, "timespan": timespan, **asdict(series)}
                for (pair, timespan), series in self.series.items()
            ],
            "set_aside": [asdict(each) for each in self.set_aside],
            "blanked": dict(self.blanked),
        }


def import_candles(
    store: CandleStore,
    paths: Iterable[Path | str],
    *,
    trade_pair_id: str | None = None,
    timespan: Timespan | None = None,
    columns: Mapping[str, str] | None = None,
    time_unit: TimeUnit | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Add the candles of these files to the store, piece by piece.

    Repeating an import changes nothing; one that was cut off is completed by repeating it.

    Args:
        store: where to.
        paths: Parquet or CSV files (also .csv.gz).
        trade_pair_id: the pair, where neither a column nor the file's name says it.
        timespan: likewise; without it, and without a word in the name, the spacing of rows tells.
        columns: {role: column} for columns that are not recognised; roles are the keys of
            `recognising.ROLES`.
        time_unit: unit of numeric times, where neither name nor size tells it.
        progress: called with the number of rows read since the last call.

    Raises:
        CandleError: a file cannot be understood, or none of its rows is a candle; files before it
            are imported then, those after it are not, and the message names both.
        UnknownTradePair: no such pair.
    """
    if store.synthetic:
        raise CandleError(
            f"{store.describe()} holds synthetic candles: import into another folder, so that real "
            "and made-up prices do not mix"
        )
    report = ImportReport()
    files = [Path(path) for path in paths]
    for number, path in enumerate(files):
        try:
            reading = _Reading(path, trade_pair_id, timespan, dict(columns or {}), time_unit)
            for rows in reading.pieces():
                _import_rows(store, rows, report)
                if progress:
                    progress(rows.n_rows)
            reading.require_some_candles()
        except CandleError as fault:
            raise CandleError(f"{fault}{_other_files(files, number)}") from fault
        report.files.append(str(path))
        report.set_aside += reading.set_aside.values()
        log.info("%s: %d rows read", path, reading.n_rows)
    return report


def _other_files(files: Sequence[Path], failed: int) -> str:
    """What became of the files beside the one that failed."""
    before, after = files[:failed], files[failed + 1 :]
    told = [
        f"{what}: {some_of([str(path) for path in some])}"
        for what, some in (("stored before it", before), ("not read", after))
        if some
    ]
    return "".join(f"\n{each}" for each in told)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Usable rows of a piece: one entry per series, and what else there was."""

    n_rows: int
    series: Mapping[tuple[str, Timespan], pa.Table]
    out_of_order: Mapping[tuple[str, Timespan], int]
    blanked: Mapping[str, int]


def _import_rows(store: CandleStore, rows: _Rows, report: ImportReport) -> None:
    report.n_rows += rows.n_rows
    report.blanked.update(rows.blanked)
    for key, table in rows.series.items():
        series = report.series.setdefault(key, ImportedSeries())
        series.written = series.written.plus(store.write(*key, table))
        series.out_of_order += rows.out_of_order[key]
        times = table["timestamp_ms"].to_numpy()
        series.first_ms = min(series.first_ms, int(times.min()))
        series.last_ms = max(series.last_ms, int(times.max()))


@dataclass(frozen=True, slots=True)
class _Labels(Generic[_Label]):
    """A label for every row: `names[code]`, code -1 where it is unknown."""

    names: Sequence[_Label]
    codes: NDArray[np.int64]

    @staticmethod
    def same(names: Sequence[_Label], n_rows: int) -> "_Labels[_Label]":
        return _Labels(names, np.zeros(n_rows, dtype=np.int64))

    @staticmethod
    def read(cells: Column, parse: Callable[[str], _Label | None]) -> "_Labels[_Label]":
        encoded = cells.cast(pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
        parsed = [None if text is None else parse(text) for text in encoded.dictionary.to_pylist()]
        names = sorted({each for each in parsed if each is not None})
        codes = np.array([-1 if each is None else names.index(each) for each in parsed])
        return _Labels(names, codes[encoded.indices.to_numpy()])


class _Reading:
    """One file on its way into the store: what its columns mean, and what was set aside."""

    def __init__(
        self,
        path: Path,
        trade_pair_id: str | None,
        timespan: Timespan | None,
        columns: dict[str, str],
        time_unit: TimeUnit | None,
    ) -> None:
        self.n_rows = 0
        self.n_candles = 0
        self.set_aside: dict[str, SetAside] = {}
        self._file = CandleFile(path)
        try:
            self._columns = recognise_columns(self._file.columns, columns)
            name = path.name.partition(".")[0]
            # a column knows better than a name, and what the user says better than both
            self._pair = trade_pair_id or (
                None if "pair" in self._columns else recognise_pair(name)
            )
            self._timespan = timespan or (
                None if "timespan" in self._columns else recognise_timespan(name)
            )
        except CandleError as fault:
            raise CandleError(f"{path}: {fault}") from None
        if self._pair is None and "pair" not in self._columns:
            raise CandleError(
                f"{path}: neither a column nor the file's name says which trade pair this is: "
                "give --pair, such as --pair BTCUSD"
            )
        self._unit = time_unit or time_unit_of_name(self._columns["time"])
        self._last_ms: dict[tuple[str, Timespan], int] = {}

    def pieces(self) -> Iterable[_Rows]:
        for piece in self._file.pieces(list(dict.fromkeys(self._columns.values()))):
            yield self._judged(piece)
            self.n_rows += len(piece)
        if self._file.skipped_lines:
            example = [self._file.skipped_example]
            self._note("the line has too few or too many cells", self._file.skipped_lines, example)

    def require_some_candles(self) -> None:
        if self.n_candles:
            return
        if not self.set_aside:
            raise CandleError(f"{self._file.path}: it has no rows, only the names of columns")
        most = max(self.set_aside.values(), key=lambda each: each.count)
        raise CandleError(
            f"{self._file.path}: none of its {self.n_rows:,} rows is a candle; of {most.count:,}, "
            f"{most.reason} ({'; '.join(most.examples)}). See 'ptn-backtest candles import --help' "
            "on naming columns, pair, timespan and time unit"
        )

    def _judged(self, piece: pa.Table) -> _Rows:
        """The rows that are candles, by series; the others are noted."""
        times = times_in_ms(self._cells(piece, "time"), self._unit)
        closes = floats(self._cells(piece, "close"))
        pairs = self._pairs(piece)
        timespans = self._timespans(piece, times)
        length_ms = np.array([*(each.ms for each in timespans.names), 1])[timespans.codes]
        usable = np.ones(len(piece), dtype=np.bool_)
        for role, reason, good in (
            ("time", "the time cannot be read", times != UNREADABLE),
            (
                "time",
                "the time is not of the years 2000 to 2099 (another unit?)",
                _plausible(times),
            ),
            ("pair", "the trade pair is unknown", pairs.codes >= 0),
            ("timespan", "the timespan is neither minute nor second", timespans.codes >= 0),
            ("time", "the time is not on a whole minute (or second)", times % length_ms == 0),
            ("close", "the close is missing or not a number", np.isfinite(closes)),
            ("close", "the close is not above 0", closes > 0),
        ):
            bad = usable & ~good
            if bad.any():
                self._note(reason, int(bad.sum()), self._examples(piece, role, bad))
                usable &= good
        values, blanked = self._other_values(piece, usable)
        table = pa.table({"timestamp_ms": times, "close": closes, **values})
        series, out_of_order = {}, {}
        for pair_code, pair in enumerate(pairs.names):
            for timespan_code, timespan in enumerate(timespans.names):
                of_series = usable & (pairs.codes == pair_code) & (timespans.codes == timespan_code)
                if of_series.any():
                    key = (pair, timespan)
                    series[key] = table.filter(of_series)
                    out_of_order[key] = self._steps_back(key, times[of_series])
        self.n_candles += int(usable.sum())
        return _Rows(len(piece), series, out_of_order, blanked)

    def _cells(self, piece: pa.Table, role: str) -> Column:
        return piece[self._columns[role]]

    def _pairs(self, piece: pa.Table) -> _Labels[str]:
        if self._pair is not None:
            return _Labels.same([self._pair], len(piece))
        return _Labels.read(self._cells(piece, "pair"), recognise_pair)

    def _timespans(self, piece: pa.Table, times: NDArray[np.int64]) -> _Labels[Timespan]:
        if self._timespan is None and "timespan" in self._columns:
            return _Labels.read(self._cells(piece, "timespan"), _timespan_of_cell)
        if self._timespan is None:
            self._timespan = timespan_of_spacing(times[_plausible(times)])
        if self._timespan is None and len(times) and not _plausible(times).any():
            [example] = self._examples(piece, "time", ~_plausible(times))[:1]
            raise CandleError(
                f"{self._file.path}: the times cannot be read, or are not of the years 2000 to 2099; "
                f"{example}. Write them as 2025-01-31T12:00:00Z or as a number, and give --time-unit "
                "where it is not told by the size"
            )
        if self._timespan is None:
            raise CandleError(
                f"{self._file.path}: the rows are neither a minute nor a second apart, as a "
                "replay's candles are: give --timespan if they are candles of one all the same"
            )
        return _Labels.same([self._timespan], len(piece))

    def _other_values(
        self, piece: pa.Table, usable: NDArray[np.bool_]
    ) -> tuple[dict[str, Column], dict[str, int]]:
        """Columns beside the close, null where there is no value; counts of cells that were bad."""
        values: dict[str, Column] = {}
        blanked: dict[str, int] = {}
        for role in (*_PRICES, "volume"):
            if role in self._columns:
                cells = self._cells(piece, role)
                numbers = floats(cells)
                good = np.isfinite(numbers) & (
                    (numbers > 0) | ((numbers == 0) & (role == "volume"))
                )
                unknown = cells.is_null(nan_is_null=True).to_numpy() | (numbers == 0)
                bad = int(np.count_nonzero(usable & ~good & ~unknown))
                values[role] = pa.chunked_array([pa.array(numbers, mask=~good)])
                blanked.update({role: bad} if bad else {})
        return values, blanked

    def _steps_back(self, key: tuple[str, Timespan], starts: NDArray[np.int64]) -> int:
        before = np.append(self._last_ms.get(key, starts[0]), starts[:-1])
        self._last_ms[key] = int(starts[-1])
        return int(np.count_nonzero(starts < before))

    def _examples(self, piece: pa.Table, role: str, bad: NDArray[np.bool_]) -> list[str]:
        cells = self._cells(piece, role)
        first = np.flatnonzero(bad)[:_N_EXAMPLES]
        return [f"row {self.n_rows + i + 1}: {cells[int(i)].as_py()}" for i in first]

    def _note(self, reason: str, count: int, examples: list[str]) -> None:
        noted = self.set_aside.setdefault(reason, SetAside(str(self._file.path), reason))
        noted.count += count
        noted.examples += examples[: _N_EXAMPLES - len(noted.examples)]


def _plausible(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (times >= _EARLIEST_MS) & (times < _LATEST_MS)


def _timespan_of_cell(text: str) -> Timespan | None:
    try:
        return recognise_timespan(text)
    except CandleError:
        return None
