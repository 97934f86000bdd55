"""`ptn-backtest rules`: the rulebooks, what is in them, and where two differ."""

import json
import sys

import click

from ptn_backtest.cli.documents import print_document


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def rules() -> None:
    """Show rulebooks: the network's rules as of a date, or your own.

    A rulebook is named, or given as a TOML file with a base and what changes:

    \b
      name = "looser"
      base = "2025-11"
      [eliminations]
      drawdown_limit = 15.0      # percent

    \b
    Examples:
      ptn-backtest rules show 2025-11
      ptn-backtest rules show 2025-11 --toml > mine.toml
      ptn-backtest rules diff 2025-11 mine.toml
      ptn-backtest run --use-test-positions --rulebook mine.toml
    """


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def list_(as_json: bool) -> None:
    """List the shipped rulebooks."""
    from ptn_backtest.rulebook import DEFAULT_NAME, SHIPPED, load_rulebook  # noqa: PLC0415

    shipped = {name: load_rulebook(name).in_force for name in SHIPPED}
    if as_json:
        print_document(shipped)
        return
    for name, in_force in shipped.items():
        default = "  (default)" if name == DEFAULT_NAME else ""
        click.echo(f"{name}  {in_force}{default}")


@rules.command()
@click.argument("rulebook")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, slippage tables whole.")
@click.option("--toml", "as_toml", is_flag=True, help="Print it as a file to edit and load.")
def show(rulebook: str, as_json: bool, as_toml: bool) -> None:
    """Show every rule of RULEBOOK, with its unit."""
    from ptn_backtest.rulebook import load_rulebook  # noqa: PLC0415
    from ptn_backtest.rulebook.describing import to_text, to_toml  # noqa: PLC0415

    if as_json and as_toml:
        raise click.UsageError("choose one of --json and --toml")
    found = load_rulebook(rulebook)
    if as_json:
        print_document(found.to_dict())
    elif as_toml:
        click.echo(to_toml(found), nl=False)
    else:
        click.echo("\n".join(to_text(found)))


@rules.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def diff(a: str, b: str, as_json: bool) -> None:
    """Show where rulebooks A and B differ; exits with 1 where they do."""
    from ptn_backtest.rulebook import load_rulebook  # noqa: PLC0415
    from ptn_backtest.rulebook.describing import difference  # noqa: PLC0415

    changed = difference(load_rulebook(a), load_rulebook(b))
    if as_json:
        print_document(changed)
    for name, values in {} if as_json else changed.items():
        before, after = ("none" if value is None else json.dumps(value) for value in values)
        click.echo(f"{name}: {before} -> {after}")
    if changed:
        sys.exit(1)
    if not as_json:
        click.echo("no difference")
