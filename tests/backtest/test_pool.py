"""The pool of worker processes, with real processes that really die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptn_backtest.backtest.execution.arena import Arena, new_arena_file
from ptn_backtest.backtest.execution.pool import PartFunction, Units, WorkerPool
from ptn_backtest.errors import ExecutionError
from tests.backtest import worker_functions as functions


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2)
    yield pool
    pool.close()


def mapped(pool: WorkerPool, function: Any, units: Sequence[Any]) -> dict[int, Any]:
    return dict(each(pool, function, units, singly(len(units))))


def each(
    pool: WorkerPool, function: Any, units: Sequence[Any], batches: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Any]]:
    """(number, result) of every unit."""
    return by_unit(pool, functions.Each(function), functions.Listed(units), batches)


def by_unit(
    pool: WorkerPool, function: PartFunction, units: Units, batches: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Any]]:
    """(number, result) of every unit, of a function that takes parts by itself."""
    for numbers, results in pool.map(function, units, batches, "trader {}".format):
        yield from zip(numbers, results, strict=True)


def singly(n_units: int) -> list[list[int]]:
    return [[i] for i in range(n_units)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def noted_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that are written to arenas from now on, one number a time."""
    written: list[int] = []
    append = Arena._append

    def noted(arena: Arena, data: memoryview) -> tuple[int, int]:
        written.append(data.nbytes)
        return append(arena, data)

    monkeypatch.setattr(Arena, "_append", noted)
    return written


def test_every_unit_has_its_result_whoever_did_it(pool):
    assert mapped(pool, functions.double, list(range(50))) == {i: 2 * i for i in range(50)}
    pids = set(mapped(pool, functions.process_id, [1] * 20).values())
    assert pids == set(pool.process_ids())
    assert os.getpid() not in pids
    assert mapped(pool, functions.double, []) == {}


def test_arrays_cross_the_border_unchanged_and_writable(pool):
    array = np.arange(100_000, dtype=np.float64)
    assert mapped(pool, functions.summed, [{"array": array}]) == {0: float(array.sum())}
    arena = Arena(new_arena_file())
    places = [arena.put({"array": array[i:], "text": str(i), "empty": array[:0]}) for i in range(9)]
    read = [arena.get(place) for place in places]
    arena.close()  # what was read stays
    for i, one in enumerate(read):
        assert one["text"] == str(i)
        assert len(one["empty"]) == 0
        assert np.array_equal(one["array"], array[i:])
        assert one["array"].flags.writeable  # compiled code tells the difference


def test_arrays_of_one_map_are_not_copied_for_the_next(pool, monkeypatch):
    arrays = [np.arange(100_000, dtype=np.float64) + i for i in range(4)]
    first = mapped(pool, functions.one_more, arrays)
    written = noted_writes(monkeypatch)
    second = mapped(pool, functions.one_more, [first[i] for i in range(4)])
    assert 0 < sum(written) < 10_000  # names and places only
    # those of the map before last are no longer there to be read: they are copied
    third = mapped(pool, functions.one_more, [first[i][10:] for i in range(4)])
    assert sum(written) > 4 * 700_000
    for i, array in enumerate(arrays):
        assert np.array_equal(first[i], array + 1)
        assert np.array_equal(second[i], array + 2)
        assert np.array_equal(third[i], array[10:] + 2)


def test_arrays_in_shared_memory_are_not_written_again(pool, monkeypatch):
    plus, rooms = functions.Plus(np.ones(90_000)), []

    def made(number: float) -> NDArray[np.float64]:
        rooms.append(pool.room())
        array: NDArray[np.float64] = rooms[-1](100_000, np.float64)
        array[:] = np.arange(100_000) + number
        return array[:90_000]

    def sums(array: NDArray[np.float64], numbers: list[float]) -> None:
        units = functions.Shifted(array, numbers)
        done = dict(by_unit(pool, plus, units, singly(len(numbers))))
        assert all(np.array_equal(done[i], array + u + 1) for i, u in enumerate(numbers))

    one = made(0)
    written = noted_writes(monkeypatch)
    sums(one, [1, 2])
    assert 720_000 < sum(written) < 730_000  # the function, once
    sums(one, [3])
    assert sum(written) < 730_000
    sums(made(5), [1])
    assert sum(written) < 730_000
    rooms[0].close()
    sums(one, [2])  # it is still there, but has to be copied
    assert sum(written) > 1_440_000
    pool.close()
    assert not any(room.is_open for room in rooms)


@pytest.mark.parametrize("size", [1, 6])
def test_a_worker_that_dies_is_replaced_and_its_units_done(pool, tmp_path, size):
    before = set(pool.process_ids())
    batches = [list(range(i, min(i + size, 20))) for i in range(0, 20, size)]
    answers = each(pool, functions.die_once, [(i, tmp_path) for i in range(20)], batches)
    assert sorted(answers) == [(i, i) for i in range(20)]
    assert (tmp_path / "died").exists()
    assert len(before & set(pool.process_ids())) == 1


def test_a_worker_killed_from_outside_is_noticed_at_once(pool):
    answers = each(pool, functions.slow, range(6), singly(6))
    first = next(answers)
    os.kill(pool.process_ids()[0], signal.SIGKILL)
    begun = time.monotonic()
    assert sorted([first, *answers]) == [(i, i) for i in range(6)]
    assert time.monotonic() - begun < 60  # nobody waits for a dead process


@pytest.mark.parametrize("batches", [singly(9), [[0, 1, 2, 3, 4], [5, 6], [7, 8]]])
def test_a_unit_that_always_kills_its_worker_ends_the_work_with_its_name(pool, batches):
    done: dict[int, int] = {}
    answers = each(pool, functions.die_always, range(9), batches)
    with pytest.raises(ExecutionError) as error:
        done.update(answers)
    message = str(error.value)
    assert "trader 3:" in message
    assert "SIGKILL" in message
    assert f"{len(done)} of 9 traders are done" in message
    assert "memory" in message
    assert done == {i: i for i in done}
    assert 3 not in done
    # the pool can be used again
    assert mapped(pool, functions.double, [1, 2]) == {0: 2, 1: 4}


def test_the_exit_code_of_a_worker_that_left_is_told(pool):
    with pytest.raises(ExecutionError, match="exit code 7"):
        mapped(pool, functions.leave, [1])


def test_a_fault_is_raised_here_with_its_trace(pool):
    with pytest.raises(ZeroDivisionError) as error:
        mapped(pool, functions.faulty, [1, 0])
    assert "worker_functions.py" in error.value.__notes__[0]


def test_a_map_that_is_left_half_done_does_not_disturb_the_next(pool):
    for _ in each(pool, functions.slow, range(8), singly(8)):
        break
    assert mapped(pool, functions.double, [5, 6]) == {0: 10, 1: 12}


def test_no_process_outlives_the_pool():
    pool = WorkerPool(2)
    pids = pool.process_ids()
    assert all(map(is_alive, pids))
    pool.close()
    assert not any(map(is_alive, pids))


def test_no_process_outlives_a_killed_parent():
    program = (
        "import time; from ptn_backtest.backtest.execution.pool import WorkerPool;"
        "pool = WorkerPool(2); print(*pool.process_ids(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill()
    deadline = time.monotonic() + 60
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))
