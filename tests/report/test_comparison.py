"""A comparison in the terminal and as a page."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report.comparison_html import render_comparison, write_comparison
from ptn_backtest.report.comparison_text import print_comparison
from ptn_backtest.results.comparison import compare_runs
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, EliminationReason
from ptn_backtest.rules.standing import Standing
from tests.results.compared_runs import (
    ANNA,
    BORIS,
    at,
    closed,
    eliminated,
    entered,
    ledger,
    position,
    score,
    stored_run,
)

WIDE = {"base": "2025-11", "name": "wide", "eliminations": {"drawdown_limit": 25.0}}


def two_runs(hotkey=ANNA, source="made by hand"):
    """In a the trader leaves on day 2; in b it stays, under another limit."""
    end = Elimination(
        hotkey,
        at(2),
        15.0,
        EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
        Bucket.CHALLENGE,
    )
    values = [1.0, 1.0, 0.95, 0.85]
    positions = [position(hotkey, "both", **closed(1, 1.0)), position(hotkey, "mine")]
    a = stored_run(
        {hotkey: {PORTFOLIO: ledger(values)}},
        positions=positions,
        events=[entered(hotkey), eliminated(hotkey, 2, 15.0)],
        eliminations=[end],
        scores=[score(hotkey, 1, 0.5, 1)],
    )
    b = stored_run(
        {hotkey: {PORTFOLIO: ledger([*values, 0.9, 0.9])}, BORIS: {PORTFOLIO: ledger([1.0])}},
        positions=[position(hotkey, "both", **closed(1, 0.9))],
        events=[entered(hotkey)],
        standings={hotkey: Standing(Bucket.CHALLENGE, at(0))},
        scores=[score(hotkey, 1, 0.25, 3)],
        rules=WIDE,
    )
    a.info["source"] = source  # type: ignore[index] # made by hand, a dict
    return a, b


def printed(found, *, everything=False, width=80):
    out = io.StringIO()
    print_comparison(found, Console(file=out, width=width), everything=everything)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_one_screen_says_what_differs():
    lines = printed(compare_runs(*two_runs(), names=("runs/a", "runs/b")))
    assert len(lines) < 40
    assert all(len(line) <= 80 for line in lines[2:])
    text = "\n".join(lines)
    for expected in (
        "a  runs/a: 2025-01-16 to 2025-01-19, 4 updates, 1 trader, rulebook 2025-11",
        "Results differ, under other settings.",
        "Only in b, so not compared: 5Boris…yyyyyy.",
        "  eliminations.drawdown_limit: 10.0 → 25.0",
        "Fates: 1 of 1 trader differs",
        "    a  eliminated 2025-01-17: a drawdown of 15.0% reached the limit of 10%",
        "    b  stays in CHALLENGE",
        "       because: drawdown limit 10% → 25%",
        "Ledgers: 1 of 1 ledger differs",
        "2025-01-17  0.8500 → 0.9000  15.00%",
        "Positions: 1 of 1 position differs; only in a 1, only in b 0",
        "return 0.00% → -10.00%",
        "1 trader with others; first on 2025-01-16 00:00:00 UTC",
        "1 → 3",
    ):
        assert expected in text, expected


def test_everything_names_keys_and_fields():
    text = "\n".join(printed(compare_runs(*two_runs()), everything=True))
    assert "return_at_close: 1 → 0.9" in text
    assert "only in a: 5Anna" in text
    assert ", mine" in text
    assert "the same: deepest drawdown 15%, closed position that counts yes" in " ".join(
        text.split()
    )
    assert "2025-01-17 12:00 not in a; 0 checkpoints of 4 in both differ; 2 only in b" in " ".join(
        text.split()
    )


def test_equal_runs_are_said_to_be_equal():
    run, _ = two_runs()
    text = "\n".join(printed(compare_runs(run, run)))
    assert "Every result is equal, under the same settings." in text
    assert "differ" not in text


class _Page(HTMLParser):
    """What a page loads, and whether its tags close."""

    VOID = ("meta", "br", "link", "input", "img", "hr", "path")

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loads += [
            v for k, v in given.items() if k in ("src", "href") and not v.startswith("#")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone():
    page = render_comparison(compare_runs(*two_runs()))
    parser = _Page()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page
    for expected in ("Results differ", "eliminations.drawdown_limit", "stays in CHALLENGE", ANNA):
        assert expected in page


def test_the_page_escapes_what_comes_from_runs():
    bad = "<script>alert(1)</script>"
    found = compare_runs(*two_runs(bad, bad), names=(f"{bad}a", f'"{bad}'))
    page = render_comparison(found)
    assert bad not in page
    assert "&lt;script&gt;" in page
    assert len(re.findall("<script", page)) == 1  # our own
    assert "[red]" not in "\n".join(printed(found))


def test_equal_comparisons_give_equal_bytes(tmp_path):
    for name in ("one.html", "two.html"):
        write_comparison(tmp_path / name, compare_runs(*two_runs()))
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_comparison(tmp_path / "none" / "x.html", compare_runs(*two_runs()))
