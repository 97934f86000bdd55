"""`ptn-backtest run`: a whole backtest from settings to report."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.collecting import collect_rarely
from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.exits import exit_codes
from ptn_backtest.cli.logs import show_logs

if TYPE_CHECKING:
    from ptn_backtest.backtest.config import BacktestConfig
    from ptn_backtest.backtest.result import RunResult

_FLAGS: dict[str, str] = {
    "use_test_positions": "Replay the bundled synthetic test positions.",
    "use_database_positions": "Load positions from --database-url, or through taoshi.ts.ptn.",
    "build_portfolio_ledgers_only": "No ledgers by trade pair.",
    "run_challenge": "Challenge period rules: promotion, demotion, probation.",
    "run_elimination": "Elimination rules: who fails leaves.",
    "run_scoring": "Score all traders at every evaluation.",
    "recalculate_slippage": "Compute the slippage of every order anew.",
    "fetch_slippage_data": "Take the bid and ask of every order from the candles.",
    "apply_order_rules": "What if: reduce and refuse orders as the rulebook's network would.",
    "split_positions": "Split recorded positions that hold several trades in a row.",
    "strict": "Stop at the first position that would be set aside.",
    "overwrite": "Replace a run folder of the same --run-name.",
    "plots": "Also write PNG plots (extra 'reports').",
}

_VALUES: dict[str, tuple[str, str]] = {
    "database_url": ("URL", "sqlite:///file, postgresql://..., mysql://..."),
    "database_mapping": ("FILE", "TOML file that maps an existing schema to ours."),
    "positions_path": ("PATH", "Validators' folder, checkpoint (.json, .gz) or list."),
    "plagiarism_events": ("FILE", "Recorded events (CSV, JSON, Parquet). Default: the source's."),
    "candles": ("FOLDER|URL", "Candle store; the test positions bring their own."),
    "start_time_ms": ("TIME", "First update: ms, or an ISO date. Default: the first order."),
    "end_time_ms": ("TIME", "Last update. Default: the end of the candles."),
    "interval_ms": ("MS", "Time between updates. Default: one day."),
    "history": ("full|range", "full also loads positions closed before the start (default)."),
    "test_single_hotkey": ("HOTKEY", "Only this trader; its hotkey in full."),
    "rulebook": ("NAME|FILE", "The rules: 2024-05, 2024-07, 2025-07, 2025-11 (default), or yours."),
    "use_slippage": ("true|false|by-date", "Slippage always, never, or by date (default)."),
    "capital": ("USD", "What leverage 1 stands for, for slippage. Default: 100000."),
    "leverage_cap": ("LEVERAGE", "What if: no position holds more than this."),
    "delay_orders_ms": ("MS", "What if: orders come later by this, at the price of then."),
    "parallel_mode": ("MODE", "SERIAL (0, default), PYSPARK (1), MULTIPROCESSING (2): one result."),
    "target_ledger_window_ms": ("MS", "Time that checkpoints may cover. Default: 120 days."),
    "state_interval": (
        "UPDATES",
        "Store what is done every so many updates. Default: 30; 0: never.",
    ),
    "missing_candles": ("error|hold", "Refuse a run without them (default), or let values stay."),
    "output": ("FOLDER", "Where run folders are written. Default: runs."),
    "run_name": ("NAME", "Name of the run folder. Default: made of times and settings."),
}

_LISTS: dict[str, tuple[str, str]] = {
    "hotkeys": ("HOTKEY", "Only these, in full; repeat it."),
    "rules": ("KEY=VALUE", "What if: a rule of the rulebook is another; repeat it."),
    "drop_pairs": ("PAIR", "What if: no positions on these trade pairs; repeat it."),
    "what_if_hotkeys": ("HOTKEY", "What if: only these, in full, change. Default: all; repeat it."),
}


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every setting of `BacktestConfig`, and --config."""
    for name, text in reversed(_FLAGS.items()):
        option = name.replace("_", "-")
        command = click.option(f"--{option}/--no-{option}", name, default=None, help=text)(command)
    for name, (metavar, text) in reversed(_LISTS.items()):
        option = name.replace("_", "-")
        command = click.option(f"--{option}", name, multiple=True, metavar=metavar, help=text)(
            command
        )
    for name, (metavar, text) in reversed(_VALUES.items()):
        command = click.option(
            f"--{name.replace('_', '-')}", name, metavar=metavar, default=None, help=text
        )(command)
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file of settings, by the names of the options with underscores.",
    )(command)


def config_from_options(config_file: Path | None, options: Mapping[str, Any]) -> "BacktestConfig":
    """The settings of a command with `config_options`."""
    import os  # noqa: PLC0415

    from ptn_backtest.backtest.config import load_config  # noqa: PLC0415 - slow to import

    given = {name: value for name, value in options.items() if value not in (None, ())}
    return load_config(config_file, os.environ, given)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("-v", "--verbose", count=True, help="Show what is done (-v), or every detail (-vv).")
