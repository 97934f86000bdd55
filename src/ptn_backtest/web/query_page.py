"""Questions in SQL, with limits: the pages are for people, and one question must not take the machine."""

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ptn_backtest.errors import BacktestError
from ptn_backtest.results.catalogue import catalogue
from ptn_backtest.results.exporting import write_csv
from ptn_backtest.results.query import QueryLimits
from ptn_backtest.results.run import Run

__all__ = [
    "EXAMPLES",
    "MOST_CSV_ROWS",
    "MOST_ROWS",
    "Answer",
    "answer",
    "answer_csv",
    "query_parts",
]

MOST_ROWS = 500
"""Rows of an answer that a page shows."""
MOST_CSV_ROWS = 200_000
"""Rows of an answer as CSV; the command line has no limit."""
MOST_SECONDS = 10.0
_MEMORY_MB = 1_000

EXAMPLES = {
    "Where changes came from": """SELECT miner_hotkey, sum(price) AS price, sum(spread) AS spread,
       sum(carry) AS carry, sum(slippage) AS slippage, sum(change) AS change
FROM attribution WHERE ledger = 'portfolio'
GROUP BY 1 ORDER BY change DESC""",
    "Eliminations by reason": """SELECT reason, bucket, count(*) AS n
FROM eliminations GROUP BY 1, 2 ORDER BY n DESC""",
    "Pairs by slippage": """SELECT trade_pair_id, count(*) AS orders, avg(slippage) AS slippage
FROM orders GROUP BY 1 ORDER BY slippage DESC""",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page shows of an answer.

    Attributes:
        columns: (name, whether it holds numbers).
        rows: the first of them.
        more: whether there are further ones.
    """

    columns: list[tuple[str, bool]]
    rows: list[tuple[Any, ...]]
    more: bool


def answer(run: Run, sql: str) -> Answer:
    """The first rows that a query gives.

    Raises:
        QueryError: it cannot be answered, or takes too long.
    """
    table = run.select(sql, QueryLimits(MOST_ROWS + 1, MOST_SECONDS, _MEMORY_MB))
    shown = table.slice(0, MOST_ROWS)
    return Answer(
        columns=[(field.name, _is_number(field.type)) for field in table.schema],
        rows=list(zip(*(column.to_pylist() for column in shown.columns), strict=True)),
        more=len(table) > MOST_ROWS,
    )


def answer_csv(run: Run, sql: str) -> bytes:
    """All that a query gives, as CSV, up to the limit.

    Raises:
        QueryError: as `answer`.
    """
    to = io.BytesIO()
    write_csv(run.select(sql, QueryLimits(MOST_CSV_ROWS, MOST_SECONDS, _MEMORY_MB)), to)
    return to.getvalue()


def query_parts(names: list[str], name: str, run: Run | None, sql: str) -> dict[str, Any]:
    """What `query.html.j2` shows; without a run, or without SQL, no answer."""
    found, error = None, ""
    if run is not None and sql.strip():
        try:
            found = answer(run, sql)
        except BacktestError as refused:
            error = str(refused)
    return {
        "names": names,
        "name": name,
        "sql": sql,
        "answer": found,
        "error": error,
        "tables": catalogue().values(),
        "examples": EXAMPLES,
        "most_rows": MOST_ROWS,
        "most_csv_rows": MOST_CSV_ROWS,
        "most_seconds": MOST_SECONDS,
    }


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
