"""A run at another scale than the workspace's, and a flow without any server."""

import sys

import pytest
from tests.project import git, run

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.mark.soak
def test_another_scale_overwrites_nothing(operator):
    """It works in a worktree of the last commit, and shares cache, registry and checkpoints."""
    git(operator.project, "add", "--all")
    git(operator.project, "commit", "--quiet", "--allow-empty", "-m", "state")
    before = (operator.project / "dvc.lock").read_bytes()
    run_id = operator.start("train/numbers", scale="laptop")
    assert operator.finish(run_id) == "COMPLETED", operator.log(run_id)
    assert (operator.project / "dvc.lock").read_bytes() == before
    assert run(operator.project, "git", "status", "--short").strip() == ""
    assert not (operator.project / "artifacts/laptop/numbers/train").exists()
    assert "numbers/1" in operator.atelier("registry", "list").replace("numbers-tiny", "")
    again = operator.start("train/numbers", scale="laptop")
    assert operator.finish(again) == "COMPLETED"
    operator.hear(again, "numbers: nothing is stale")


def test_a_form_refuses_what_is_no_experiment(operator):
    with pytest.raises(Exception, match=r"409|422"):
        operator.start("train/numbers", experiment="numbres")


def test_a_flow_runs_without_a_server(project):
    file = project / "experiments/tiny/numbers.yaml"
    file.write_text(file.read_text().replace("hidden: 128", "hidden: 96"))
    python_path = {"PYTHONPATH": str(project / "src")}
    said = run(project, sys.executable, "flows/train.py", "numbers", **python_path)
    assert "numbers: stale: train@numbers" in said
    assert "numbers-tiny/2" in run(project, "atelier", "registry", "list")
    wrong = run(project, sys.executable, "flows/train.py", "numbres", code=2, **python_path)
    assert "Did you mean" in wrong
    assert len(wrong.strip().splitlines()) == 1
