"""SQL over a run folder, through DuckDB (the extra `query`).

The run's tables are views of a database in memory, named like the files. The SQL is a user's: it gets
neither files nor network nor Python's variables, and only a SELECT is answered.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import indent
from threading import Timer
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.errors import QueryError
from ptn_backtest.results.frames import require

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = ["NO_LIMITS", "QueryLimits", "select"]

_LOCKED = (
    "SET temp_directory = ''",  # nothing is written, not even what does not fit into memory
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_READS = ("SELECT", "EXPLAIN")
_BATCH_ROWS = 2_048
_NO_COLUMN = re.compile(r'[Cc]olumn (?:named )?"([^"]+)"')
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What a query may take; None sets no limit.

    Attributes:
        rows: rows of the answer; further ones are not computed.
        seconds: time for the whole answer.
        memory_mb: memory of DuckDB, in MB (10^6 bytes).
    """

    rows: int | None = None
    seconds: float | None = None
    memory_mb: int | None = None


NO_LIMITS = QueryLimits()


def select(
    query: str,
    tables: Mapping[str, "pa.Table | ds.Dataset"],
    limits: QueryLimits = NO_LIMITS,
) -> pa.Table:
    """What a query gives.

    Args:
        query: one SELECT (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW, EXPLAIN).
        tables: {name of the view: its rows}.
        limits: what it may take.

    Raises:
        QueryError: it is no such statement, or cannot be answered, or takes too long; the message
            says why, and which names are near one that is not there.
        SourceUnavailable: DuckDB is not installed.
    """
    duckdb = require("duckdb", "query", "a query")
    connection = duckdb.connect(
        config={
            "python_enable_replacements": False,  # a name is a table of the run, no variable of ours
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    with connection:
        for name, table in tables.items():
            connection.register(name, table)
        if limits.memory_mb is not None:
            connection.execute(f"SET memory_limit = '{int(limits.memory_mb)}MB'")
        for setting in _LOCKED:
            connection.execute(setting)
        try:
            with _interrupted_after(connection, limits.seconds):
                _require_select(connection.extract_statements(query))
                answer = _rows(connection.sql(query), limits.rows)
        except duckdb.InterruptException:
            raise QueryError(
                f"the query took more than {limits.seconds:g} s and was stopped: ask for less, or ask "
                "in the terminal (ptn-backtest query), where nothing stops it"
            ) from None
        except duckdb.Error as error:
            raise QueryError(_in_words(str(error), tables)) from None
    return _plain_numbers(answer)


@contextmanager
def _interrupted_after(connection: Any, seconds: float | None) -> Iterator[None]:  # noqa: ANN401
    if seconds is None:
        yield
        return
    timer = Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # it must not interrupt what comes later


def _rows(answer: Any, most: int | None) -> pa.Table:  # noqa: ANN401 - a relation of DuckDB
    """The answer, or its first rows; the rest is never asked for."""
    if most is None:
        whole: pa.Table = answer.to_arrow_table()
        return whole
    # its name in DuckDB before 1.5
    read = getattr(answer, "to_arrow_reader", None) or answer.fetch_arrow_reader
    reader = read(_BATCH_ROWS)
    batches, n_rows = [], 0
    for batch in reader:
        batches.append(batch)
        n_rows += len(batch)
        if n_rows >= most:
            break
    return pa.Table.from_batches(batches, schema=reader.schema).slice(0, most)


def _plain_numbers(table: pa.Table) -> pa.Table:
    """Whole decimals, which is what sums of integers are in SQL, as integers where they fit."""
    for place, column in enumerate(table.columns):
        if pa.types.is_decimal(column.type):
            least, most = pc.min(column).as_py(), pc.max(column).as_py()
            fits = least is None or -(2**63) <= least <= most < 2**63
            kind = pa.int64() if column.type.scale == 0 and fits else pa.float64()
            table = table.set_column(place, table.field(place).with_type(kind), column.cast(kind))
    return table


def _require_select(statements: list[Any]) -> None:
    if len(statements) != 1:
        raise QueryError(f"the query has {len(statements)} statements: give one SELECT")
    kind = statements[0].type.name
    if kind not in _READS:
        raise QueryError(f"{kind} is refused: a run is only read, give a SELECT")


def _in_words(said: str, tables: Mapping[str, "pa.Table | ds.Dataset"]) -> str:
    """DuckDB's first sentence without its own guesses, where in the query, and the names that are near."""
    what, _, where = said.partition("LINE ")
    sentence = what.strip().splitlines()[0].partition(": ")[2] or what.strip()
    message = f"the query cannot be answered: {sentence.rstrip('!.')}"
    columns: dict[str, list[str]] = {}
    for name, table in tables.items():
        for column in table.schema.names:
            columns.setdefault(column, []).append(name)
    if missing := _NO_TABLE.search(what):
        message += _near(missing[1], {name: [] for name in tables}, "the tables are")
    elif missing := _NO_COLUMN.search(what):
        message += _near(missing[1], columns, "")
    return message + (f"\n{indent(f'LINE {where.rstrip()}', '  ')}" if where else "")


def _near(name: str, known: Mapping[str, list[str]], otherwise: str) -> str:
    lowered = name.strip('"').lower()
    near = difflib.get_close_matches(lowered, known, n=3)
    near = near or [one for one in known if lowered in one][:3]
    if near:
        places = [f"{one} ({', '.join(known[one])})" if known[one] else one for one in near]
        return f"; did you mean {' or '.join(places)}?"
    return f"; {otherwise} {', '.join(known)}" if otherwise else "; --tables lists all columns"
