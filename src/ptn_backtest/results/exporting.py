"""Tables for spreadsheets and other tools: CSV, JSON, Excel.

Names and reasons in a run come from its source, so a text may look like a formula. In CSV such a text
gets an apostrophe in front; Excel's cells are written as texts, which are never evaluated.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.results.catalogue import TIME_UNIT, Table
from ptn_backtest.results.frames import require
from ptn_backtest.results.jsonable import json_ready

__all__ = ["EXCEL_ROWS", "cell_text", "json_lines", "write_csv", "write_csv_folder", "write_excel"]

EXCEL_ROWS = 1_048_576
"""Rows of a sheet, its heading among them."""
_EXCEL_TEXT = 32_767
_EXCEL_EXACT = 2**53
_EXCEL_EPOCH_DAYS = 25_569
"""1970-01-01 as Excel counts days."""
_FORMULA = r"^[=+\-@\t\r]"
_BATCH = 10_000


def write_csv(table: pa.Table, to: BinaryIO) -> None:
    """Write a table as CSV in UTF-8; numbers to the last digit, null as nothing, lists as JSON.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    columns = [_csv_column(column) for column in table.columns]
    plain = pa.Table.from_arrays(columns, names=[_harmless(name) for name in table.column_names])
    pa_csv.write_csv(plain, to)


def json_lines(table: pa.Table) -> Iterator[str]:
    """A table as the lines of a JSON list of objects.

    Numbers that JSON does not have stand there as "inf", "-inf" and "nan".
    """
    yield "["
    left = len(table)
    for batch in table.to_batches(_BATCH):
        for row in batch.to_pylist():
            left -= 1
            ready = json_ready(_plain(row), sort_keys=False)
            line = json.dumps(ready, allow_nan=False, ensure_ascii=False)
            yield f"{line}," if left else line
    yield "]"


def write_csv_folder(
    folder: Path, tables: Iterable[Table], read: Callable[[str], pa.Table]
) -> list[Path]:
    """Write each table as `<name>.csv` into a folder, which is made; what is there is replaced.

    Args:
        folder: where to.
        tables: which.
        read: gives the rows of a table by its name.

    Raises:
        ConfigError: there is a file of that name, or no folder can be made.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: name a folder to write the tables to")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}. Name a folder in which you may write"
        ) from None
    paths = []
    for table in tables:
        path = folder / f"{table.name}.csv"
        with path.open("wb") as to:
            write_csv(read(table.name), to)
        paths.append(path)
    return paths


def write_excel(
    path: Path,
    tables: Sequence[Table],
    read: Callable[[str], pa.Table],
    *,
    most_rows: int = EXCEL_ROWS,
) -> list[str]:
    """Write an Excel file: a sheet "columns" that describes the others, and a sheet per table.

    Moments, whole milliseconds in the run, are dates here (UTC).

    Args:
        path: where to; a file that is there is replaced.
        tables: which.
        read: gives the rows of a table by its name.
        most_rows: rows of a sheet; the rest of a longer table is left out.

    Returns:
        A sentence for every table that did not fit.

    Raises:
        ConfigError: the file cannot be written.
        SourceUnavailable: XlsxWriter is not installed.
    """
    xlsxwriter = require("xlsxwriter", "excel", "an Excel file")
    try:
        with path.open("ab"):  # before a book is begun, which cannot be abandoned
            pass
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    notes: list[str] = []
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    date_format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
    bold = book.add_format({"bold": True})
    about = book.add_worksheet("columns")
    _excel_row(about, 0, ("table", "column", "unit", "description"), bold)
    described = [
        (table.name, column.name, _excel_unit(column.unit), column.description)
        for table in tables
        for column in table.columns
    ]
    for n, row in enumerate(described, start=1):
        _excel_row(about, n, row)
    for table in tables:
        sheet = book.add_worksheet(table.name)
        sheet.freeze_panes(1, 0)
        _excel_row(sheet, 0, [column.name for column in table.columns], bold)
        notes += _excel_table(sheet, table, read(table.name), date_format, most_rows)
    book.close()
    return notes


def cell_text(value: Any) -> str:  # noqa: ANN401 - whatever a table holds
    """A value as people read it in a terminal: short numbers, nothing that is not printable."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime | date | time | timedelta | Decimal | int):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(json_ready(_plain(value)))
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


# ---- CSV


def _csv_column(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    if pa.types.is_dictionary(column.type):
        return _csv_column(column.cast(column.type.value_type))
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        quoted: pa.ChunkedArray[Any] = pc.replace_substring_regex(column, _FORMULA, r"'\0")
        return quoted
    if pa.types.is_primitive(kind) or pa.types.is_null(kind):
        return column
    texts = [None if one is None else _harmless(cell_text(one)) for one in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _harmless(text: str) -> str:
    return f"'{text}" if re.match(_FORMULA, text) else text


# ---- JSON


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Dates, decimals and bytes as text; the rest as it is."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


# ---- Excel


def _excel_unit(unit: str) -> str:
    return "UTC" if unit == TIME_UNIT else unit


def _excel_table(
    sheet: Any,  # noqa: ANN401 - of a package without types
    table: Table,
    rows: pa.Table,
    date_format: Any,  # noqa: ANN401
    most_rows: int,
) -> Iterator[str]:
    moments = {n for n, column in enumerate(table.columns) if column.unit == TIME_UNIT}
    cut = 0
    kept = rows.slice(0, most_rows - 1)
    at = 0
    for batch in kept.to_batches(_BATCH):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            at += 1
            for n, value in enumerate(row):
                if n in moments and value is not None:
                    sheet.write_number(at, n, value / DAY_MS + _EXCEL_EPOCH_DAYS, date_format)
                else:
                    cut += _excel_cell(sheet, at, n, value)
    if len(kept) < len(rows):
        yield (
            f"sheet {table.name} holds the first {len(kept):,} of {len(rows):,} rows, which is what "
            "Excel takes; --csv writes all"
        )
    if cut:
        yield f"sheet {table.name}: {cut:,} texts were cut to Excel's {_EXCEL_TEXT:,} characters"


def _excel_row(sheet: Any, at: int, row: Sequence[str], style: Any = None) -> None:  # noqa: ANN401
    for n, text in enumerate(row):
        sheet.write_string(at, n, text, style)


def _excel_cell(sheet: Any, at: int, n: int, value: Any, style: Any = None) -> bool:  # noqa: ANN401
    """Write one value; whether a text had to be cut."""
    if value is None:
        return False
    if isinstance(value, bool):
        sheet.write_boolean(at, n, value, style)
        return False
    number = isinstance(value, int | float)
    if (
        number
        and math.isfinite(value)
        and not (isinstance(value, int) and abs(value) > _EXCEL_EXACT)
    ):
        sheet.write_number(at, n, value, style)
        return False
    text = str(value) if number or isinstance(value, str) else cell_text(value)
    # never `write`, which would take a text that begins with "=" for a formula
    sheet.write_string(at, n, text[:_EXCEL_TEXT], style)
    return len(text) > _EXCEL_TEXT
