"""Times as options take them."""

import click

from ptn_backtest.clock import parse_time


def time_option(text: str) -> int:
    """Milliseconds of an option's text, ms or an ISO date; to be an option's `type`."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
