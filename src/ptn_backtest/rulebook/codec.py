"""Rules as nested frozen dataclasses, and as the plain tables of a TOML or JSON file.

A class's fields are its keys, and their annotations (see `kinds`) say what a value may be. Nothing
is guessed: an unknown key, a missing one or a value out of range is an error that names its place.
A field with a default of its own may be left out, and is left out when it has it.
"""

import csv
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources.abc import Traversable
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from ptn_backtest.clock import NEVER_MS, format_time, parse_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.rulebook.kinds import IsTime, IsWhole, OneOf, Table, Within

_MARKED_TIMES: Final = {"always": -NEVER_MS, "never": NEVER_MS}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: file, keys, and the folder in which named tables are looked for."""

    where: str
    folder: Traversable | None = None
    path: tuple[str, ...] = ()

    def into(self, key: str) -> "Place":
        """The place of a key in the table here."""
        return replace(self, path=(*self.path, key))

    def fault(self, message: str) -> ConfigError:
        """An error that names this place."""
        key = ".".join(self.path)
        return ConfigError(f"{self.where}: {key}: {message}" if key else f"{self.where}: {message}")

    def unknown(self, key: str, what: str, known: Iterable[str]) -> ConfigError:
        """An error that names a key or name that there is not, and the nearest there is."""
        names = list(known)
        near = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        return self.fault(f"no such {what}; {hint}")


def encode(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a value of any kind
    """A rule's value as a file says it: tables, lists, texts, numbers, booleans."""
    kind, mark = _unmarked(kind)
    if isinstance(mark, IsTime):
        return time_text(value)
    if is_dataclass(value):
        keyed = _keys(kind).items()
        told = ((key, f, k, getattr(value, f.name)) for key, (f, k) in keyed)
        return {key: encode(k, found) for key, f, k, found in told if found != f.default}
    if isinstance(value, Mapping):
        of = get_args(kind)[1]
        return {str(key): encode(of, found) for key, found in value.items()}
    if isinstance(value, tuple):
        of = get_args(kind)[0]
        if not is_dataclass(of):
            return [encode(of, found) for found in value]
        names = [f.name for f in fields(of)]
        return [names, *([getattr(row, name) for name in names] for row in value)]
    return str(value) if isinstance(value, StrEnum) else value


def decode(kind: Any, value: Any, at: Place) -> Any:  # noqa: ANN401, PLR0911 - one line a kind
    """A rule's value from what a file says.

    Raises:
        ConfigError: the value is not of this kind; the message names file and key.
    """
    kind, mark = _unmarked(kind)
    origin = get_origin(kind)
    if isinstance(mark, IsTime):
        return _time(value, at)
    if is_dataclass(kind):
        return _rules(kind, value, at)
    if origin in {Union, UnionType}:
        return _either(get_args(kind), value, at)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _table(get_args(kind), value, at, whole=isinstance(mark, IsWhole))
    if origin is tuple:
        of = get_args(kind)[0]
        return _rows(of, value, at) if is_dataclass(of) else _list(of, value, at)
    if kind is bool:
        if not isinstance(value, bool):
            raise at.fault(f"{value!r} is not true or false")
        return value
    if kind in {int, float}:
        return _number(kind, value, mark or Within(), at)
    return _text(kind, value, mark, at)


def time_text(ms: int) -> str:
    """A time as a file says it: "2025-01-31T12:00:00Z", "always" or "never"."""
    marked = {found: name for name, found in _MARKED_TIMES.items()}
    return marked.get(ms) or format_time(ms).removesuffix(" UTC").replace(" ", "T") + "Z"


def _unmarked(kind: Any) -> tuple[Any, Any]:  # noqa: ANN401
    if get_origin(kind) is not Annotated:
        return kind, None
    base, mark, *_ = get_args(kind)
    return base, mark


@cache
def _keys(rules: Any) -> Mapping[str, tuple[Field[Any], Any]]:  # noqa: ANN401 - a dataclass
    """A class's fields by their keys in a file, with their kinds."""
    hints = get_type_hints(rules, include_extras=True)
    keyed = {}
    for f in fields(rules):
        kind = hints[f.name]
        mark = _unmarked(kind)[1]
        name = f.name
        if isinstance(mark, IsTime):
            name = mark.key or name.removesuffix("_ms")
        keyed[f.metadata.get("key", name)] = (f, kind)
    return keyed


