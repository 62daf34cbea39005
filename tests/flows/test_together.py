"""A person's commands and a flow in the same workspace at the same moment."""

import re
import subprocess

import pytest
from tests.flows.operator import ATELIER, images_shown
from tests.project import BIN, PATIENCE, contents, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.mark.soak
def test_ten_pairs_end_well(operator):
    """`atelier repro` and a flow wait for one another, whoever came first."""
    file = operator.project / "experiments/tiny/numbers.yaml"
    sound = file.read_text()
    waited = 0
    for turn in range(10):
        file.write_text(sound.replace("hidden: ", f"hidden: {turn + 1}"))
        flow = operator.start("train/numbers")
        person = start(operator.project, ATELIER, "repro", "register@numbers", **operator.variables)
        said, _ = person.communicate(timeout=PATIENCE)
        assert person.returncode == 0, said
        assert operator.finish(flow) == "COMPLETED", operator.log(flow)
        waited += "waiting for" in said + operator.log(flow)
    print(f"in {waited} of 10 pairs one waited for the other")
    file.write_text(sound)


def test_a_bare_dvc_that_meets_a_stage_changes_nothing(operator):
    file = operator.project / "experiments/tiny/faces-gan.yaml"
    sound = file.read_text()
    file.write_text(re.sub(r"\bimages: \d+", "images: 131072", sound))  # outlasts dvc's start
    run_id = operator.start("train/faces-gan")
    wait_for(lambda: images_shown(operator.project, "faces-gan") >= 0)
    before = _kept(operator.project)
    bare = subprocess.run(
        [str(BIN / "dvc"), "repro", "train@faces-gan"],
        cwd=operator.project, capture_output=True, text=True,
    )  # fmt: skip
    assert operator.trainers("faces-gan"), "it ended too early to be met"
    assert bare.returncode != 0
    assert "is busy" in bare.stderr
    assert _kept(operator.project) == before
    operator.cancel(run_id)
    assert operator.finish(run_id) == "CANCELLED"
    file.write_text(sound)


def _kept(project):
    return {
        "lock": (project / "dvc.lock").read_bytes(),
        **contents(project / "experiments"),
        **contents(project / "artifacts/tiny/numbers"),
    }
