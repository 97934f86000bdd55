"""The program of a worker process: `python -m ptn_backtest.backtest.execution.worker DESCRIPTOR`.

It is told a task, then numbers of units, a batch at a time, and answers each; at the end of its line
it ends.
"""

import contextlib
import socket
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from ptn_backtest.backtest.execution.arena import Arena
from ptn_backtest.backtest.execution.pool import Answer, Batch, PartFunction, Rest, Task, Units
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
    units: Any = None
    known = 0
    arenas: list[Arena] = []
    while True:
        message = line.recv()
        if isinstance(message, Rest):
            units = None
            for arena in arenas:
                arena.close()
            arenas = []
        elif isinstance(message, Task):
            _, descriptors, _, _ = socket.recv_fds(channel, 1, message.n_arenas)
            arenas = [Arena(descriptor) for descriptor in descriptors]
            if message.function_number != known:
                function, known = arenas[0].get(message.function), message.function_number
            units = arenas[1].get(message.units, arenas[3:])
        elif isinstance(message, Batch):
            line.send(_answer(function, units, message.numbers, arenas[2]))


def _answer(
    function: PartFunction, units: Units, numbers: tuple[int, ...], results: Arena
) -> Answer:
    try:
        return Answer(numbers, results.put(function(units.part(numbers), results.zeros)))
    except Exception as fault:  # noqa: BLE001 - it is raised again in the pool's process
        fault.add_note(traceback.format_exc())
        return Answer(numbers, None, fault)


if __name__ == "__main__":
    main()
