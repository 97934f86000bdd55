"""`ptn-backtest candles`: import, check, list, and the synthetic ones."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ptn_backtest.cli.candles_compare import compare
from ptn_backtest.cli.candles_output import print_check, print_import
from ptn_backtest.cli.candles_pull import pull
from ptn_backtest.cli.candles_pull_quotes import pull_quotes
from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.pulling import store_to_fill
from ptn_backtest.cli.source_argument import SourceLocation
from ptn_backtest.cli.store_argument import StorePlace
from ptn_backtest.cli.tables import new_table, print_table
from ptn_backtest.cli.times import time_option
from ptn_backtest.clock import NEVER_MS, format_time

SHOWN = 20
"""How many findings of a kind are listed unless told otherwise."""


def _columns(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, str]:
    pairs = [part.partition("=") for part in value.split(",")] if value else []
    if not all(role and column for role, _, column in pairs):
        raise click.BadParameter(f"{value!r}: write it as time=ts,close=c")
    return {role.strip(): column.strip() for role, _, column in pairs}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def candles() -> None:
    """Bring price candles into a store, and check them.

    A STORE is a folder. A replay needs minute candles of each pair that is traded, while a
    position is open; second candles around orders make it exact to the second.

    \b
    Examples:
      ptn-backtest candles import prices BTCUSD_1m.parquet ETHUSD_1m.csv
      ptn-backtest candles pull prices --for sqlite:///positions.db --provider massive
      ptn-backtest candles check prices --positions sqlite:///positions.db
    """


candles.add_command(pull)
candles.add_command(pull_quotes)
candles.add_command(compare)


@candles.command("import")
@click.argument("store", type=StorePlace(written=True))
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--pair", help="Trade pair id, such as BTCUSD, where the file does not say it.")
@click.option(
    "--timespan",
    type=click.Choice(["minute", "second"]),
    help="Length of the candles, where it is not to be told by name or spacing.",
)
@click.option(
    "--columns",
    callback=_columns,
    metavar="ROLE=COLUMN,...",
    help="Columns that are not recognised: time=ts,close=c. Also open, high, low, volume, bid, "
    "ask, pair, timespan. In a CSV without a header columns are numbers from 1.",
)
@click.option(
    "--time-unit",
    type=click.Choice(["s", "ms", "us", "ns"]),
    help="Unit of numeric times, where it is not to be told by their size.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def import_(
    store: Path,
    files: tuple[Path, ...],
    pair: str | None,
    timespan: str | None,
    columns: Mapping[str, str],
    time_unit: Any,  # noqa: ANN401 - one of the choices above
    as_json: bool,
) -> None:
    """Add the candles of Parquet and CSV FILES to STORE, which is made where it is missing.

    Times are the candles' STARTS, in UTC. A candle that is there already is replaced; importing
    the same again changes nothing. Rows that cannot be candles are set aside, counted and shown.

    \b
    Examples:
      ptn-backtest candles import prices BTCUSD_1m.parquet ETHUSD_1m_2024.csv
      ptn-backtest candles import prices BTCUSDT-1s-2025-01-*.csv --pair BTCUSD
      ptn-backtest candles import prices export.csv --pair EURUSD \\
          --columns time=ts,close=mid --time-unit s
    """
    from ptn_backtest.prices.candles import Timespan  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.importing import import_candles  # noqa: PLC0415

    with store_to_fill(store) as opened, _progress("importing candles") as bar:
        report = import_candles(
            opened,
            files,
            trade_pair_id=pair,
            timespan=Timespan(timespan) if timespan else None,
            columns=columns,
            time_unit=time_unit,
            progress=lambda rows: bar(rows, None),
        )
    if as_json:
        print_document(report.to_dict())
    else:
        print_import(report)


@candles.command("check")
@click.argument("store", type=StorePlace())
@click.option("--pair", "pairs", multiple=True, help="Only this trade pair; may be repeated.")
@click.option("--start", metavar="TIME", type=time_option, help="Start: ms, or an ISO date.")
@click.option("--end", metavar="TIME", type=time_option, help="End, included.")
@click.option(
    "--positions",
    metavar="SOURCE",
    type=SourceLocation(),
    help="Also compare the orders of these positions (`ptn-backtest positions -h`: what SOURCE can be).",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the table and column names of SOURCE, if it is a database.",
)
@click.option(
    "--spike-threshold",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="A spike sticks out from its neighbours by more than this many usual moves.",
)
@click.option(
    "--price-tolerance",
    type=click.FloatRange(min=0),
    default=0.002,
    show_default=True,
    help="Fraction of its price by which an order may lie outside its candle.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=SHOWN,
    show_default=True,
    help="How many findings of a kind to list; 0 lists all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def check(
    ctx: click.Context,
    store: Path | str,
    pairs: tuple[str, ...],
    start: int | None,
    end: int | None,
    positions: str | None,
    mapping: Path | None,
    spike_threshold: float,
    price_tolerance: float,
    limit: int,
    as_json: bool,
) -> None:
    """Report what is wrong with the candles in STORE; exits 1 where something is.

    Looked for are gaps while the market is open, candles twice or out of order, closes that are no
    prices or lie outside [low, high], spikes, files that cannot be read, and with --positions
    orders whose price lies outside their minute candle. Candles while the market is closed are
    mentioned only: a replay does not read them.

    \b
    Examples:
      ptn-backtest candles check prices
      ptn-backtest candles check prices --pair EURUSD --start 2025-01-01 --end 2025-02-01
      ptn-backtest candles check prices --positions sqlite:///positions.db
    """
    from ptn_backtest.prices.checking import check_candles  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.store import CandleStore  # noqa: PLC0415

    if mapping is not None and positions is None:
        raise click.UsageError("--mapping is for --positions")
    opened = CandleStore(store)
    with _progress("checking candles") as bar:
        report = check_candles(
            opened,
            trade_pair_ids=pairs or None,
            start_ms=-NEVER_MS if start is None else start,
            end_ms=NEVER_MS if end is None else end,
            orders={} if positions is None else _orders(positions, mapping, start, end, pairs),
            spike_threshold=spike_threshold,
            price_tolerance=price_tolerance,
            progress=lambda pair: bar(0, f"checking {pair}"),
        )
    if as_json:
        print_document({"store": opened.describe(), **report.to_dict()})
    else:
        click.echo(opened.describe())
        print_check(report, limit)
    ctx.exit(1 if report.problems else 0)


@candles.command("list")
@click.argument("store", type=StorePlace())
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_(store: Path | str, as_json: bool) -> None:
    """List what STORE holds: pairs, timespans, first and last candle, how many.

    Known missing are candles that a provider was asked for and does not have. Quotes are bid and ask
    at the times of orders.

    \b
    Example:
      ptn-backtest candles list prices
    """
    from ptn_backtest.prices.candles import Timespan  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.coverage import count_known_missing  # noqa: PLC0415
    from ptn_backtest.prices.quote_shelf import QuoteShelf  # noqa: PLC0415
    from ptn_backtest.prices.store import CandleStore  # noqa: PLC0415

    opened = CandleStore(store)
    shelf = QuoteShelf(opened)
    quotes = [
        (pair, "quotes", extent, shelf.count_known_missing(pair))
        for pair in shelf.pairs()
        if (extent := shelf.extent(pair)) is not None
    ]
    held = [
        (pair, timespan, extent, count_known_missing(opened, pair, timespan))
        for pair in opened.pairs()
        for timespan in Timespan
        if (extent := opened.extent(pair, timespan)) is not None
    ]
    if as_json:
        rows = [
            {
                "trade_pair_id": pair,
                "timespan": timespan,
                "first_ms": extent.first_ms,
                "last_ms": extent.last_ms,
                "candles": extent.n_candles,
                "known_missing": n_missing,
            }
            for pair, timespan, extent, n_missing in held
        ]
        document = {"store": str(store), "label": opened.label, "synthetic": opened.synthetic}
        quoted = [
            {
                "trade_pair_id": pair,
                "first_ms": extent.first_ms,
                "last_ms": extent.last_ms,
                "quotes": extent.n_candles,
                "known_missing": n_missing,
            }
            for pair, _, extent, n_missing in quotes
        ]
        print_document({**document, "series": rows, "quotes": quoted})
        return
    click.echo(opened.describe())
    table = new_table(
        "pair", "timespan", "first candle", "last candle", "#candles", "#known missing"
    )
    for pair, timespan, extent, n_missing in (*held, *quotes):
        first, last = format_time(extent.first_ms), format_time(extent.last_ms)
        table.add_row(pair, timespan, first, last, f"{extent.n_candles:,}", f"{n_missing:,}")
    print_table(table)


@candles.command()
@click.argument("store", type=StorePlace(written=True))
@click.option("--json", "as_json", is_flag=True, help="Print what the store is as JSON.")
def synthetic(store: Path, as_json: bool) -> None:
    """Make the candles of the bundled test positions in STORE.

    They are generated from a seed, and labelled synthetic wherever they are shown. A store that
    already has them is left as it is.

    \b
    Example:
      ptn-backtest candles synthetic test-candles
    """
    from ptn_backtest.sources.bundled import bundled_candles  # noqa: PLC0415 - slow to import

    made = bundled_candles(store)
    if as_json:
        document = {"store": str(store), "label": made.label, "synthetic": made.synthetic}
        print_document({**document, "trade_pair_ids": made.pairs()})
        return
    click.echo(made.describe())


def _orders(
    location: str,
    mapping: Path | None,
    start_ms: int | None,
    end_ms: int | None,
    pairs: tuple[str, ...],
) -> dict[str, list[tuple[int, float]]]:
    """{pair: (time in ms, price)} of the orders that have a price."""
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415 - slow to import
    from ptn_backtest.positions.order import PRICELESS_SOURCES  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415
    from ptn_backtest.sources.records import PositionQuery  # noqa: PLC0415

    source = open_source(location, mapping=mapping)
    query = PositionQuery(start_ms, end_ms, history="range")
    conversion = convert(source.read(query))
    if conversion.rejections:
        click.echo(
            f"note: {len(conversion.rejections)} positions cannot be replayed and are left out; "
            f"see 'ptn-backtest positions check'",
            err=True,
        )
    orders: dict[str, list[tuple[int, float]]] = {}
    for position in conversion.positions:
        pair = position.trade_pair.trade_pair_id
        if not pairs or pair in pairs:
            orders.setdefault(pair, []).extend(
                (order.processed_ms, order.price)
                for order in position.orders
                if order.src not in PRICELESS_SOURCES
            )
    return orders


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, str | None], None]]:
    """A function that counts rows, and renames the task, on the terminal where there is one."""
    if not sys.stderr.isatty():
        yield lambda _rows, _what: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.fields[rows]}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(what, total=None, rows="")
        read = 0

        def advance(rows: int, now: str | None) -> None:
            nonlocal read
            read += rows
            bar.update(task, description=now or what, rows=f"{read:,} rows" if read else "")

        yield advance
