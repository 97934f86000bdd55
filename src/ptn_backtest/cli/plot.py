"""`ptn-backtest plot`: one trader's curves as a picture."""

from pathlib import Path

import click

from ptn_backtest.cli.documents import print_document


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("hotkey")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to: .png or .svg.",
)
@click.option("--pair", default="portfolio", help="A trade pair. Default: the portfolio.")
@click.option("--json", "as_json", is_flag=True, help="Print what was drawn as JSON.")
def plot(run: Path, hotkey: str, out: Path, pair: str, as_json: bool) -> None:
    """Draw return and drawdown of HOTKEY in the run folder RUN.

    Where rules were on: the drawdown limit, the trader's buckets as shading, and when it left. HOTKEY
    may be cut short while it means one. It needs the extra 'reports'.

    \b
    Examples:
      ptn-backtest plot runs/first 5HDmzy --out trader.svg
      ptn-backtest plot runs/first 5HDmzy --pair BTCUSD --out trader-btc.png
    """
    from ptn_backtest.report.plots import write_plot  # noqa: PLC0415 - slow to import
    from ptn_backtest.results.hotkeys import find_hotkey, hotkeys_of  # noqa: PLC0415
    from ptn_backtest.results.run_folder import read_run  # noqa: PLC0415

    stored = read_run(run)
    found = find_hotkey(hotkey, hotkeys_of(stored), str(run))
    drawn = write_plot(out, stored, found, pair)
    if as_json:
        print_document({"plot": str(drawn), "miner_hotkey": found, "trade_pair_id": pair})
        return
    click.echo(f"plot: {drawn}")
