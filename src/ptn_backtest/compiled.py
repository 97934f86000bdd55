"""How loops over numbers are compiled."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

_P = ParamSpec("_P")
_R = TypeVar("_R")

_COMPILED_STAGES = ("prices", "positions", "ledger")
"""Folders whose modules hold compiled functions, or constants and row types that go into them."""


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function at its first call; the machine code is cached on disk.

    Strict IEEE arithmetic: the ledger counts changes of the last bit, so nothing may be reordered
    or fused. Compiled code allocates nothing, so that numba's reference counting is switched off:
    with it, every call would count up and down for each array it is handed, which is six times the
    work itself (make bench). The wrapper exists because numba's own decorator has no types.
    """
    return _compile(function, cache=True)


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function into the compiled ones that call it; Python cannot call it.

    A call hands over every array of a tuple with its length and strides, for the kernel more than
    two hundred numbers, which takes longer than what most of its functions do. Without the wrappers
    for Python the kernel compiles in two thirds of the time.
    """
    made: Any = _compile(function, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)

    def refuse(*_: object, **__: object) -> None:
        raise TypeError(f"{function.__name__} is a part of compiled code: call it from there")

    # numba would jump to the wrapper that is not there, and end the process
    made._compile_for_args = refuse  # noqa: SLF001
    made._insert = lambda *_: None  # noqa: SLF001
    return cast("Callable[_P, _R]", made)


def _ask_memory(_context: Any, array: Any, place: Any) -> Any:  # noqa: ANN401 - numba's own types
    """The processor's instruction that fetches an array's row; see numba's `intrinsic`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        rows = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(rows.data, [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        declare: Any = cgutils.get_or_insert_function
        ask = declare(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(ask, [address, flag(0), flag(3), flag(1)])  # to read, to be kept near, data
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch = cast("Callable[[Any, int], None]", intrinsic(_ask_memory))
"""In compiled code: have memory bring the row of an array at a place, which need not be in it.

Nothing waits for it, and nothing depends on it but the time that a later look at the row takes."""


def _compile(function: Callable[_P, _R], **options: bool) -> Callable[_P, _R]:
    config: Any = numba.config  # its attributes are made at run time
    before = config.CACHE_DIR
    config.CACHE_DIR = _cache_folder()
    try:
        jit: Any = numba.njit  # its types do not know the option `_nrt`
        compile_ = jit(error_model="numpy", _nrt=False, **options)
        return cast("Callable[_P, _R]", compile_(function))
    finally:
        config.CACHE_DIR = before


@cache
def _cache_folder() -> str:
    """A folder of its own for every state of the sources.

    Numba only notices a change in a function's own file, and would go on using machine code that
    contains the old version of a function from another file.
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    files = [
        *package.glob("*.py"),
        *(f for s in _COMPILED_STAGES for f in (package / s).glob("*.py")),
    ]
    for file in sorted(files):
        digest.update(file.read_bytes())
    name = f"compiled-{digest.hexdigest()[:12]}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - never fails
    wanted = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "ptn-backtest") / name
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        wanted = Path(tempfile.gettempdir()) / "ptn-backtest" / name
    return str(wanted)
