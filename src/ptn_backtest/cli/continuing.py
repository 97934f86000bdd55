"""`ptn-backtest continue`: a run to a later end, or one that was interrupted."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.collecting import collect_rarely
from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.logs import show_logs
from ptn_backtest.errors import ConfigError

if TYPE_CHECKING:
    from ptn_backtest.backtest.result import Advance


@click.command("continue", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--end-time-ms", metavar="TIME", help="Last update. Default: the end of the candles.")
@click.option("--database-url", metavar="URL", help="Where the database is now, or its password.")
@click.option("--positions-path", metavar="PATH", help="Where the positions are now.")
@click.option("--candles", metavar="FOLDER|URL", help="Where the candle store is now.")
@click.option(
    "--parallel-mode", metavar="MODE", help="SERIAL (0), PYSPARK (1), MULTIPROCESSING (2)."
)
@click.option("--plots/--no-plots", default=None, help="Also write PNG plots (extra 'reports').")
@click.option(
    "--states-only", is_flag=True, help="Only store what is done; write tables and report later."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("-v", "--verbose", count=True, help="Show what is done (-v), or every detail (-vv).")
def continue_run(
    folder: Path,
    states_only: bool,
    as_json: bool,
    verbose: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Take a run to a later end, or finish one that was interrupted.

    All orders are read, so that late and changed ones are noticed: such a trader's ledgers are built
    anew from the last stored state before the change, and the rules are applied again from there. Of
    candles only those after that state are read; where earlier ones were written to the store since, all
    ledgers are built anew from the state before them.

    The result is that of a run whose updates are at the same times. The first run's settings hold.

    With --states-only the tables and the report stay as they were, which takes a fraction of the
    time: what the rules did is printed, and the next 'continue' without it writes them.

    \b
    Examples:
      ptn-backtest continue runs/live --states-only
      ptn-backtest continue runs/live
      ptn-backtest continue runs/live --end-time-ms 2025-11-05
      ptn-backtest continue runs/unfinished-live
    """
    import os  # noqa: PLC0415 - as the imports below

    from ptn_backtest.backtest.run import advance_backtest, run_backtest  # noqa: PLC0415 - slow to import
    from ptn_backtest.cli.progress import ProgressBar  # noqa: PLC0415
    from ptn_backtest.cli.run import finish  # noqa: PLC0415
    from ptn_backtest.cli.unfinished import (  # noqa: PLC0415
        continued_states,
        going_on,
        is_finished,
        kept_to_oneself,
        open_states,
        settings_of,
    )

    if verbose:
        show_logs(verbose)
    collect_rarely()
    states = open_states(folder)
    given = {name: value for name, value in options.items() if value is not None}
    config = settings_of(states, given, os.environ, finished=is_finished(folder))
    # a finished run is replaced in one step, whoever else does so
    with nullcontext() if is_finished(folder) else kept_to_oneself(folder):
        if states_only:
            with going_on(folder):
                open_store = continued_states(states, config)
                advance = advance_backtest(config, open_store, ProgressBar(), states.gone())
            _say_what_was_done(folder, advance, as_json=as_json)
            return
        with going_on(folder):
            result = run_backtest(config, ProgressBar(), continued_states(states, config))
        if not result.update_times_ms:
            raise ConfigError(
                f"no position was loaded from {result.source}: {folder} stays as it is. See whether the "
                "source is the one that the run began with (--database-url, --positions-path)"
            )
        before = _held(folder, result.end_ms)
        # nothing was in the way of an interrupted run when it began, unless this very run came so far
        config = replace(config, overwrite=True)
        finished = folder if is_finished(folder) else None
        finish(config, result, finished, states_of=folder, as_json=as_json)
        if before is not None and _held(folder, result.end_ms) == before:
            from ptn_backtest.report.summary import nothing_new  # noqa: PLC0415

            click.echo(nothing_new(result.end_ms), err=as_json)


def _held(folder: Path, end_ms: int) -> Mapping[str, Any] | None:
    """Inputs and tables of a run that goes to a time; None where the folder holds no such run.

    Late orders and corrected candles change them, though the end stays what it was.
    """
    import hashlib  # noqa: PLC0415 - as the imports above

    from ptn_backtest.results.run_folder import read_info  # noqa: PLC0415

    try:
        info = read_info(folder)
    except ConfigError:  # not finished, or of another version: it is written anew in any case
        return None
    if info.get("end_ms") != end_ms:
        return None
    held = {"inputs": info.get("inputs")}
    for path in folder.glob("*.parquet"):
        with path.open("rb") as file:
            held[path.name] = hashlib.file_digest(file, "sha256").digest()
    return held


def _say_what_was_done(folder: Path, advance: "Advance", *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import

    from ptn_backtest.report.summary import print_advance  # noqa: PLC0415
    from ptn_backtest.results.run_summary import advance_summary  # noqa: PLC0415

    if as_json:
        print_document(advance_summary(advance, folder))
        return
    print_advance(advance, Console())
    click.echo(
        f"stored in {folder}; tables and report are written by: ptn-backtest continue {folder}"
    )
