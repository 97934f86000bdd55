"""Processes that run a function on parts of numbered units, and what happens when one dies."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.execution.arena import Arena, Place, new_arena_file
from ptn_backtest.errors import ExecutionError

log = logging.getLogger(__name__)

WORKER_MODULE = "ptn_backtest.backtest.execution.worker"
PartFunction: TypeAlias = Callable[[Any, Callable[..., NDArray[Any]]], Any]
"""What units are worked on with: a part of them, and how to make arrays of zeros."""


class Units(Protocol):
    """What work is made of, by numbers; every worker reads it as a whole, once."""

    def part(self, numbers: Sequence[int]) -> Any:  # noqa: ANN401 - what the function takes
        """Those of these numbers."""
        ...


TRIES = 2
"""A unit whose worker died is given to another one; after this many deaths the work stops."""

_AHEAD = 2
"""Batches that a worker has in hand: the next one waits there, so that it never waits for us."""

_MOST_ARENAS = 200
"""Arenas beside those of a task that a worker can read; systems limit descriptors per message to 253."""

_LAST_WORDS_S = 5.0
"""How long a worker that left its line may take to end."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told before batches; then come the descriptors of its arenas.

    They are: the function's, the units', an empty one for the worker's results, and others in which
    arrays of the units lie.

    Attributes:
        function: where the function lies.
        function_number: a worker that knows this one need not read it again.
        units: where the units lie.
        n_arenas: how many there are.
    """

    function: Place
    function_number: int
    units: Place
    n_arenas: int


@dataclass(frozen=True, slots=True)
class Rest:
    """What a worker is told after a task: it gives back what it had of it while nobody waits."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker is given: numbers of units."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a batch.

    Attributes:
        numbers: of its units.
        result: where the result lies in the worker's arena; None after a fault.
        fault: an exception that the function let through.
    """

    numbers: tuple[int, ...]
    result: Place | None
    fault: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Shared:
    """The function of a task, in an arena."""

    function: PartFunction
    number: int
    arena: Arena
    place: Place


@dataclass(frozen=True, slots=True)
class SharedRoom:
    """Makes arrays in an arena; a `contract.Room`."""

    arena: Arena

    def __call__(self, count: int, kind: type[np.generic]) -> NDArray[Any]:
        """An array of zeros."""
        return self.arena.zeros(count, kind)

    def close(self) -> None:
        """Let the memory go with the last array in it."""
        self.arena.close()

    @property
    def is_open(self) -> bool:
        """Whether units of the next map may have its arrays."""
        return self.arena.descriptor >= 0


@dataclass(slots=True)
class _Worker:
    """A worker as we know it.

    Attributes:
        process: the process.
        line: its messages, and ours.
        channel: the socket under the line, for descriptors.
        task: what it was last told.
        results: arena that it writes to in this task.
        in_hand: batches that it has not answered, the one under way first.
    """

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    line: "Connection[Any, Any]"
    task: Task | None = None
    results: Arena | None = None
    in_hand: deque[tuple[int, ...]] = field(default_factory=deque)


class WorkerPool:
    """Workers of their own programs, which start at once and end with the pool.

    They are no children by fork, for this process may have threads, and do not import the user's
    main module. They belong to no terminal, so that Ctrl-C reaches only us; a worker whose pool is
    gone, however that happened, reads the end of its line and ends.
    """

    def __init__(self, n_workers: int) -> None:
        """Start them; they import what they need while we go on."""
        self._n_workers = n_workers
        self._workers = [_start() for _ in range(n_workers)]
        self._shared: _Shared | None = None
        self._rooms: list[SharedRoom] = []
        self._earlier: list[Arena] = []

    def process_ids(self) -> list[int]:
        """Of the workers."""
        return [worker.process.pid for worker in self._workers]

    def room(self) -> SharedRoom:
        """Makes arrays for units of further maps, in shared memory from the beginning; to be closed."""
        self._rooms.append(SharedRoom(Arena(new_arena_file())))
        return self._rooms[-1]

    def map(
        self,
        function: PartFunction,
        units: Units,
        batches: Sequence[Sequence[int]],
        name_of: Callable[[int], str],
    ) -> Iterator[tuple[Sequence[int], Any]]:
        """(numbers of units, result) as they are done.

        Args:
            function: importable, and pure: units may be tried twice, in other batches. It is called
                with a part of the units and with `Arena.zeros`: arrays that are made so are not
                copied when they are given back. The last one is kept in shared memory, so that
                handing in the same object again costs nothing.
            units: what it is called with parts of. Arrays in an open room, and those that the map
                before this one gave, are not copied.
            batches: the units' numbers, in the order in which they are begun; a worker is given
                a batch at a time.
            name_of: a unit by its name, for messages.

        Raises:
            ExecutionError: a unit's worker died `TRIES` times.
        """
        if not batches:
            return
        self._workers += [_start() for _ in range(self._n_workers - len(self._workers))]
        shared = self._share(function)
        self._rooms = [room for room in self._rooms if room.is_open]
        others = [*(room.arena for room in self._rooms), *self._earlier][:_MOST_ARENAS]
        given = Arena(new_arena_file())
        place = given.put(units, others)
        task = Task(shared.place, shared.number, place, 3 + len(others))
        waiting = deque(tuple(batch) for batch in batches)
        try:
            yield from _Mapping(
                self._workers, task, (shared.arena, given, others), waiting, name_of
            ).answers()
        finally:
            given.close()
            self._end_task()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()
        self._forget_earlier()
        for room in self._rooms:
            room.close()
        self._rooms.clear()
        if self._shared is not None:
            self._shared.arena.close()
        self._shared = None

    def _share(self, function: PartFunction) -> _Shared:
        before = self._shared
        if before is not None and before.function is function:
            return before
        if before is not None:
            before.arena.close()
        arena = Arena(new_arena_file())
        number = before.number + 1 if before else 1
        self._shared = _Shared(function, number, arena, arena.put(function))
        return self._shared

    def _end_task(self) -> None:
        """Keep the results for the next task; who still works, because it was left, is ended."""
        self._forget_earlier()
        for worker in list(self._workers):
            if worker.results is not None:
                self._earlier.append(worker.results)
                worker.results = None
            _forget_task(worker)
            if worker.in_hand:
                _end(worker)
                self._workers.remove(worker)
                continue
            with contextlib.suppress(OSError):  # a dead one is noticed in the next task
                worker.line.send(Rest())

    def _forget_earlier(self) -> None:
        for arena in self._earlier:
            arena.close()
        self._earlier.clear()


@dataclass(slots=True)
class _Mapping:
    """One map: who works on what.

    Attributes:
        workers: who works; one that dies is replaced in the list.
        task: what they are told.
        arenas: of the function, of the units, and others in which arrays of the units lie.
        waiting: batches that nobody has in hand.
        name_of: a unit by its name.
        deaths: {number: how many workers died at this unit}.
        n_units: all of them.
        n_missing: those without a result.
        early_deaths: workers that died before they had a unit.
    """

    workers: list[_Worker]
    task: Task
    arenas: tuple[Arena, Arena, Sequence[Arena]]
    waiting: deque[tuple[int, ...]]
    name_of: Callable[[int], str]
    deaths: dict[int, int] = field(default_factory=dict)
    n_units: int = 0
    n_missing: int = 0
    early_deaths: int = 0

    def answers(self) -> Iterator[tuple[Sequence[int], Any]]:
        """Hand out units and take results until all are done."""
        self.n_units = self.n_missing = sum(map(len, self.waiting))
        for worker in self.workers:
            self._hand_out(worker)
        while self.n_missing:
            lines = {id(worker.line): worker for worker in self.workers}
            for line in wait([worker.line for worker in self.workers]):
                worker = lines[id(line)]
                answer = _heard(worker)
                if answer is None:
                    self._replace(worker)
                else:
                    yield answer.numbers, self._take(worker, answer)

    def _take(self, worker: _Worker, answer: Answer) -> Any:  # noqa: ANN401 - what was computed
        worker.in_hand.remove(answer.numbers)
        if answer.fault is not None:
            raise answer.fault
        if worker.results is None or answer.result is None:
            raise ExecutionError(
                f"no result of {self.name_of(answer.numbers[0])}; please report it"
            )
        self._hand_out(worker)
        self.n_missing -= len(answer.numbers)
        return worker.results.get(answer.result)

    def _hand_out(self, worker: _Worker) -> None:
        """Give the worker what it may have in hand."""
        # one that is dead cannot be told: that is noticed when we listen to it
        with contextlib.suppress(OSError):
            if worker.task is not self.task:
                _tell(worker, self.task, self.arenas)
            while self.waiting and len(worker.in_hand) < _AHEAD:
                numbers = self.waiting.popleft()
                worker.in_hand.append(numbers)
                worker.line.send(Batch(numbers))

    def _replace(self, dead: _Worker) -> None:
        """A new worker for one that died, with the unit that it was at to be tried again."""
        how = _bury(dead)
        lost, *others = dead.in_hand or [()]
        self.waiting.extendleft(reversed(others))
        # one by one, so that the next death tells which one it is
        self.waiting.extendleft((number,) for number in reversed(lost))
        for number in lost:
            self.deaths[number] = self.deaths.get(number, 0) + 1
        if lost:
            deaths = self.deaths[lost[0]] if len(lost) == 1 else 1
            what = self.name_of(lost[0]) + (f" or {len(lost) - 1} more" if lost[1:] else "")
        else:
            self.early_deaths += 1
            deaths, what = self.early_deaths, "before the first trader"
        if deaths >= TRIES:
            n_done = self.n_units - self.n_missing
            raise ExecutionError(
                f"{what}: {deaths} worker processes died one after the other (the last {how}). "
                f"{n_done} of {self.n_units} traders are done. If the machine ran out of "
                "memory, free some, or use fewer processors (taskset -c 0 ...); else leave this "
                "trader out, or see where it stops with parallel_mode = SERIAL"
            )
        log.warning("%s: the worker process %s; trying again", what, how)
        fresh = _start()
        self.workers[self.workers.index(dead)] = fresh
        self._hand_out(fresh)


def _start() -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", WORKER_MODULE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    return _Worker(process, ours, Connection(os.dup(ours.fileno())))


def _tell(worker: _Worker, task: Task, arenas: tuple[Arena, Arena, Sequence[Arena]]) -> None:
    """Send a task, its arenas, and an empty one for the worker's results."""
    _forget_task(worker)
    worker.task, worker.results = task, Arena(new_arena_file())
    worker.line.send(task)
    functions, given, others = arenas
    descriptors = [each.descriptor for each in (functions, given, worker.results, *others)]
    socket.send_fds(worker.channel, [b"a"], descriptors)


def _heard(worker: _Worker) -> Answer | None:
    """The worker's next answer; None if it died."""
    try:
        answer = worker.line.recv()
    except (OSError, EOFError):
        return None
    return answer if isinstance(answer, Answer) else None


def _forget_task(worker: _Worker) -> None:
    worker.task = None
    if worker.results is not None:
        worker.results.close()
        worker.results = None


def _bury(dead: _Worker) -> str:
    """Clean up after a worker that left its line; how it ended, in words."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        dead.process.wait(timeout=_LAST_WORDS_S)
    _end(dead)
    code = dead.process.returncode
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _end(worker: _Worker) -> None:
    """End a worker at once; it holds nothing that would have to be saved."""
    worker.line.close()
    worker.channel.close()
    _forget_task(worker)
    worker.process.kill()
    worker.process.wait()
