"""How loops over numbers are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function at its first call; the machine code is cached on disk.

    Strict IEEE arithmetic: the ledger counts changes of the last bit, so nothing may be reordered
    or fused. The wrapper exists because numba's own decorator has no types.
    """
    return cast("Callable[_P, _R]", numba.njit(cache=True, error_model="numpy")(function))
