"""report.html in a real browser, opened as a file: sorted, searched, a trader opened and drawn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.result import RunResult
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.report.html import MOST_OPEN_TRADERS, write_report
from ptn_backtest.results.statistics import rank_traders
from tests.browser import Browser
from tests.results.made_networks import ELIMINATIONS, EVENTS, network_run
from tests.results.made_runs import ledger, position

BRUNO = "5TestTraderBruno" + "x" * 32
SCRIPT = "<script>document.title='owned'</script>"
NASTY = f"5\"'{SCRIPT}<img src=x onerror=\"document.title='owned'\"></script><!--"


@dataclass(frozen=True, slots=True)
class Reported:
    """A run and its page."""

    result: RunResult
    address: str


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """The test positions with all rules."""
    folder = tmp_path_factory.mktemp("real")
    config = BacktestConfig(
        use_test_positions=True,
        run_challenge=True,
        run_elimination=True,
        run_scoring=True,
        output=folder / "runs",
    )
    return _reported(run_backtest(config), folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A made network: a breach, a liquidation, scores, findings."""
    return _reported(network_run(), tmp_path_factory.mktemp("made"))


def _reported(result: RunResult, folder: Path) -> Reported:
    return Reported(result, write_report(folder, result).as_uri())


@pytest.fixture(autouse=True)
def _nothing_wrong(browser: Browser) -> Iterator[None]:
    """No test may leave an error in the console, or ask for anything but the page."""
    yield
    assert browser.errors() == []
    asked = {url.split("#")[0] for url in browser.asked_for()}
    assert {url for url in asked if not url.startswith(("about:", "data:"))} <= {
        browser.driver.current_url.split("#")[0]
    }


def _drawn(browser: Browser, within: str = "") -> list[bool]:
    """Of each chart, whether anything is on its canvas."""
    drawn: list[bool] = browser.driver.execute_script(
        """return [...document.querySelectorAll(arguments[0] + ' figure canvas')].map((canvas) =>
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            .some((byte) => byte))""",
        within,
    )
    return drawn


def _open(browser: Browser, hotkey: str) -> str:
    """Open a trader's part from the leaderboard; a selector of it."""
    link = browser.one(f"#leaders a[title='{hotkey}']")
    place = str(link.get_attribute("hash"))
    link.click()
    section = f"details[data-n='{int(place.removeprefix('#t')) - 1}']"
    browser.wait(lambda b: b.all(f"{section}[open] .part *"))
    return section


def test_sorted_filtered_and_searched(browser: Browser, real: Reported) -> None:
    browser.open(real.address)
    ranked = rank_traders(real.result)

    def hotkeys() -> list[str | None]:
        shown = browser.all("#leaders tbody tr:not([hidden])")
        return [row.get_attribute("data-name") for row in shown]

    assert hotkeys() == [one.miner_hotkey for one in ranked]
    head = next(one for one in browser.all("#leaders th button") if one.text == "Max drawdown")
    head.click()
    deepest = sorted(ranked, key=lambda one: -one.portfolio.max_drawdown)
    assert hotkeys() == [one.miner_hotkey for one in deepest]
    head.click()
    assert hotkeys() == [one.miner_hotkey for one in deepest[::-1]]
    browser.one("[data-for=leaders] select").send_keys("out")
    gone = {one.miner_hotkey for one in real.result.eliminations}
    assert set(hotkeys()) == gone
    assert browser.one("[data-for=leaders] output").text == f"{len(gone)} of {len(ranked)}"
    browser.one("[data-for=leaders] select").send_keys("all")
    browser.one("[data-for=leaders] input").send_keys("BRUNO")
    assert hotkeys() == [BRUNO]
    # the parts below are sifted with the rows
    assert [one.text for one in browser.all("details.trader .key") if BRUNO in one.text] == [BRUNO]
    assert len([one for one in browser.all("details.trader") if one.is_displayed()]) == 1
    browser.driver.execute_script("location.hash = '#t1'")  # but whoever asks for one sees it
    browser.wait(lambda b: b.one("details[data-n='0']").is_displayed())


def test_small_curves_and_all_charts_are_drawn(browser: Browser, real: Reported) -> None:
    browser.open(real.address)
    browser.wait(lambda b: len(b.all("#leaders .spark svg path")) == len(real.result.ledgers))
    # of each: value, drawdown, prices, attribution, class scores and rank
    drawn = _drawn(browser)
    assert len(drawn) == 6 * len(real.result.ledgers)
    assert all(drawn)


