"""What `atelier status` tells."""

import json

from tests.project import run
from tests.registry.test_lookup import imported

from atelier.operations import overview
from atelier.params import listed_experiments
from atelier.pipeline.definition import CHECKPOINTS
from atelier.pipeline.locks import held
from atelier.registry import versions
from atelier.registry.store import open_store


def test_every_experiment_has_its_line(in_pipeline):
    names = list(listed_experiments())
    found = overview.overviews(names, "tiny")
    assert [one.experiment for one in found] == names
    for one in found:
        assert one.pipeline == "up to date"
        champion = versions.champion(open_store(), f"{one.experiment}-tiny")
        assert one.champion == str(champion or ""), "MLflow says the same"
        assert one.figures, "each task has a headline"
        assert one.disk_bytes > 100_000


def test_what_is_stale_is_named_with_its_reason(project, monkeypatch):
    monkeypatch.chdir(project)
    file = project / "experiments/tiny/numbers.yaml"
    file.write_text(file.read_text().replace("hidden: 128", "hidden: 96"))
    (one,) = overview.overviews(["numbers"], "tiny")
    assert one.pipeline.startswith("train@numbers: ")
    assert one.pipeline.endswith("(and 4 after it)")


def test_who_holds_a_checkpoint_is_at_work(in_pipeline):
    assert overview.at_work() == []
    with held(CHECKPOINTS / "tiny-numbers-0.lock", "it", lambda: True):
        (line,) = overview.at_work()
    assert line.startswith("tiny-numbers-0: process ")
    assert overview.at_work() == []


def test_the_table_and_the_same_for_programs(in_pipeline):
    said = run(in_pipeline, "atelier", "status")
    assert "faces-gan" in said
    assert "now: nothing runs" in said
    words = json.loads(run(in_pipeline, "atelier", "status", "numbers", "--json"))
    (one,) = words["experiments"]
    assert (one["experiment"], one["pipeline"]) == ("numbers", "up to date")
    assert words["disk_bytes"]["free"] > 0
    assert "numbers" in run(in_pipeline, "atelier", "status", "number", code=2)


def test_to_say_all_that_takes_no_mlflow(in_pipeline):
    assert imported("status") == ["torch"]


def test_links_and_what_vanishes_take_no_disk(tmp_path):
    (tmp_path / "file").write_bytes(b"\0" * 10)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert overview.bytes_below(tmp_path) == 10
    assert overview.bytes_below(tmp_path / "nowhere") == 0
