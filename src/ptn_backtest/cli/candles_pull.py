"""`ptn-backtest candles pull`: candles from providers into a store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.pulling import (
    as_it_is,
    begin,
    dry_run_option,
    json_option,
    key_file_option,
    least_time,
    names_of,
    now_ms,
    progress,
    rate_option,
    store_to_fill,
    yes_option,
)
from ptn_backtest.cli.source_argument import SourceLocation
from ptn_backtest.cli.store_argument import StorePlace
from ptn_backtest.cli.tables import counted, new_table, print_table
from ptn_backtest.cli.times import time_option
from ptn_backtest.clock import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptn_backtest.prices.providers.conventions import Rate
    from ptn_backtest.prices.providers.planning import PlannedSeries, Want
    from ptn_backtest.prices.providers.pulling import PullReport

_SHOWN = 3  # remarks and failures of a series
STORED_BYTES = 33
"""Of a candle with open, high, low, close and volume; docs/candles.md says how it was measured."""


@click.command()
@click.argument("store", type=StorePlace(written=True))
@click.option(
    "--pairs", metavar="PAIR,...", help="Trade pairs: BTCUSD,EURUSD. With --for, only these of it."
)
@click.option(
    "--from", "start", metavar="TIME", type=time_option, help="Start: ms, or an ISO date, UTC."
)
@click.option(
    "--to",
    "end",
    metavar="TIME",
    type=time_option,
    help="End, not included; with --for, until when open positions are valued. Default: now, or "
    "the last order.",
)
@click.option(
    "--timespan",
    type=click.Choice(["minute", "second"]),
    help="Length of the candles; minute, or with --for both.",
)
@click.option(
    "--for",
    "source",
    metavar="SOURCE",
    type=SourceLocation(),
    help="Just what a replay of these positions needs: database (the URL in "
    "PTN_BACKTEST_DATABASE_URL), a URL, a folder, a checkpoint.",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the table and column names of SOURCE, if it is a database.",
)
@click.option(
    "--provider",
    "providers",
    metavar="NAME,...",
    required=True,
    help="massive, tiingo, ccxt; of several, the next is asked for what the one before lacks.",
)
@click.option(
    "--exchange", default="coinbase", show_default=True, help="For ccxt: the exchange, by its name."
)
@click.option(
    "--quote",
    default="USD",
    show_default=True,
    help="For ccxt: what pairs are quoted in. BTC/USDT is not BTC/USD: choose it knowingly.",
)
@key_file_option
@rate_option
@dry_run_option
@yes_option
@json_option
@click.pass_context
def pull(
    ctx: click.Context,
    store: Path,
    pairs: str | None,
    start: int | None,
    end: int | None,
    timespan: str | None,
    source: str | None,
    mapping: Path | None,
    providers: str,
    exchange: str,
    quote: str,
    key_file: Path | None,
    rate: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring candles from providers into STORE, which is made where it is missing.

    Only what STORE lacks is asked for, and stored candles are never replaced. A pull that was cut
    off is continued by repeating it. What a provider does not have is remembered and not asked
    again. Exits 0 when all is there or known to be missing, 1 when something could not be had.

    Keys come from MASSIVE_API_KEY (or POLYGON_API_KEY) and TIINGO_API_KEY, or from --key-file;
    exchanges need none.

    \b
    Examples:
      ptn-backtest candles pull prices --pairs BTCUSD,ETHUSD --from 2025-01-01 --to 2025-02-01 \\
          --provider ccxt
      ptn-backtest candles pull prices --for sqlite:///positions.db --provider massive --dry-run
      ptn-backtest candles pull prices --for sqlite:///positions.db --provider massive,ccxt --yes
    """
    from ptn_backtest.prices.providers.conventions import Rate  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.providers.opening import open_providers  # noqa: PLC0415
    from ptn_backtest.prices.providers.planning import plan  # noqa: PLC0415
    from ptn_backtest.prices.providers.pulling import pull as bring  # noqa: PLC0415

    _check_options(source, pairs, start, mapping)
    now = now_ms()
    chosen = open_providers(
        providers, os.environ, key_file=key_file, exchange=exchange, quote=quote, only_plan=dry_run
    )
    rates: dict[str, Rate | None] = {}
    if rate is not None:
        rates = {each.name: Rate.parse(rate) for each in chosen}
    wants = [
        each.until(now)
        for each in (
            _wants_of_source(source, mapping, pairs, start, end, timespan)
            if source is not None
            else _wants_of_options(pairs or "", start or 0, now if end is None else end, timespan)
        )
    ]
    with as_it_is(store) as before:
        planned = plan(before, wants, chosen)
    limits = {each.name: rates.get(each.name, each.rate) for each in chosen}
    if as_json and dry_run:
        print_document({"plan": _plan_document(planned)})
    elif not as_json:
        _print_plan(planned, limits)
    if dry_run:
        return
    n_requests = sum(sum(each.n_requests.values()) for each in planned)
    begin(n_requests, yes=yes)
    with store_to_fill(store) as opened, progress(n_requests, "candles") as advance:
        report = bring(opened, wants, chosen, now_ms=now, rates=rates, progress=advance)
    if as_json:
        print_document({"plan": _plan_document(planned), **report.to_dict()})
    else:
        _print_report(report)
    ctx.exit(0 if report.complete else 1)


def _check_options(
    source: str | None, pairs: str | None, start: int | None, mapping: Path | None
) -> None:
    if source is None and (pairs is None or start is None):
        raise click.UsageError("say what is wanted: --pairs and --from, or --for SOURCE")
    if mapping is not None and source is None:
        raise click.UsageError("--mapping is for --for")


