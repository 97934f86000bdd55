"""The pages in a real browser: opened, sorted, filtered, drilled into, by mouse and by keys."""

import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest
from selenium.webdriver.common.keys import Keys

from ptn_backtest import load_run
from tests.browser import Browser
from tests.web.conftest import begin_unfinished, store_leg
from tests.web.served import Served, serving

BRUNO = "5TestTraderBruno" + "x" * 32


@pytest.fixture(autouse=True)
def _nothing_wrong(browser: Browser):
    """No test may leave an error in the console, or ask another host for anything."""
    yield
    assert browser.errors() == []
    foreign = [
        url
        for url in browser.asked_for()
        if not url.startswith(("http://127.0.0.1:", "data:", "about:", "chrome"))
    ]
    assert foreign == []


def _drawn(browser: Browser) -> list[bool]:
    """Of each chart, whether anything is on its canvas."""
    drawn: list[bool] = browser.driver.execute_script(
        """return [...document.querySelectorAll('figure[data-chart] canvas')].map((canvas) =>
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            .some((byte) => byte))"""
    )
    return drawn


def test_from_the_list_to_a_trader(browser: Browser, server: Served, runs: Path) -> None:
    browser.open(server.address)
    listed = {row[0].split()[0]: row for row in browser.rows("#runs")}
    assert listed["real"][1:5] == ["finished", "2025-09-01", "2025-10-02", "6"]
    assert listed["real"][6] == "2"
    assert "format version 1" in listed["of-before"][2]
    assert "no-run" not in listed
    browser.one("a[href='/run/real']").click()
    browser.wait(lambda b: b.one("h1").text == "real")
    run = load_run(runs / "real")
    best_first = run.equity().ffill().iloc[-1].sort_values(ascending=False)
    hotkeys = [e.get_attribute("data-name") for e in browser.all("#leaders tbody tr")]
    assert hotkeys == list(best_first.index)
    assert [row[3] for row in browser.rows("#leaders")] == [f"{v:.4f}" for v in best_first]
    browser.one(f"a[title='{BRUNO}']").click()
    browser.wait(lambda b: b.one("h1").text == BRUNO)
    assert _drawn(browser) == [True] * 6
    text = browser.one("main").text
    assert "2025-09-16 06:30:00.001 UTC" in text  # the exact breach
    assert "drawdown 20.36%, limit 10%" in text


