"""Other seeds: trained in folders of their own, shown beside the pipeline's, and done once."""

import json
import sys

import pytest
from tests.project import ROOT, contents, run


@pytest.mark.slow
def test_each_seed_is_a_training_of_its_own(project):
    script = str(ROOT / "benchmarks" / "seeds.py")
    words = ("faces-gan", "--scale", "tiny", "--seeds", "7")
    before = contents(project / "artifacts")
    said = run(project, sys.executable, script, *words, "--out", "found.json")
    assert contents(project / "artifacts") == before
    found = json.loads((project / "found.json").read_text())["faces-gan"]
    own = json.loads((project / "artifacts/tiny/faces-gan/metrics.json").read_text())
    assert found["1"]["witness.kid"] == pytest.approx(own["witness"]["kid"])
    assert found["7"]["witness.kid"] != found["1"]["witness.kid"]
    assert found["7"].keys() == found["1"].keys() >= {"other_judges.median kid", "judge.recall"}
    assert f"faces-gan: witness.kid: {found['1']['witness.kid']:.3f}, " in said
    again = run(project, sys.executable, script, *words, "--out", "again.json")
    assert "images/s" not in again
    assert json.loads((project / "again.json").read_text())["faces-gan"] == found
