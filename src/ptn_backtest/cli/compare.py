"""`ptn-backtest compare`: what differs between two run folders."""

import sys
from pathlib import Path

import click

from ptn_backtest.cli.documents import print_document


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--hotkey", "wanted", multiple=True, help="Only this trader, in detail; repeat it.")
@click.option(
    "--rtol",
    type=float,
    default=0.0,
    help="Numbers are equal within this fraction of the larger. Default: 0, every bit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole comparison as JSON.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write it as one page that works offline.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every difference, with all fields.")
def compare(
    run_a: Path,
    run_b: Path,
    wanted: tuple[str, ...],
    rtol: float,
    as_json: bool,
    page: Path | None,
    verbose: bool,
) -> None:
    """Show what differs between the run folders RUN_A and RUN_B.

    Rules and settings; whose fate differs and which figures decided it; ledgers down to the first
    checkpoint that differs; positions; scores and ranks at the last common evaluation. Runs over other
    times or traders are compared in what both have.

    Exits with 0 where every result is equal (settings may differ), with 1 where one differs, with 2
    on an error.

    \b
    Examples:
      ptn-backtest compare runs/default runs/looser
      ptn-backtest compare runs/default runs/looser --hotkey 5HDmzy --html difference.html
      ptn-backtest compare runs/before runs/after --rtol 1e-9 --json
    """
    from ptn_backtest.report.comparison_text import print_comparison  # noqa: PLC0415 - slow
    from ptn_backtest.results.comparison import compare_runs  # noqa: PLC0415
    from ptn_backtest.results.hotkeys import find_hotkey, hotkeys_of  # noqa: PLC0415
    from ptn_backtest.results.run_folder import read_run  # noqa: PLC0415

    a, b = read_run(run_a), read_run(run_b)
    known = {*hotkeys_of(a), *hotkeys_of(b)}
    found = compare_runs(
        a,
        b,
        names=(str(run_a), str(run_b)),
        hotkeys=[find_hotkey(one, known, f"{run_a} and {run_b}") for one in wanted],
        rtol=rtol,
    )
    if page:
        from ptn_backtest.report.comparison_html import write_comparison  # noqa: PLC0415

        write_comparison(page, found)
    if as_json:
        print_document(found.to_dict())
    else:
        from rich.console import Console  # noqa: PLC0415

        print_comparison(found, Console(), everything=verbose or bool(wanted))
        if page:
            click.echo(f"\npage: {page}")
    if not found.equal:
        sys.exit(1)
