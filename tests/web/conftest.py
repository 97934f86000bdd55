"""A folder of runs, a server of it per module, and one real browser per session."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.run import run_backtest
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.results.run_folder import write_run
from ptn_backtest.results.states import StateFolder
from tests.conftest import cannot_run
from tests.results.made_networks import EVENTS, network_run
from tests.results.made_runs import ledger, position
from tests.web.served import Served, serving

SCRIPT = "<script>document.title='owned'</script>"
NASTY_HOTKEY = f'5"{SCRIPT}/../%2e%2e'
NASTY_RUN = "<img src=x onerror=document.title='owned'> & %2e%2e"
NASTY_TEXT = f"{SCRIPT}<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the test positions under two limits, one full of script, one of another version."""
    root = tmp_path_factory.mktemp("web") / "runs"
    for name, rules in (("real", ()), ("looser", ("eliminations.drawdown_limit=25",))):
        config = BacktestConfig(
            use_test_positions=True,
            run_challenge=True,
            run_elimination=True,
            run_scoring=True,
            rules=rules,
            output=root,
        )
        write_run(root / name, run_backtest(config))
    write_run(root / NASTY_RUN, _nasty())
    old = root / "of-before"
    old.mkdir()
    (old / "run.json").write_text(json.dumps({"format_version": 1}))
    (root / "no-run").mkdir()
    (root / "secret.txt").write_text("a secret")
    return root


def _nasty() -> Any:
    made = network_run()
    own = ledger([1.02, 0.98, 1.05, 1.05])
    return network_run(
        source=NASTY_TEXT,
        warnings=[NASTY_TEXT],
        failed_traders={f"5Broken{SCRIPT}": NASTY_TEXT},
        ledgers={**made.ledgers, NASTY_HOTKEY: {"portfolio": own}},
        positions=[*made.positions, position(NASTY_HOTKEY, f"uuid{SCRIPT}")],
        rejections=[
            Rejection(Reason.INVALID_PRICE, NASTY_TEXT, NASTY_TEXT, NASTY_HOTKEY, "", "", 1)
        ],
        events=[*EVENTS, *(_of_nasty(event) for event in EVENTS if event.miner_hotkey == "5Up")],
    )


def _of_nasty(event: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(event, miner_hotkey=NASTY_HOTKEY, reason=NASTY_TEXT)


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Served]:
    """The pages of `runs`, without a token."""
    with serving(runs) as served:
        yield served


def begin_unfinished(root: Path, name: str, n_legs: int) -> Path:
    """A run that is under way, and has not stored a leg."""
    folder = root / f"unfinished-{name}"
    legs = [(1_735_689_600_000 + leg * 86_400_000,) for leg in range(n_legs)]
    StateFolder.begin(folder, {}, legs)
    return folder


def store_leg(folder: Path, leg: int) -> None:
    """Let a leg appear as done."""
    for part in ("ledgers", "rules"):
        (folder / "states" / f"{leg:04}.{part}").mkdir()


@dataclass
class Browser:
    """A headless Chromium, and what it said and asked for since it was looked at last."""

    driver: webdriver.Chrome

    def open(self, address: str) -> None:
        """Load a page."""
        self.driver.get(address)

    def all(self, css: str) -> list[WebElement]:
        """Elements by selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """The first element."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def wait(self, until: Any, seconds: float = 20) -> Any:
        """What a function of this browser gives, once it is true."""
        return WebDriverWait(self.driver, seconds).until(lambda _: until(self))

    def press(self, *keys: str, holding: str = "") -> None:
        """Type where the focus is, maybe with a key held down meanwhile."""
        for key in keys:
            # as a keyboard does, whatever has the focus: no element need be ready for it
            typed = ActionChains(self.driver)
            if holding:
                typed.key_down(holding).send_keys(key).key_up(holding).perform()
            else:
                typed.send_keys(key).perform()

    def rows(self, table: str) -> list[list[str]]:
        """The texts of a table's visible rows."""
        script = """return [...document.querySelectorAll(arguments[0] + ' tbody tr:not([hidden])')]
            .map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"""
        found: list[list[str]] = self.driver.execute_script(script, table)
        return found

    def errors(self) -> list[str]:
        """What the console said since the last call: errors, and violations of the policy."""
        return [str(one["message"]) for one in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(str(message["params"]["request"]["url"]))
        return found

    def size(self, width: int, height: int = 900) -> None:
        """Be a window of this size."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def dark(self, on: bool) -> None:
        """Prefer a dark page, or a light one."""
        value = "dark" if on else "light"
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": value},
                    {"name": "prefers-reduced-motion", "value": "reduce"},  # clicks aim at rest
                ]
            },
        )


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        cannot_run("no Chromium to test with: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    # tests need no network beside the server's, and must not wait for it
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield Browser(chrome)
    chrome.quit()


@pytest.fixture
def browser(_chromium: Browser) -> Browser:
    """The session's browser, wide and light, its logs empty."""
    _chromium.open("about:blank")
    _chromium.driver.delete_all_cookies()
    _chromium.size(1280)
    _chromium.dark(on=False)
    _chromium.errors()
    _chromium.asked_for()
    return _chromium
