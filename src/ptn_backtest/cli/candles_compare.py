"""`ptn-backtest candles compare`: where two stores disagree."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.store_argument import StorePlace
from ptn_backtest.cli.tables import counted, new_table, print_table
from ptn_backtest.cli.times import time_option
from ptn_backtest.clock import NEVER_MS, format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptn_backtest.prices.differing import SeriesDifference


@click.command()
@click.argument("store_a", type=StorePlace())
@click.argument("store_b", type=StorePlace())
@click.option("--pair", "pairs", multiple=True, help="Only this trade pair; may be repeated.")
@click.option(
    "--timespan", type=click.Choice(["minute", "second"]), help="Only candles of this length."
)
@click.option("--start", metavar="TIME", type=time_option, help="Start: ms, or an ISO date.")
@click.option("--end", metavar="TIME", type=time_option, help="End, included.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.001,
    show_default=True,
    help="Fraction by which two closes may differ.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="How many differing candles of a series to list, the worst first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def compare(
    ctx: click.Context,
    store_a: Path | str,
    store_b: Path | str,
    pairs: tuple[str, ...],
    timespan: str | None,
    start: int | None,
    end: int | None,
    tolerance: float,
    limit: int,
    as_json: bool,
) -> None:
    """Show where the closes of STORE_A and STORE_B differ; exits 1 where they do.

    Candles that only one of them has are counted, and are no difference.

    \b
    Example:
      ptn-backtest candles compare prices-massive prices-kraken --pair BTCUSD
    """
    from ptn_backtest.prices.candles import Timespan  # noqa: PLC0415 - slow to import
    from ptn_backtest.prices.differing import compare_stores  # noqa: PLC0415
    from ptn_backtest.prices.store import CandleStore  # noqa: PLC0415

    a, b = CandleStore(store_a), CandleStore(store_b)
    found = compare_stores(
        a,
        b,
        trade_pair_ids=pairs or None,
        timespans=tuple(Timespan) if timespan is None else (Timespan(timespan),),
        start_ms=-NEVER_MS if start is None else start,
        end_ms=NEVER_MS if end is None else end,
        tolerance=tolerance,
        limit=limit,
    )
    if as_json:
        document = {"a": a.describe(), "b": b.describe(), "tolerance": tolerance}
        print_document({**document, "series": [s.to_dict() for s in found]})
    else:
        click.echo(f"a: {a.describe()}\nb: {b.describe()}")
        _print(found, tolerance)
    ctx.exit(1 if any(each.n_differing for each in found) else 0)


def _print(found: "Sequence[SeriesDifference]", tolerance: float) -> None:
    table = new_table(
        "pair", "timespan", "#in both", "#only a", "#only b", "#differing", "#mean", "#largest"
    )
    for each in found:
        table.add_row(
            each.trade_pair_id,
            each.timespan,
            *(f"{n:,}" for n in (each.n_both, each.n_only_a, each.n_only_b, each.n_differing)),
            f"{each.mean:.4%}",
            f"{each.largest:.4%}",
        )
    print_table(table)
    for each in found:
        for candle in each.differing:
            click.echo(
                f"{each.trade_pair_id} {each.timespan} {format_time(candle.start_ms)}: "
                f"{candle.a:g} and {candle.b:g}, {candle.fraction:.3%} apart"
            )
        if len(each.differing) < each.n_differing:
            rest = each.n_differing - len(each.differing)
            click.echo(f"  ... and {counted(rest, 'candle')} more of {each.trade_pair_id}")
    n_both = sum(each.n_both for each in found)
    if not n_both:
        click.echo("the stores have no candle in common")
    elif not any(each.n_differing for each in found):
        click.echo(f"no two of {counted(n_both, 'close')} differ by more than {tolerance:.3%}")
