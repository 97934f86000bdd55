"""Rulebooks from files: the shipped ones, and a user's, which names a base and what changes."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from ptn_backtest.errors import ConfigError
from ptn_backtest.rulebook.codec import Place, decode, merged
from ptn_backtest.rulebook.rulebook import Rulebook

SHIPPED: Final = ("2024-05", "2024-07", "2025-07", "2025-11")
"""Names of the shipped rulebooks, by date."""
DEFAULT_NAME: Final = "2025-11"
NO_BASE: Final = "none"
"""The base of a rulebook that stands by itself: every rule is in it."""


def load_rulebook(name: str | Path) -> Rulebook:
    """A shipped rulebook by its name, or one from a TOML file.

    Raises:
        ConfigError: no such rulebook or file, or a mistake in the file; the message names the key.
    """
    if str(name) in SHIPPED:
        return _shipped(str(name))
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(str(name), SHIPPED, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"no rulebook {str(name)!r}: it is neither a file nor one of {', '.join(SHIPPED)}{hint}"
        )
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a rulebook: {error}") from None
    return rulebook_from(changes, str(path), path.parent)


def with_rules(rulebook: Rulebook, rules: Iterable[str]) -> Rulebook:
    """A rulebook with single rules changed, each said as "eliminations.drawdown_limit=25".

    Args:
        rulebook: what is changed; itself where there is no change.
        rules: dotted keys with values as TOML writes them; a bare word is a text.

    Raises:
        ConfigError: no such rule, or a value of the wrong kind.
    """
    changes: dict[str, Any] = {}
    for rule in rules:
        key, is_given, text = rule.partition("=")
        *tables, name = (part.strip() for part in key.split("."))
        if not is_given or not name:
            raise ConfigError(
                f"rule {rule!r}: say what changes as key=value, such as "
                "eliminations.drawdown_limit=25; 'ptn-backtest rules show' lists the keys"
            )
        place = changes
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise ConfigError(f"rule {rule!r}: {table} has a value already")
        place[name] = _value(text.strip())
    if not changes:
        return rulebook
    whole = rulebook.to_dict()
    named = f"{rulebook.name} with {', '.join(rules)}"
    return rulebook_from(merged(whole, changes | {"name": named}), f"rules of {rulebook.name}")


def _value(text: str) -> Any:  # noqa: ANN401 - a value of any kind
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def rulebook_from(
    changes: Mapping[str, Any], where: str, folder: Traversable | None = None
) -> Rulebook:
    """A rulebook from what a file says: a whole one, or a base and what changes.

    Args:
        changes: the file's tables; base "none" says that they are whole, no base the default one.
        where: how errors name the file.
        folder: where the CSV tables that it names are; without one it must hold their rows.

    Raises:
        ConfigError: an unknown base or key, or a value of the wrong kind.
    """
    at = Place(where, folder)
    base = changes.get("base", DEFAULT_NAME)
    if base != NO_BASE and base not in SHIPPED:
        raise at.fault(f"base {base!r} is not one of {', '.join(SHIPPED)}, or {NO_BASE!r}")
    start = {} if base == NO_BASE else _shipped(base).to_dict()
    start |= {"name": Path(where).stem, "in_force": f"as {where} says"}
    rules = merged(start, changes)
    rules.pop("base", None)
    return _built(rules, at)


def _built(rules: dict[str, Any], at: Place) -> Rulebook:
    eliminations, scoring = rules.get("eliminations"), rules.get("scoring")
    if isinstance(scoring, Mapping) and isinstance(eliminations, Mapping):
        if "drawdown_limit" in scoring:
            raise (
                at.into("scoring")
                .into("drawdown_limit")
                .fault("no such rule; the one limit is eliminations.drawdown_limit")
            )
        limit = eliminations.get("drawdown_limit", 0)
        rules["scoring"] = {**scoring, "drawdown_limit": limit}
    rulebook: Rulebook = decode(Rulebook, rules, at)
    return rulebook


@cache
def _shipped(name: str) -> Rulebook:
    folder = files("ptn_backtest").joinpath("data/rulebooks")
    text = folder.joinpath(f"{name}.toml").read_text("utf-8")
    return rulebook_from(tomllib.loads(text), name, folder)


DEFAULT_RULEBOOK = _shipped(DEFAULT_NAME)
