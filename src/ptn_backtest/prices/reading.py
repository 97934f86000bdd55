"""Files of candles in other programs' shapes, read piece by piece as they are."""

import csv
import gzip
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ptn_backtest.errors import CandleError

_CHUNK_ROWS = 1_000_000
_BLOCK_BYTES = 16 * 2**20
_NO_VALUE = ["", "nan", "NaN", "NAN", "null", "NULL", "None", "N/A", "-"]

_KLINE_COLUMNS = [
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("n_trades", "taker_base_volume", "taker_quote_volume", "ignore"),
]
"""Exchanges publish these twelve columns in CSV files without a header."""


class CandleFile:
    """A Parquet or CSV file.

    Attributes:
        path: the file.
        columns: names in its header; numbers from 1 as texts where it has none.
        skipped_lines: lines of a CSV with too few or too many cells, counted while reading.
        skipped_example: the first of them.
    """

    def __init__(self, path: Path) -> None:
        """Look at the file's header.

        Raises:
            CandleError: it is not there, or neither Parquet nor CSV.
        """
        self.path = path
        self.skipped_lines = 0
        self.skipped_example = ""
        with _readable(path):
            with path.open("rb") as file:
                self._is_parquet = file.read(4) == b"PAR1"
            if self._is_parquet:
                self.columns = pq.read_schema(path).names
            else:
                self._delimiter, self._has_header, self.columns = _csv_header(path)

    def pieces(self, columns: list[str]) -> Iterator[pa.Table]:
        """Tables of these columns, in file order; of a CSV every cell is a text.

        Raises:
            CandleError: the file is damaged.
        """
        with _readable(self.path):
            for batch in self._parquet(columns) if self._is_parquet else self._csv(columns):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])

    def _parquet(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(batch_size=_CHUNK_ROWS, columns=columns)

    def _csv(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if self._has_header and not self._has_rows():
            return
        reader = pa_csv.open_csv(
            self.path,
            read_options=pa_csv.ReadOptions(
                column_names=self.columns,
                skip_rows=1 if self._has_header else 0,
                block_size=_BLOCK_BYTES,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter, invalid_row_handler=self._skip
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                null_values=_NO_VALUE,
            ),
        )
        with reader:
            yield from reader

    def _has_rows(self) -> bool:
        with _text(self.path) as file:
            return any(line.strip() for line in itertools.islice(file, 1, None))

    def _skip(self, row: pa_csv.InvalidRow) -> Literal["skip"]:
        self.skipped_example = self.skipped_example or row.text[:80]
        self.skipped_lines += 1
        return "skip"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise CandleError(f"there is no file {path}") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as fault:
        reason = str(fault).partition("\n")[0]
        raise CandleError(f"{path} cannot be read as Parquet or CSV: {reason}") from fault


def _text(path: Path) -> TextIO:
    opened = gzip.open if path.suffix == ".gz" else open
    return cast("TextIO", opened(path, "rt", encoding="utf-8-sig", newline=""))


def _csv_header(path: Path) -> tuple[str, bool, list[str]]:
    """Delimiter, whether the first line is a header, names of the columns."""
    with _text(path) as file:
        line = file.readline(65_536)
    if not line.strip():
        raise CandleError(f"{path} is empty: candles need a header line and rows")
    delimiter = max(",;\t|", key=line.count)
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    if not _is_number(cells[-1]) and not _is_number(cells[0]):
        return delimiter, True, cells
    if len(cells) == len(_KLINE_COLUMNS):
        return delimiter, False, list(_KLINE_COLUMNS)
    return delimiter, False, [str(number) for number in range(1, len(cells) + 1)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
