"""`ptn-backtest export`: a run's tables as CSV or Excel."""

from pathlib import Path

import click

from ptn_backtest.cli.documents import print_document


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--csv", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="A CSV per table."
)
@click.option(
    "--excel",
    "book",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="One Excel file with a sheet per table (extra 'excel').",
)
@click.option("--table", "wanted", multiple=True, help="Only this table; repeat it. Default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(
    run: Path, folder: Path | None, book: Path | None, wanted: tuple[str, ...], as_json: bool
) -> None:
    """Write the tables of the run folder RUN for spreadsheets.

    Texts that a spreadsheet would take for a formula are made harmless. In Excel moments are dates
    (UTC), and a table longer than a sheet is cut, which is said.

    \b
    Examples:
      ptn-backtest export runs/first --csv first-csv
      ptn-backtest export runs/first --excel first.xlsx --table positions --table scores
    """
    from ptn_backtest.errors import ConfigError  # noqa: PLC0415 - slow to import
    from ptn_backtest.results.catalogue import catalogue  # noqa: PLC0415
    from ptn_backtest.results.exporting import write_csv_folder, write_excel  # noqa: PLC0415
    from ptn_backtest.results.run import load_run  # noqa: PLC0415

    if (folder is None) == (book is None):
        raise click.UsageError("give --csv FOLDER or --excel FILE, one of them")
    opened = load_run(run)
    tables = catalogue()
    unknown = [name for name in wanted if name not in tables]
    if unknown:
        raise ConfigError(f"no table {', '.join(unknown)}: a run has {', '.join(tables)}")
    chosen = [tables[name] for name in wanted or tables]
    notes: list[str] = []
    if folder is not None:
        paths = write_csv_folder(folder, chosen, opened.table)
    if book is not None:
        notes = write_excel(book, chosen, opened.table)
        paths = [book]
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        written = {"tables": [table.name for table in chosen], "files": [str(p) for p in paths]}
        print_document({**written, "notes": notes})
        return
    click.echo(f"{len(chosen)} tables: {folder or book}")
