"""`ptn-backtest positions`: import, export and check."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ptn_backtest.cli.positions_audit import audit
from ptn_backtest.cli.positions_orders import check_orders
from ptn_backtest.cli.positions_output import (
    SHOWN,
    number,
    print_comparison,
    print_import,
    print_json,
    print_left_out,
    print_note,
    print_rejections,
    print_sound,
)
from ptn_backtest.cli.source_argument import SourceLocation
from ptn_backtest.cli.times import time_option
from ptn_backtest.sources.records import PositionQuery, PositionRecord, PositionSource

if TYPE_CHECKING:
    from ptn_backtest.positions.rejection import Rejection
    from ptn_backtest.sources.records import EliminationRecord


def _with_query(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which positions are meant; they arrive as `query`."""

    @click.option(
        "--start",
        type=time_option,
        metavar="TIME",
        help="Start of the time range: ms, or an ISO date.",
    )
    @click.option(
        "--end",
        type=time_option,
        metavar="TIME",
        help="End of the range, included; later orders are left out.",
    )
    @click.option("--hotkey", multiple=True, help="Only this trader; may be repeated.")
    @click.option(
        "--history",
        type=click.Choice(["full", "range"]),
        default="full",
        show_default=True,
        help="full: also positions closed before --start, which a ledger needs.",
    )
    @click.option(
        "--strict", is_flag=True, help="Stop at the first position that cannot be replayed."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @wraps(command)
    def with_query(
        *,
        start: int | None,
        end: int | None,
        hotkey: tuple[str, ...],
        history: Literal["full", "range"],
        price_sources: bool = False,
        **others: Any,  # noqa: ANN401 - the command's own
    ) -> None:
        if start is not None and end is not None and end < start:
            raise click.UsageError("--end is before --start")
        query = PositionQuery(start, end, hotkey or None, history, price_sources)
        command(query=query, **others)

    return with_query


_PRICE_SOURCES = click.option(
    "--price-sources", is_flag=True, help="Also the orders' recorded price sources (large)."
)


def _mapping_option(help_text: str) -> Callable[..., Any]:
    return click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=help_text,
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def positions() -> None:
    """Move positions between sources, and check them.

    \b
    A SOURCE is one of
      a database URL    sqlite:///positions.db, postgresql://user:password@host/database,
                        mysql://user:password@host/database
      database          the one whose URL is in PTN_BACKTEST_DATABASE_URL: other users of the
                        machine see what is in a command line, such as a password
      a SQLite file     positions.db
      a folder          a validator's, with miners/<hotkey>/positions/... in it
      a JSON file       a validator's checkpoint, or a plain list of positions; also .gz
      taoshi            the private package taoshi.ts.ptn
      test              the bundled synthetic test positions
    """


positions.add_command(audit)
positions.add_command(check_orders)


@positions.command("import")
@click.argument("source", type=SourceLocation())
@click.argument("database_url", type=SourceLocation())
@_mapping_option("TOML file with the table and column names of SOURCE, if it is a database.")
@_PRICE_SOURCES
@_with_query
@click.pass_context
def import_(
    ctx: click.Context,
    source: str,
    database_url: str,
    mapping: Path | None,
    query: PositionQuery,
    strict: bool,
    as_json: bool,
) -> None:
    """Copy positions of SOURCE into the database at DATABASE_URL.

    DATABASE_URL may be the word database too: the URL that PTN_BACKTEST_DATABASE_URL holds.

    The tables are made where they are missing. Everything is written, or nothing; importing the
    same again changes nothing, and nothing is deleted. Positions are stored as they were found;
    what the tables cannot hold is listed, and with --strict the first position that cannot be
    replayed stops the import. Eliminations, account sizes and plagiarism events come along where
    SOURCE has them. Exits 1 where SOURCE has positions and none of them could be stored.

    \b
    Examples:
      ptn-backtest positions import test sqlite:///positions.db
      ptn-backtest positions import ~/validation sqlite:///positions.db --hotkey "$HOTKEY"
      ptn-backtest positions import validator_checkpoint.json.gz postgresql://me@host/ptn
      ptn-backtest positions import mysql://me@host/taoshi-ts-ptn sqlite:///copy.db \\
          --mapping production.toml --start 2025-01-01 --end 2025-01-05
    """
    from ptn_backtest.sources.database.writing import write_records  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source, resolve_word  # noqa: PLC0415 - slow to import
    from ptn_backtest.sources.passwords import hide_passwords  # noqa: PLC0415

    origin = open_source(source, mapping=mapping)
    database_url = resolve_word(database_url)
    rejections: list[Rejection] = []
    with _progress("importing positions") as counted:
        counts = write_records(
            database_url,
            _watched(counted(origin.read(query)), rejections, strict=strict),
            account_sizes=origin.read_account_sizes(query),
            eliminations=_eliminations(origin, query),
            plagiarism_events=origin.read_plagiarism_events(query),
        )
    target = hide_passwords(database_url)
    if as_json:
        print_json(
            source=origin.describe(),
            database=target,
            **asdict(counts),
            rejections=[asdict(rejection) for rejection in rejections],
        )
    else:
        print_import(origin.describe(), target, counts)
        mapped = f" --mapping {mapping}" if mapping else ""
        there = f"{hide_passwords(source)}{mapped}"
        print_note(rejections, there if counts.stored_none else target)
    ctx.exit(1 if counts.stored_none else 0)


@positions.command("export")
@click.argument("source", type=SourceLocation())
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["disk", "checkpoint", "list"]),
    required=True,
    help="disk: folders as validators keep them. checkpoint: one JSON file as they exchange it. "
    "list: positions only. A JSON file whose name ends in .gz is compressed.",
)
@_mapping_option("TOML file with the table and column names of SOURCE, if it is a database.")
@_PRICE_SOURCES
@_with_query
def export(
    source: str,
    path: Path,
    kind: Literal["disk", "checkpoint", "list"],
    mapping: Path | None,
    query: PositionQuery,
    strict: bool,
    as_json: bool,
) -> None:
    """Write the positions of SOURCE to PATH, as files that can be read back.

    A file at PATH is replaced as a whole; a folder with `miners` in it is refused. Positions are
    written as they were found, with eliminations, account sizes and plagiarism events (a list
    holds positions only); what cannot be written is listed.

    \b
    Examples:
      ptn-backtest positions export sqlite:///positions.db backup.json.gz --format checkpoint
      ptn-backtest positions export positions.db validation/ --format disk
      ptn-backtest positions export taoshi one.json --format list --hotkey "$HOTKEY"
    """
    from ptn_backtest.sources import checkpoint_file, disk  # noqa: PLC0415
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415

    origin = open_source(source, mapping=mapping)
    rejections: list[Rejection] = []
    with _progress("exporting positions") as counted:
        records = _watched(counted(origin.read(query)), rejections, strict=strict)
        if kind == "list":
            written = checkpoint_file.write_list(path, records)
        else:
            write = disk.write_disk if kind == "disk" else checkpoint_file.write_checkpoint
            written = write(
                path,
                records,
                account_sizes=origin.read_account_sizes(query),
                eliminations=_eliminations(origin, query),
                plagiarism_events=origin.read_plagiarism_events(query),
            )
    if as_json:
        print_json(
            source=origin.describe(),
            path=str(path),
            **asdict(written),
            rejections=[asdict(rejection) for rejection in rejections],
        )
        return
    click.echo(
        f"exported {number(written.positions, 'position')} with "
        f"{number(written.orders, 'order')} "
        f"from {origin.describe()} to {path}"
    )
    print_left_out(written.skipped)
    print_note(rejections, str(path))


