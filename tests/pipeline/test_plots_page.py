"""The page of `dvc plots show` needs no network, draws both kinds of chart, and says what it can't.

Rendered by DVC's own renderer, without a pipeline; test_plots.py looks at what a whole one draws.
"""

import configparser
import re
from pathlib import Path

import pytest
from dvc_render import ImageRenderer, VegaRenderer, render_html
from PIL import Image
from tests.browsing import opened
from tests.project import ROOT

TEMPLATE = ROOT / ".dvc/page.html"
BAR = {"template": "bar_horizontal", "x": "value", "y": "name"}
CURVES = {"template": "curves", "x": "images", "y": "value", "template_dir": ROOT / ".dvc/plots"}


def kid_rows(revision):
    values = {"generator": 0.19, "ceiling": -0.001, "blurred": 20.8}
    return [
        {"name": f"judge: {name}", "value": str(value), "standard_error": "0.01", "rev": revision}
        for name, value in values.items()
    ]


@pytest.fixture
def index(tmp_path):
    """The page of one experiment, in two revisions, and of a judge."""
    (tmp_path / "static").mkdir()
    Image.new("RGB", (40, 40), "red").save(tmp_path / "static/grid.png")
    of = "artifacts/laptop/faces-gan"
    curve = [
        {"images": str(count), "figure": figure, "value": str(100 / count), "rev": "workspace"}
        for figure in ("generator_loss", "r1")
        for count in (10, 20, 1000)
    ]
    judged = [{"name": "Male", "value": "0.99", "rev": "workspace"}]
    linear = [{"step": "1", "loss": "2", "rev": "workspace"}]
    picture = {"src": "static/grid.png", "rev": "workspace"}
    renderers = [
        VegaRenderer(judged, "artifacts/laptop/celeba/judge-labels.csv", title="artifacts/laptop/"
                     "celeba/judge-labels.csv", **BAR),
        VegaRenderer(curve, f"{of}/curves.csv", title=f"{of}/curves.csv", **CURVES),
        VegaRenderer(kid_rows("HEAD") + kid_rows("workspace"), f"{of}/evaluation/kid.csv",
                     title=f"{of}/evaluation/kid.csv", **BAR),
        VegaRenderer(linear, "other.csv", title="other.csv", template="linear", x="step", y="loss"),
        ImageRenderer([picture], f"{of}/evaluation/grid.png"),
    ]  # fmt: skip
    out = tmp_path / "index.html"
    render_html(renderers, out, str(TEMPLATE))
    return out


def test_dvc_is_told_to_use_it():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    assert ROOT / ".dvc" / config["plots"]["html_template"].strip() == TEMPLATE


def test_nothing_is_fetched_but_its_own_pictures(index):
    text = index.read_text()
    assert "cdn.jsdelivr.net" not in text
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["static/grid.png"]
    addresses = set(re.findall(r"https?://[^\"' ]*", text))
    assert addresses <= {
        "http://www.w3.org/2000/svg",
        "https://vega.github.io/schema/vega-lite/v5.json",
    }, "names of formats, which nothing fetches"
    assert "<noscript>" in text


@pytest.mark.browser
def test_a_browser_without_network_draws_it(index):
    """What was drawn, in which order, in a real browser."""
    with opened(index) as (page, faults):
        headings = page.locator("h2").all_text_contents()
        boxes = page.locator("section").nth(0).locator("> div")
        files = boxes.evaluate_all("all => all.map(one => one.querySelector('p').textContent)")
        drawn = page.locator("section").nth(0).locator("svg").count()
        labels = page.locator("svg").evaluate_all("all => all.map(one => one.ariaLabel)")
        dots = page.locator("section").nth(0).locator("svg circle").count()
        text = page.locator("main").inner_text()
    assert not faults
    assert headings == ["faces-gan", "Others", "Judges"]
    assert [Path(file).name for file in files] == ["grid.png", "kid.csv", "curves.csv"]
    assert drawn == 3  # two curves and a group of distances
    assert "generator_loss (logarithmic): 0.100 to 10 over 1000 images" in labels
    assert dots == 6  # a logarithmic axis has dots: three sets in two revisions
    assert "~0" in text
    assert "This kind of chart is not drawn here" in text
