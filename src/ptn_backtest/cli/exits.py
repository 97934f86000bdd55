"""How a command ends, and how errors are shown.

Exit codes: 0 done, 1 a check found something, 2 an error (one message on stderr), 130
interrupted. docs/cli.md lists which commands check.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from ptn_backtest.errors import BacktestError
from ptn_backtest.prices.providers.keys import hide_keys
from ptn_backtest.sources.passwords import hide_passwords

log = logging.getLogger(__name__)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors of ours into a message without a traceback, and every end into its exit code."""
    try:
        yield
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BacktestError as error:
        _tell(str(error))
    except OSError as error:
        # a file that a command did not look after by itself: no rights, no room, a folder in its place
        log.debug("the operating system refused", exc_info=error)
        # what Arrow writes has its file's name nowhere
        what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
        _tell(
            f"{what}. Check that it exists, that you may read or write there, and that the disk has room "
            "(-vv shows where it happened)"
        )


def _tell(message: str) -> NoReturn:
    click.echo(f"error: {hide_keys(hide_passwords(message))}", err=True)
    sys.exit(2)
