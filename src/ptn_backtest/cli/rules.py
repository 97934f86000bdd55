"""`ptn-backtest rules`: the rulebooks, what is in them, and where two differ."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def rules() -> None:
    """Show rulebooks: the network's rules as of a date, or your own.

    A rulebook is named, or given as a TOML file with a base and what changes:

    \b
      name = "cheaper"
      base = "2025-11"
      [fees]
      crypto_spread_rate = 0.0005

    \b
    Examples:
      ptn-backtest rules diff 2025-07 2025-11
      ptn-backtest run --use-test-positions --rulebook cheaper.toml
    """


@rules.command("list")
def list_() -> None:
    """List the shipped rulebooks."""
    from ptn_backtest.rulebook import DEFAULT_NAME, SHIPPED, load_rulebook  # noqa: PLC0415

    for name in SHIPPED:
        default = "  (default)" if name == DEFAULT_NAME else ""
        click.echo(f"{name}  {load_rulebook(name).in_force}{default}")


@rules.command()
@click.argument("rulebook")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(rulebook: str, as_json: bool) -> None:
    """Show every rule of RULEBOOK."""
    from ptn_backtest.rulebook import load_rulebook  # noqa: PLC0415

    whole = load_rulebook(rulebook).to_dict()
    if as_json:
        click.echo(json.dumps(whole, indent=1))
        return
    for name, value in flat(whole):
        click.echo(f"{name} = {json.dumps(value)}")


@rules.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def diff(a: str, b: str, as_json: bool) -> None:
    """Show where rulebooks A and B differ; exits with 1 where they do."""
    from ptn_backtest.rulebook import load_rulebook  # noqa: PLC0415

    left, right = (dict(flat(load_rulebook(name).to_dict())) for name in (a, b))
    about = ("name", "in_force")
    changed = {k: [left[k], right[k]] for k in left if left[k] != right[k] and k not in about}
    if as_json:
        click.echo(json.dumps(changed, indent=1))
    for name, (before, after) in {} if as_json else changed.items():
        click.echo(f"{name}: {json.dumps(before)} -> {json.dumps(after)}")
    if changed:
        sys.exit(1)
    if not as_json:
        click.echo("no difference")


def flat(rules: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every rule by its dotted name."""
    for key, value in rules.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
