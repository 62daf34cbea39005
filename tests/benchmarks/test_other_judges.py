"""Other judges: trained once each, and a bundle of copies is found out."""

import json
import sys

import pytest
from tests.project import ROOT, run


@pytest.mark.slow
def test_it_scores_what_is_published(project):
    script = str(ROOT / "benchmarks" / "other_judges.py")
    words = ("faces-gan", "faces-cgan", "--scale", "tiny", "--seeds", "5", "6", "7")
    said = run(project, sys.executable, script, *words, "--out", "found.json")
    assert "faces-gan: median KID" in said
    assert "faces-cgan: median KID" in said
    found = json.loads((project / "found.json").read_text())
    own = json.loads((project / "artifacts/tiny/faces-gan/metrics.json").read_text())
    for figures in found.values():
        kids = [figures[f"judge {seed}"]["kid"] for seed in (5, 6, 7)]
        assert len(set(kids)) == 3
        assert figures["median kid"] == sorted(kids)[1]
        assert 0 <= figures["copies"] <= 1
    # The witness is the same for every judge, and the pictures are those that were evaluated.
    assert found["faces-gan"]["witness"]["kid"] == pytest.approx(own["witness"]["kid"], abs=1e-4)
    again = run(project, sys.executable, script, *words, "--out", "again.json")
    assert again.splitlines()[-2:] == said.splitlines()[-2:]
    assert "images/s" not in again
    assert json.loads((project / "again.json").read_text()) == found
