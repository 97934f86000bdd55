"""The pages on a port of their own, in a thread; and plain requests, which tidy nothing up."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ptn_backtest.web.app import make_app
from ptn_backtest.web.runs import RunsFolder
from ptn_backtest.web.server import quiet_server


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Served:
    """A server that runs."""

    port: int

    @property
    def address(self) -> str:
        """Where, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Answer:
        """A request for exactly this path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        own = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in own.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, answer.headers, text)


@contextmanager
def serving(
    root: Path, *, hosts: tuple[str, ...] = (), token: str | None = None
) -> Iterator[Served]:
    """Serve a folder of runs."""
    app = make_app(RunsFolder(root), hosts=hosts, token=token)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = quiet_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
