"""`ptn-backtest candles pull-quotes`: bid and ask at the times of orders, from providers into a store."""

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
    from ptn_backtest.prices.providers.quote_pulling import PlannedQuotes, QuotePullReport

_SHOWN = 3  # failures of a pair


@click.command("pull-quotes")
@click.argument("store", type=StorePlace(written=True))
@click.option(
    "--for",
    "source",
    metavar="SOURCE",
    type=SourceLocation(),
    required=True,
    help="Positions whose orders need a quote: database (the URL in "
    "PTN_BACKTEST_DATABASE_URL), a URL, a folder, a checkpoint.",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the table and column names of SOURCE, if it is a database.",
)
@click.option("--pairs", metavar="PAIR,...", help="Only these trade pairs of it.")
@click.option(
    "--from",
    "start",
    metavar="TIME",
    type=time_option,
    help="As a run's start: ms, or a date, UTC.",
)
@click.option("--to", "end", metavar="TIME", type=time_option, help="As a run's end.")
@click.option(
    "--provider",
    "providers",
    metavar="NAME,...",
    required=True,
    help="massive; tiingo and exchanges (ccxt) have only the quotes of now.",
)
@key_file_option
@rate_option
@dry_run_option
@yes_option
@json_option
@click.pass_context
def pull_quotes(
    ctx: click.Context,
    store: Path,
    source: str,
    mapping: Path | None,
    pairs: str | None,
    start: int | None,
    end: int | None,
    providers: str,
    key_file: Path | None,
    rate: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring bid and ask of orders from providers into STORE, which is made where it is missing.

    Of every order of forex and equities: the latest quote at or before its time that has both sides,
    at most 60 s old. A run with fetch_slippage_data takes them. Crypto is left out, since its
    slippage asks for no quote. Each order is a request; what STORE has is not asked for again, so
    that a pull that was cut off is continued by repeating it. Exits 0 when all is there or known to
    be missing, 1 when something could not be had.

    \b
    Example:
      ptn-backtest candles pull-quotes prices --for sqlite:///positions.db --provider massive
    """
    from ptn_backtest.prices.providers.conventions import Rate  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.providers.opening import open_quote_providers  # noqa: PLC0415
    from ptn_backtest.prices.providers.quote_pulling import plan_quotes  # noqa: PLC0415
    from ptn_backtest.prices.providers.quote_pulling import pull_quotes as bring  # noqa: PLC0415

    now = now_ms()
    chosen = open_quote_providers(providers, os.environ, key_file=key_file, only_plan=dry_run)
    rates: dict[str, Rate | None] = {}
    if rate is not None:
        rates = {each.name: Rate.parse(rate) for each in chosen}
    only = None if pairs is None else names_of(pairs)
    wants = _moments(source, mapping, start, end, now, only)
    with as_it_is(store) as before:
        planned = plan_quotes(before, wants, chosen)
    limits = {each.name: rates.get(each.name, each.rate) for each in chosen}
    if as_json and dry_run:
        print_document({"plan": _plan_document(planned)})
    elif not as_json:
        _print_plan(planned, limits)
    if dry_run:
        return
    n_requests = sum(each.n_to_ask for each in planned)
    begin(n_requests, yes=yes)
    with store_to_fill(store) as opened, progress(n_requests, "quotes") as advance:
        report = bring(opened, wants, chosen, now_ms=now, rates=rates, progress=advance)
    if as_json:
        print_document({"plan": _plan_document(planned), **report.to_dict()})
    else:
        _print_report(report)
    ctx.exit(0 if report.complete else 1)


def _moments(
    source: str,
    mapping: Path | None,
    start: int | None,
    end: int | None,
    now: int,
    only: "Sequence[str] | None",
) -> dict[str, list[int]]:
    """{pair: times of its orders that have a price}, crypto left out, which is said."""
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415 - slow to import
    from ptn_backtest.positions.order import PRICELESS_SOURCES  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415
    from ptn_backtest.sources.records import PositionQuery  # noqa: PLC0415
    from ptn_backtest.trade_pairs import TradePair  # noqa: PLC0415

    for name in only or ():
        TradePair.from_trade_pair_id(name)
    conversion = convert(
        open_source(source, mapping=mapping).read(PositionQuery(start, end, history="range"))
    )
    if conversion.rejections:
        click.echo(
            f"note: {counted(len(conversion.rejections), 'position')} cannot be replayed and "
            "left out; see 'ptn-backtest positions check'",
            err=True,
        )
    moments: dict[str, set[int]] = {}
    crypto: set[str] = set()
    for position in conversion.positions:
        pair = position.trade_pair
        if only is not None and pair.trade_pair_id not in only:
            continue
        if pair.is_crypto:
            crypto.add(pair.trade_pair_id)
            continue
        moments.setdefault(pair.trade_pair_id, set()).update(
            order.processed_ms
            for order in position.orders
            if order.src not in PRICELESS_SOURCES and order.processed_ms <= now
        )
    if crypto:
        names = ", ".join(sorted(crypto))
        click.echo(f"note: left out: {names}; slippage of crypto asks for no quote", err=True)
    return {pair: sorted(times) for pair, times in sorted(moments.items()) if times}


def _plan_document(planned: "Sequence[PlannedQuotes]") -> list[dict[str, object]]:
    return [
        {
            "trade_pair_id": each.trade_pair_id,
            "wanted": len(each.moments_ms),
            "first_ms": each.moments_ms[0],
            "last_ms": each.moments_ms[-1],
            "to_ask": each.n_to_ask,
            "requests": dict(each.n_requests),
            "notes": list(each.notes),
        }
        for each in planned
    ]


def _print_plan(planned: "Sequence[PlannedQuotes]", limits: "Mapping[str, Rate | None]") -> None:
    if planned:
        table = new_table("pair", "range", "#order times", "#requests")
        for each in planned:
            table.add_row(
                each.trade_pair_id,
                f"{format_time(each.moments_ms[0])} .. {format_time(each.moments_ms[-1])}",
                f"{len(each.moments_ms):,}",
                f"{each.n_to_ask:,}",
            )
        print_table(table)
    for note in dict.fromkeys(note for each in planned for note in each.notes):
        click.echo(f"note: {note}")
    total: dict[str, int] = {}
    for each in planned:
        for provider, n in each.n_requests.items():
            total[provider] = total.get(provider, 0) + n
    if not planned:
        click.echo("nothing to ask for: no order of forex or equities has a price")
    elif not total:
        click.echo("nothing to ask for: all is there, or known to be missing")
    for provider, n in total.items():
        limit = limits[provider]
        pace = f" at {limit}: {least_time(n, limit)}" if limit is not None else ""
        click.echo(f"{provider}: at least {counted(n, 'request')}{pace}")


def _print_report(report: "QuotePullReport") -> None:
    if not report.pairs:
        return
    table = new_table("pair", "#wanted", "#added", "#known missing", "#missing", "from")
    for pair, each in report.pairs.items():
        table.add_row(
            pair,
            f"{each.n_wanted:,}",
            f"{each.n_added:,}",
            f"{each.n_known_missing:,}",
            f"{each.n_missing + each.n_young:,}",
            ", ".join(f"{name} {n:,}" for name, n in each.added.items() if n),
        )
    print_table(table)
    for pair, each in report.pairs.items():
        found = [f"{n:,} {what}" for what, n in each.findings.items()]
        if found:
            click.echo(f"note: {pair}: {', '.join(found)}")
        if each.n_young:
            quotes = counted(each.n_young, "quote")
            click.echo(f"note: {pair}: {quotes} of the last 24 hours may still come")
        # a failure that the next provider made good is only a note
        kind = "missing" if each.n_missing else "note"
        for failure in each.failures[:_SHOWN]:
            click.echo(f"{kind}: {pair}: {failure}", err=each.n_missing > 0)
    if not report.complete:
        click.echo(
            "not all could be had; the same command asks again for what is missing", err=True
        )
