"""A real browser without network: Debian's Chromium, or the one that CHROMIUM names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright


@contextmanager
def opened(path: Path, width: int = 1280, scripts: bool = True) -> Iterator[tuple[Page, list[str]]]:
    """A file as a browser shows it, and what went wrong or was asked of elsewhere meanwhile."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        pytest.skip(f"no browser at {chromium}; CHROMIUM names another")
    faults: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        size = {"width": width, "height": 900}
        page = browser.new_context(
            offline=True, viewport=size, java_script_enabled=scripts
        ).new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text))
        page.on("requestfailed", lambda request: faults.append(request.url[:100]))
        page.goto(path.as_uri())
        yield page, faults
        browser.close()
