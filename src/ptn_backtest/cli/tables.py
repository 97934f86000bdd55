"""Tables and counts as commands print them."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 row", "2,000 rows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def new_table(*headings: str) -> "Table":
    """A table; columns whose heading begins with # are numbers."""
    from rich import box  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(
            heading.removeprefix("#"), justify="right" if "#" in heading else "left", no_wrap=True
        )
    return table


def print_table(table: "Table") -> None:
    """Print a table on standard output."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    # a pipe has no width: there nothing is cut
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)
