"""What is stale in a pipeline, why, and what waits for it."""

import pytest
from tests.project import run

from atelier.operations import datasets, progress, staleness


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def test_a_pipeline_that_was_run_is_up_to_date(pipeline, monkeypatch):
    monkeypatch.chdir(pipeline)
    assert [step for step in staleness.steps_of("numbers", "tiny") if step.stale] == []


def test_a_changed_line_is_named_and_what_follows_waits(inside):
    file = inside / "experiments/tiny/numbers.yaml"
    file.write_text(file.read_text().replace("hidden: 128", "hidden: 96"))
    steps = {step.stage: step for step in staleness.steps_of("numbers", "tiny")}
    assert list(steps) == [
        "data.dvc", "prepare@numbers", "judge@numbers", "judge_b@numbers",
        "train@numbers", "bundle@numbers", "evaluate@numbers", "register@numbers",
        "report@numbers",
    ]  # fmt: skip
    assert [name for name, step in steps.items() if step.stale] == list(steps)[4:]
    assert any("model" in reason for reason in steps["train@numbers"].reasons)
    assert "after evaluate@numbers" in steps["register@numbers"].reasons
    assert "after register@numbers" in steps["report@numbers"].reasons
    assert not any(step.stale for step in staleness.steps_of("faces-gan", "tiny"))


def test_a_dataset_changes_alone(inside):
    before = datasets.digests()
    picture = inside / "data/horse2zebra/trainA"
    first, second = sorted(picture.iterdir())[:2]
    first.write_bytes(second.read_bytes())
    assert datasets.digests() == before, "only what DVC was told counts"
    run(inside, "dvc", "add", "data")
    now = datasets.digests()
    assert datasets.changed(before, now) == ["horse2zebra"]
    assert datasets.changed({}, now) == []


def test_progress_is_read_from_the_lines_that_training_prints():
    line = "train@faces-gan: 1,600 of 40,000 images  223 images/s  real_logit 7.22  r1 1.32"
    found = progress.read(line)
    assert (found.stage, found.images, found.planned) == ("train@faces-gan", 1600, 40000)
    assert (found.images_per_second, found.percent) == (223, 4.0)
    assert found.metrics == "real_logit 7.22  r1 1.32"
    assert progress.read("train@faces-gan: 48 of 256 images    loss 1").images_per_second is None
    assert progress.read("Running stage 'train@faces-gan':") is None
