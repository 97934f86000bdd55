"""`ptn-backtest serve`: runs in a browser."""

import os
from pathlib import Path

import click

TOKEN_VARIABLE = "PTN_SERVE_TOKEN"  # noqa: S105 - its name


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("runs", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8008,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="A name that browsers call this server by; repeat it.",
)
@click.option(
    "--candles",
    type=click.Path(path_type=Path),
    help="Candle store for price charts. Default: the store that each run names.",
)
def serve(runs: Path, host: str, port: int, allowed: tuple[str, ...], candles: Path | None) -> None:
    """Show the runs in the folder RUNS (by default `runs`) in a browser.

    Leaderboard, traders, comparisons, SQL, and how far a run is that goes on. Nothing is written, and
    nothing is loaded from elsewhere. It needs the extra 'web'.

    Only this machine reaches the server, unless --host names another address. Then a token is asked
    for: the one in the environment variable PTN_SERVE_TOKEN, or a new one, which is printed.

    \b
    Examples:
      ptn-backtest serve
      ptn-backtest serve results/ --port 9000
      ptn-backtest serve --host 0.0.0.0 --allow-host lab.example.org
    """
    from ptn_backtest.results.frames import require  # noqa: PLC0415 - slow to import

    for package in ("starlette", "uvicorn"):
        require(package, "web", "serve")
    from ptn_backtest.web.server import serve as serve_pages  # noqa: PLC0415

    serve_pages(
        runs,
        host=host,
        port=port,
        token=os.environ.get(TOKEN_VARIABLE) or None,
        allowed=allowed,
        candles=candles,
        say=click.echo,
    )
