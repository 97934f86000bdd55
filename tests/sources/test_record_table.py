"""Fields of many rows at once: the same as asked of each row."""

import pyarrow as pa

from ptn_backtest.sources.record_table import TableRow, field_columns

NAMES = ("close_ms", "current_return", "realized_pnl")
FIRST = pa.table({"close_ms": [1, None, 3], "current_return": [1.5, 2.5, None], "other": [7, 8, 9]})
SECOND = pa.table({"close_ms": [4, 5], "realized_pnl": ["x", None]})


def test_rows_of_tables_and_dicts_come_in_their_order() -> None:
    rows = [
        TableRow(FIRST, 2, ("close_ms", "current_return")),
        TableRow(FIRST, 0, ("close_ms", "current_return")),
        TableRow(FIRST, 1, ("current_return",)),
        {"realized_pnl": 9, "unasked": 1},
        {},
        TableRow(SECOND, 0, ("close_ms", "realized_pnl")),
        TableRow(SECOND, 1, ("close_ms", "realized_pnl")),
        TableRow(FIRST, 1, ("close_ms", "current_return")),
    ]
    assert field_columns(rows, NAMES) == {name: [row.get(name) for row in rows] for name in NAMES}
    assert field_columns(rows, NAMES)["close_ms"] == [3, 1, None, None, None, 4, 5, None]


def test_without_rows_every_column_is_empty() -> None:
    assert field_columns([], NAMES) == {name: [] for name in NAMES}
