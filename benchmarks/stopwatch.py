"""Seconds by phase of a program that knows nothing of being measured.

A phase is a function, named by its module (or class) and attribute. While the stopwatch runs, it
stands in the function's place, so that the program under test is the one that users run.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isgeneratorfunction
from typing import Any, TypeAlias
from unittest.mock import patch

Path: TypeAlias = tuple[str, ...]
"""Phases that were under way, the outermost first."""


class Stopwatch:
    """Times phases; the time of a phase inside another one is not the outer one's.

    Attributes:
        seconds: {path of phases: seconds that passed in the last of them}.
        cpu_seconds: likewise, seconds that this process was at work in all of its threads. On a
            machine that others use too, they are steadier.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[Path, float] = defaultdict(float)
        self.cpu_seconds: defaultdict[Path, float] = defaultdict(float)
        self._path: Path = ()
        self._since = (0.0, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what the block takes as this phase."""
        outer = self._path
        self._turn((*outer, name))
        try:
            yield
        finally:
            self._turn(outer)

    @contextmanager
    def watching(self, places: dict[str, str]) -> Iterator[None]:
        """Time functions while the block runs.

        Args:
            places: {"package.module:function" or "package.module:Class.method": phase}. A generator
                counts each of its steps; what its user does in between is the user's.

        Raises:
            AttributeError: there is no such function (any more).
        """
        patches = []
        for place, name in places.items():
            module, _, attribute = place.partition(":")
            *owners, last = attribute.split(".")
            owner: Any = functools.reduce(getattr, owners, import_module(module))
            patches.append(patch.object(owner, last, self._timed(getattr(owner, last), name)))
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()

    def _turn(self, path: Path) -> None:
        now = (time.perf_counter(), time.process_time())
        if self._path:
            self.seconds[self._path] += now[0] - self._since[0]
            self.cpu_seconds[self._path] += now[1] - self._since[1]
        self._path, self._since = path, now

    def _timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it is
            with self.phase(name):
                return function(*args, **options)

        def steps(*args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401
            iterator = function(*args, **options)
            while True:
                with self.phase(name):
                    try:
                        step = next(iterator)
                    except StopIteration:
                        return
                yield step

        return functools.wraps(function)(steps if isgeneratorfunction(function) else call)
