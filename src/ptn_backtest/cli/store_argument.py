"""The candle store that a command is given: a folder, or a URL where it is only read."""

from pathlib import Path
from typing import Any

import click

from ptn_backtest.errors import CandleError
from ptn_backtest.prices.place import checked_place, is_url


class StorePlace(click.Path):
    """A click type; gives a `Path`, or the text of a URL."""

    name = "folder or URL"

    def __init__(self, *, written: bool = False) -> None:
        """Say whether the command writes to the store, so that a URL is refused."""
        super().__init__(file_okay=False, path_type=Path)
        self._written = written

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click has it
        """The place."""
        if is_url(value):
            try:
                value = checked_place(value)
            except CandleError as error:
                self.fail(str(error), param, ctx)
            if self._written and isinstance(value, str):
                self.fail(
                    f"{value} is a URL, which can be read but not written: name a local folder, "
                    "and copy it there",
                    param,
                    ctx,
                )
        return (
            value
            if isinstance(value, str) and is_url(value)
            else super().convert(value, param, ctx)
        )