def test_the_exact_breach(browser: Browser, made: Reported) -> None:
    browser.open(made.address)
    text = browser.one(_open(browser, "5Deep")).text
    for words in (
        "Eliminated: drawdown",
        "Reached the limit\n2025-01-16 17:00:00.001 UTC",
        "Value then\n0.918",
        "Peak before\n1.02",
        "Drawdown then\n10.0000%",
        "Recorded drawdown\n10.25%",
        "ETHUSD -0.4 3,456.78 2025-01-16 17:00:00 -9.00% deep-1",
        "GBPUSD 2 1.25 last order's price -1.00% deep-2",
        "GBPUSD 1.24 2025-01-17 00:00:00, second -1.50% deep-2",
        "Value since the first order, and where the drawdown limit is reached",
    ):
        assert words in text, words
    assert "Reached 0\n2025-01-17 19:00:00 UTC" in browser.one(_open(browser, "5Zero")).text


def test_scores_story_and_findings(browser: Browser, made: Reported) -> None:
    browser.open(made.address)
    text = browser.one(_open(browser, "5Up")).text
    for words in (
        "Final weight\n10.00% 2025-01-19",
        "Penalty\n0.125",
        "promoted to MAINCOMP: rank 1 of 3 in crypto, score 0.75 (in from 0.5)",
        "Story: ",
    ):
        assert words in text, words
    browser.driver.execute_script("document.querySelector('details[data-class]').open = true")
    browser.wait(lambda b: b.all("details[data-class='0'] table"))
    rows = browser.rows("details[data-class='0']")
    assert rows[0][0] == "5Up"
    assert rows[0][2:9] == ["90", "1 10%", "2 20%", "3 30%", "4 40%", "5 50%", "6 60%"]


def test_figures_positions_and_prices_are_those_of_the_run(
    browser: Browser, real: Reported
) -> None:
    browser.open(real.address)
    section = _open(browser, BRUNO)
    summary = next(one for one in rank_traders(real.result) if one.miner_hotkey == BRUNO)
    text = browser.one(section).text
    assert f"Max drawdown\n{summary.portfolio.max_drawdown:.2%}" in text
    number = section.split("'")[1]
    rows = browser.rows(f"#positions{number}")
    replayed = {one.position.position_uuid: one for one in summary.positions}
    assert {row[10] for row in rows} == set(replayed)
    log = real.result.orders
    places = {one.position.position_uuid: n for n, one in enumerate(real.result.positions)}
    for row in rows:
        one = replayed[row[10]]
        assert row[2] == one.position.trade_pair.trade_pair_id
        assert float(row[6].replace(",", "")) == pytest.approx(
            one.state.initial_entry_price, rel=1e-7
        )
        closing = (log.position == places[row[10]]) & (log.after["held"] == 0)
        paid = log.fill_price[closing & (log.fill_price > 0)][0]
        assert float(row[7].replace(",", "")) == pytest.approx(paid, rel=1e-7)
    assert "closes, with highs and lows" in browser.one(f"{section} .on-prices figcaption").text
    browser.one(f"#positions{number} tbody button").click()
    browser.wait(lambda b: b.all(f"{section} tr.chosen"))
    pair = browser.one(f"{section} tr.chosen td:nth-child(3)").text
    label = str(browser.one(f"{section} .on-prices .canvas").get_attribute("aria-label"))
    assert label.startswith(f"Prices of {pair} with ")
    assert all(_drawn(browser, f"{section} .on-prices"))
    browser.one(f"{section} .on-prices .canvas").click()


def test_what_was_set_aside_stands_with_the_trader(browser: Browser, tmp_path: Path) -> None:
    row = Rejection(Reason.INVALID_PRICE, "price -3.0 is not above 0", "row 7", "5Up", "u", "o", 2)
    page = _reported(network_run(rejections=[row] * 60), tmp_path)
    browser.open(page.address)
    text = browser.one(_open(browser, "5Up")).text
    assert "Set aside: 60 positions" in text
    assert "price -3.0 is not above 0\nrow 7" in text
    assert "The first 50; rejected.parquet has all 60." in text


def test_of_many_traders_only_the_opened_are_drawn(browser: Browser, tmp_path: Path) -> None:
    run = network_run()
    many = {f"5Many{n}": {PORTFOLIO: ledger([1 + n / 99, 1.1])} for n in range(MOST_OPEN_TRADERS)}
    browser.open(_reported(replace(run, ledgers={**run.ledgers, **many}), tmp_path).address)
    assert browser.all("figure canvas") == []
    section = _open(browser, "5Many7")
    assert len(browser.all("figure canvas")) == len(browser.all(f"{section} canvas")) > 0
    assert all(_drawn(browser))
    # a link to a part opens it, also when the page comes anew
    browser.driver.refresh()
    browser.wait(lambda b: b.all(f"{section}[open] canvas"))


