"""What the pages of `ptn-backtest serve` take: each at first, and once more.

    python -m benchmarks.web_pages runs/first

Milliseconds of the processor, of server and client together, which asks for each page by HTTP and
draws nothing. "First" is in a process that has served other runs, but not this one.
"""

import argparse
import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from ptn_backtest.web.addresses import part
from ptn_backtest.web.app import make_app
from ptn_backtest.web.runs import RunsFolder
from ptn_backtest.web.server import quiet_server

_SQL = "SELECT miner_hotkey, sum(change) AS change FROM attribution GROUP BY 1 ORDER BY 2"


def main() -> None:
    """Ask for the pages of a run, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="a run folder; its neighbours are served too")
    run = parser.parse_args().run.resolve()
    address = f"/run/{part(run.name)}"
    with _serving(run.parent) as port:
        _taken(port, "/")
        _taken(port, "/query")
        print(f"{'page':<28}{'first, ms':>12}{'again, ms':>12}{'kB':>10}{'kB sent':>10}")
        for name, path in (
            ("leaderboard", address),
            ("trader", f"{address}/trader/{part(_a_trader(run))}"),
            ("query", f"/query?{urlencode({'run': run.name, 'sql': _SQL})}"),
            ("comparison with itself", f"/compare?{urlencode({'a': run.name, 'b': run.name})}"),
            ("list of runs", "/"),
        ):
            first, size, sent = _taken(port, path)
            again = min(_taken(port, path)[0] for _ in range(5))
            print(f"{name:<28}{first:>12.0f}{again:>12.0f}{size / 1e3:>10.0f}{sent / 1e3:>10.0f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    print(f"peak memory, MB: {peak / 1e6:,.0f}")


def _a_trader(run: Path) -> str:
    """Somebody in the network with many positions would be best; the first standing is the same one always."""
    info = json.loads((run / "run.json").read_text())
    known = [*info["standings"], *(one["miner_hotkey"] for one in info["eliminations"])]
    return str(known[0])


def _taken(port: int, path: str) -> tuple[float, int, int]:
    """Milliseconds of the processor, bytes of the page, bytes that were sent."""
    begun = time.process_time()
    sent = _ask(port, path, "gzip")
    took = (time.process_time() - begun) * 1_000
    return took, len(_ask(port, path, "identity")), len(sent)


def _ask(port: int, path: str, encoding: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:  # noqa: PLR2004
        raise SystemExit(f"{path}: {answer.status}")
    return body


@contextmanager
def _serving(root: Path) -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = quiet_server(make_app(RunsFolder(root)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(5)


if __name__ == "__main__":
    main()