def _wants_of_options(pairs: str, start: int, end: int, timespan: str | None) -> "list[Want]":
    from ptn_backtest.prices.candles import Timespan  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.providers.planning import Want  # noqa: PLC0415

    if start >= end:
        raise click.UsageError(
            f"--from ({format_time(start)}) is not before --to ({format_time(end)})"
        )
    return [Want(pair, Timespan(timespan or "minute"), [(start, end)]) for pair in names_of(pairs)]


def _wants_of_source(
    source: str,
    mapping: Path | None,
    pairs: str | None,
    start: int | None,
    end: int | None,
    timespan: str | None,
) -> "list[Want]":
    """What a replay of the source's positions needs."""
    from ptn_backtest.backtest.candle_needs import candle_needs  # noqa: PLC0415 - slow to import
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415
    from ptn_backtest.prices.candles import Timespan  # noqa: PLC0415
    from ptn_backtest.prices.providers.planning import Want  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415
    from ptn_backtest.sources.records import PositionQuery  # noqa: PLC0415

    conversion = convert(
        open_source(source, mapping=mapping).read(PositionQuery(start, end, history="range"))
    )
    if conversion.rejections:
        click.echo(
            f"note: {counted(len(conversion.rejections), 'position')} cannot be replayed and "
            "left out; see 'ptn-backtest positions check'",
            err=True,
        )
    needs = candle_needs(conversion.positions, end)
    wanted = {Timespan.MINUTE: needs.minutes, Timespan.SECOND: needs.seconds}
    chosen = set(names_of(pairs)) if pairs is not None else set(needs.minutes)
    return [
        Want(pair, length, ranges)
        for length, by_pair in wanted.items()
        if timespan in (None, length.value)
        for pair, ranges in by_pair.items()
        if pair in chosen
    ]


def _plan_document(planned: "Sequence[PlannedSeries]") -> list[dict[str, object]]:
    return [
        {
            "trade_pair_id": each.want.trade_pair_id,
            "timespan": each.want.timespan,
            "ranges": [list(bounds) for bounds in each.want.ranges],
            "wanted": each.n_wanted,
            "to_ask": each.n_to_ask,
            "requests": dict(each.n_requests),
            "notes": list(each.notes),
        }
        for each in planned
    ]


def _print_plan(planned: "Sequence[PlannedSeries]", limits: "Mapping[str, Rate | None]") -> None:
    table = new_table("pair", "timespan", "range", "#candles", "#to ask for", "#requests")
    total: dict[str, int] = {}
    for each in planned:
        for provider, n in each.n_requests.items():
            total[provider] = total.get(provider, 0) + n
        table.add_row(
            each.want.trade_pair_id,
            each.want.timespan,
            _extent(each.want),
            f"{each.n_wanted:,}",
            f"{each.n_to_ask:,}",
            f"{sum(each.n_requests.values()):,}",
        )
    print_table(table)
    for note in dict.fromkeys(note for each in planned for note in each.notes):
        click.echo(f"note: {note}")
    n_to_ask = sum(each.n_to_ask for each in planned)
    if not n_to_ask:
        click.echo("nothing to ask for: all is there, or known to be missing")
        return
    click.echo(f"at most {counted(n_to_ask, 'candle')}, about {_megabytes(n_to_ask)} in the store")
    for provider, n in total.items():
        limit = limits[provider]
        pace = f" at {limit}: {least_time(n, limit)}" if limit is not None else ""
        click.echo(f"{provider}: at least {counted(n, 'request')}{pace}")


def _extent(want: "Want") -> str:
    if not want.ranges:
        return "not over yet"
    first, last = want.ranges[0][0], want.ranges[-1][1]
    parts = f" in {len(want.ranges):,} parts" if len(want.ranges) > 1 else ""
    return f"{format_time(first)} .. {format_time(last)}{parts}"


def _megabytes(n_candles: int) -> str:
    return f"{n_candles * STORED_BYTES / 1e6:,.1f} MB"


def _print_report(report: "PullReport") -> None:
    table = new_table("pair", "timespan", "#wanted", "#added", "#known missing", "#missing", "from")
    for (pair, timespan), each in report.series.items():
        added = ", ".join(f"{name} {n:,}" for name, n in each.added.items() if n)
        table.add_row(
            pair,
            timespan,
            f"{each.n_wanted:,}",
            f"{each.n_added:,}",
            f"{each.n_known_missing:,}",
            f"{each.n_missing + each.n_young:,}",
            added,
        )
    print_table(table)
    for (pair, timespan), each in report.series.items():
        found = [f"{n:,} {what}" for what, n in each.findings.items() if what != "stored already"]
        if found:
            click.echo(f"note: {pair} {timespan}: {', '.join(found)}")
        for remark in each.remarks[:_SHOWN]:
            click.echo(f"note: {remark}")
        if each.n_young:
            click.echo(
                f"note: {pair} {timespan}: {counted(each.n_young, 'candle')} of the last 24 hours "
                "may still come"
            )
    # a failure that the next provider made good is only a note
    for (pair, timespan), each in report.series.items():
        kind = "missing" if each.n_missing else "note"
        for failure in each.failures[:_SHOWN]:
            click.echo(f"{kind}: {pair} {timespan}: {failure}", err=each.n_missing > 0)
    if not report.complete:
        click.echo(
            "not all could be had; the same command asks again for what is missing", err=True
        )
