"""What a replay tells about its progress while it runs."""

from collections.abc import Sequence
from typing import Protocol


class Watcher(Protocol):
    """Somebody who wants to know how far the ledgers are; `cli.progress` shows it on a terminal."""

    def begin(self, leg: str, n_traders: int, ticks: int, process_ids: Sequence[int]) -> None:
        """A leg begins, or goes on.

        Args:
            leg: which of how many, "2 of 4".
            n_traders: whose ledgers are to be built in it.
            ticks: about how many there are from here to the end of the replay.
            process_ids: other processes that work on it.
        """
        ...

    def done(self, n_traders: int, ticks: int) -> None:
        """So many more traders are done, with about so many ticks."""
        ...

    def end(self) -> None:
        """No more for now, whether all are done or not."""
        ...


class NobodyWatches:
    """The watcher of a library: says nothing."""

    def begin(self, leg: str, n_traders: int, ticks: int, process_ids: Sequence[int]) -> None:
        """Nothing."""

    def done(self, n_traders: int, ticks: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
