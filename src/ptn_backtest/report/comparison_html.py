"""A comparison of two runs as one page: it works offline, like report.html."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment

from ptn_backtest.errors import ConfigError
from ptn_backtest.report import comparison_words as words
from ptn_backtest.report.environment import page_environment
from ptn_backtest.report.scripts import page_script
from ptn_backtest.results.comparison import RunComparison
from ptn_backtest.results.run_folder import versions

MOST_ROWS = 1_000
"""Rows of a table; `--json` has them all."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What the base template shows of a run, for two."""

    synthetic: bool
    start_ms: int
    end_ms: int
    source: str
    warnings: Sequence[str]
    failed_traders: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def write_comparison(path: Path, found: RunComparison) -> Path:
    """Write the page, whole or not at all; equal comparisons give equal bytes.

    Raises:
        ConfigError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(render_comparison(found), encoding="utf-8", newline="\n")
        return temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def render_comparison(found: RunComparison) -> str:
    """The page's text."""
    environment = page_environment()
    add_comparison_words(environment)
    script = page_script("tables.js", "unfold.js")
    return environment.get_template("comparison.html.j2").render(
        **comparison_parts(found),
        versions=versions(),
        # only our own script may run, whatever a hotkey or a file says
        script=script.text,
        script_hash=script.digest,
    )


def comparison_parts(found: RunComparison) -> dict[str, Any]:
    """What the template `comparison.html.j2` shows, beside versions and script."""
    a, b = found.a, found.b
    return {
        "run": _Head(
            synthetic=a.synthetic or b.synthetic,
            start_ms=min(a.start_ms, b.start_ms),
            end_ms=max(a.end_ms, b.end_ms),
            source=a.source if a.source == b.source else f"{a.source} (a) and {b.source} (b)",
            warnings=words.limits(found),
        ),
        "found": found,
        "facts": _facts(found),
        "groups": [
            ("Rules", found.rulebook),
            ("What if", found.what_if),
            ("Settings", found.settings),
            ("Inputs, versions and counts", found.inputs),
        ],
        "short": words.short_names(found),
        "most": MOST_ROWS,
        "rejected": [],
        "settings": [("a", a.name), ("b", b.name), ("relative tolerance", f"{found.rtol:g}")],
    }


def _facts(found: RunComparison) -> list[tuple[str, str]]:
    positions = found.positions
    changed = len(positions.differences) + len(positions.only_a) + len(positions.only_b)
    return [
        ("Traders in both", f"{found.common.traders:,}"),
        ("Other fates", f"{len(found.fates.differences):,}"),
        ("Other ledgers", f"{len(found.ledgers.differences):,}"),
        ("Other positions", f"{changed:,}"),
        ("Other scores", f"{len(found.scores.moves):,}"),
        ("Other rules", f"{len(found.rulebook):,}"),
    ]


def add_comparison_words(environment: Environment) -> None:
    """Give an environment the words that `comparison.html.j2` uses."""
    environment.filters |= {
        "setting": words.setting_value,
        "because": words.because,
        "starts": words.starts_to_differ,
        "places": lambda number: "none" if number is None else f"{number:.4f}",
        "rank": lambda number: "none" if number is None else f"{number:,}",
    }
    environment.globals |= {
        "ended": words.ended,
        "figure_name": words.figure_name,
        "figure_value": words.figure_value,
        "verdict": words.verdict,
        "what_happened": words.what_happened,
    }
