"""A real browser for tests: what it shows, what it says, and what it asks for."""

import json
from dataclasses import dataclass
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait


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
