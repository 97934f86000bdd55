"""Objects in memory that processes share: pickled once, their arrays read where they lie.

An arena is an unlinked file that is written by one process and mapped by others. The system takes
it back with the last process or array that uses it, whatever way they end.
"""

import mmap
import os
import pickle
import tempfile
from dataclasses import dataclass, field
from typing import Any

_ALIGNED = 64
"""Arrays begin at a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object lies in an arena.

    Attributes:
        pickled: (first byte, length in bytes) of everything but the arrays.
        arrays: the same of each array.
    """

    pickled: tuple[int, int]
    arrays: tuple[tuple[int, int], ...]


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
    _mapped: mmap.mmap | None = field(default=None, repr=False)

    def put(self, thing: object) -> Place:
        """Write an object; only one process may do so."""
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        arrays = tuple(self._append(buffer.raw()) for buffer in buffers)
        return Place(self._append(memoryview(pickled)), arrays)

    def get(self, place: Place) -> Any:  # noqa: ANN401 - whatever was put there
        """An object that was put, here or in another process.

        Its arrays are not copied: they keep the memory for as long as they are in use, and are
        writable, because compiled code tells writable arrays from others.
        """
        begin, size = place.pickled  # after the arrays
        view = self._view(begin + size)
        return pickle.loads(  # noqa: S301 - written by our own processes
            view[begin : begin + size],
            buffers=[view[first : first + length] for first, length in place.arrays],
        )

    def close(self) -> None:
        """Close the file; arrays that were read stay valid."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._mapped = None

    def _append(self, data: memoryview) -> tuple[int, int]:
        begin = self._end
        self._end += -(-data.nbytes // _ALIGNED) * _ALIGNED
        size = os.fstat(self.descriptor).st_size
        if self._end > size:
            # by doubling, so that a reader maps the file a few times, not once per object
            os.ftruncate(self.descriptor, max(self._end, 2 * size, mmap.PAGESIZE))
        written = 0
        while written < data.nbytes:
            written += os.pwrite(self.descriptor, data[written:], begin + written)
        return begin, data.nbytes

    def _view(self, last: int) -> memoryview:
        if self._mapped is None or len(self._mapped) < last:
            self._mapped = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return memoryview(self._mapped)
