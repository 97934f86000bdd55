"""The program of a worker process: `python -m ptn_backtest.backtest.execution.worker DESCRIPTOR`.

It is told a task, then units one by one, and answers each; at the end of its line it ends.
"""

import contextlib
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ptn_backtest.backtest.execution.arena import Arena
from ptn_backtest.backtest.execution.pool import N_ARENAS, Answer, Task, Unit
from ptn_backtest.backtest.execution.warming import warm_up


def main() -> None:
    """Work until the pool closes the line, or is gone."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    line: Connection[Any, Any] = Connection(channel.fileno())
    warm_up()
    with contextlib.suppress(EOFError, OSError):
        _work(line, channel)
    channel.detach()


def _work(line: "Connection[Any, Any]", channel: socket.socket) -> None:
    function: Any = None
    arenas: list[Arena] = []
    while True:
        message = line.recv()
        if isinstance(message, Task):
            for arena in arenas:
                arena.close()
            _, descriptors, _, _ = socket.recv_fds(channel, 1, N_ARENAS)
            arenas = [Arena(descriptor) for descriptor in descriptors]
            function = arenas[0].get(message.function)
        elif isinstance(message, Unit):
            line.send(_answer(function, message, *arenas[1:]))


def _answer(function: Callable[[Any], Any], unit: Unit, given: Arena, results: Arena) -> Answer:
    try:
        result = function(given.get(unit.place))
        return Answer(unit.number, results.put(result))
    except Exception as fault:  # noqa: BLE001 - it is raised again in the pool's process
        fault.add_note(traceback.format_exc())
        return Answer(unit.number, None, fault)


if __name__ == "__main__":
    main()
