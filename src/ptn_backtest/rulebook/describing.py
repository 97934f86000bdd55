"""Rulebooks for people: every rule by its dotted key, what it means, where two differ, as a file."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ptn_backtest.rulebook.reading import DEFAULT_NAME
from ptn_backtest.rulebook.rulebook import Rulebook

_ABOUT: Final = ("base", "name", "in_force")
_LINE: Final = re.compile(r"(?P<key>\w+) = (?P<value>.*?)(?:\s+# (?P<note>.*))?")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
# deeper tables are short, and read better in one line
_INLINE_FROM: Final = 3


def flat(rules: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every rule by its dotted key, a table's own before those of the tables in it.

    Tables of slippage are lists of rows.
    """
    for key, value in rules.items():
        if not isinstance(value, Mapping):
            yield f"{prefix}{key}", value
    for key, value in rules.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")


def difference(a: Rulebook, b: Rulebook) -> dict[str, tuple[Any, Any]]:
    """{dotted key: (value in a, value in b)} where they differ; None where there is none.

    A cell of a slippage table is named by its row: `slippage.crypto_table[BTCUSD long 0 10000]`.
    """
    left, right = (_by_cell(rulebook) for rulebook in (a, b))
    found = {key: (left.get(key), right.get(key)) for key in {**left, **right}}
    return {key: pair for key, pair in found.items() if pair[0] != pair[1] and key not in _ABOUT}


@cache
def notes() -> Mapping[str, str]:
    """{dotted key of a rule or table: its meaning and unit}, the comments of the default's file."""
    text = files("ptn_backtest").joinpath(f"data/rulebooks/{DEFAULT_NAME}.toml").read_text("utf-8")
    found: dict[str, str] = {}
    table, above = "", list[str]()
    for line in text.splitlines():
        if line.startswith("# "):
            above.append(line[2:])
            continue
        if line.startswith("["):
            table = line.strip("[]")
            found[table] = "\n".join(above)
        elif rule := _LINE.fullmatch(line):
            own = [rule["note"]] if rule["note"] else []
            found[f"{table}.{rule['key']}".lstrip(".")] = "\n".join([*above, *own])
        above.clear()
    return {key: note for key, note in found.items() if note}


def to_text(rulebook: Rulebook) -> Iterator[str]:
    """The lines in which people read a rulebook: grouped, with units; tables in short."""
    group = ""
    for key, value in flat(rulebook.to_dict()):
        if key == "base":
            continue
        table = key.rpartition(".")[0]
        if table.partition(".")[0] != group.partition(".")[0]:
            yield ""
        if table != group and table in notes():
            yield from (f"# {line}" for line in notes()[table].splitlines())
        group = table
        shown = f"{key} = {_in_short(value)}"
        note = notes().get(key, "").splitlines()
        yield f"{shown:<44}  # {note[-1]}" if note else shown


def to_toml(rulebook: Rulebook) -> str:
    """The rulebook whole, as a file that can be edited and loaded."""
    return "\n".join(_toml(rulebook.to_dict(), ())).lstrip("\n") + "\n"


def _by_cell(rulebook: Rulebook) -> dict[str, Any]:
    cells = {}
    for key, value in flat(rulebook.to_dict()):
        if not _is_table(value):
            cells[key] = value
            continue
        columns, *rows = value
        named = columns.index("usd_to") + 1
        for row in rows:
            name = " ".join(
                f"{cell:g}" if isinstance(cell, float) else cell for cell in row[:named]
            )
            for column, cell in zip(columns[named:], row[named:], strict=True):
                cells[f"{key}[{name}].{column}"] = cell
    return cells


def _is_table(value: Any) -> bool:  # noqa: ANN401 - any rule
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _in_short(value: Any) -> str:  # noqa: ANN401 - any rule
    if not _is_table(value):
        return json.dumps(value)
    pairs = dict.fromkeys(row[0] for row in value[1:])
    return f"{len(value) - 1} rows: {', '.join(pairs)}"


def _toml(rules: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {} if len(path) >= _INLINE_FROM else _tables(rules)
    own = {key: value for key, value in rules.items() if key not in tables}
    if path and own:
        yield from ("", *_comments(path), f"[{'.'.join(map(_toml_key, path))}]")
    for key, value in own.items():
        yield from _comments((*path, key) if path else ())
        yield f"{_toml_key(key)} = {_toml_value(value)}"
    for key, table in tables.items():
        yield from _toml(table, (*path, key))


def _tables(rules: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {key: value for key, value in rules.items() if isinstance(value, Mapping)}


def _comments(path: tuple[str, ...]) -> Iterator[str]:
    yield from (f"# {line}" for line in notes().get(".".join(path), "").splitlines())


def _toml_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _toml_value(key)


def _toml_value(value: Any) -> str:  # noqa: ANN401 - any rule
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml_key(k)} = {_toml_value(v)}' for k, v in value.items())} }}"
    if _is_table(value):
        return "\n".join(["[", *(f"  {_toml_value(row)}," for row in value), "]"])
    # JSON's texts, numbers, booleans and lists are TOML's, too, but for one character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
