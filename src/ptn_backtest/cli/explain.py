"""`ptn-backtest explain`: one trader's story."""

from pathlib import Path

import click

from ptn_backtest.cli.documents import print_document


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("hotkey")
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
def explain(run: Path, hotkey: str, as_json: bool) -> None:
    """Tell what happened to HOTKEY in the run folder RUN, and why.

    When it entered, moved and left, and by which rank or drawdown; what its fall was made of; when
    exactly a limit was reached, and when that was noticed; and, for a trader that is still in, how far
    each limit is away. HOTKEY may be cut short (its beginning, or beginning…end) while it means one.

    \b
    Examples:
      ptn-backtest explain runs/first 5HDmzy
      ptn-backtest explain runs/first 5HDmzy…covxKwZ --json
    """
    from ptn_backtest.report.explanation import print_story  # noqa: PLC0415 - slow to import
    from ptn_backtest.results.explaining import explain as gather  # noqa: PLC0415
    from ptn_backtest.results.hotkeys import find_hotkey, hotkeys_of  # noqa: PLC0415
    from ptn_backtest.results.run_folder import read_run  # noqa: PLC0415

    stored = read_run(run)
    told = gather(stored, find_hotkey(hotkey, hotkeys_of(stored), str(run)), str(run))
    if as_json:
        print_document(told.to_dict())
        return
    from rich.console import Console  # noqa: PLC0415

    print_story(told, Console())