def test_by_keyboard_alone(browser: Browser, real: Reported) -> None:
    browser.open(real.address)
    browser.press("/", "bruno", Keys.ENTER)  # to the row
    browser.press(Keys.ENTER)  # and to its part
    browser.wait(lambda b: b.driver.execute_script("return location.hash").startswith("#t"))
    focused = browser.driver.switch_to.active_element
    assert BRUNO in focused.text
    browser.press("?")
    assert browser.one("#keys").is_displayed()
    browser.press(Keys.ESCAPE)
    browser.press("u")
    assert browser.driver.execute_script("return location.hash") == "#traders-title"
    browser.press("/", Keys.ESCAPE)
    assert len(browser.rows("#leaders")) == len(real.result.ledgers)
    browser.press("j", "j", "k")
    first = rank_traders(real.result)[0].miner_hotkey
    assert browser.driver.switch_to.active_element.get_attribute("title") == first
    browser.press("s", Keys.ENTER)
    assert browser.all("#leaders th[aria-sort]")
    browser.driver.execute_script("document.querySelector('.canvas').focus()")
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    legend = browser.one("figure .u-legend").text
    assert "2025-09-0" in legend
    browser.press(Keys.ARROW_RIGHT)
    assert browser.one("figure .u-legend").text != legend


def test_on_a_phone_and_in_the_dark(browser: Browser, made: Reported) -> None:
    browser.size(390)
    browser.dark(on=True)
    browser.open(made.address)
    wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 390
    background = browser.driver.execute_script(
        "return getComputedStyle(document.body).backgroundColor"
    )
    assert sum(int(part) for part in background.strip("rgb()").split(",")) < 150
    before = _picture(browser)
    browser.dark(on=False)  # charts are drawn anew
    browser.wait(lambda b: _picture(b) != before)
    assert all(_drawn(browser))


def test_paper_is_light_and_has_every_chart(browser: Browser, made: Reported) -> None:
    browser.dark(on=True)
    browser.open(made.address)
    dark = _picture(browser)
    browser.driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    browser.wait(lambda b: _picture(b) != dark)
    ink = "return getComputedStyle(document.documentElement).getPropertyValue('--ink')"
    assert browser.driver.execute_script(ink).strip() == "#000"
    assert all(_drawn(browser))
    browser.driver.execute_script("dispatchEvent(new Event('afterprint'))")
    browser.wait(lambda b: _picture(b) == dark)


def _picture(browser: Browser) -> str:
    picture: str = browser.driver.execute_script(
        "return document.querySelector('figure canvas').toDataURL()"
    )
    return picture


def test_without_its_script_the_tables_stand(browser: Browser, made: Reported) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(made.address)
        text = browser.one("body").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for words in (
        "2 5Up main +10.00%",
        "Traders by bucket",
        "Promotions, demotions and eliminations",
        "2025-01-17 00:00 5Deep drawdown MAINCOMP 2025-01-16 17:00:00.001 UTC 0.918 1.02 10.0000% 2",
        "drawn by this page's own script, which is switched off here",
        "Settings, inputs and versions",
    ):
        assert words in text, words


def test_names_full_of_script_stay_text(browser: Browser, tmp_path: Path) -> None:
    run = network_run()
    browser.open(
        _reported(
            network_run(
                source=NASTY,
                warnings=[NASTY],
                failed_traders={NASTY: NASTY},
                ledgers={NASTY: {PORTFOLIO: ledger([1.02, 0.98, 1.3]), NASTY: ledger([1.1])}},
                positions=[*run.positions, position(NASTY, NASTY)],
                rejections=[Rejection(Reason.INVALID_PRICE, NASTY, NASTY, NASTY, NASTY, "", 1)],
                events=[replace(one, miner_hotkey=NASTY, reason=NASTY) for one in EVENTS],
                eliminations=[replace(ELIMINATIONS[0], miner_hotkey=NASTY)],
                order_findings=[
                    replace(one, miner_hotkey=NASTY, sentence=NASTY) for one in run.order_findings
                ],
            ),
            tmp_path,
        ).address
    )
    browser.wait(lambda b: b.all("details[data-n='0'] canvas"))
    part = browser.one("details[data-n='0']").text
    assert part.count(NASTY) >= 6
    assert browser.driver.title != "owned"
    assert browser.all("main script, main img") == []
    assert all(_drawn(browser))
