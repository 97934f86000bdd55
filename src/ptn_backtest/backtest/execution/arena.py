"""Objects in memory that processes share: pickled once, their arrays read where they lie.

An arena is an unlinked file that is written by one process and mapped by others. The system takes
it back with the last process or array that uses it, whatever way they end.
"""

import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

_ALIGNED = 64
"""Arrays begin at a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object lies in an arena.

    Attributes:
        pickled: (first byte, length in bytes) of everything but the arrays.
        arrays: (arena, first byte, length in bytes) of each array; 0 is the arena of the object
            itself, 1 the first of the others that it was put with.
    """

    pickled: tuple[int, int]
    arrays: tuple[tuple[int, int, int], ...]


def new_arena_file() -> int:
    """A descriptor of an empty file without a name, to be closed by the caller."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ptn-backtest")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@dataclass(slots=True)
class Arena:
    """A shared file, open in this process.

    Attributes:
        descriptor: of the file; the arena closes it.
    """

    descriptor: int
    _end: int = 0
    _mapped: list[tuple[int, memoryview]] = field(default_factory=list, repr=False)

    def zeros(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> NDArray[Any]:
        """An array of zeros in the arena, to be written to; like `put`, for one process only.

        What nothing was written to takes no memory.
        """
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        return np.frombuffer(self.view(self._reserve(size), size), kind).reshape(shape)

    def put(self, thing: object, others: Sequence["Arena"] = ()) -> Place:
        """Write an object; only one process may do so.

        Args:
            thing: anything that can be pickled; its arrays from `zeros` are not written again.
            others: arenas whose arrays, as they were read here, are not written again.
        """
        arrays: list[tuple[int, int, int]] = []

        def place(buffer: pickle.PickleBuffer) -> None:
            data = buffer.raw()
            address = _address(data)
            for number, arena in enumerate((self, *others)):
                begin = arena.begin_of(address)
                if begin is not None:
                    arrays.append((number, begin, data.nbytes))
                    return
            arrays.append((0, *self._append(data)))

        pickled = pickle.dumps(thing, protocol=5, buffer_callback=place)
        return Place(self._append(memoryview(pickled)), tuple(arrays))

    def get(self, place: Place, others: Sequence["Arena"] = ()) -> Any:  # noqa: ANN401
        """An object that was put, here or in another process, with the same others.

        Its arrays are not copied: they keep the memory for as long as they are in use, and are
        writable, because compiled code tells writable arrays from others.
        """
        arenas = (self, *others)
        return pickle.loads(  # noqa: S301 - written by our own processes
            self.view(*place.pickled),
            buffers=[arenas[number].view(first, size) for number, first, size in place.arrays],
        )

    def view(self, begin: int, size: int) -> memoryview:
        """So many bytes of the file, not copied."""
        if not self._mapped or len(self._mapped[-1][1]) < begin + size:
            whole = memoryview(mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size))
            # the earlier maps stay: arrays that were read lie there
            self._mapped.append((_address(whole), whole))
        return self._mapped[-1][1][begin : begin + size]

    def begin_of(self, address: int) -> int | None:
        """Where in the file memory is that was read from it; None for other memory."""
        for first, whole in self._mapped:
            if first <= address < first + len(whole):
                return address - first
        return None

    def close(self) -> None:
        """Close the file; arrays that were read stay valid."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._mapped.clear()

    def _append(self, data: memoryview) -> tuple[int, int]:
        begin, written = self._reserve(data.nbytes), 0
        while written < data.nbytes:
            written += os.pwrite(self.descriptor, data[written:], begin + written)
        return begin, data.nbytes

    def _reserve(self, n_bytes: int) -> int:
        """Where so many bytes may be written."""
        begin = self._end
        self._end += -(-n_bytes // _ALIGNED) * _ALIGNED
        size = os.fstat(self.descriptor).st_size
        if self._end > size:
            # by doubling, so that a reader maps the file a few times, not once per object
            os.ftruncate(self.descriptor, max(self._end, 2 * size, mmap.PAGESIZE))
        return begin


def _address(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0]) if data.nbytes else 0
