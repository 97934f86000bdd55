import csv
from importlib.resources import files
from pathlib import Path

import pyarrow.parquet as pq

from ptn_backtest.results.catalogue import catalogue


def test_every_file_is_a_table_of_exactly_these_columns(real_run: Path) -> None:
    found = {path.stem: pq.read_schema(path) for path in real_run.glob("*.parquet")}
    known = {name: table.schema for name, table in catalogue().items() if name != "eliminations"}
    assert found.keys() == known.keys()
    for name, schema in known.items():
        assert found[name].equals(schema), name


def test_every_column_is_described_and_nothing_else_is() -> None:
    text = files("ptn_backtest").joinpath("data/run_tables.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    said = [(row["table"], row["column"]) for row in rows]
    tables = catalogue().values()
    there = [(table.name, column.name) for table in tables for column in table.columns]
    assert sorted(said) == sorted([*there, *((table.name, "") for table in tables)])
    assert all(row["description"] for row in rows)


def test_numbers_have_units() -> None:
    """Metrics and the network's own entry value have none; an order's source is a name."""
    bare = {
        column.name
        for table in catalogue().values()
        for column in table.columns
        if column.kind in {"int64", "double"} and not column.unit
    }
    assert bare == {
        "calmar",
        "cumulative_entry_value",
        "omega",
        "score",
        "sharpe",
        "sortino",
        "src",
        "statistical_confidence",
        "stored_cumulative_entry_value",
    }
    for table in catalogue().values():
        for column in table.columns:
            assert column.name.endswith("_ms") == (column.unit in {"ms", "time ms"}), column
