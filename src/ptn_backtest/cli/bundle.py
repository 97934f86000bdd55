"""`ptn-backtest bundle`: run, check and export replay bundles."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ptn_backtest.cli.bundle_output import (
    AGREES,
    DIFFERS,
    ERROR,
    aligned,
    check_document,
    label,
    print_checks,
    summaries,
    summary_rows,
    told_range,
)
from ptn_backtest.cli.documents import print_document
from ptn_backtest.cli.run import config_from_options, config_options
from ptn_backtest.cli.tables import counted
from ptn_backtest.cli.times import time_option
from ptn_backtest.errors import BacktestError, BundleError

_EXIT_CODES = {DIFFERS: 1, ERROR: 2, AGREES: 0}
"""By verdict; of several folders, the first of these that occurs decides."""

_OF_RUNS_ONLY = ("run_name", "overwrite", "plots")
"""Settings that say what a run leaves behind, and nothing about what it replays."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bundle() -> None:
    """Replay bundles: one exact replay as a folder, to exchange and to compare.

    \b
    A bundle holds
      scenario.json    settings and positions
      candles.parquet  the prices
      expected.json    the results that someone else got (optional)

    When your figures and somebody else's differ, export a bundle with your results, send the
    folder, and let them check it: the first wrong checkpoint is named.

    \b
    Examples:
      ptn-backtest bundle export my-bundle --config backtest.toml --hotkey "$HOTKEY"
      ptn-backtest bundle check my-bundle
      ptn-backtest bundle run my-bundle
    """


@bundle.command("run")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="FILE",
    help="Where the results go, - for the screen. Default: <name of the bundle>-results.json here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def run_(folder: Path, output: str | None, as_json: bool) -> None:
    """Replay the bundle in FOLDER and write its results.

    The results have the format of expected.json: positions, ledgers, daily returns and profits,
    liquidations. The bundle itself is never changed; to make its expected.json, copy the file.

    \b
    Examples:
      ptn-backtest bundle run my-bundle
      ptn-backtest bundle run my-bundle --output - | jq '.ledgers | keys'
    """
    from ptn_backtest.bundles.bundle import read_bundle  # noqa: PLC0415 - slow to import
    from ptn_backtest.bundles.replay import replay_bundle  # noqa: PLC0415

    if output == "-" and as_json:
        raise click.UsageError("--output - prints the results, which are JSON: leave out --json")
    what = read_bundle(folder)
    file = None if output == "-" else Path(output or f"{folder.resolve().name}-results.json")
    if file is not None:
        _refuse_parts_of_bundles(file)
    results = replay_bundle(what)
    text = json.dumps(results, separators=(",", ":"), allow_nan=False)
    if file is None:
        click.echo(text)
        return
    _write(file, text + "\n")
    if as_json:
        print_document(
            {
                "bundle": what.name,
                "synthetic": what.synthetic,
                "results": str(file),
                "traders": summaries(results),
                "failed_traders": results.get("failed_traders", {}),
            }
        )
        return
    click.echo(f"{what.name}: {told_range(what.settings)}{label(what.synthetic)}")
    for row in aligned(summary_rows(results)):
        click.echo(row)
    click.echo(f"results: {file}")


@bundle.command("check")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="How much floats may differ, relative to the larger one.",
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=1e-12,
    show_default=True,
    help="How much floats may differ near 0. With --rtol 0 --atol 0 every bit counts.",
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="List the first N differences of each folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def check(folders: Sequence[Path], rtol: float, atol: float, show: int, as_json: bool) -> None:
    """Replay the bundles in FOLDERS and compare with their expected.json.

    Integers, texts and structure must be equal, floats within the tolerance. Shown are the number of
    values compared, the largest difference and where it is (replay vs expected). What expected.json
    holds and a replay cannot tell is named: it was not compared.

    \b
    Exit code:
      0  everything that was compared agrees, in every folder
      1  a folder differs
      2  none differs, but one is malformed or has no expected.json

    \b
    Examples:
      ptn-backtest bundle check my-bundle
      ptn-backtest bundle check bundles/* --rtol 1e-12
    """
    from ptn_backtest.bundles.checking import check_bundle  # noqa: PLC0415 - slow to import

    rows: list[dict[str, Any]] = []
    for folder in folders:
        try:
            found = check_bundle(folder, rtol, atol)
        except BacktestError as error:
            rows.append({"folder": str(folder), "verdict": ERROR, "reason": str(error)})
        else:
            rows.append(check_document(folder, found))
    verdict = next(name for name in _EXIT_CODES if any(row["verdict"] == name for row in rows))
    if as_json:
        print_document({"verdict": verdict, "checks": rows})
    else:
        print_checks(rows, show)
    sys.exit(_EXIT_CODES[verdict])


