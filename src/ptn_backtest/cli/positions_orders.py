"""`ptn-backtest positions check-orders`: which orders the network would not have taken as they are."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptn_backtest.cli.positions_output import SHOWN, number, print_json, print_note
from ptn_backtest.cli.source_argument import SourceLocation
from ptn_backtest.sources.records import PositionQuery

if TYPE_CHECKING:
    from ptn_backtest.positions.order_checks import OrderFinding


@click.command("check-orders")
@click.argument("source", type=SourceLocation())
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the table and column names of SOURCE, if it is a database.",
)
@click.option("--hotkey", multiple=True, help="Only this trader; may be repeated.")
@click.option(
    "--rulebook", metavar="NAME|FILE", help="Whose order rules. Default: the network's latest."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check_orders(
    source: str,
    mapping: Path | None,
    hotkey: tuple[str, ...],
    rulebook: str | None,
    as_json: bool,
) -> None:
    """List the orders of SOURCE that the network would have reduced or refused.

    Leverage bounds of positions and portfolios by date, retired and blocked pairs, orders that
    would turn a position around, orders a position. Each order meets the history that the rules
    left: what was refused did not happen. Nothing is changed. Exits with 1 where there are any.

    \b
    Examples:
      ptn-backtest positions check-orders sqlite:///positions.db
      ptn-backtest positions check-orders checkpoint.json.gz --rulebook mine.toml --json
    """
    from ptn_backtest.positions import order_checks  # noqa: PLC0415 - slow to import
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415
    from ptn_backtest.rulebook import DEFAULT_NAME, load_rulebook  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415

    rules = load_rulebook(rulebook or DEFAULT_NAME)
    opened = open_source(source, mapping=mapping)
    conversion = convert(opened.read(PositionQuery(hotkeys=hotkey or None)))
    found = order_checks.check_orders(conversion.positions, rules.leverage)
    n_orders = conversion.counts["orders"]
    if as_json:
        print_json(
            source=opened.describe(),
            rulebook=rules.name,
            orders=n_orders,
            by_rule=_by_rule(found.findings),
            findings=[asdict(finding) for finding in found.findings],
            rejected=len(conversion.rejections),
        )
    else:
        print_note(conversion.rejections, opened.describe())
        click.echo(f"{number(n_orders, 'order')} checked by the rules of {rules.name}")
        _print(found.findings)
    if found.findings:
        sys.exit(1)


def _by_rule(findings: tuple["OrderFinding", ...]) -> dict[str, int]:
    return dict(Counter(finding.rule.value for finding in findings).most_common())


def _print(findings: tuple["OrderFinding", ...]) -> None:
    from ptn_backtest.clock import format_time  # noqa: PLC0415

    if not findings:
        click.echo("the network would have taken all of them as they are")
        return
    click.echo(f"\nreduced or refused: {len(findings)}\n")
    for rule, count in _by_rule(findings).items():
        click.echo(f"  {rule:<20}{count:>8}")
    click.echo()
    for finding in findings[:SHOWN]:
        click.echo(
            f"  {format_time(finding.time_ms)} {finding.miner_hotkey} order {finding.order_uuid}: "
            f"{finding.sentence}"
        )
    if len(findings) > SHOWN:
        click.echo(f"  and {len(findings) - SHOWN} more (--json lists all)")
