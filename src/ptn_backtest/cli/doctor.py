"""`ptn-backtest doctor`: is this setup ready for a run, and what is next?"""

import os
import shlex
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptn_backtest.cli.positions_output import print_json
from ptn_backtest.cli.run import config_options

if TYPE_CHECKING:
    from ptn_backtest.backtest.checkup import Finding, PairCandles
    from ptn_backtest.backtest.config import BacktestConfig
    from ptn_backtest.positions.conversion import Conversion

_COLOURS = {"ok": "green", "note": "yellow", "to do": "red", "skipped": "bright_black"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    config_file: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - those of `run`
) -> None:
    """Check whether a run with these settings can begin, and say what to do next.

    Takes the settings of `ptn-backtest run`, and looks at the installation, the database (is it there,
    may the user read, are tables and columns as expected), positions, candles, rulebook, disk and
    memory. Without settings it looks at the installation only. Nothing is written; passwords are not
    shown.

    Exits with 0 where a run can begin, with 1 where there is something to do, with 2 where the
    settings cannot be read.

    \b
    Examples:
      ptn-backtest doctor
      ptn-backtest doctor --config backtest.toml
      ptn-backtest doctor --use-database-positions --database-url sqlite:///positions.db \\
          --candles candles --json
    """
    from ptn_backtest.backtest.config import read_config  # noqa: PLC0415 - slow to import

    given = {name: value for name, value in options.items() if value not in (None, ())}
    config = read_config(config_file, os.environ, given)
    findings = list(_findings(config))
    to_do = [each for each in findings if each.state == "to do"]
    if as_json:
        rows = [asdict(each) for each in findings]
        print_json(
            ready=not to_do and _has_source(config), checks=rows, next=_next(config, findings)
        )
    else:
        _print(findings, _next(config, findings))
    ctx.exit(1 if to_do else 0)


def _findings(config: "BacktestConfig") -> Iterator["Finding"]:
    from ptn_backtest.backtest import checkup, checkup_facts  # noqa: PLC0415 - slow to import
    from ptn_backtest.errors import ConfigError  # noqa: PLC0415

    installed = checkup_facts.installation_facts()
    yield checkup.check_python(installed)
    yield checkup.check_extras(installed, _needed_extras(config))
    try:
        rulebook = config.load_rulebook()
    except ConfigError as error:
        yield checkup.Finding("rulebook", checkup.State.TO_DO, str(error))
    else:
        says = f"{rulebook.name} loads, in force {rulebook.in_force}"
        yield checkup.Finding("rulebook", checkup.State.OK, says)
    if config.parallel_mode.name == "PYSPARK":
        yield checkup.check_spark(checkup_facts.spark_facts())
    if _has_source(config):
        yield from _settings(config)
        yield from _inputs(config)


def _settings(config: "BacktestConfig") -> Iterator["Finding"]:
    """What contradicts itself; that candles are not named is told with the candles."""
    from dataclasses import replace  # noqa: PLC0415

    from ptn_backtest.backtest.checkup import Finding, State  # noqa: PLC0415
    from ptn_backtest.backtest.config import check_config  # noqa: PLC0415
    from ptn_backtest.errors import ConfigError  # noqa: PLC0415

    try:
        check_config(replace(config, candles=config.candles or Path("candles")))
    except ConfigError as error:
        yield Finding("settings", State.TO_DO, str(error))


def _inputs(config: "BacktestConfig") -> Iterator["Finding"]:
    from ptn_backtest.backtest import checkup, checkup_facts  # noqa: PLC0415
    from ptn_backtest.sources.database.examining import Stage  # noqa: PLC0415

    database = checkup_facts.database_facts(config)
    if database is not None:
        yield checkup.check_connection(database)
        yield checkup.check_rights(database)
        yield checkup.check_schema(database, config.database_mapping)
    conversion: Conversion | None = None
    if database is None or database.stage is Stage.DONE:
        facts, conversion = checkup_facts.position_facts(config)
        yield checkup.check_positions(facts, strict=config.strict)
    else:
        yield checkup.Finding("positions", checkup.State.SKIPPED, "not read: see above")
    pairs: list[PairCandles] = []
    if conversion is None or not conversion.positions:
        says = "not looked at: which are needed depends on positions"
        yield checkup.Finding("candles", checkup.State.SKIPPED, says)
    else:
        pairs = yield from _candles(config, conversion)
    n_orders = conversion.counts["orders"] if conversion else 0
    yield checkup.check_disk(
        checkup_facts.free_disk_bytes(config.output), checkup.estimate_disk(n_orders), config.output
    )
    yield checkup.check_memory(
        checkup_facts.available_memory_bytes(), checkup.estimate_memory(n_orders, pairs)
    )


