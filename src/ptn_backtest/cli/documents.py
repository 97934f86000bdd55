"""What `--json` prints: one document on standard output, the same way for every command."""

import json
from typing import Any

import click


def print_document(document: Any) -> None:  # noqa: ANN401 - JSON is any value
    """Print JSON; numbers that it does not have stand as "inf", "-inf", "nan", as in run folders."""
    from ptn_backtest.results.jsonable import json_ready  # noqa: PLC0415 - slow to import

    plain = json_ready(document, sort_keys=False)
    click.echo(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False, default=str))
