"""`dvc plots show` draws curves, tables and pictures; `dvc metrics show` gives figures."""

import json
import re

from tests.project import run

CURVES = {"faces-gan, losses": "images", "numbers, score": "images"}


def test_the_road_is_drawn(road, tmp_path):
    said = run(road, "dvc", "plots", "show", "--out", str(tmp_path))
    assert "failed" not in said
    page = (tmp_path / "index.html").read_text()
    for title in (*CURVES, "KID beside ceiling", "each multiple of 5", "The judge of celeba"):
        assert title in page, title
    assert "judge: generator" in page
    assert "Eyeglasses" in page
    pictures = {path.name for path in (tmp_path / "static").iterdir()}
    assert pictures == {
        f"workspace_artifacts_tiny_faces-gan_evaluation_{name}.png" for name in ("grid", "reals")
    }


def test_curves_have_every_row_of_the_history(road):
    said = run(road, "dvc", "plots", "show", "--json", "faces-gan, losses")
    points = json.loads(said[said.index("{") :])["data"]["faces-gan, losses"][0]["content"]
    drawn = json.dumps(points)
    rows = (road / "artifacts/tiny/faces-gan/train/history.csv").read_text().splitlines()[1:]
    for row in rows:
        assert re.search(rf'"images\\?": \\?"{row.split(",")[1]}\\?"', drawn), drawn[:800]


def test_metrics_are_a_table(road):
    said = run(road, "dvc", "metrics", "show", "--md", "artifacts/tiny/faces-gan/metrics.json")
    header = [cell.strip() for cell in said.splitlines()[0].split("|")]
    assert {"Path", "judge.kid", "witness.kid"} <= set(header)
    shown = json.loads(run(road, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert {path.split("/")[2] for path in shown} == {"faces-gan", "numbers", "celeba"}
