"""`dvc plots show` draws curves, tables and pictures of all; `dvc metrics show` gives figures."""

import json

import pytest
from tests.project import carried, run

from atelier.evaluation.report import flatten

CARRIED = carried()
LISTED, DATASETS = CARRIED.experiments, CARRIED.datasets
OF_NUMBERS = ("numbers/judge-metrics.json", "numbers/judge_b-metrics.json")
"""Arithmetic has no figure of its own."""


@pytest.fixture(scope="module")
def drawn(pipeline, tmp_path_factory):
    """The page and the names of its pictures."""
    folder = tmp_path_factory.mktemp("plots")
    said = run(pipeline, "dvc", "plots", "show", "--out", str(folder))
    assert "failed" not in said
    return (folder / "index.html").read_text(), {p.name for p in (folder / "static").iterdir()}


@pytest.mark.parametrize("name", LISTED)
def test_every_curve_and_table_of_an_experiment_is_drawn(pipeline, drawn, name):
    folder = pipeline / "artifacts/tiny" / name
    tables = [folder / "curves.csv", *folder.glob("evaluation/*.csv")]
    assert len(tables) > 1
    for table in tables:
        assert table.relative_to(pipeline).as_posix() in drawn[0]
    for row in (folder / "train/history.csv").read_text().splitlines()[1:]:
        assert f'"images": "{row.split(",")[1]}"' in drawn[0]


@pytest.mark.parametrize("name", [name for name in LISTED if LISTED[name].model != "numbers"])
def test_every_picture_of_an_experiment_is_drawn(pipeline, drawn, name):
    pictures = list((pipeline / "artifacts/tiny" / name).glob("evaluation/*.png"))
    assert pictures
    for picture in pictures:
        assert f"workspace_artifacts_tiny_{name}_evaluation_{picture.name}" in drawn[1]


@pytest.mark.parametrize("name", DATASETS)
def test_every_judge_is_drawn(drawn, name):
    for judge in ("judge", "judge_b"):
        assert f"artifacts/tiny/{name}/{judge}-labels.csv" in drawn[0]


def test_metrics_are_a_table(pipeline):
    shown = json.loads(run(pipeline, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert {path.split("/")[2] for path in shown} == LISTED.keys() | DATASETS.keys()
    for path, found in shown.items():
        assert not found.get("error"), path
        assert flatten(found["data"]) or path.endswith(OF_NUMBERS), path
