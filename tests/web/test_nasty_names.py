"""What a run says is anybody's text: it is shown, and nothing of it runs or leads anywhere."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.browser import Browser
from tests.web.conftest import NASTY_HOTKEY, NASTY_RUN
from tests.web.served import Served


def _harmless(browser: Browser) -> None:
    assert browser.driver.title != "owned"
    assert browser.all("main script, main img") == []
    assert browser.errors() == []


def test_scripts_in_a_run_are_text(browser: Browser, server: Served) -> None:
    browser.open(server.address)
    _harmless(browser)
    link = next(one for one in browser.all("#runs a") if one.text == NASTY_RUN)
    link.click()
    browser.wait(lambda b: b.one("h1").text == NASTY_RUN)
    _harmless(browser)
    browser.one("details.note summary").click()
    assert "<script>" in browser.one("details.note").text
    link = next(
        one for one in browser.all("#leaders a") if one.get_attribute("title") == NASTY_HOTKEY
    )
    link.click()
    browser.wait(lambda b: b.one("h1").text == NASTY_HOTKEY)
    assert "<script>" in browser.one("main").text
    assert browser.all("figure canvas")
    _harmless(browser)
    browser.one("#positions a").click()
    _harmless(browser)


def test_scripts_in_other_pages_are_text(browser: Browser, server: Served) -> None:
    for path in (
        f"/compare?{urlencode({'a': NASTY_RUN, 'b': 'real'})}",
        f"/compare?{urlencode({'a': 'real', 'b': 'real', 'trader': NASTY_HOTKEY})}",
        f"/query?{urlencode({'run': NASTY_RUN, 'sql': 'SELECT * FROM rejected'})}",
    ):
        browser.open(server.address + path)
        _harmless(browser)
    assert "<script>" in browser.rows("#answer")[0][1]
    script = "<script>document.title='owned'</script>"
    for path in (
        f"/query?{urlencode({'run': 'real', 'sql': script})}",
        f"/run/{script}",
        f"/run/real/trader/{script}",
        f"/compare?{urlencode({'a': script, 'b': 'real'})}",
    ):
        browser.open(server.address + path)
        assert browser.driver.title != "owned"
        assert browser.all("main script") == []
        # the console tells of the status, and of nothing else
        assert all("the server responded with a status of 4" in one for one in browser.errors())


def test_an_inline_script_would_not_run(browser: Browser, server: Served) -> None:
    browser.open(server.address)
    browser.driver.execute_script(
        """const script = document.createElement('script');
        script.textContent = "document.title = 'owned'";
        document.body.append(script);"""
    )
    assert browser.driver.title != "owned"
    assert "Content Security Policy" in browser.errors()[0]


@pytest.mark.parametrize(
    "path",
    [
        "/run/..",
        "/run/../secret.txt",
        "/run/%2e%2e",
        "/run/%2e%2e%2fsecret.txt",
        "/run/..%5c..",
        "/run/.",
        "/run/no-run",
        "/run/secret.txt",
        "/run/~2e2e",  # ".." as hexadecimal
        "/run/~2e2e2f7365637265742e747874",
        "/run/real%00",
        "/run/~zz",
        "/run/real/trader/..",
        "/run/real/trader/~2e2e",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/uplot/../../app.py",
        "//etc/passwd",
        "/run/real/run.json",
    ],
)
def test_no_path_leads_out(server: Served, path: str) -> None:
    answer = server.ask(path)
    assert answer.status == 404
    assert "That did not work" in answer.text
    for inside in ("a secret", "root:", "import ", "format_version"):
        assert inside not in answer.text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{root}/*')",
        "COPY (SELECT 1) TO '{root}/written.csv'",
        "ATTACH '{root}/written.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
    ],
)
def test_no_query_leads_out(server: Served, runs: Path, sql: str) -> None:
    sql = sql.format(secret=runs / "secret.txt", root=runs)
    for page in ("query", "query.csv"):
        answer = server.ask(f"/{page}?{urlencode({'run': 'real', 'sql': sql})}")
        assert "No answer" in answer.text or answer.status == 422
        assert "a secret" not in answer.text
    assert not list(runs.glob("written*"))
