"""The last few things that took time to make, each made once, also where several ask at a time."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by key; the one that was wanted longest ago goes first.

    A key says what a value was made of, such as a file's time: where that changes, so does the key.
    """

    def __init__(self, most: int) -> None:
        """Keep at most this many."""
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Future[T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key; what `make` raises is raised, and not kept."""
        with self._lock:
            future = self._kept.get(key)
            mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 - raised below, also to who waits
                with self._lock:
                    self._kept.pop(key, None)
                future.set_exception(error)
        return future.result()
