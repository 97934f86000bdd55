"""`ptn-backtest completion`: the script that completes commands in a shell."""

import click
from click.shell_completion import get_completion_class

_PROGRAM = "ptn-backtest"
_VARIABLE = "_PTN_BACKTEST_COMPLETE"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in SHELL.

    \b
    Examples:
      ptn-backtest completion bash > ~/.ptn-backtest.bash     # source it in ~/.bashrc
      ptn-backtest completion fish > ~/.config/fish/completions/ptn-backtest.fish
    """
    from ptn_backtest.cli.main import cli  # noqa: PLC0415 - it imports this module

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above
    # not `source()`: click's bash first starts a bash to check its version, which zsh users may lack
    script = kind(cli, {}, _PROGRAM, _VARIABLE)
    click.echo(script.source_template % script.source_vars())
