"""A headless Chromium with a profile of its own, driven through ChromeDriver."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing but the page may use the network: these keep the browser from calling home.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)
POLL_S = 0.1


class Browser:
    """One browser window."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def find(self, element_id: str) -> WebElement:
        return self.driver.find_element("id", element_id)

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns; a promise is awaited."""
        return cast("Any", self.driver.execute_script)(script, *arguments)

    def video(self, attribute: str) -> Any:
        """Return a property of the page's video element."""
        return self.run("return document.querySelector('video')[arguments[0]]", attribute)

    def problems(self) -> list[str]:
        """Return the errors and warnings in the console since the last call."""
        entries: list[dict[str, Any]] = cast("Any", self.driver.get_log)("browser")
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser and close it at the end; skips the test where none is installed."""
    binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver_binary = shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        pytest.skip("Chromium with ChromeDriver is not installed: nothing to play the video with")
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(driver_binary))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def wait_for(what: str, condition: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Return the condition's value as soon as it is true; fails after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s} s: {what} (last seen: {value!r})")
        time.sleep(POLL_S)
    return value