def _rules(kind: Any, value: Any, at: Place) -> Any:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise at.fault(f"a table of rules is wanted, not {value!r}")
    keyed = _keys(kind)
    for key in value:
        if key not in keyed:
            raise at.into(key).unknown(key, "rule", keyed)
    given = {}
    for key, (f, of) in keyed.items():
        if key in value:
            given[f.name] = decode(of, value[key], at.into(key))
        elif f.default is MISSING:
            raise at.into(key).fault("is missing")
    rules = kind(**given)
    for key, message in rules.faults() if hasattr(rules, "faults") else ():
        raise at.into(key).fault(message)
    return rules


def _either(kinds: tuple[Any, ...], value: Any, at: Place) -> Any:  # noqa: ANN401
    """A value that may also be one of a few words (`float | Literal["own"]`), or absent."""
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if isinstance(value, str) and words:
        if value not in words:
            raise at.fault(f"{value!r} is neither a number nor {' or '.join(map(repr, words))}")
        return value
    (of,) = (kind for kind in kinds if get_origin(kind) is not Literal and kind is not NoneType)
    return decode(of, value, at)


def _table(kinds: tuple[Any, ...], value: Any, at: Place, *, whole: bool) -> Table[Any, Any]:  # noqa: ANN401
    of_key, of = kinds
    if not isinstance(value, Mapping):
        raise at.fault(f"a table is wanted, not {value!r}")
    if whole:
        for name in _names(*_unmarked(of_key)) or ():
            if name not in value:
                raise at.into(name).fault("is missing")
    return Table(
        (decode(of_key, key, at.into(key)), decode(of, found, at.into(key)))
        for key, found in value.items()
    )


def _list(of: Any, value: Any, at: Place) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, list | tuple):
        raise at.fault(f"a list is wanted, not {value!r}")
    return tuple(decode(of, found, at) for found in value)


def _rows(of: Any, value: Any, at: Place) -> tuple[Any, ...]:  # noqa: ANN401
    """Rows of a class, from the name of a CSV file or from lists, the column names first."""
    if isinstance(value, str):
        value, at = _csv(value, at), replace(at, where=f"{at.where} ({value})")
    keyed = _keys(of)
    if not isinstance(value, list) or not value or value[0] != list(keyed):
        raise at.fault(f"a CSV file or rows are wanted, the first with the columns {list(keyed)}")
    rows = []
    for number, cells in enumerate(value[1:], start=2):
        place = at.into(f"row {number}")
        if not isinstance(cells, list) or len(cells) != len(keyed):
            raise place.fault(f"{len(keyed)} cells are wanted, not {cells!r}")
        rows.append(_rules(of, dict(zip(keyed, cells, strict=True)), place))
    return tuple(rows)


def _csv(name: str, at: Place) -> list[list[Any]]:
    if at.folder is None:
        raise at.fault(f"rows are wanted here, not the name of a file ({name!r})")
    try:
        text = at.folder.joinpath(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise at.fault(f"cannot read the table {name!r}: {error}") from None
    return [[_cell(cell) for cell in line] for line in csv.reader(text.splitlines()) if line]


def _cell(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _time(value: Any, at: Place) -> int:  # noqa: ANN401
    if isinstance(value, str) and value in _MARKED_TIMES:
        return _MARKED_TIMES[value]
    try:
        ms = parse_time(value)
        format_time(ms)
        if ms < 0:
            raise ValueError("before 1970")  # noqa: TRY301 - told like the others
    except (ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise at.fault(
            f"{value!r} is not a time: give an ISO date (2025-01-01, 2025-01-01T12:00:00Z), "
            "milliseconds, 'always' or 'never'"
        ) from error
    return ms


def _number(kind: type, value: Any, within: Within, at: Place) -> Any:  # noqa: ANN401
    whole = "whole number" if kind is int else "number"
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not within.holds(value)
        or (kind is int and value != math.floor(value))
    ):
        raise at.fault(f"{value!r} is not a {whole}{within}")
    return kind(value)


def _text(kind: Any, value: Any, mark: Any, at: Place) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise at.fault(f"{value!r} is not a text")
    names = _names(kind, mark)
    if names is not None and value not in names:
        what = mark.what if isinstance(mark, OneOf) else "asset class"
        raise at.unknown(value, f"{what} as {value!r}", names)
    return str(value) if kind is str else kind(value)


def _names(kind: Any, mark: Any) -> list[str] | None:  # noqa: ANN401
    if isinstance(mark, OneOf):
        return list(mark.names())
    return [str(name) for name in kind] if kind is not str else None


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes in their places; "none" takes an entry out."""
    result = dict(base)
    for key, value in changes.items():
        if value == "none":
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