@bundle.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--hotkey", "chosen", multiple=True, help="Only this trader of the run; may be repeated."
)
@click.option(
    "--start",
    type=time_option,
    metavar="TIME",
    help="Leave out positions closed before, and earlier updates; ledgers then begin here.",
)
@click.option(
    "--end", type=time_option, metavar="TIME", help="Last update: leave out all that follows."
)
@click.option("--name", help="What the bundle is called. Default: the name of FOLDER.")
@click.option(
    "--expected/--no-expected",
    default=True,
    help="Replay it and write the results as its expected.json (default).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what the bundle holds as JSON.")
@config_options
def export(
    folder: Path,
    chosen: tuple[str, ...],
    start: int | None,
    end: int | None,
    name: str | None,
    expected: bool,
    as_json: bool,
    config_file: Path | None,
    **options: Any,  # noqa: ANN401 - those of `run`
) -> None:
    """Make a bundle in FOLDER from a run: its traders, a range, just the candles it needs.

    The run is named as for `ptn-backtest run`: by --config, environment variables and options. Give
    the same ones. Without --start the bundle has the very ledgers of the run, as they stood at
    --end.

    \b
    Examples:
      ptn-backtest bundle export my-bundle --config backtest.toml --hotkey "$HOTKEY"
      ptn-backtest bundle export first-week --use-database-positions \\
          --database-url sqlite:///positions.db --candles candles --end 2025-01-08
    """
    from ptn_backtest.backtest.execution import check_mode  # noqa: PLC0415
    from ptn_backtest.backtest.legs import update_times  # noqa: PLC0415
    from ptn_backtest.backtest.loading import load_inputs  # noqa: PLC0415 - slow to import
    from ptn_backtest.bundles.bundle import BundleSettings  # noqa: PLC0415
    from ptn_backtest.bundles.exporting import export_bundle  # noqa: PLC0415

    config = config_from_options(config_file, options)
    check_mode(config.parallel_mode)
    inputs = load_inputs(config)
    times = tuple(update_times(inputs.start_ms, inputs.end_ms, config.interval_ms))
    exported = export_bundle(
        folder,
        inputs.positions,
        inputs.candles,
        BundleSettings(
            mode="backtest",
            update_times_ms=times,
            start_time_ms=times[0],
            account_sizes={k: tuple(sizes) for k, sizes in inputs.account_sizes.items()},
            use_slippage=config.use_slippage,
            rulebook=config.load_rulebook(),
            build_portfolio_ledgers_only=config.build_portfolio_ledgers_only,
            target_ledger_window_ms=config.target_ledger_window_ms,
            run_challenge=config.run_challenge and not chosen,
            run_elimination=config.run_elimination and not chosen,
            run_scoring=config.run_scoring and not chosen,
            plagiarism_events=() if chosen else inputs.plagiarism_events,
        ),
        name=name,
        hotkeys=chosen or None,
        start_ms=start,
        end_ms=end,
        missing_candles=config.missing_candles,
        expected=expected,
        synthetic=inputs.synthetic,
    )
    for warning in exported.warnings:
        click.echo(f"warning: {warning}", err=True)
    if chosen and (config.run_challenge or config.run_elimination or config.run_scoring):
        told = "the bundle has no rules: ranks depend on traders that are not in it"
        click.echo(f"warning: {told}; export all traders to have them", err=True)
    rejected = len(inputs.conversion.rejections)
    if rejected:
        told = counted(rejected, "position")
        click.echo(f"warning: not in it are {told} that the run sets aside", err=True)
    if as_json:
        print_document(
            {
                "bundle": str(folder),
                "synthetic": inputs.synthetic,
                "traders": exported.n_traders,
                "positions": exported.n_positions,
                "orders": exported.n_orders,
                "candles": exported.n_candles,
                "updates": len(exported.settings.update_times_ms),
                "start_ms": exported.settings.start_ms,
                "end_ms": exported.settings.end_ms,
                "rejected_positions": rejected,
                "warnings": exported.warnings,
            }
        )
        return
    click.echo(
        f"{counted(exported.n_traders, 'trader')}, {counted(exported.n_positions, 'position')}, "
        f"{counted(exported.n_orders, 'order')}, {counted(exported.n_candles, 'candle')}: "
        f"{told_range(exported.settings)}"
    )
    click.echo(f"bundle: {folder}{label(inputs.synthetic)}")


export.params = [option for option in export.params if option.name not in _OF_RUNS_ONLY]


def _refuse_parts_of_bundles(file: Path) -> None:
    """A replay must not become the bundle's own expectation by mistake."""
    from ptn_backtest.bundles.bundle import (  # noqa: PLC0415 - slow to import
        CANDLES_FILE,
        EXPECTED_FILE,
        SCENARIO_FILE,
    )

    if file.name in (CANDLES_FILE, EXPECTED_FILE, SCENARIO_FILE):
        raise BundleError(
            f"{file} has the name of a part of a bundle, which is never overwritten: "
            "choose another --output"
        )


def _write(file: Path, text: str) -> None:
    from ptn_backtest.sources.exporting import write_atomically  # noqa: PLC0415 - slow to import

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text.encode())
    except OSError as error:
        raise BundleError(f"{file} cannot be written: {error.strerror}") from None
