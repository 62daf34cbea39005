"""`atelier report`: one page that needs nothing else, says what lacks, and has no other number."""

import base64
import io
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from tests.browsing import opened
from tests.invoking import invoke
from tests.operations.reporting.conftest import PATHS, SHEETS, Page, sheet, table
from tests.project import forget_connections
from tests.tables import SHIPPED

from atelier import spread
from atelier.cli.main import app
from atelier.errors import UserError
from atelier.evaluation.keys import EDITING, SETTINGS
from atelier.evaluation.report import flatten
from atelier.operations.reporting import facts, page
from atelier.operations.reporting.figures import shown

LARGEST_BYTES = 10_000_000
LOADING = ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href")


def test_nothing_is_asked_of_another_place(written, made):
    found = written()
    forbidden = {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not forbidden & {tag for tag, _ in found.tags}
    for tag, attributes in found.tags:
        for name in LOADING:
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:image/")), (tag, address[:60])
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "url(" not in (attributes.get("style") or "")
    text = (made / "report.html").read_text()
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in re.sub('data:image/[^"]*', "", text).replace("http-equiv", "")
    (policy,) = [one for one in found.all("meta") if "http-equiv" in one]
    assert policy["content"].startswith("default-src 'none'")


def test_every_picture_opens_and_says_what_it_shows(written):
    images = written().all("img")
    assert len(images) == sum(map(len, SHEETS.values())) + len(SHEETS)  # and a strip of each
    for image in images:
        kind, _, content = image["src"].partition(";base64,")
        assert kind == "data:image/webp"
        with Image.open(io.BytesIO(base64.b64decode(content))) as opened:
            opened.load()
            assert opened.size == (int(image["width"]), int(image["height"]))
        assert image["alt"].split(":")[0] in SHEETS
    charts = written().all("svg")
    assert len(charts) > len(SHIPPED)
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_figure_is_that_of_metrics_json(written, name):
    metrics = json.loads(PATHS.metrics(name).read_text())
    flat, found = flatten(metrics), written(name)
    told = set()
    for kind, key, value, text in found.figures:
        assert kind == "ours"
        held = flat[key]
        assert float({"True": 1, "False": 0}.get(value, value)) == held
        as_is = bool(held) if text in ("yes", "no") else held
        assert text == shown(as_is)
        told.add(key)
    untold = {key for key in flat.keys() - told if not key.endswith("_standard_error")}
    for key in untold:
        words = key.split("/")
        ends_an_interval = words[-1] in ("low", "high")
        assert SETTINGS in words or ends_an_interval or words[0] == EDITING, key


def test_a_distance_never_stands_alone(written):
    found = written("faces-gan")
    metrics = json.loads(PATHS.metrics("faces-gan").read_text())["judge"]
    for key in ("kid", "kid_ceiling", "kid_shuffled", "kid_blurred"):
        (label,) = [one["aria-label"] for one in found.all("svg")
                    if one["aria-label"].startswith("KID, judge, logarithmic")]  # fmt: skip
        spread = 2 * metrics[f"{key}_standard_error"]
        assert f"{shown(metrics[key])} ± {shown(spread, 2)}" in label
    assert "of the way from shuffled (0) to training images (1)" in found.text


def test_other_training_seeds_stand_beside_the_figure_that_they_change(written, made, monkeypatch):
    name = "faces-gan"
    known = spread.Spread(
        experiment=name, scale="laptop", own_seed=1, commit="", rests_on="", own_figures="",
        trained={2: "", 3: ""},
        figures={
            "judge/kid": spread.Figure(
                name="KID", values={1: 0.03, 2: 0.0312, 3: 0.024}, sampling_error=0.004
            )
        },
    )  # fmt: skip
    monkeypatch.setattr(facts, "spread_of", lambda one, scale: known if one == name else None)
    written()
    text = (made / "report.html").read_text()
    assert text.count("3 training seeds: 0.0240 to 0.0312") == 2  # in the table, and its section


def test_headings_tables_and_ids_are_sound(written):
    found = written()
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in found.all("a"):
        assert link["href"].removeprefix("#") in ids
    assert all(header.get("scope") for header in found.all("th"))
    assert found.all("html") == [{"lang": "en"}]
    assert "summary" in ids
    sections = [one["id"] for one in found.all("section")]
    assert sections == list(SHIPPED)


def test_what_lacks_is_said_in_a_line(written):
    for path in PATHS.evaluation("faces-gan").glob("*"):
        path.unlink()
    PATHS.evaluation("faces-gan").rmdir()
    PATHS.curves("faces-gan").unlink()
    PATHS.metrics("faces-gan").unlink()
    found = written("faces-gan", "faces-ae")
    assert (
        f"No figures: {PATHS.metrics('faces-gan')} is not there. Run atelier repro." in found.text
    )
    assert f"No sheets: {PATHS.evaluation('faces-gan')} is not there." in found.text
    assert f"No curves: {PATHS.curves('faces-gan')} is not there, or is empty." in found.text
    assert "nothing is registered here yet" in found.text
    assert len(found.all("img")) == 2  # faces-ae's sheet and strip


def test_sheets_that_nobody_keeps_are_named(written):
    assert "The worst of what it makes: no sheet is there." in written("faces-gan").text
    sheet(PATHS.evaluation("faces-gan") / "worst.png")
    sheet(PATHS.evaluation("faces-gan") / "nearest.png")
    found = written("faces-gan")
    assert "no sheet is there" not in found.text
    assert "its nearest training image" in found.text


CAPTIONS = {
    ("faces-gan", "worst"): "fifth nearest real test image is farthest, by the judge's features",
    ("horse2zebra", "worst"): "The worst of A2B, then of B2A: inputs, and below each the output",
    ("faces-ae", "worst"): "The worst reconstructions, by squared error",
    ("faces-vae", "nearest"): "Samples of the mixture nearest to a training image, nearest first",
    ("faces-gan", "edits"): "the same pictures after the median step",
    ("faces-vae", "edits"): "reconstruction before",
}
"""Words that say what is where on a sheet, and by what."""


@pytest.mark.parametrize(("name", "stem"), CAPTIONS)
def test_a_sheet_says_what_is_where_and_by_what(written, name, stem):
    sheet(PATHS.evaluation(name) / f"{stem}.png")
    assert CAPTIONS[name, stem] in written(name).text


def test_each_row_of_edits_has_its_attribute_and_step(written):
    sheet(PATHS.evaluation("faces-gan") / "edits.png")
    figures = json.loads(PATHS.metrics("faces-gan").read_text())[EDITING]
    found = written("faces-gan").text
    steps = {key: of["median_step"] for key, of in figures.items() if "median_step" in of}
    assert steps
    for attribute, step in steps.items():
        assert f"{attribute}, {step:g} along" in found


def test_a_picture_that_is_cut_short_is_said_and_the_rest_stands(written):
    path = PATHS.evaluation("faces-gan") / "grid.png"
    path.write_bytes(path.read_bytes()[:200])
    found = written("faces-gan")
    assert "grid.png can't be shown" in found.text
    assert len(found.all("img")) == 1


def test_figures_that_are_cut_short_leave_the_old_page(written, made):
    written("faces-gan")
    before = (made / "report.html").read_bytes()
    PATHS.metrics("faces-gan").write_text('{"judge": {"kid": 0.')
    with pytest.raises(UserError, match=r"metrics\.json: can't be read as JSON .*git checkout"):
        written("faces-gan")
    assert (made / "report.html").read_bytes() == before
    assert not [*made.glob(".report*")]


@pytest.mark.slow
def test_the_largest_sheets_stay_below_the_bound(written, made):
    for name, stems in SHEETS.items():
        for number, stem in enumerate(stems):
            sheet(PATHS.evaluation(name) / f"{stem}.png", (1100, 1700), number)
    written()
    assert (made / "report.html").stat().st_size < LARGEST_BYTES


def test_names_are_text_whatever_they_hold(written):
    hostile = "<script>alert('1')</script>"
    metrics = json.loads(PATHS.metrics("faces-cgan").read_text())
    metrics["accuracy"]["with"][hostile] = 0.5
    metrics["grid_rows"] = [hostile]
    metrics["left_out"] = {hostile: hostile}
    metrics["editing"] = {hostile: {"median_step": 1.0}}
    metrics[hostile] = {"kid": 1.0, "kid_standard_error": 0.1, "kid_ceiling": 0.0}
    PATHS.metrics("faces-cgan").write_text(json.dumps(metrics))
    PATHS.judge_metrics("celeba").write_text(
        json.dumps({"balanced_accuracy": {}, "untrusted_labels": [hostile], "floor": 0.9})
    )
    table(PATHS.curves("faces-cgan"), ("images", "figure", "value"), [(1, hostile, 2)])
    table(PATHS.evaluation("faces-cgan") / "accuracy.csv", ("name", "value"), [(hostile, 1)])
    sheet(PATHS.evaluation("faces-cgan") / '"><script>x.png')
    found = written("faces-cgan")
    assert not found.all("script")
    assert found.text.count(hostile) > 5
    assert "image" not in {tag for tag, _ in found.tags}


def test_unknown_words_are_one_line(made):
    with pytest.raises(UserError, match=r"experiment: unknown \(got 'face-gan'\)\. Did you mean"):
        invoke(app, "report", "face-gan")
    with pytest.raises(UserError, match=r"scale: unknown \(got 'lap'\)\. Did you mean laptop\?"):
        invoke(app, "report", "--scale", "lap")
    with pytest.raises(UserError, match="artifacts/gpu: nothing is made here yet"):
        invoke(app, "report", "--scale", "gpu")
    assert not (made / "report.html").exists()


def test_only_a_report_is_replaced_untold(made):
    said = invoke(app, "report", "numbers", "--out", "deep/page.html")
    assert re.fullmatch(r"deep/page\.html: 0\.\d MB\n", said)
    invoke(app, "report", "faces-ae", "--out", "deep/page.html")
    assert 'id="faces-ae"' in (made / "deep/page.html").read_text()
    (made / "mine.html").write_text("<p>mine")
    with pytest.raises(UserError, match=r"mine\.html: exists already"):
        invoke(app, "report", "numbers", "--out", "mine.html")
    assert (made / "mine.html").read_text() == "<p>mine"
    invoke(app, "report", "numbers", "--out", "mine.html", "--overwrite")
    assert page.is_report(made / "mine.html")


@pytest.fixture
def rivals(made, published, image_bundle):
    """faces-gan at tiny: artifacts/ has version 1, and version 2 is champion."""
    here = Path.cwd()
    shutil.copytree(made / "experiments", here / "experiments")
    shutil.copy(made / "params.yaml", here)
    place = here / "artifacts/tiny/faces-gan"
    shutil.copytree(image_bundle, place / "bundle")
    shutil.copy(made / PATHS.metrics("faces-gan"), place)
    return here


def test_the_champion_stands_beside_its_challenger(rivals):
    found = Page(page.report(["faces-gan"], "tiny"))
    assert "These figures: faces-gan-tiny/1, without an alias" in found.text
    assert "The champion beside it: faces-gan-tiny/2" in found.text
    assert "the first version to pass the sanity floors" in found.text
    assert "None of its figures can be had" in found.text  # its run was never made
    (example,) = [one for one in found.all("img") if "champion" in one["alt"]]
    assert "The example in its bundle" in example["alt"]
    assert "promoted" in found.text  # its history


def test_a_registry_that_cannot_be_read_is_said(rivals, monkeypatch):
    (rivals / "mlruns/mlflow.db").write_bytes(b"no database")
    forget_connections()
    found = Page(page.report(["faces-gan"], "tiny"))
    assert "the registry can't be read" in found.text
    assert "Champion: not known." in found.text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_with_scripts_off(written, made, width):
    written()
    with opened(made / "report.html", width, scripts=False) as (shown_page, faults):
        shown_page.locator("details").first.click()
        pictures = shown_page.locator("img, svg")
        sizes = [pictures.nth(at).bounding_box() for at in range(10)]
        headings = shown_page.locator("h2").all_text_contents()
        screen = Image.open(io.BytesIO(shown_page.screenshot(full_page=True)))
    assert not faults
    assert headings == ["All experiments", *SHIPPED]
    assert screen.width == width  # a page that is too wide makes a wider picture
    assert all(size["width"] > 50 and size["x"] + size["width"] <= width for size in sizes)


def test_a_page_of_one_experiment_begins_with_it(written, made):
    found = written("faces-gan")
    headings = re.findall("<h[12].*?>(.*?)</h[12]>", (made / "report.html").read_text())
    assert headings == ["Atelier report, faces-gan, scale laptop", "faces-gan"]
    assert not [one for one in found.all("a") if one.get("href") == "#summary"]
