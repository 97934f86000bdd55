"""The line that shows how far a run is."""

import io
import re

import pytest
from rich.console import Console

from ptn_backtest.cli.progress import ProgressBar


@pytest.mark.parametrize("terminal", [True, False])
def test_traders_are_counted_as_their_parts_are_done(terminal: bool) -> None:
    shown = io.StringIO()
    bar = ProgressBar(Console(file=shown, force_terminal=terminal, width=120))
    bar.begin("2 of 4", n_traders=100, ticks=4_000, process_ids=[])
    for n_traders in (60, 30, 10):
        bar.done(n_traders, ticks=n_traders * 10)
    bar.end()
    counts = re.findall(r"(\d+) of 100 traders", shown.getvalue())
    assert (counts[-1:] == ["100"]) == terminal
    assert ("leg 2 of 4" in shown.getvalue()) == terminal
    assert bool(shown.getvalue()) == terminal
