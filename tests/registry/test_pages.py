"""What people read in MLflow of a run, a version, its LoggedModel and an experiment."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.project import forget_connections
from tests.toys import GOOD, NUMBERS

from atelier.bundle import pack as bundle
from atelier.bundle.bundle_model import code_digest_of
from atelier.config import Experiment
from atelier.paths import Paths
from atelier.registry import champions, datasets, packaging, scored, sync, tracking, versions
from atelier.registry.gate import Decision, decide
from atelier.registry.store import DATABASE, KIND, KIND_TAG, Store, open_store
from atelier.registry.tracking import USER_TAG

from .conftest import FIGURES, pack, patterned_numbers
from .test_sync import LINEAGE, FakeComparer, synced, trained_again
from .test_tracking import held, write

NAME = "numbers-tiny"
SPLITS = {
    name: {"count": count, "digest": f"{count}" * 32, "names": []}
    for name, count in {"training": 32, "validation": 16, "test": 48}.items()
}


def prepared(splits: dict[str, Any]) -> None:
    folder = Paths("tiny").prepared("numbers")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"dataset": "numbers", "splits": splits}))


def model_of(store: Store, number: str = "1") -> Any:
    return store.client.get_logged_model(
        versions.version(store, NAME, number).tags[scored.MODEL_TAG]
    )


def everything(store: Store) -> list[str]:
    """All rows of the database but those of a moment, to see that nothing is doubled."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        return [
            f"{table}: {row}"
            for (table,) in sorted(tables)
            for row in connection.execute(f"SELECT * FROM {table}").fetchall()
        ]


def test_a_versions_figures_are_its_logged_models(store: Store, experiment: Experiment) -> None:
    prepared(SPLITS)
    run_id = synced(store, experiment, FakeComparer()).run_id
    model = model_of(store)
    assert model.status == "READY"
    assert model.source_run_id == run_id
    assert model.model_type == "numbers"
    assert model.tags["mlflow.source.name"] == "register@numbers"
    assert model.tags["mlflow.note.content"].startswith("Makes toys. Trained by the experiment")
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": "1"}]
    found = {metric.key: metric for metric in model.metrics}
    assert {key: metric.value for key, metric in found.items()} == {
        f"test/numbers/{key}": value for key, value in FIGURES.items()
    }
    for metric in found.values():
        assert (metric.step, metric.dataset_name) == (0, "numbers")
        assert metric.dataset_digest == "48" * 18
    place = Path(model.artifact_location)
    assert not place.is_absolute()
    assert {file.name for file in place.iterdir()} == {"model_card.md", "example.json"}


def test_the_trainings_run_names_its_datasets_its_model_and_its_headlines_alone(
    store: Store, experiment: Experiment
) -> None:
    prepared(SPLITS)
    run = store.client.get_run(synced(store, experiment, FakeComparer()).run_id)
    given = {
        tag.value: (one.dataset.name, one.dataset.digest, json.loads(one.dataset.source))
        for one in run.inputs.dataset_inputs
        for tag in one.tags
        if tag.key == datasets.CONTEXT_TAG
    }
    assert given == {
        name: ("numbers", words["digest"][:36], {"uri": "data/numbers"})
        for name, words in SPLITS.items()
    }
    assert [one.model_id for one in run.outputs.model_outputs] == [model_of(store).model_id]
    tested = {key for key in run.data.metrics if key.startswith("test/")}
    assert tested == {"test/numbers/stopping_score"}
    assert run.data.tags["mlflow.source.name"] == "train@numbers"
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.tags[USER_TAG]
    (child,) = store.client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert len(child.data.metrics) == len(FIGURES)
    assert child.info.status == "FINISHED"


def test_a_dataset_without_images_is_named_by_dvcs_digest(
    store: Store, experiment: Experiment
) -> None:
    prepared({})
    run = store.client.get_run(synced(store, experiment, FakeComparer()).run_id)
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.digest.endswith(".dir")
    assert len(given.dataset.digest) == datasets.DIGEST_CHARACTERS


def test_a_second_sync_adds_nothing(store: Store, experiment: Experiment) -> None:
    prepared(SPLITS)
    trained_again(store, experiment)
    synced(store, experiment, FakeComparer())
    before = everything(store)
    synced(store, experiment, FakeComparer())
    assert everything(store) == before


def test_the_report_of_a_training_is_kept_and_linked_and_a_newer_one_replaces_it(
    store: Store, experiment: Experiment
) -> None:
    def report() -> str:
        return tracking.report_link(tracking.run_at(store, run_id))

    run_id = synced(store, experiment, FakeComparer()).run_id
    assert report() == ""
    assert "Its report" not in versions.version(store, NAME, "1").description
    for text in ("first", "second"):
        Paths("tiny").report("numbers").write_text(text)
        synced(store, experiment, FakeComparer())
        assert report().endswith(f"/runs/{run_id}/artifacts/evaluation/report.html")
        assert f"[Its report]({report()})" in versions.version(store, NAME, "1").description
        kept = store.client.download_artifacts(run_id, "evaluation/report.html")
        assert Path(kept).read_text() == text


