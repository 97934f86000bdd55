"""`ptn-backtest`: the group of all commands."""

import difflib
import importlib
import io
import sys

import click

from ptn_backtest.cli.exits import exit_codes
from ptn_backtest.cli.logs import show_logs

_COMMANDS = {
    "run": "ptn_backtest.cli.run:run",
    "continue": "ptn_backtest.cli.continuing:continue_run",
    "doctor": "ptn_backtest.cli.doctor:doctor",
    "positions": "ptn_backtest.cli.positions:positions",
    "candles": "ptn_backtest.cli.candles:candles",
    "rules": "ptn_backtest.cli.rules:rules",
    "compare": "ptn_backtest.cli.compare:compare",
    "explain": "ptn_backtest.cli.explain:explain",
    "query": "ptn_backtest.cli.query:query",
    "export": "ptn_backtest.cli.export:export",
    "plot": "ptn_backtest.cli.plot:plot",
    "serve": "ptn_backtest.cli.serve:serve",
    "bundle": "ptn_backtest.cli.bundle:bundle",
    "completion": "ptn_backtest.cli.completion:completion",
}


class _Commands(click.Group):
    """Commands by name, imported when they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of a first use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; click knows the names of loaded ones only."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(_COMMANDS)}."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ptn-backtest")
@click.option("-v", "--verbose", count=True, help="Show what is done (-v), or every detail (-vv).")
def cli(verbose: int) -> None:
    """Replay the Proprietary Trading Network's positions into exact performance ledgers.

    \b
    A first look, on bundled synthetic positions:
      ptn-backtest run --use-test-positions
    Your own database and candles:
      ptn-backtest candles import candles/ BTCUSD_1m.parquet
      ptn-backtest run --use-database-positions --database-url sqlite:///positions.db \\
                       --candles candles/ --start-time-ms 2025-01-01 --end-time-ms 2025-01-05
    """
    show_logs(verbose)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # as a rule, but not in a notebook
            stream.reconfigure(errors="replace")  # a line of a table is no reason to fail
    with exit_codes():
        # outside standalone mode click returns what a command gave to `ctx.exit`
        sys.exit(cli.main(standalone_mode=False))


if __name__ == "__main__":
    main()
