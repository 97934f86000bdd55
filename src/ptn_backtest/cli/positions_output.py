"""What `ptn-backtest positions` prints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.documents import print_document

if TYPE_CHECKING:
    from ptn_backtest.positions.rejection import Rejection
    from ptn_backtest.sources.comparison import FieldDifference, SourceComparison
    from ptn_backtest.sources.database.writing import WriteCounts

SHOWN = 20
"""How many differences or rejections are listed unless told otherwise."""


def print_import(source: str, target: str, counts: "WriteCounts") -> None:
    """What an import did, by table, and what it left out."""
    click.echo(f"imported {source} into {target}\n")
    click.echo(f"{'':<18}{'new':>10}{'changed':>10}{'unchanged':>11}")
    for name in ("positions", "orders", "eliminations", "account_sizes", "plagiarism_events"):
        rows = getattr(counts, name)
        label = name.replace("_", " ")
        click.echo(f"{label:<18}{rows.inserted:>10}{rows.updated:>10}{rows.unchanged:>11}")
    print_left_out(
        [f"{left.origin}: {left.reason}" for left in counts.unstored],
        [left.kind for left in counts.unstored],
    )
    if counts.stored_none:
        click.echo(f"\nnone of the {number(counts.positions_read, 'position')} could be stored")


def print_left_out(lines: Sequence[str], kinds: Sequence[str] = ()) -> None:
    """What a target could not hold, counted by the kind of fault where that is known."""
    if lines:
        click.echo(f"\nleft out, because they have no place there: {len(lines)}")
        for kind, count in Counter(kinds).most_common():
            click.echo(f"  {kind:<24}{count:>10}")
        _print_some(lines, SHOWN)


def print_note(rejections: Sequence["Rejection"], place: str) -> None:
    """That some of what was moved cannot be replayed, and where to see which."""
    if rejections:
        click.echo(
            f"\nnote: {number(len(rejections), 'position')} of the source cannot be replayed; "
            f"see `ptn-backtest positions check {place}`"
        )


def print_sound(source: str, counts: Mapping[str, int], notes: Sequence[str]) -> None:
    """What of a source can be replayed, and what is odd about it."""
    click.echo(
        f"{source}: {number(counts['positions'], 'position')} with "
        f"{number(counts['orders'], 'order')} of {number(counts['traders'], 'trader')} "
        "can be replayed"
    )
    if counts["open_ms_corrected"]:
        click.echo(
            f"note: {counts['open_ms_corrected']} positions store an open_ms other than their "
            "first order's time; the order's time counts"
        )
    for note in notes:
        click.echo(f"note: {note}")


def print_rejections(rejections: Sequence["Rejection"], limit: int) -> None:
    """A table by reason, then each rejection up to the limit."""
    from ptn_backtest.positions.conversion import explain  # noqa: PLC0415

    if not rejections:
        return
    click.echo(f"\nset aside: {len(rejections)}\n")
    click.echo(f"{'reason':<24}{'positions':>10}{'orders':>10}")
    orders: Counter[str] = Counter()
    for rejection in rejections:
        orders[rejection.reason] += rejection.n_orders
    for reason, count in Counter(str(r.reason) for r in rejections).most_common():
        click.echo(f"{reason:<24}{count:>10}{orders[reason]:>10}")
    click.echo()
    _print_some([explain(rejection) for rejection in rejections], limit)


def print_comparison(comparison: "SourceComparison", limit: int) -> None:
    """Counts, then each position that differs up to the limit."""
    counts = comparison.counts()
    click.echo(
        f"a: {comparison.a}: {comparison.positions_a} positions, {comparison.orders_a} orders"
    )
    click.echo(
        f"b: {comparison.b}: {comparison.positions_b} positions, {comparison.orders_b} orders"
    )
    for name, number in comparison.stored_in_one.items():
        click.echo(f"note: {name} is stored by one of them only, for {number} positions")
    if comparison.equal:
        click.echo(f"all {counts['equal']} positions are equal")
        return
    click.echo(
        f"{counts['equal']} equal, {counts['differing']} differ, "
        f"{counts['only_in_a']} only in a, {counts['only_in_b']} only in b"
    )
    if comparison.fields():
        found = ", ".join(f"{name} {count}" for name, count in comparison.fields().items())
        click.echo(f"values that differ: {found}")
    click.echo()
    _print_some(
        [
            "\n".join(
                [
                    f"{d.miner_hotkey} {d.position_uuid}: {d.kind}",
                    *(f"  {_in_line(value)}" for value in d.differences),
                ]
            )
            for d in comparison.differences
        ],
        limit,
    )


def _in_line(difference: "FieldDifference") -> str:
    order = f"order {difference.order_uuid}: " if difference.order_uuid else ""
    shown = ("absent" if value is None else value for value in (difference.a, difference.b))
    return f"{order}{difference.field}: " + " | ".join(str(value) for value in shown)


def _print_some(lines: Sequence[str], limit: int) -> None:
    shown = lines[:limit] if limit else lines
    for line in shown:
        click.echo(line)
    if len(shown) < len(lines):
        click.echo(f"... and {len(lines) - len(shown)} more")


def number(count: int, noun: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def print_json(**document: Any) -> None:  # noqa: ANN401 - JSON
    """One JSON object."""
    print_document(document)
