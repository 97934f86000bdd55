"""What the commands of bundles print, for people and as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.tables import counted
from ptn_backtest.clock import format_time

if TYPE_CHECKING:
    from ptn_backtest.bundles.bundle import BundleSettings
    from ptn_backtest.bundles.checking import BundleCheck
    from ptn_backtest.bundles.comparing import Difference

AGREES, DIFFERS, ERROR = "agrees", "DIFFERS", "ERROR"

_NAMED = 8
"""How many places that were not compared are named; all are counted."""


def told_range(settings: "BundleSettings") -> str:
    """How many updates, from when to when."""
    updates = counted(len(settings.update_times_ms), "update")
    start, end = format_time(settings.start_ms), format_time(settings.end_ms)
    return f"{updates}, " + (f"at {end}" if start == end else f"from {start} to {end}")


def label(synthetic: bool) -> str:
    """What stands behind the name of a bundle of made-up positions."""
    return " (synthetic: made up for tests)" if synthetic else ""


def summaries(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A few figures of each trader of a replay, of its portfolio's last checkpoint."""
    return [
        {
            "miner_hotkey": hotkey,
            "positions": sum(p["miner_hotkey"] == hotkey for p in results["positions"]),
            "value": ledgers["portfolio"]["cps"][-1]["prev_portfolio_ret"],
            "lowest_mdd": min(cp["mdd"] for cp in ledgers["portfolio"]["cps"]),
            "last_update_ms": ledgers["portfolio"]["cps"][-1]["last_update_ms"],
        }
        for hotkey, ledgers in results["ledgers"].items()
    ]


def summary_rows(results: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """The same as rows of a table, with those whose replay failed."""
    yield ("trader", "positions", "value", "lowest mdd", "last record")
    for each in summaries(results):
        yield (
            each["miner_hotkey"],
            str(each["positions"]),
            f"{each['value']:.6f}",
            f"{each['lowest_mdd']:.6f}",
            format_time(each["last_update_ms"]),
        )
    for hotkey, message in results.get("failed_traders", {}).items():
        yield (hotkey, f"FAILED: {message}", "", "", "")


def check_document(folder: Path, found: "BundleCheck") -> dict[str, Any]:
    """A checked bundle, JSON-ready."""
    verdict = AGREES if found.agrees else DIFFERS if found.differences else ERROR
    return {
        "folder": str(folder),
        "verdict": verdict,
        **({"reason": "nothing in it could be compared"} if verdict == ERROR else {}),
        "name": found.name,
        "synthetic": found.synthetic,
        "n_values": found.n_values,
        "n_differences": len(found.differences),
        "largest": _difference_json(found.largest),
        "differences": [_difference_json(each) for each in found.differences],
        "not_compared": dict(found.not_compared),
        "sections": {
            section.section: {
                "n_values": section.n_values,
                "n_differences": len(section.differences),
                "largest": _difference_json(section.largest),
            }
            for section in found.sections
        },
        "seconds": found.seconds,
    }


def _difference_json(difference: "Difference | None") -> dict[str, Any] | None:
    from ptn_backtest.results.jsonable import json_ready  # noqa: PLC0415 - slow to import

    if difference is None:
        return None
    plain: dict[str, Any] = json_ready(
        {
            "path": difference.path,
            "found": difference.found,
            "expected": difference.expected,
            "relative": difference.relative,
        },
        sort_keys=False,
    )
    return plain


def print_checks(rows: Sequence[Mapping[str, Any]], show: int) -> None:
    """A table of the checked bundles, and the first differences of each."""
    for line in aligned(
        [("folder", "verdict", "values", "largest", "where"), *map(_check_row, rows)]
    ):
        click.echo(line)
    for row in rows:
        for note in _notes(row, show):
            click.echo(f"{row['folder']}: {note}")
    tally = Counter(row["verdict"] for row in rows)
    told = ", ".join(f"{name} {count}" for name, count in tally.most_common())
    n_values = sum(row.get("n_values", 0) for row in rows)
    click.echo(f"{counted(len(rows), 'folder')}: {told}; {counted(n_values, 'value')} compared")


def _check_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if "n_values" not in row:
        return (row["folder"], row["verdict"], "-", "-", "-")
    largest = row["largest"]
    size = _size(largest["relative"]) if largest else "none"
    where = _one_line(largest) if largest else "-"
    return (row["folder"], row["verdict"], f"{row['n_values']:,}", size, where)


def _notes(row: Mapping[str, Any], show: int) -> Iterable[str]:
    if "reason" in row:
        yield row["reason"].removeprefix(f"{row['folder']}: ")
    if row.get("synthetic"):
        yield "synthetic: made up for tests"
    differences = row.get("differences", ())
    for difference in differences[:show]:
        yield f"{_one_line(difference)} ({_size(difference['relative'])})"
    if len(differences) > show:
        yield f"and {counted(len(differences) - show, 'difference')} more"
    left_out: dict[str, list[str]] = {}
    for name, why in row.get("not_compared", {}).items():
        left_out.setdefault(why, []).append(name)
    for why, names in left_out.items():
        rest = len(names) - _NAMED
        more = f" and {rest:,} more" if rest > 0 else ""
        yield f"NOT COMPARED ({why}): {', '.join(names[:_NAMED])}{more}"


def _one_line(difference: Mapping[str, Any]) -> str:
    return f"{difference['path']}: {difference['found']} vs {difference['expected']}"


def _size(relative: float | str) -> str:
    return "structure" if isinstance(relative, str) else f"{relative:.1e}"


def aligned(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Rows with aligned columns; the last one keeps its own width."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield "  ".join([*cells, row[-1]])
