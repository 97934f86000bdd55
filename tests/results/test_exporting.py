"""CSV, JSON and Excel: every value comes through, and no text becomes a formula."""

import csv
import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest import load_run
from ptn_backtest.errors import ConfigError, SourceUnavailable
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.catalogue import catalogue
from ptn_backtest.results.exporting import (
    cell_text,
    json_lines,
    write_csv,
    write_csv_folder,
    write_excel,
)
from ptn_backtest.results.run_folder import write_run
from tests.results.made_runs import made_run

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


def csv_rows(table: pa.Table) -> list[list[str]]:
    to = io.BytesIO()
    write_csv(table, to)
    return list(csv.reader(io.StringIO(to.getvalue().decode(), newline="")))


@given(
    st.lists(st.floats() | st.none(), max_size=5),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5),
)
def test_csv_gives_numbers_back_to_the_bit(numbers: list[float | None], texts: list[str]) -> None:
    n = len(numbers)
    table = pa.table({"x": pa.array(numbers, pa.float64()), "s": pa.array(texts[:n], pa.string())})
    head, *rows = csv_rows(table)
    assert head == ["x", "s"]
    for (number, text), expected, written in zip(rows, numbers, texts, strict=False):
        got = None if number == "" else float(number)
        assert got == expected or (math.isnan(got or 0) and math.isnan(expected or 0))
        assert text.removeprefix("'") == written.removeprefix("'")
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_csv_of_formulas_lists_and_times() -> None:
    moment = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table(
        {
            "=head": FORMULAS,
            "dictionary": pa.array(FORMULAS).dictionary_encode(),
            "list": [[{"a": 1.5}]] * 6,
            "negative": [-1.5] * 6,
            "time": [moment] * 6,
        }
    )
    head, *rows = csv_rows(table)
    assert head[0] == "'=head"
    assert [row[0] for row in rows] == [f"'{text}" for text in FORMULAS]
    assert [row[1] for row in rows] == [f"'{text}" for text in FORMULAS]
    assert rows[0][2:4] == ['[{"a": 1.5}]', "-1.5"]
    assert rows[0][4].startswith("2025-01-02 03:04:05")


def test_json_is_json() -> None:
    table = pa.table(
        {
            "x": [1.5, float("nan"), -math.inf, None],
            "s": ["=1", 'q"', "é", None],
            "t": [datetime(2025, 1, 2, tzinfo=UTC)] * 4,
            "l": [[{"k": 1}], [], None, None],
            "b": [b"\x01", None, None, None],
        }
    )
    rows = json.loads("\n".join(json_lines(table)))
    assert [row["x"] for row in rows] == [1.5, "nan", "-inf", None]
    assert [row["s"] for row in rows] == ["=1", 'q"', "é", None]
    assert (rows[0]["t"], rows[0]["l"], rows[0]["b"]) == (
        "2025-01-02T00:00:00+00:00",
        [{"k": 1}],
        "01",
    )
    assert json.loads("\n".join(json_lines(table.slice(0, 0)))) == []


def test_cells_of_a_terminal_print_nothing_that_moves_it() -> None:
    assert cell_text("a\x1b[31mb\r\u202e") == r"a\x1b[31mb\r\u202e"
    assert cell_text(0.1 + 0.2) == "0.3"
    assert cell_text(None) == ""
    assert cell_text(1_700_000_000_000) == "1700000000000"


def test_a_run_as_a_folder_of_csv(real_run: Path, tmp_path: Path) -> None:
    run = load_run(real_run)
    paths = write_csv_folder(tmp_path / "csv", catalogue().values(), run.table)
    assert [path.stem for path in paths] == list(catalogue())
    for path in paths:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        table = run.table(path.stem)
        assert len(rows) == len(table)
        for name in table.column_names:
            if pa.types.is_floating(table.schema.field(name).type):
                got = [float(row[name]) if row[name] else None for row in rows]
                assert str(got) == str(table[name].to_pylist()), name
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        write_csv_folder(tmp_path / "file", [], run.table)


def test_a_run_as_an_excel_file(real_run: Path, tmp_path: Path) -> None:
    run = load_run(real_run)
    path = tmp_path / "run.xlsx"
    assert write_excel(path, list(catalogue().values()), run.table) == []
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["columns", *catalogue()]
    described = {row[:2] for row in book["columns"].iter_rows(values_only=True)}
    assert ("orders", "fill_price") in described
    for name, table in catalogue().items():
        head, *rows = book[name].iter_rows(values_only=True)
        assert list(head) == [column.name for column in table.columns]
        assert len(rows) == len(run.table(name))
    head, first, *_ = book["orders"].iter_rows(values_only=True)
    order = run.table("orders").slice(0, 1).to_pylist()[0]
    got = dict(zip(head, first, strict=True))
    assert got["price"] == order["price"]
    moment = datetime.fromtimestamp(order["time_ms"] / 1000, tz=UTC).replace(tzinfo=None)
    assert abs((got["time_ms"] - moment).total_seconds()) < 0.002


def test_no_text_is_a_formula_in_excel(tmp_path: Path) -> None:
    nasty = '=HYPERLINK("http://evil","x")'
    made = made_run(
        rejections=[
            Rejection(Reason.INVALID_PRICE, nasty, "@x", nasty, "+1", "http://evil", 1),
            Rejection(Reason.INVALID_PRICE, "long " * 10_000, "", "bell\x07", "", "", 1),
        ]
    )
    run = load_run(write_run(tmp_path / "run", made))
    path = tmp_path / "run.xlsx"
    notes = write_excel(path, [catalogue()["rejected"]], run.table)
    assert notes == ["sheet rejected: 1 texts were cut to Excel's 32,767 characters"]
    sheet = openpyxl.load_workbook(path)["rejected"]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    assert all(cell.hyperlink is None for row in sheet.iter_rows() for cell in row)
    assert [cell.value for cell in sheet[2]][1:6] == [nasty, "@x", nasty, "+1", "http://evil"]


def test_excel_has_no_infinity_and_few_digits(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", made_run()))
    table = run.table("checkpoints").slice(0, 2)
    for name, values in (("gain", [math.inf, math.nan]), ("n_updates", [2**60, 5])):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values))
    path = tmp_path / "run.xlsx"
    write_excel(path, [catalogue()["checkpoints"]], lambda _: table)
    head, *rows = openpyxl.load_workbook(path)["checkpoints"].iter_rows(values_only=True)
    got = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["gain"] for row in got] == ["inf", "nan"]
    assert [row["n_updates"] for row in got] == [str(2**60), 5]


def test_a_table_longer_than_a_sheet_is_cut_and_said(real_run: Path, tmp_path: Path) -> None:
    run = load_run(real_run)
    path = tmp_path / "run.xlsx"
    table = catalogue()["checkpoints"]
    (note,) = write_excel(path, [table], run.table, most_rows=11)
    n_rows = len(run.table("checkpoints"))
    assert note.startswith(f"sheet checkpoints holds the first 10 of {n_rows:,} rows")
    assert openpyxl.load_workbook(path)["checkpoints"].max_row == 11


def test_a_file_that_cannot_be_written(real_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_excel(tmp_path / "no" / "run.xlsx", [], load_run(real_run).table)


def test_without_xlsxwriter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    with pytest.raises(SourceUnavailable, match=r"pip install 'ptn-backtest\[excel\]'"):
        write_excel(tmp_path / "x.xlsx", [], lambda _: pa.table({}))
