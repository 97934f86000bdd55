"""Comparing two JSON values, number by number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, TypeGuard

RTOL = 1e-9
ATOL = 1e-12
"""What counts as equal: relative, and absolute near 0."""

ABSENT = object()
"""In place of a value that one side does not have."""

_MISSING = "(missing)"
_PRESENT = "(present)"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values that are not identical.

    Attributes:
        path: where, such as "ledgers/5F.../portfolio/cps/11/gain".
        found: what the replay gave.
        expected: what it should have given.
        relative: |difference| / the larger magnitude, but at least / (atol / rtol), so that noise
            around 0 stays small; infinite where the two are not both numbers.
        beyond: whether it is too large.
    """

    path: str
    found: Any
    expected: Any
    relative: float
    beyond: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.found!r} vs {self.expected!r}"


@dataclass(slots=True)
class Comparison:
    """What a comparison of two JSON values found.

    Attributes:
        rtol: tolerance of floats, relative.
        atol: tolerance of floats near 0, absolute.
        n_values: numbers, texts, flags and nulls that were compared.
        largest: the largest difference, of those beyond the tolerance if there are any.
        differences: those beyond the tolerance, in the order of the expected values.
    """

    rtol: float = RTOL
    atol: float = ATOL
    n_values: int = 0
    largest: Difference | None = None
    differences: list[Difference] = field(default_factory=list)

    def compare(self, path: str, found: object, expected: object) -> None:
        """Compare one value with what is expected, and everything in it.

        Floats may differ by the tolerance. Integers, texts and structure may not: a key or an
        element that only one side has is a difference. `ABSENT` stands for a side without a value.
        """
        if expected is ABSENT:
            self._note(Difference(path, _shown(found), _MISSING, math.inf, beyond=True))
        elif found is ABSENT:
            self._note(Difference(path, _MISSING, _shown(expected), math.inf, beyond=True))
        elif isinstance(expected, Mapping) and isinstance(found, Mapping):
            for key in dict.fromkeys((*expected, *found)):
                self.compare(f"{path}/{key}", found.get(key, ABSENT), expected.get(key, ABSENT))
        elif _is_list(expected) and _is_list(found):
            pairs = zip_longest(found, expected, fillvalue=ABSENT)
            for i, (mine, theirs) in enumerate(pairs):
                self.compare(f"{path}/{i}", mine, theirs)
        else:
            self.n_values += 1
            self._compare_leaf(path, found, expected)

    def _compare_leaf(self, path: str, found: object, expected: object) -> None:
        if not (_is_number(found) and _is_number(expected)):
            if type(found) is not type(expected) or found != expected:
                shown, wanted = _shown(found), _shown(expected)
                self._note(Difference(path, shown, wanted, math.inf, beyond=True))
            return
        if found == expected:
            return
        gap, magnitude = abs(found - expected), max(abs(found), abs(expected))
        floats = isinstance(found, float) and isinstance(expected, float)
        beyond = not floats or gap > max(self.rtol * magnitude, self.atol)
        scale = max(magnitude, self.atol / self.rtol if self.rtol else 0.0)
        self._note(Difference(path, found, expected, gap / scale, beyond))

    def _note(self, difference: Difference) -> None:
        if difference.beyond:
            self.differences.append(difference)
        if self.largest is None or _size(difference) > _size(self.largest):
            self.largest = difference


def _size(difference: Difference) -> tuple[bool, float]:
    return difference.beyond, difference.relative


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> object:
    return _PRESENT if isinstance(value, Mapping) or _is_list(value) else value