def test_figures_scored_again_stand_beside_their_dataset(
    store: Store, experiment: Experiment
) -> None:
    prepared(SPLITS)
    synced(store, experiment, FakeComparer())
    changed = {"numbers": FIGURES | {"stopping_score": 0.125}}
    Paths("tiny").metrics("numbers").write_text(json.dumps(changed))
    synced(store, experiment, FakeComparer())
    version = versions.version(store, NAME, "1")
    assert version.tags["figure"] == "stopping score 0.125"
    assert scored.figures_of(store, version) == {
        "numbers/distance": 0.5,
        "numbers/stopping_score": 0.125,
    }


def test_what_people_filter_by_stands_first_and_hashes_in_few_tags(
    store: Store, experiment: Experiment
) -> None:
    synced(store, experiment, FakeComparer())
    tags = store.client.get_model_version(NAME, "1").tags
    first = ["experiment", "scale", "dataset", "task", "gate.promoted", "figure", "gate.reason"]
    assert list(tags)[: len(first)] == first
    assert tags["gate.promoted"] == "true"
    assert tags["gate.reason"] == "the first version to pass the sanity floors"
    assert len(tags) == 13
    packed = json.loads(tags["atelier.lineage"])
    assert packed["atelier.data"] == "def.dir"
    assert not packed.keys() & tags.keys()
    assert versions.version(store, NAME, "1").tags["atelier.data"] == "def.dir"


def test_pages_say_what_it_makes_how_well_and_how_to_load_it(
    store: Store, experiment: Experiment
) -> None:
    synced(store, experiment, FakeComparer())
    page = store.client.get_model_version(NAME, "1").description
    for words in (
        "Makes toys. Trained by the experiment `numbers` at scale `tiny`",
        "- stopping score: **0.25**",
        "**The gate:** the first version to pass the sanity floors.",
        f'mlflow.pyfunc.load_model("models:/{NAME}/1")',
        "`artifacts/bundle/example.json`",
        f"models/{model_of(store).model_id}/artifacts",
        "Limits:",
    ):
        assert words in page
    page = store.client.get_registered_model(NAME).description
    assert f'mlflow.pyfunc.load_model("models:/{NAME}@champion")' in page
    assert "**Champion:** version 1 with stopping score 0.25" in page
    there = store.client.get_experiment_by_name(NAME)
    assert there.tags["mlflow.experimentKind"] == "custom_model_development"
    assert page in there.tags["mlflow.note.content"]


def test_pages_follow_the_champion(store: Store, experiment: Experiment) -> None:
    def says(number: str) -> str:
        return str(store.client.get_model_version(NAME, number).description)

    def model_says() -> str:
        return str(store.client.get_registered_model(NAME).description)

    trained_again(store, experiment)
    synced(store, experiment, FakeComparer())
    assert "**Champion:** version 2" in model_says()
    champions.rollback(store, NAME)
    assert "**Champion:** version 1" in model_says()
    assert f"**Since then:** rolled back to {NAME}/1" in says("2")
    assert f"**Since then:** champion again instead of {NAME}/2" in says("1")
    champions.promote(store, versions.version(store, NAME, "2"), "it is odd")
    assert "**Champion:** version 2" in model_says()
    assert "promoted against the gate: it is odd (the gate said: better in each" in says("2")


def test_before_a_version_passes_there_is_no_champion(store: Store, image_bundle: Path) -> None:
    version, _ = versions.register(store, image_bundle)
    champions.record(store, version, Decision(False, "a tie", GOOD, None))
    page = store.client.get_registered_model(version.name).description
    assert "**There is no champion:**" in page
    assert f'load_model("models:/{version.name}/1")' in page


def registered_before(store: Store, experiment: Experiment) -> str:
    """As an Atelier of before did: a tag for each fact, every figure in the training's run."""
    from mlflow.entities import Metric

    client, paths = store.client, Paths("tiny")
    described = sync.describe(experiment, "tiny", LINEAGE)
    run_id, _ = tracking.restore(store, described, paths.train("numbers"))
    for tag in (tracking.SOURCE_TAG, tracking.SOURCE_TYPE_TAG, USER_TAG):
        client.delete_tag(run_id, tag)
    client.set_experiment_tag(store.experiment(NAME), KIND_TAG, "")
    metrics = [Metric(f"test/numbers/{key}", value, 1, 500) for key, value in FIGURES.items()]
    client.log_batch(run_id, metrics=metrics)

    manifest = bundle.read(paths.bundle("numbers"))
    digests = manifest["digest"], code_digest_of(manifest)
    source = packaging.place_of(*digests).as_posix()
    packaging.put(store, paths.bundle("numbers"), digests, source)
    words = ("experiment", "scale", "dataset", "task", "selected_images", "torch", "output_shape")
    tags = {word: str(manifest[word]) for word in words}
    tags |= {"bundle_digest": digests[0], "code_digest": digests[1], "atelier.run": run_id}
    tags |= {"atelier.data": "def.dir", "mlflow.source.git.commit": "abc"}
    decision = decide(GOOD, None)
    tags |= {"gate.promoted": "true", "gate.reason": decision.reason}
    tags |= {"gate.decision": json.dumps(decision.to_dict())}
    client.create_registered_model(NAME, description="numbers at scale tiny, dataset numbers")
    client.create_model_version(NAME, source, run_id, tags)
    for alias in ("champion", "challenger"):
        client.set_registered_model_alias(NAME, alias, "1")
    return run_id


