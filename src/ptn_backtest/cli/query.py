"""`ptn-backtest query`: SQL over a run folder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 200
"""Rows of an answer that are shown as a table for people."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("sql", required=False)
@click.option("--csv", "form", flag_value="csv", help="Print CSV, with all rows and digits.")
@click.option("--json", "form", flag_value="json", help="Print a JSON list of objects.")
@click.option("--tables", is_flag=True, help="List the tables with columns, units, descriptions.")
def query(run: Path, sql: str | None, form: str | None, tables: bool) -> None:
    """Ask the run folder RUN something in SQL: one SELECT, in DuckDB's dialect.

    Tables are named like the files: checkpoints, attribution, positions, orders, events, scores, ...
    Nothing but the run is read, and nothing is written. "-" as SQL reads the query from standard
    input. It needs the extra 'query'.

    \b
    Examples:
      ptn-backtest query runs/first --tables
      ptn-backtest query runs/first "SELECT miner_hotkey, sum(slippage) FROM attribution
                                     WHERE ledger = 'portfolio' GROUP BY 1 ORDER BY 2"
      ptn-backtest query runs/first "SELECT make_timestamp_ms(time_ms) AS time, kind FROM events" --csv
    """
    from ptn_backtest.results.run import load_run  # noqa: PLC0415 - slow to import

    opened = load_run(run)
    if tables:
        _print_tables()
        return
    if sql is None:
        raise click.UsageError("give a query, or --tables")
    answer = opened.select(sys.stdin.read() if sql == "-" else sql)
    if form == "csv":
        from ptn_backtest.results.exporting import write_csv  # noqa: PLC0415

        write_csv(answer, sys.stdout.buffer)
    elif form == "json":
        from ptn_backtest.results.exporting import json_lines  # noqa: PLC0415

        for line in json_lines(answer):
            click.echo(line)
    else:
        _print_answer(answer)


def _print_answer(answer: "pa.Table") -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from ptn_backtest.results.exporting import cell_text  # noqa: PLC0415

    shown = Table()
    for field in answer.schema:
        shown.add_column(Text(cell_text(field.name)), justify=_side(str(field.type)))
    for row in zip(
        *(column.to_pylist() for column in answer.slice(0, MOST_ROWS).columns), strict=True
    ):
        shown.add_row(*(Text(cell_text(value)) for value in row))
    _print(shown)
    n_rows = len(answer)
    if n_rows > MOST_ROWS:
        click.echo(f"{MOST_ROWS} of {n_rows:,} rows; --csv and --json print all", err=True)


def _side(kind: str) -> Literal["left", "right"]:
    return "right" if kind.startswith(("int", "uint", "double", "float", "decimal")) else "left"


def _print_tables() -> None:
    from rich.table import Table  # noqa: PLC0415

    from ptn_backtest.results.catalogue import catalogue  # noqa: PLC0415

    for table in catalogue().values():
        shown = Table(title=f"{table.name}: {table.description}", title_justify="left")
        for name in ("column", "type", "unit", "description"):
            shown.add_column(name)
        for column in table.columns:
            shown.add_row(column.name, column.kind, column.unit, column.description)
        _print(shown)


def _print(shown: object) -> None:
    """Print for a terminal in its width, for a file or pipe without a limit."""
    from rich.console import Console  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    Console(width=None if terminal else 10_000).print(shown)
