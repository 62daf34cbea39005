"""Takes the pictures of docs/operating.md from the pages that `make up` serves.

    python docs/screenshots.py deployment=train/faces-gan model=faces-gan

A deployment that has run, and a registered model with two versions or more; one of the two will
do. Debian's Chromium is driven without a window; CHROMIUM names another one, ATELIER_MLFLOW_URL
where MLflow's pages are.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

import requests
from playwright.sync_api import Page, sync_playwright

from atelier.operations.services import mlflow_url, prefect_api

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1500, "height": 1000}
OFFLINE = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
TEST = "test"
"""How the names of test figures begin."""
MLFLOW_SIZE = {"width": 1280, "height": 800}
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


def take(page: Page, address: str, name: str, tab: str = "") -> None:
    """One picture of one page, once it has settled."""
    page.goto(address, wait_until="load")
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    if tab:
        page.get_by_text(tab, exact=True).first.click()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=IMAGES / f"operating-{name}.png")


def take_mlflow(page: Page, served: str, model: str) -> None:
    """MLflow's pages of a registered model: itself, its newest version, that one's run, LoggedModel
    and sheet, and two versions side by side."""
    query = {"filter": f"name='{model}'", "order_by": ["version_number DESC"]}
    api = f"{served}/api/2.0/mlflow"
    answer = requests.get(f"{api}/model-versions/search", params=query, timeout=30).json()
    newest, before = answer["model_versions"][:2]
    run = requests.get(f"{api}/runs/get", params={"run_id": newest["run_id"]}, timeout=30).json()
    experiment = run["run"]["info"]["experiment_id"]
    logged = run["run"]["outputs"]["model_outputs"][0]["model_id"]
    runs = json.dumps({one["version"]: one["run_id"] for one in (before, newest)})
    name = json.dumps(model)
    places = {
        "model": f"models/{model}",
        "version": f"models/{model}/versions/{newest['version']}",
        "run": f"experiments/{experiment}/runs/{newest['run_id']}",
        "figures": f"experiments/{experiment}/models/{logged}",
        "sheet": f"experiments/{experiment}/models/{logged}/artifacts",
        "compare": f"compare-model-versions?name={quote(name)}&runs={quote(runs)}",
    }
    page.goto(served)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.get_by_text("Model training", exact=True).first.evaluate("e => e.parentElement.click()")
    for what, place in places.items():
        page.goto("about:blank")
        page.goto(f"{served}/#/{place}")
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        if (close := page.locator("button[aria-label='Close']")).count():
            close.first.click()
        if what == "sheet":
            page.get_by_text("example.png", exact=True).first.click()
        if what in ("figures", "compare"):
            figures = page.get_by_text(f"{TEST}/", exact=False)
            figures.last.scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=IMAGES / f"mlflow-{what}.png")


def main(deployment: str = "", model: str = "") -> None:
    """The pictures of the pages that are named."""
    with sync_playwright() as driver:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = driver.chromium.launch(executable_path=chromium, args=list(OFFLINE))
        if model:
            served = os.environ.get("ATELIER_MLFLOW_URL") or mlflow_url()
            take_mlflow(browser.new_page(viewport=MLFLOW_SIZE), served, model)
        if not deployment:
            return
        prefect, run = prefect_api().removesuffix("/api"), latest_run(deployment)
        page = browser.new_page(viewport=SIZE)
        take(page, f"{prefect}/deployments", "deployments")
        take(page, f"{prefect}/runs/flow-run/{run}", "run")
        take(page, f"{prefect}/runs/flow-run/{run}", "artifacts", tab="Artifacts")
        take(page, f"{prefect}/artifacts/artifact/{pictures_of(run)}", "pictures")
        browser.close()


if __name__ == "__main__":
    main(**{word.partition("=")[0]: word.partition("=")[2] for word in sys.argv[1:]})
