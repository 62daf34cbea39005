"""What is written is equal byte for byte, and says nothing that is not finite."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atelier.data.sheet import sheet
from atelier.evaluation.report import flatten, write_grid, write_metrics, write_table


def test_metrics_are_sorted_and_rounded(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(path, {"b": {"kid": np.float64(0.123456789)}, "a": [1, True, "x"]})
    assert (
        path.read_text()
        == json.dumps({"a": [1, True, "x"], "b": {"kid": 0.123457}}, indent=2) + "\n"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        write_metrics(tmp_path / "metrics.json", {"kid": value})
    assert not (tmp_path / "metrics.json").exists()


def test_flat_keys_name_their_extractor() -> None:
    metrics = {"judge": {"kid": 1.5}, "collapsed": False, "settings": {"split": "test"}}
    assert flatten(metrics) == {"judge/kid": 1.5, "collapsed": 0.0}


def test_tables(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"set": "x", "kid": 1 / 3}, {"set": "y, z", "kid": ""}])
    assert (tmp_path / "t.csv").read_bytes() == b'set,kid\nx,0.333333\n"y, z",\n'


def test_a_grid_shows_every_picture(tmp_path: Path) -> None:
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 16, 16), np.uint8)
    write_grid(tmp_path / "a.png", images)
    write_grid(tmp_path / "b.png", images)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), sheet(images))