@positions.command("check")
@click.argument("a", metavar="SOURCE", type=SourceLocation())
@click.argument("b", metavar="[OTHER]", type=SourceLocation(), required=False)
@_mapping_option("TOML file with the table and column names of SOURCE, if it is a database.")
@click.option(
    "--other-mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Likewise for OTHER.",
)
@click.option(
    "--rtol", type=click.FloatRange(min=0), default=0.0, help="Relative difference that is none."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=SHOWN,
    show_default=True,
    help="How many to list; 0 lists all.",
)
@_with_query
@click.pass_context
def check(
    ctx: click.Context,
    a: str,
    b: str | None,
    mapping: Path | None,
    other_mapping: Path | None,
    rtol: float,
    limit: int,
    query: PositionQuery,
    strict: bool,
    as_json: bool,
) -> None:
    """Check one source, or compare two, position by position.

    With one SOURCE: whether each position can be replayed; those that cannot are counted by
    reason and listed. With two: positions and orders that only one has, and every value that
    differs. Exits 1 where a position cannot be replayed, or something differs.

    \b
    Examples:
      ptn-backtest positions check validator_checkpoint.json.gz
      ptn-backtest positions check ~/validation sqlite:///positions.db
      ptn-backtest positions check ~/validation mysql://me@host/taoshi-ts-ptn \\
          --other-mapping production.toml --end 2025-01-05 --rtol 1e-12
    """
    from ptn_backtest.sources.locate import open_source  # noqa: PLC0415 - slow to import

    first = open_source(a, mapping=mapping)
    if b is None:
        if other_mapping is not None or rtol:
            raise click.UsageError("--other-mapping and --rtol are for comparing two sources")
        sound = _check_one(first, query, strict=strict, as_json=as_json, limit=limit)
    else:
        if strict:
            raise click.UsageError("--strict is for checking one source")
        second = open_source(b, mapping=other_mapping)
        sound = _check_two(first, second, query, rtol=rtol, as_json=as_json, limit=limit)
    ctx.exit(0 if sound else 1)


