"""What a rule's value may be: the words in which the rule classes say it, for `codec` to hold to.

A plain `float` or `int` is 0 or more; the names below say what else a number may or must be.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar

from ptn_backtest.trade_pairs import TradePair, TradePairCategory

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Within:
    """A number from `low` (itself left out if `above`) to `high`."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False

    def holds(self, number: float) -> bool:
        """Whether the number is finite and within."""
        lower = number > self.low if self.above else number >= self.low
        return math.isfinite(number) and lower and number <= self.high

    def __str__(self) -> str:
        if self.above:
            return f" above {self.low:g}"
        if math.isfinite(self.high):
            return f" from {self.low:g} to {self.high:g}"
        return f" of {self.low:g} or more" if math.isfinite(self.low) else ""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text that is one of a few names; a function, where they are read from a file."""

    what: str
    names: Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class IsTime:
    """Milliseconds; in a file an ISO date, "always" or "never", its key without `_ms`, or `key`."""

    key: str = ""


class IsWhole:
    """A table in which every one of the names must be given."""


def _classes() -> list[str]:
    return [category.value for category in TradePairCategory]


def _pairs() -> list[str]:
    return [pair.trade_pair_id for pair in TradePair.all()]


Fraction = Annotated[float, Within(0, 1)]
Percent = Annotated[float, Within(0, 100)]
Positive = Annotated[float, Within(above=True)]
Signed = Annotated[float, Within(-math.inf)]
Count = Annotated[int, Within(1)]
HourOfDay = Annotated[int, Within(0, 23)]
Time = Annotated[int, IsTime()]
Whole = Annotated[T, IsWhole()]
PairId = Annotated[str, OneOf("trade pair", _pairs)]
ClassOrPair = Annotated[str, OneOf("asset class or trade pair", lambda: [*_classes(), *_pairs()])]


class Table(Mapping[K, V], Generic[K, V]):
    """A mapping that cannot be changed, so that rules stay values that can be hashed."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._entries = dict(entries)

    def __getitem__(self, key: K) -> V:
        return self._entries[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        return hash(frozenset(self._entries.items()))

    def __repr__(self) -> str:
        return f"Table({self._entries!r})"


class Shipped:
    """Defaults of a rule class: what the default rulebook's file says, so that it alone says it.

    `Shipped("challenge").challenge_days` is a field whose default is that rule's value.
    """

    def __init__(self, section: str) -> None:
        self._section = section

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the field's type
        return field(default_factory=lambda: _default(f"{self._section}.{name}"))


def _default(name: str) -> object:
    # a file is read by the classes whose defaults it holds: the import waits until one is asked for
    from ptn_backtest.rulebook.reading import DEFAULT_RULEBOOK  # noqa: PLC0415

    return attrgetter(name)(DEFAULT_RULEBOOK)
