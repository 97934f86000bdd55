"""The server: an address, a token where it is reached from elsewhere, and uvicorn."""

import secrets
import socket
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from ptn_backtest.errors import ConfigError
from ptn_backtest.web.access import TOKEN_FIELD, is_loopback
from ptn_backtest.web.app import make_app
from ptn_backtest.web.runs import RunsFolder

__all__ = ["SHORTEST_TOKEN", "quiet_server", "serve"]

SHORTEST_TOKEN = 16


def serve(
    root: Path,
    *,
    host: str,
    port: int,
    token: str | None,
    allowed: Collection[str],
    candles: Path | None,
    say: Callable[[str], object],
) -> None:
    """Serve the pages until interrupted.

    Args:
        root: the folder of runs.
        host: address to bind to.
        port: 0 takes a free one.
        token: what who asks must know; None makes one where the server is reached from elsewhere.
        allowed: further names that the server is called by.
        candles: a candle store for price charts.
        say: prints a line.

    Raises:
        ConfigError: no such folder, the token is too short, or the address cannot be had.
    """
    runs = RunsFolder(root, candles)
    runs.folders()
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"the token has {len(token)} letters: give at least {SHORTEST_TOKEN}, or none, and one "
            "is made"
        )
    hosts: set[str] = set(allowed)
    if not is_loopback(host):
        hosts |= {host, socket.gethostname()}
        token = token or secrets.token_urlsafe(24)
    app = make_app(runs, hosts=hosts, token=token)
    with _bound(host, port) as listening:
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - shown, not bound
        shown = f"[{shown}]" if ":" in shown else shown
        address = f"http://{shown}:{listening.getsockname()[1]}/"
        say(f"runs of {root}: {address}{f'?{TOKEN_FIELD}={token}' if token else ''}")
        if token:
            say("Who knows this token can read every run; it goes over the network as plain text.")
        say("Ctrl-C ends the server.")
        with suppress(KeyboardInterrupt):  # the way to end it
            quiet_server(app).run(sockets=[listening])


def quiet_server(app: Starlette) -> uvicorn.Server:
    """A server that tells nobody what it is, and writes no addresses down: they may hold the token."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
    )


def _bound(host: str, port: int) -> socket.socket:
    try:
        kind, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, type_, protocol, _, address = kind
        with ExitStack() as unless_listening:
            listening = unless_listening.enter_context(socket.socket(family, type_, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)  # before the address is printed: who asks then waits a moment
            unless_listening.pop_all()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error}. Give another --port (0 takes a free "
            "one), or another --host"
        ) from None
    return listening
