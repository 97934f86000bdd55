"""What a replay tells about its progress while it runs."""

from collections.abc import Sequence
from typing import Protocol


class Watcher(Protocol):
    """Somebody who wants to know how far the ledgers are; `cli.progress` shows it on a terminal."""

    def begin(self, n_traders: int, ticks: int, process_ids: Sequence[int]) -> None:
        """Ledgers of so many traders are built, about so many ticks, with these other processes."""
        ...

    def done(self, ticks: int) -> None:
        """One more trader is done, with about so many ticks."""
        ...

    def end(self) -> None:
        """No more for now, whether all are done or not."""
        ...


class NobodyWatches:
    """The watcher of a library: says nothing."""

    def begin(self, n_traders: int, ticks: int, process_ids: Sequence[int]) -> None:
        """Nothing."""

    def done(self, ticks: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
