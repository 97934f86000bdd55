"""The documentation builds as a site, without network and without a dead link."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

# CI fails where a skip would hide something; a developer without the tools is told
mkdocs = pytest.importorskip("mkdocs", reason="pip install 'ptn-backtest[dev]' brings mkdocs")


def build(configuration: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", configuration, "-d", site],
        capture_output=True,
        text=True,
        check=False,
        # no proxy leads anywhere: whatever asked the network would fail
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "HTTPS_PROXY": "http://127.0.0.1:9"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_reference_is_made_from_the_code(site: Path) -> None:
    commands = (site / "cli.html").read_text()
    for option in ("check-orders", "--missing-candles", "doctor", "--leverage-cap"):
        assert option in commands
    assert "get_perf_ledgers" in (site / "api.html").read_text()


def test_every_name_that_is_exported_is_in_the_reference() -> None:
    import ptn_backtest  # noqa: PLC0415

    page = (ROOT / "docs" / "api.md").read_text()
    named = set(re.findall(r"^::: [\w.]+\.(\w+)$", page, re.MULTILINE))
    assert set(ptn_backtest.__all__) <= named


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)|<link[^>]+rel="stylesheet"[^>]+'
            r'href="(https?:[^"]+)',
            page.read_text(),
        )
        assert not loaded, (page.name, loaded)


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = set(re.findall(r"([\w/-]+\.md)", text))
    assert named == {
        p.relative_to(ROOT / "docs").as_posix() for p in PAGES if p.name != "README.md"
    }


def test_a_dead_anchor_fails_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / "docs" / "start.md"
    page.write_text(page.read_text() + "\n[gone](connect.md#not-there)\n")
    text = (ROOT / "mkdocs.yml").read_text().replace("paths: [src]", f"paths: [{ROOT / 'src'}]")
    (tmp_path / "mkdocs.yml").write_text(text)
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")

    assert done.returncode != 0
    assert "not-there" in done.stderr