def run(
    config_file: Path | None,
    as_json: bool,
    verbose: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Replay positions on candles; write ledgers, tables and a report.

    Settings come from --config, then from environment variables (PTN_BACKTEST_DATABASE_URL, ...),
    then from options; the later beat the earlier. A password is best given in the environment.

    \b
    Examples:
      ptn-backtest run --use-test-positions
      ptn-backtest run --config backtest.toml --test-single-hotkey "$HOTKEY"
      ptn-backtest run --use-database-positions --database-url sqlite:///positions.db \\
          --candles candles --start-time-ms 2025-01-01 --end-time-ms 1736035200000
    """
    if verbose:
        show_logs(verbose)
    execute(config_from_options(config_file, options), as_json=as_json)


def run_flags(**flags: Any) -> None:  # noqa: ANN401
    """What `neurons/backtest_manager.py` does with its flags: a run, as on the command line.

    The environment may add settings, such as a database URL with its password; flags beat it,
    unless they are None.
    """
    with exit_codes():
        show_logs(1)
        execute(config_from_options(None, flags))


def execute(config: "BacktestConfig", *, as_json: bool = False) -> None:
    """Run, write the run folder, print the summary; exits with 1 where no position was loaded."""
    result = _run(config, as_json=as_json)
    if not result.update_times_ms:
        raise SystemExit(1)


def _run(config: "BacktestConfig", *, as_json: bool) -> "RunResult":
    from ptn_backtest.backtest.run import run_backtest  # noqa: PLC0415 - slow to import
    from ptn_backtest.cli.progress import ProgressBar  # noqa: PLC0415
    from ptn_backtest.cli.unfinished import (  # noqa: PLC0415
        begin_states,
        going_on,
        kept_to_oneself,
        unfinished_folder,
    )
    from ptn_backtest.results.run_folder import refuse_what_is_in_the_way  # noqa: PLC0415
    from ptn_backtest.results.states import STATES  # noqa: PLC0415

    collect_rarely()
    if config.run_name:
        refuse_what_is_in_the_way(config.output / config.run_name, overwrite=config.overwrite)
    if not config.state_interval:
        result = run_backtest(config, ProgressBar())
        finish(config, result, as_json=as_json)
        return result
    unfinished = unfinished_folder(config)
    with kept_to_oneself(unfinished):
        open_store = begin_states(config, unfinished)
        with going_on(unfinished, new=True):
            result = run_backtest(config, ProgressBar(), open_store)
        # without positions there was nothing to store
        states_of = unfinished if (unfinished / STATES).exists() else None
        finish(config, result, states_of=states_of, as_json=as_json)
        return result


def finish(
    config: "BacktestConfig",
    result: "RunResult",
    folder: Path | None = None,
    states_of: Path | None = None,
    *,
    as_json: bool = False,
) -> Path:
    """Write a result and print its summary; returns the folder.

    Args:
        config: the settings.
        result: what came of them.
        folder: where to, in place of a run that is there; by default a folder of the output folder.
        states_of: folder that has its states; removed, unless it is the run's own.
        as_json: whether the summary is for programs.
    """
    import shutil  # noqa: PLC0415 - slow to import, like the others

    from rich.console import Console  # noqa: PLC0415

    from ptn_backtest.report.html import write_report  # noqa: PLC0415
    from ptn_backtest.report.summary import print_summary  # noqa: PLC0415
    from ptn_backtest.results.run_folder import write_run  # noqa: PLC0415
    from ptn_backtest.results.run_summary import run_summary  # noqa: PLC0415

    overwrite = config.overwrite or config.run_name is None or folder is not None
    folder = folder or config.output / (config.run_name or default_name(result))
    write_run(folder, result, overwrite=overwrite, states_of=states_of)
    if states_of not in (None, folder):
        shutil.rmtree(states_of)
    report = write_report(folder, result)
    if config.plots:
        from ptn_backtest.report.plots import write_plots  # noqa: PLC0415 - an extra

        write_plots(folder, result, list(result.ledgers))
    if as_json:
        print_document(run_summary(result, folder, report))
        return folder
    print_summary(result, Console())
    click.echo(f"run folder: {folder}")
    click.echo(f"report:     {report}")
    return folder


def default_name(result: "RunResult") -> str:
    """A name that equal runs share: the dates (if it has any), and a hash of settings and inputs."""
    import hashlib  # noqa: PLC0415

    from ptn_backtest.clock import format_date  # noqa: PLC0415

    what = repr((sorted(result.settings.items()), sorted(result.inputs.items())))
    tag = hashlib.sha256(what.encode()).hexdigest()[:8]
    if not result.update_times_ms:
        return f"nothing_{tag}"
    return f"{format_date(result.start_ms)}_{format_date(result.end_ms)}_{tag}"
