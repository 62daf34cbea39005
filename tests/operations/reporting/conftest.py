"""A project as a pipeline leaves it at `laptop`: figures that are in git, and made-up sheets."""

import csv
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from tests.invoking import invoke
from tests.project import ROOT, copy_shipped
from tests.tables import SHIPPED

from atelier.cli.main import app
from atelier.paths import Paths

PATHS = Paths("laptop")
SHEETS = {
    "faces-gan": ("grid", "reals"),
    "faces-cgan": ("grid", "reals"),
    "horse2zebra": ("A2B", "B2A"),
    "black2blond": ("A2B", "B2A"),
    "faces-ae": ("grid",),
    "faces-vae": ("grid", "normal", "mixture"),
}
SIDE = 8


class Page(HTMLParser):
    """What stands in a page: tags with their attributes, figures by key, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.figures, self.words = [], [], []
        self._figure = None
        self.feed(text)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "data" and "data-key" in found:
            self._figure = found.get("class", "ours"), found["data-key"], found["value"]

    def handle_endtag(self, tag):
        if tag == "data":
            self._figure = None

    def handle_data(self, data):
        self.words.append(data)
        if self._figure:
            self.figures.append((*self._figure, data))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def sheet(path, size=(6 * (SIDE + 2) + 2, 3 * (SIDE + 2) + 2), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The working directory: every shipped experiment with figures, sheets and curves."""
    copy_shipped(tmp_path)
    shutil.copytree(
        ROOT / "artifacts/laptop",
        tmp_path / "artifacts/laptop",
        symlinks=True,
        ignore=shutil.ignore_patterns(
            "prepared",
            "judge",
            "judge_b",
            "train",
            "bundle",
            "evaluation",
            "curves.csv",
            "report.html",
            "judge*-labels.csv",
        ),
    )
    monkeypatch.chdir(tmp_path)
    for name in SHIPPED:
        folder = PATHS.evaluation(name)
        folder.mkdir()
        for stem in SHEETS.get(name, ()):
            sheet(folder / f"{stem}.png")
        table(
            PATHS.curves(name),
            ("images", "figure", "value"),
            [(count, "generator_loss", 1000 / count) for count in range(10, 5000, 10)],
        )
        shape = [3, SIDE, SIDE] if name in SHEETS else [100]
        words = {"output_shape": shape, "selected_images": 3000, "digest": "none"}
        PATHS.bundle(name).mkdir()
        (PATHS.bundle(name) / "bundle.json").write_text(json.dumps(words))
    table(PATHS.evaluation("numbers") / "values.csv", ("name", "value"), [(0, 0.6), (5, 0.4)])
    return tmp_path  # fmt: skip


@pytest.fixture
def written(made):
    """The page of all of them."""

    def write(*experiments, scale="laptop"):
        invoke(app, "report", *experiments, "--scale", scale)
        return Page((made / "report.html").read_text(encoding="utf-8"))

    return write