def _check_one(
    source: PositionSource, query: PositionQuery, *, strict: bool, as_json: bool, limit: int
) -> bool:
    from ptn_backtest.positions.conversion import convert  # noqa: PLC0415
    from ptn_backtest.rulebook import DEFAULT_RULEBOOK  # noqa: PLC0415
    from ptn_backtest.sources.account_sizes import missing_account_sizes  # noqa: PLC0415

    with _progress("checking positions") as counted:
        conversion = convert(counted(source.read(query)), strict=strict, end_ms=query.end_ms)
    counts, oddities = conversion.counts, conversion.oddities
    no_sizes = missing_account_sizes(
        source, source.read_account_sizes(query), DEFAULT_RULEBOOK.accounts.smallest_usd
    )
    if as_json:
        print_json(
            source=source.describe(),
            counts=dict(counts),
            rejections_by_reason=conversion.rejections_by_reason(),
            rejections=[asdict(rejection) for rejection in conversion.rejections],
            left_open=[asdict(each) for each in oddities.left_open],
            similar_hotkeys=oddities.similar_hotkeys,
            notes=[*oddities.notes(), *no_sizes],
        )
    else:
        print_sound(source.describe(), counts, [*oddities.notes(), *no_sizes])
        print_rejections(conversion.rejections, limit)
    return not conversion.rejections


def _check_two(
    a: PositionSource,
    b: PositionSource,
    query: PositionQuery,
    *,
    rtol: float,
    as_json: bool,
    limit: int,
) -> bool:
    from ptn_backtest.sources.comparison import compare_sources  # noqa: PLC0415

    comparison = compare_sources(a, b, query, rtol=rtol)
    if as_json:
        print_json(
            a=comparison.a,
            b=comparison.b,
            equal=comparison.equal,
            counts=comparison.counts(),
            fields=comparison.fields(),
            stored_in_one=comparison.stored_in_one,
            differences=[asdict(difference) for difference in comparison.differences],
        )
    else:
        print_comparison(comparison, limit)
    return comparison.equal


def _watched(
    records: Iterable[PositionRecord], rejections: list["Rejection"], *, strict: bool
) -> Iterator[PositionRecord]:
    """All the records; why some cannot be replayed goes to `rejections`."""
    from ptn_backtest.errors import InvalidPosition  # noqa: PLC0415
    from ptn_backtest.positions.conversion import explain, judge  # noqa: PLC0415
    from ptn_backtest.positions.rejection import Rejection  # noqa: PLC0415

    for record, verdict in judge(records):
        if isinstance(verdict, Rejection):
            if strict:
                raise InvalidPosition(explain(verdict))
            rejections.append(verdict)
        yield record


def _eliminations(source: PositionSource, query: PositionQuery) -> list["EliminationRecord"]:
    from ptn_backtest.errors import SourceUnavailable  # noqa: PLC0415

    try:
        return source.read_eliminations(query)
    except SourceUnavailable as error:  # positions can be had without
        click.echo(f"warning: no eliminations: {error}", err=True)
        return []


@contextmanager
def _progress(
    what: str,
) -> Iterator[Callable[[Iterable[PositionRecord]], Iterator[PositionRecord]]]:
    """A function that passes records on and counts them on the terminal, where there is one."""
    if not sys.stderr.isatty():
        yield iter
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def counted(records: Iterable[PositionRecord]) -> Iterator[PositionRecord]:
            for record in records:
                bar.advance(task)
                yield record

        yield counted
