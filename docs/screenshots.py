"""Takes the pictures of docs/operating.md from the pages that `make up` serves.

    python docs/screenshots.py train/faces-gan faces-gan

The arguments are a deployment that has run and a registered model. Debian's Chromium is driven
without a window; CHROMIUM names another one.
"""

import os
import sys
from pathlib import Path

import requests
from playwright.sync_api import Page, sync_playwright

from atelier.operations.services import mlflow_url, prefect_api

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1500, "height": 1000}
OFFLINE = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
SETTLE_MILLISECONDS = 4000
"""Both pages are drawn by scripts that ask for data after they are loaded."""


def latest_run(deployment: str) -> str:
    """The id of the last run of a deployment that trained something."""
    api = prefect_api()
    found = requests.get(f"{api}/deployments/name/{deployment}", timeout=30).json()["id"]
    wanted = {
        "flow_runs": {
            "deployment_id": {"any_": [found]},
            "state": {"type": {"any_": ["COMPLETED"]}},
        },
        "sort": "START_TIME_DESC",
    }
    runs = requests.post(f"{api}/flow_runs/filter", json=wanted, timeout=30).json()
    return str(max(runs, key=lambda run: run["total_run_time"])["id"])


def pictures_of(run: str) -> str:
    """The id of a run's artifact that shows what was made."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["image"]}}}
    answer = requests.post(f"{prefect_api()}/artifacts/filter", json=wanted, timeout=30)
    return str(answer.json()[0]["id"])


def take(page: Page, address: str, name: str, tab: str = "", close: str = "") -> None:
    """One picture of one page, once it has settled; `close` is a panel's button beside it."""
    page.goto(address, wait_until="load")
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    if tab:
        page.get_by_text(tab, exact=True).first.click()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
    if close and page.locator(close).count():
        page.locator(close).first.click()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=IMAGES / f"operating-{name}.png")


def main(deployment: str, model: str) -> None:
    prefect, run = prefect_api().removesuffix("/api"), latest_run(deployment)
    with sync_playwright() as driver:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = driver.chromium.launch(executable_path=chromium, args=list(OFFLINE))
        page = browser.new_page(viewport=SIZE)
        take(page, f"{prefect}/deployments", "deployments")
        take(page, f"{prefect}/runs/flow-run/{run}", "run")
        take(page, f"{prefect}/runs/flow-run/{run}", "artifacts", tab="Artifacts")
        take(page, f"{prefect}/artifacts/artifact/{pictures_of(run)}", "pictures")
        panel = "button[aria-label='Close']"
        take(page, f"{mlflow_url()}/#/models/{model}", "model", close=panel)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