def test_what_was_registered_before_gets_what_it_lacks(
    store: Store, experiment: Experiment
) -> None:
    run_id = registered_before(store, experiment)
    before = dict(store.client.get_model_version(NAME, "1").tags)
    prepared(SPLITS)
    comparer = FakeComparer()
    assert str(synced(store, experiment, comparer)) == f"numbers: {NAME}/1 is there already"
    assert comparer.asked == 0
    version = store.client.get_model_version(NAME, "1")
    assert {key: version.tags[key] for key in before} == before
    assert version.tags["figure"] == "stopping score 0.25"
    assert "stopping score" in version.description
    assert len(model_of(store).metrics) == len(FIGURES)
    run = store.client.get_run(run_id)
    assert {"mlflow.source.name", "mlflow.source.type"} <= run.data.tags.keys()
    assert len(run.inputs.dataset_inputs) == len(SPLITS)
    assert store.client.get_experiment_by_name(NAME).tags[KIND_TAG] == KIND
    assert held(store, run_id, "test/numbers/stopping_score") == [(500, 0.25)]
    found = versions.version(store, NAME, "1")
    assert (found.tags["makes"], found.tags["atelier.data"]) == ("Makes toys", "def.dir")
    after = everything(store)
    synced(store, experiment, FakeComparer())
    assert everything(store) == after


def test_an_earlier_version_gets_its_figures_from_its_run(
    store: Store, experiment: Experiment
) -> None:
    """artifacts/ has but the newest bundle and its figures."""
    registered_before(store, experiment)
    pack(Paths("tiny").bundle("numbers"), {"generator": patterned_numbers(1)}, NUMBERS)
    write(Paths("tiny").train("numbers"), [100, 300])
    Paths("tiny").metrics("numbers").write_text(json.dumps({"numbers": {"stopping_score": 0.1}}))
    synced(store, experiment, FakeComparer())
    first, second = (versions.version(store, NAME, number) for number in "12")
    assert first.tags["figure"] == "stopping score 0.25"
    assert second.tags["figure"] == "stopping score 0.1"
    assert scored.figures_of(store, first) == {f"numbers/{k}": v for k, v in FIGURES.items()}
    assert scored.figures_of(store, second) == {"numbers/stopping_score": 0.1}
    assert "stopping score" in first.description


def test_before_it_is_completed_an_earlier_version_has_its_runs_figures(
    store: Store, experiment: Experiment
) -> None:
    registered_before(store, experiment)
    found = scored.figures_of(store, versions.version(store, NAME, "1"))
    assert found == {f"numbers/{key}": value for key, value in FIGURES.items()}


def test_a_registration_that_was_cut_short_makes_no_second_model(
    store: Store, image_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(packaging, "put", cut)
        with pytest.raises(KeyboardInterrupt):
            versions.register(store, image_bundle)
    version, _ = versions.register(store, image_bundle)
    (there,) = store.client.search_experiments(filter_string=f"name = '{version.name}'")
    (model,) = store.client.search_logged_models([there.experiment_id])
    assert version.tags[scored.MODEL_TAG] == model.model_id


def test_a_deleted_logged_model_is_made_again(store: Store, experiment: Experiment) -> None:
    synced(store, experiment, FakeComparer())
    first = model_of(store).model_id
    store.client.delete_logged_model(first)
    synced(store, experiment, FakeComparer())
    assert model_of(store).model_id != first
    assert len(model_of(store).metrics) == len(FIGURES)


def test_a_store_that_was_deleted_is_made_whole_again(store: Store, experiment: Experiment) -> None:
    prepared(SPLITS)
    synced(store, experiment, FakeComparer())
    page = versions.version(store, NAME, "1").description
    first = model_of(store).model_id
    forget_connections()
    shutil.rmtree("mlruns")
    anew = open_store()
    synced(anew, experiment, FakeComparer())
    assert versions.version(anew, NAME, "1").description == page.replace(
        first, model_of(anew).model_id
    )
    assert len(model_of(anew).metrics) == len(FIGURES)
