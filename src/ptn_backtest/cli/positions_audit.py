"""`ptn-backtest positions audit`: which rulebook explains the stored returns."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.positions_output import number, print_json, print_note
from ptn_backtest.cli.source_argument import SourceLocation
from ptn_backtest.sources.records import PositionQuery

if TYPE_CHECKING:
    from ptn_backtest.positions.audit import Audit, PositionAudit

SHOWN = 20


@click.command()
@click.argument("source", type=SourceLocation())
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the table and column names of SOURCE, if it is a database.",
)
@click.option("--hotkey", multiple=True, help="Only this trader; may be repeated.")
@click.option(
    "--rulebook", "names", multiple=True, help="Only this one, by name or file; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def audit(
    source: str,
    mapping: Path | None,
    hotkey: tuple[str, ...],
    names: tuple[str, ...],
    as_json: bool,
) -> None:
    """Recompute each stored position of SOURCE from its orders, under every rulebook.

    A stored return was computed by the code of its day: the audit says which rulebook gives the
    same figures (to 1e-9), and lists the positions that none explains, with the likely cause. Only
    closed positions can be audited. Exits with 1 where one is unexplained.

    \b
    Examples:
      ptn-backtest positions audit sqlite:///positions.db
      ptn-backtest positions audit checkpoint.json.gz --rulebook 2025-07 --json
    """
    from ptn_backtest.positions.audit import audit_positions  # noqa: PLC0415 - slow to import
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415
    from ptn_backtest.rulebook import SHIPPED, load_rulebook  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415

    rulebooks = [load_rulebook(name) for name in names or SHIPPED]
    opened = open_source(source, mapping=mapping)
    conversion = convert(opened.read(PositionQuery(hotkeys=hotkey or None)))
    found = audit_positions(conversion.positions, rulebooks)
    if as_json:
        print_json(**_document(found), rejected=len(conversion.rejections))
    else:
        print_note(conversion.rejections, opened.describe())
        _print(found, [rulebook.name for rulebook in rulebooks])
    if found.unexplained:
        sys.exit(1)


def _print(found: "Audit", names: list[str]) -> None:
    click.echo(
        f"{number(len(found.audited), 'closed position')} audited; "
        f"{number(found.open_positions, 'open position')} and {found.without_returns} without "
        "stored returns left out"
    )
    explained = found.by_rulebook()
    for name in names:
        click.echo(f"  {name}  explains {explained.get(name, 0)} of {len(found.audited)}")
    if not found.unexplained:
        return
    click.echo(f"\nunexplained: {len(found.unexplained)}")
    for each in found.unexplained[:SHOWN]:
        stored = each.position.stored
        click.echo(
            f"  {each.position.position_uuid} of {each.position.miner_hotkey}: {each.cause}; stored "
            f"{stored['current_return']} and {stored['return_at_close']} at close, {each.nearest} "
            f"gives {each.current_return} and {each.return_at_close}"
        )
    if len(found.unexplained) > SHOWN:
        click.echo(f"  and {len(found.unexplained) - SHOWN} more (--json lists all)")


def _document(found: "Audit") -> dict[str, Any]:
    return {
        "audited": len(found.audited),
        "open_positions": found.open_positions,
        "without_returns": found.without_returns,
        "explained_by": found.by_rulebook(),
        "unexplained": [_unexplained(each) for each in found.unexplained],
    }


def _unexplained(each: "PositionAudit") -> dict[str, Any]:
    names = ("current_return", "return_at_close")
    return {
        "miner_hotkey": each.position.miner_hotkey,
        "position_uuid": each.position.position_uuid,
        "cause": each.cause,
        "stored": {name: each.position.stored[name] for name in names},
        "nearest": each.nearest,
        "computed": {name: getattr(each, name) for name in names},
    }
