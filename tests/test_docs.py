"""The documentation names what exists."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ptn_backtest.backtest.config import BacktestConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", [field.name for field in fields(BacktestConfig)])
def test_every_setting_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_path_of_a_machine(page):
    assert not re.search(r"(?<![\w.<])/(work|root|home|tmp)/", page.read_text())
