"""Files of a store that is far away, several at once: each of them is mostly waiting."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_File = TypeVar("_File")
_Read = TypeVar("_Read")


def read_in_order(
    read: Callable[[_File], _Read], files: Sequence[_File], at_once: int
) -> Generator[_Read, None, None]:
    """What is read of each file, in the order of the files.

    Those that come next are read while one is used. The first is read by itself, for those who only
    want to know whether there is something.

    Args:
        read: called in threads where more than one is read at once.
        files: what to read.
        at_once: how many may be read at once, and held in memory.
    """
    if at_once == 1:
        yield from map(read, files)
        return
    yield from map(read, files[:1])
    with ThreadPoolExecutor(at_once) as threads:
        begun: deque[Future[_Read]] = deque()
        try:
            for file in files[1:]:
                begun.append(threads.submit(read, file))
                if len(begun) == at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for each in begun:
                each.cancel()