def _candles(
    config: "BacktestConfig", conversion: "Conversion"
) -> Generator["Finding", None, list["PairCandles"]]:
    """Findings on the store; returns a row per pair."""
    from ptn_backtest.backtest import checkup, checkup_facts  # noqa: PLC0415
    from ptn_backtest.backtest.loading import open_candles  # noqa: PLC0415
    from ptn_backtest.errors import CandleError, ConfigError  # noqa: PLC0415
    from ptn_backtest.positions.quotes import with_quotes  # noqa: PLC0415
    from ptn_backtest.prices.quotes import quote_lookup  # noqa: PLC0415

    pull = _pull_command(config)
    to_do = checkup.State.TO_DO
    if config.candles is None and not config.use_test_positions:
        yield checkup.Finding("candles", to_do, "no candle store is named", pull)
        return []
    if config.use_test_positions and config.candles is None:
        yield checkup.Finding("candles", checkup.State.OK, "the test positions bring their own")
        return []
    try:
        store = open_candles(config)
        pairs = checkup_facts.candle_facts(config, conversion, store)
    except ConfigError as error:
        yield checkup.Finding("times", to_do, str(error))
        return []
    except CandleError as error:
        yield checkup.Finding("candles", to_do, str(error), pull)
        return []
    hold = config.missing_candles == "hold"
    yield checkup.check_minutes(pairs, store.describe(), hold=hold, pull=pull)
    yield checkup.check_seconds(pairs, pull)
    if config.fetch_slippage_data:
        _, quotes = with_quotes(conversion.positions, quote_lookup(store))
        yield checkup.check_quotes(quotes, _pull_command(config, "pull-quotes"))
    return pairs


def _has_source(config: "BacktestConfig") -> bool:
    return (
        config.use_test_positions
        or config.use_database_positions
        or config.positions_path is not None
        or config.database_url is not None
    )


def _needed_extras(config: "BacktestConfig") -> list[str]:
    kind = (config.database_url or "").partition(":")[0].partition("+")[0].lower()
    of_kind = {
        "postgres": "postgres",
        "postgresql": "postgres",
        "mysql": "mysql",
        "mariadb": "mysql",
    }
    needed = [of_kind[kind]] if kind in of_kind else []
    if config.plots:
        needed.append("reports")
    if config.parallel_mode.name == "PYSPARK":
        needed.append("spark")
    return needed


def _pull_command(config: "BacktestConfig", command: str = "pull") -> str:
    """The command that brings just the candles (or quotes) that are missing; it shows no URL."""
    store = shlex.quote(str(config.candles or "candles"))
    source = "database"
    if config.positions_path is not None:
        source = shlex.quote(str(config.positions_path))
    elif config.database_url is None:
        source = "taoshi"
    mapping = (
        f" --mapping {shlex.quote(str(config.database_mapping))}" if config.database_mapping else ""
    )
    return f"ptn-backtest candles {command} {store} --for {source}{mapping} --provider massive"


def _next(config: "BacktestConfig", findings: Sequence["Finding"]) -> list[str]:
    """What to do, in order: what stands in the way, else what comes after this check."""
    steps = [
        each.next_step or f"{each.check}: {each.says}" for each in findings if each.state == "to do"
    ]
    if steps:
        absent = {name for each in findings for name in each.figures.get("not_installed", ())}
        if "providers" in absent and any("candles pull" in step for step in steps):
            steps.insert(0, "pip install 'ptn-backtest[providers]'")
        return list(dict.fromkeys(steps))
    if not _has_source(config):
        return [
            "ptn-backtest run --use-test-positions",
            (
                "ptn-backtest doctor --use-database-positions --candles FOLDER, with the URL in "
                "PTN_BACKTEST_DATABASE_URL"
            ),
        ]
    return ["ptn-backtest run with the same settings"]


def _print(findings: Sequence["Finding"], steps: Sequence[str]) -> None:
    plain = bool(os.environ.get("NO_COLOR"))  # click strips colours where there is no terminal
    width = max(len(each.check) for each in findings)
    for each in findings:
        state = click.style(f"{each.state:<8}", fg=None if plain else _COLOURS[each.state])
        first, *others = each.says.splitlines()
        click.echo(f"{state}{each.check:<{width}}  {first}")
        for line in others:
            click.echo(f"{'':<{8 + width}}  {line}")
        if each.next_step and each.state == "note":
            click.echo(f"{'':<{8 + width}}  -> {each.next_step}")
    click.echo("\nnext:")
    for step in steps:
        click.echo(f"  {step}")