def test_sorted_and_filtered(browser: Browser, server: Served, runs: Path) -> None:
    browser.open(f"{server.address}/run/real")
    run = load_run(runs / "real")
    deepest = sorted(run.hotkeys, key=lambda h: run.ledger(h).mdd.min())
    head = next(one for one in browser.all("#leaders th button") if one.text == "Max drawdown")
    head.click()
    assert browser.one("#leaders th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert [e.get_attribute("data-name") for e in browser.all("#leaders tbody tr")] == deepest
    head.click()
    browser.driver.refresh()  # the address has the order
    assert [e.get_attribute("data-name") for e in browser.all("#leaders tbody tr")] == deepest[::-1]
    browser.one("#leaders").find_element("xpath", "preceding::select[1]").send_keys("out")
    assert {row[2] for row in browser.rows("#leaders")} == {"out"}
    assert browser.one("[data-for=leaders] output").text == "2 of 6"


def test_by_keyboard_alone(browser: Browser, server: Served) -> None:
    browser.open(f"{server.address}/run/real")
    browser.press("/", "bruno")
    assert len(browser.rows("#leaders")) == 1
    browser.press(Keys.ENTER)  # to the row
    browser.press(Keys.ENTER)  # and into it
    browser.wait(lambda b: b.one("h1").text == BRUNO)
    browser.press("u")
    browser.wait(lambda b: b.one("h1").text == "real")
    browser.press("?")
    assert browser.one("#keys").is_displayed()
    browser.press(Keys.ESCAPE)
    browser.press("j")
    first = browser.driver.switch_to.active_element.get_attribute("title")
    browser.press("j")
    assert browser.driver.switch_to.active_element.get_attribute("title") != first
    browser.press("k")
    assert browser.driver.switch_to.active_element.get_attribute("title") == first
    browser.press("s", Keys.ENTER)
    assert browser.one("#leaders th[aria-sort]").text.startswith("Trader")


def test_a_chart_by_keys(browser: Browser, server: Served) -> None:
    browser.open(f"{server.address}/run/real/trader/{BRUNO}")
    browser.driver.execute_script("document.querySelector('.canvas').focus()")
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    legend = browser.one("figure .u-legend").text
    assert "2025-09-1" in legend
    browser.press(Keys.ARROW_RIGHT)
    assert browser.one("figure .u-legend").text != legend
    browser.press("+", "-", "0")


def test_a_position_on_its_prices(browser: Browser, server: Served, runs: Path) -> None:
    browser.open(f"{server.address}/run/real/trader/{BRUNO}")
    run = load_run(runs / "real")
    rows = browser.rows("#positions")
    assert len(rows) == len(run.positions(BRUNO)) == 3
    closing = run.orders(BRUNO).query("order_type == 'FLAT'").set_index("trade_pair_id").fill_price
    for row in rows:
        assert float(row[7].replace(",", "")) == pytest.approx(closing[row[2]], rel=1e-7)
    browser.one("#positions tbody a").click()
    browser.wait(lambda b: b.all("tr.chosen"))
    assert "ETHUSD: closes, with highs and lows" in browser.one("#prices figcaption").text
    assert "with 2 orders" in str(browser.one("#prices .canvas").get_attribute("aria-label"))


def test_two_runs_compared(browser: Browser, server: Served) -> None:
    browser.open(f"{server.address}/compare?a=real&b=looser")
    assert browser.one("h1").text == "Results differ, under other settings."
    assert "eliminations.drawdown_limit" in browser.one("main").text
    assert _drawn(browser) == [True]
    browser.one("select[name=trader]").send_keys("5TestTraderBr")
    browser.wait(lambda b: BRUNO in b.driver.current_url)
    assert BRUNO in browser.one("figcaption").text
    browser.open(f"{server.address}/compare?a=real&b=real")
    assert browser.one("h1").text.startswith("Every result is equal")


def test_a_query(browser: Browser, server: Served) -> None:
    browser.open(f"{server.address}/query?run=real")
    browser.one("#sql").send_keys("SELECT kind, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    browser.press(Keys.ENTER, holding=Keys.CONTROL)
    browser.wait(lambda b: b.all("#answer"))
    assert ["ENTERED", "6"] in browser.rows("#answer")
    browser.open(
        f"{server.address}/query?{urlencode({'run': 'real', 'sql': 'SELECT knid FROM events'})}"
    )
    assert "did you mean kind (events)?" in browser.one("[role=alert]").text
    asked = {"run": "real", "sql": "SELECT * FROM range(1000)"}
    browser.open(f"{server.address}/query?{urlencode(asked)}")
    assert len(browser.rows("#answer")) == 500
    assert browser.one("#answer-title").text == "The first 500 rows; CSV has more"


def test_every_page_on_a_phone_and_in_the_dark(browser: Browser, server: Served) -> None:
    browser.size(390)
    browser.dark(on=True)
    for path in (
        "/",
        "/run/real",
        f"/run/real/trader/{BRUNO}",
        "/compare?a=real&b=looser",
        "/query",
    ):
        browser.open(server.address + path)
        wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390, f"{path} is {wide} wide"
        background = browser.driver.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
        assert sum(int(part) for part in background.strip("rgb()").split(",")) < 150
    browser.open(f"{server.address}/run/real/trader/{BRUNO}")
    browser.dark(on=False)  # charts are drawn anew
    assert all(_drawn(browser))


def test_a_run_that_goes_on(browser: Browser, runs: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    folder = begin_unfinished(root, "live", 3)
    with serving(root) as served:
        browser.open(served.address)
        assert "0 of 3 legs" in browser.rows("#runs")[0][1]
        browser.one("#runs a").click()
        browser.wait(lambda b: "0 of 3 legs" in b.one("main").text)
        store_leg(folder, 0)
        browser.wait(lambda b: "1 of 3 legs" in b.one("main").text)
        assert "Done up to\n2025-01-01" in browser.one("main").text
        shutil.copytree(runs / "real", root / "live")
        shutil.rmtree(folder)
        browser.wait(lambda b: b.driver.current_url == f"{served.address}/run/live")
        assert browser.one("h1").text == "live"
