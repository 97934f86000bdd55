"""What imports and checks of candles print for people."""

from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.tables import counted, new_table, print_table
from ptn_backtest.clock import format_time

if TYPE_CHECKING:
    from ptn_backtest.prices.checking import CheckReport
    from ptn_backtest.prices.importing import ImportReport


def print_import(report: "ImportReport") -> None:
    """What an import did, by pair, and which rows were set aside."""
    table = new_table(
        "pair", "timespan", "#added", "#repeated", "#changed", "#out of order", "range"
    )
    for (pair, timespan), series in report.series.items():
        counts = (series.written.added, series.written.repeated, series.written.changed)
        table.add_row(
            pair,
            timespan,
            *(f"{count:,}" for count in (*counts, series.out_of_order)),
            f"{format_time(series.first_ms)} .. {format_time(series.last_ms)}",
        )
    print_table(table)
    rows, files = counted(report.n_rows, "row"), counted(len(report.files), "file")
    click.echo(f"{rows} of {files} read, {report.n_set_aside:,} set aside")
    for aside in report.set_aside:
        click.echo(f"set aside: {counted(aside.count, 'row')} of {aside.file}: {aside.reason}")
        click.echo("".join(f"    {example}\n" for example in aside.examples), nl=False)
    for (pair, timespan), series in report.series.items():
        for change in series.written.changes:
            click.echo(
                f"changed: {pair} {timespan} {format_time(change.start_ms)}: "
                f"close {change.old_close} became {change.new_close}"
            )
    for column, count in report.blanked.items():
        click.echo(f"note: {counted(count, 'cell')} of {column} without a usable value, left empty")


def print_check(report: "CheckReport", limit: int) -> None:
    """What a check found, by kind, the first `limit` of each."""
    n_candles = sum(report.checked.values())
    orders = f", {counted(report.n_orders, 'order')} compared" if report.n_orders else ""
    click.echo(f"{counted(n_candles, 'candle')} of {len(report.checked)} series looked at{orders}")
    summary = new_table("finding", "pair", "timespan", "#places", "#candles or orders")
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for finding in report.findings:
        key = (finding.kind, finding.trade_pair_id, finding.timespan)
        groups.setdefault(key, []).append(finding)
    for group, findings in groups.items():
        summary.add_row(*group, f"{len(findings):,}", f"{sum(f.count for f in findings):,}")
    if groups:
        print_table(summary)
    for (kind, pair, timespan), findings in groups.items():
        shown = findings[:limit] if limit else findings
        click.echo(f"\n{kind} {pair} {timespan}")
        for finding in shown:
            moment = f"{format_time(finding.start_ms)}  " if finding.start_ms else ""
            click.echo(f"  {moment}{finding.detail}")
        if len(shown) < len(findings):
            click.echo(f"  ... and {len(findings) - len(shown):,} more (--limit 0 lists all)")
    if not report.problems:
        click.echo("nothing is wrong" if n_candles else "there are no candles to check")
