"""Who is answered: names of the server, tokens, and what every answer forbids the browser."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.web import query_page
from ptn_backtest.web import server as web_server
from tests.browser import Browser
from tests.web.served import Served, serving

TOKEN = "a-token/of&twenty+letters"  # noqa: S105 - of these tests


@pytest.fixture(scope="module")
def guarded(runs: Path) -> Iterator[Served]:
    with serving(runs, hosts=("lab.example.org",), token=TOKEN) as served:
        yield served


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8008", 200),
        ("localhost:8008", 200),
        ("LOCALHOST", 200),
        ("[::1]:8008", 200),
        ("evil.example.org", 421),
        ("127.0.0.1.evil.example.org", 421),
        ("localhost.evil.example.org:8008", 421),
        ("192.168.1.7", 421),
        ("", 421),
    ],
)
def test_only_names_of_ours_are_answered(server: Served, host: str, status: int) -> None:
    assert server.ask("/run/real", {"Host": host}).status == status


def test_other_hosts_where_they_are_allowed(guarded: Served) -> None:
    for host, status in (
        ("lab.example.org:8008", 401),
        ("192.168.1.7", 401),  # an address cannot be rebound
        ("evil.example.org", 421),
    ):
        assert guarded.ask("/", {"Host": host}).status == status


def test_a_token_opens(guarded: Served) -> None:
    asked = guarded.ask("/run/real")
    assert asked.status == 401
    assert "Which token?" in asked.text
    assert "5TestTrader" not in asked.text
    for wrong in ("wrong", TOKEN[:-1], "", "é" * 20, "x" * 5_000):
        assert guarded.ask(f"/?token={quote(wrong)}").status == 401
    let_in = guarded.ask(f"/run/real?{urlencode({'token': TOKEN, 'q-leaders': 'a b'})}")
    assert let_in.status == 303
    assert let_in.headers["location"] == "/run/real?q-leaders=a+b"  # the token leaves the address
    cookie = let_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    own = cookie.partition(";")[0]
    assert guarded.ask("/run/real", {"Cookie": own}).status == 200
    assert guarded.ask("/run/real", {"Cookie": own[:-1]}).status == 401
    assert guarded.ask("/run/real", {"Cookie": f"{own.partition('=')[0]}={TOKEN}"}).status == 401


def test_a_token_leads_nowhere_else(guarded: Served) -> None:
    for path in ("//evil.example.org", "/\\evil.example.org", "///evil.example.org/x"):
        location = guarded.ask(f"{path}?{urlencode({'token': TOKEN})}").headers["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))


def test_the_token_in_a_browser(browser: Browser, guarded: Served) -> None:
    browser.open(f"{guarded.address}/")
    browser.one("input[name=token]").send_keys(TOKEN)
    browser.one("main button").click()
    browser.wait(lambda b: b.all("#runs"))
    assert TOKEN not in browser.driver.current_url
    assert browser.driver.execute_script("return document.cookie") == ""
    said = browser.errors()
    assert all("401" in one for one in said), said


def test_every_answer_forbids_scripts_of_others(server: Served) -> None:
    for path in (
        "/",
        "/run/real",
        "/run/nope",
        "/static/app.js",
        "/query.csv?run=real&sql=SELECT+1",
    ):
        headers = server.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_pages_are_only_read(server: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert server.ask("/query", method=method).status == 405


def test_another_site_runs_no_query(server: Served) -> None:
    path = f"/query?{urlencode({'run': 'real', 'sql': 'SELECT 4711 AS n'})}"
    assert 'id="answer"' in server.ask(path).text
    foreign = {"Sec-Fetch-Site": "cross-site"}
    shown = server.ask(path, foreign).text
    assert "SELECT 4711 AS n" in shown
    assert 'id="answer"' not in shown
    assert server.ask(path.replace("/query", "/query.csv"), foreign).status == 403


def test_a_query_has_a_time(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_page, "MOST_SECONDS", 0.3)
    endless = "SELECT count(*) FROM range(100000000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"
    answer = server.ask(f"/query?{urlencode({'run': 'real', 'sql': endless})}")
    assert "the query took more than 0.3 s and was stopped" in answer.text


def test_csv(server: Served) -> None:
    answer = server.ask(
        f"/query.csv?{urlencode({'run': 'real', 'sql': 'SELECT range AS n FROM range(1234)'})}"
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.text.splitlines()) == 1235


def test_errors_say_what_to_do(server: Served) -> None:
    gone = server.ask("/run/of-before")
    assert gone.status == 422
    assert "Repeat the run" in gone.text
    assert "leaderboard" in server.ask("/run/real/trader/5Nobody").text
    assert server.ask("/compare?a=real&b=nope").status == 404


def test_a_short_token_is_refused(runs: Path) -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        web_server.serve(
            runs, host="127.0.0.1", port=0, token=TOKEN[:5], allowed=(), candles=None, say=print
        )
