"""What the commands that fill a store of candles have in common."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ptn_backtest.prices.providers.conventions import Rate
    from ptn_backtest.prices.providers.pulling import Step
    from ptn_backtest.prices.providers.quote_pulling import QuoteStep
    from ptn_backtest.prices.store import CandleStore

    Answered = Step | QuoteStep

key_file_option = click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the key, or with lines MASSIVE_API_KEY=..., TIINGO_API_KEY=...; else the "
    "environment has them.",
)
rate_option = click.option(
    "--rate",
    metavar="N/UNIT",
    help="Requests a second, minute, hour or day, or none for no limit; by default that of the "
    "free plan (massive 5/minute, tiingo 50/hour). ccxt knows each exchange's.",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be asked, and ask nothing."
)
yes_option = click.option("--yes", is_flag=True, help="Begin without asking.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print plan or result as JSON.")


@contextmanager
def as_it_is(store: Path) -> "Iterator[CandleStore]":
    """The store, or an empty one in its stead: looking makes no folder."""
    import tempfile  # noqa: PLC0415

    from ptn_backtest.prices.store import CandleStore  # noqa: PLC0415 - slow to import

    if (store / "store.json").exists():
        yield CandleStore(store)
        return
    with tempfile.TemporaryDirectory() as empty:
        yield CandleStore.create(empty)


@contextmanager
def store_to_fill(place: Path) -> "Iterator[CandleStore]":
    """The store, made where it is missing; after an error none is left that holds nothing."""
    import shutil  # noqa: PLC0415

    from ptn_backtest.prices.store import CandleStore  # noqa: PLC0415 - slow to import

    was_there, had_folder = (place / "store.json").exists(), place.exists()
    opened = CandleStore.create(place)
    try:
        yield opened
    except BaseException:
        # candles, quotes, or what a provider is known to lack
        holds_any = any(any(place.rglob(name)) for name in ("*.parquet", "*[0-9].json"))
        if not was_there and not holds_any:
            (place / "store.json").unlink(missing_ok=True)
            if not had_folder:
                shutil.rmtree(place, ignore_errors=True)
        raise


def now_ms() -> int:
    """The time now."""
    import time  # noqa: PLC0415 - one place knows the clock

    return time.time_ns() // 1_000_000


def names_of(pairs: str) -> list[str]:
    """Ids of a list such as "BTCUSD,ETHUSD", each once."""
    return list(dict.fromkeys(name.strip().upper() for name in pairs.split(",") if name.strip()))


def begin(n_requests: int, *, yes: bool) -> None:
    """Ask on a terminal before the first request.

    Raises:
        click.Abort: no.
    """
    if n_requests and not yes and sys.stdin.isatty():
        click.confirm("begin?", abort=True, err=True)


def least_time(n_requests: int, limit: "Rate") -> str:
    """How long requests take at least, in words."""
    seconds = (n_requests - 1) // limit.requests * limit.per_s
    for unit, length in (("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"at least {seconds / length:,.0f} {unit}"
    return f"at least {seconds:.0f} s" if seconds else "without waiting"


@contextmanager
def progress(n_requests: int, noun: str) -> "Iterator[Callable[[Answered], None]]":
    """What counts answers: requests, what they brought and the time left, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _step: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    # a wait for the rate limit is part of the pace: an average over many steps tells the time left
    with Progress(
        *columns,
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=600,
    ) as bar:
        task = bar.add_task("pulling", total=n_requests, state=f"0 of {n_requests:,} requests")
        done = added = 0

        def advance(step: "Answered") -> None:
            nonlocal done, added
            done, added = done + 1, added + step.n_added
            total = max(n_requests, done)
            bar.update(
                task,
                description=f"{step.provider} {step.request.pair.trade_pair_id}",
                completed=done,
                total=total,
                state=f"{done:,} of {total:,} requests, {added:,} {noun}",
            )

        yield advance
