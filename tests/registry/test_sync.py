"""What mlruns/ held comes back from artifacts/, without training and without doubles."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.project import git
from tests.toys import BETTER, GOOD, NUMBERS
from torch import nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import Comparison, Figures, Round
from atelier.config import Experiment
from atelier.errors import UserError
from atelier.operations.status import MLFLOW_URL, figures_beside_champion, status_of
from atelier.paths import Paths
from atelier.pipeline import registering
from atelier.registry import champions, loading, sync, turns, versions
from atelier.registry.gate import decide
from atelier.registry.history import KEPT, PROMOTED, history
from atelier.registry.lineage import Lineage, dvc_digest
from atelier.registry.store import LOCAL_URI, Store
from atelier.registry.sync import Synced, write_receipt
from atelier.registry.versions import Version
from atelier.tasks.numbers import NumbersComparer

from .conftest import pack, patterned_numbers
from .test_tracking import held

LINEAGE = Lineage(commit="abc", patch="", data_digest="def.dir")


class FakeComparer:
    """Says what it is told, and counts how often it is asked."""

    def __init__(self, figures: Figures = GOOD, comparison: Comparison = BETTER) -> None:
        self.known, self.comparison, self.asked = figures, comparison, 0

    def figures(self, bundle: Bundle) -> Figures:
        self.asked += 1
        return self.known

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        return [[self.comparison], [self.comparison]]


def synced(store: Store, experiment: Experiment, comparer: FakeComparer) -> Synced:
    return sync.sync(store, experiment, "tiny", LINEAGE, lambda: comparer)


def test_run_version_and_champion_are_made_once(store: Store, experiment: Experiment) -> None:
    comparer = FakeComparer()
    first = synced(store, experiment, comparer)
    assert str(first) == (
        "numbers: numbers-tiny/1 promoted: the first version to pass the sanity floors"
    )
    again = synced(store, experiment, comparer)
    assert str(again) == "numbers: numbers-tiny/1 is there already"
    assert comparer.asked == 1
    assert again.run_id == first.run_id
    assert first.version is not None
    assert first.version.aliases == ("challenger", "champion")
    assert first.version.tags["mlflow.source.git.commit"] == "abc"
    assert first.version.tags["atelier.data"] == "def.dir"
    assert first.version.run_id == first.run_id
    assert first.run_id is not None
    run = store.client.get_run(first.run_id)
    assert run.data.params["training.batch_size"] == str(experiment.training.batch_size)
    assert run.data.metrics["test/numbers/stopping_score"] == 0.25
    assert held(store, first.run_id, "test/numbers/stopping_score") == [(0, 0.25)]
    assert "test/numbers/distance" not in run.data.metrics
    assert len(held(store, first.run_id, "discriminator/loss")) == 2
    kept = {artifact.path for artifact in store.client.list_artifacts(first.run_id)}
    assert {"numbers.yaml", "images", "evaluation"} <= kept
    assert json.loads(write_receipt(again, "tiny").read_text()) == {
        "experiment": "numbers",
        "version": "numbers-tiny/1",
        "digest": first.version.digest,
    }


def test_a_version_tells_what_its_training_ran_on_and_what_looked_ill(
    store: Store, experiment: Experiment
) -> None:
    ran_on = {"precision": "bf16", "threads": 1, "instruction_set": "AVX512"}
    facts = {"warnings": ["collapse at 100 images: …", "exploding at 200: …"], **ran_on}
    (Paths("tiny").train("numbers") / "train.json").write_text(json.dumps(facts))
    version = synced(store, experiment, FakeComparer()).version
    assert version is not None
    assert version.tags["atelier.warnings"] == "collapse at 100 images: … exploding at 200: …"
    for key, value in ran_on.items():
        assert version.tags[f"atelier.trained.{key}"] == str(value)


def test_without_an_evaluation_nothing_is_registered(store: Store, experiment: Experiment) -> None:
    Paths("tiny").metrics("numbers").unlink()
    result = synced(store, experiment, FakeComparer())
    assert str(result) == "numbers: nothing to register yet"
    assert result.run_id is not None


def trained_again(store: Store, experiment: Experiment) -> None:
    synced(store, experiment, FakeComparer())
    pack(Paths("tiny").bundle("numbers"), {"generator": patterned_numbers(1)}, NUMBERS)


def test_a_better_challenger_takes_over(store: Store, experiment: Experiment) -> None:
    trained_again(store, experiment)
    result = synced(store, experiment, FakeComparer())
    assert result.promoted
    assert versions.find(store, "numbers-tiny@champion").number == "2"


class Overtaken(FakeComparer):
    """While it compares, somebody else's version becomes champion, once."""

    def __init__(self, overtake: Callable[[], None], comparisons: list[Comparison]) -> None:
        super().__init__()
        self.overtake, self.comparisons = overtake, comparisons
        self.champions: list[str] = []

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        self.champions.append(champion.manifest["digest"])
        if len(self.champions) == 1:
            self.overtake()
        found = self.comparisons.pop(0)
        return [[found], [found]]


def test_a_champion_that_comes_meanwhile_is_compared_with(
    store: Store, experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the worse of two that both beat the first would end as champion."""
    trained_again(store, experiment)
    pack(tmp_path / "third", {"generator": patterned_numbers(2)}, NUMBERS)

    def overtake() -> None:
        third, _ = versions.register(store, tmp_path / "third")
        champions.record(store, third, decide(GOOD, GOOD, [[BETTER], [BETTER]]))

    comparer = Overtaken(overtake, [BETTER, replace(BETTER, difference=0.0)])
    result = synced(store, experiment, comparer)
    first, third = (versions.version(store, "numbers-tiny", number) for number in "13")
    assert comparer.champions == [first.digest, third.digest]
    assert not result.promoted
    assert versions.find(store, "numbers-tiny@champion").number == "3"
    assert "numbers-tiny/3 has become champion meanwhile" in capsys.readouterr().err


def test_a_version_that_two_decide_on_is_decided_on_once(
    store: Store, experiment: Experiment
) -> None:
    """Two syncs at once, of the same artifacts."""
    trained_again(store, experiment)

    def overtake() -> None:
        found = versions.version(store, "numbers-tiny", "2")
        champions.record(store, found, decide(GOOD, GOOD, [[BETTER], [BETTER]]))

    result = synced(store, experiment, Overtaken(overtake, [replace(BETTER, difference=0.0)]))
    assert result.promoted
    found = versions.version(store, "numbers-tiny", "2")
    assert [event.what for event in history([found])] == [PROMOTED]


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("before", "asked"), [("set_champion", 1), ("finish", 0)])
def test_a_promotion_that_was_cut_short_is_made_by_the_next_sync(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, before: str, asked: int
) -> None:
    trained_again(store, experiment)
    with monkeypatch.context() as patch:
        patch.setattr(champions, before, killed)
        with pytest.raises(KeyboardInterrupt):
            synced(store, experiment, FakeComparer())
    comparer = FakeComparer()
    assert synced(store, experiment, comparer).promoted
    assert comparer.asked == asked
    second = versions.find(store, "numbers-tiny@champion")
    assert (second.number, second.tags["previous_champion"]) == ("2", "1")
    assert [event.what for event in history([second])] == [PROMOTED]


@pytest.mark.parametrize("so_late", [False, True])
def test_who_was_silent_while_another_was_promoted_is_compared_with_it(
    store: Store,
    experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    so_late: bool,
) -> None:
    """Between machines, where no lock holds; `so_late` that it overwrites the other's alias."""
    monkeypatch.setattr(turns, "BEAT_SECONDS", 60.0)
    trained_again(store, experiment)
    shared = replace(store, uri="postgresql://shared")
    second, _ = versions.register(store, Paths("tiny").bundle("numbers"))
    pack(tmp_path / "third", {"generator": patterned_numbers(2)}, NUMBERS)
    third, _ = versions.register(store, tmp_path / "third")
    set_champion = champions.set_champion

    def overtake() -> None:
        monkeypatch.setattr(champions, "set_champion", set_champion)
        store.client.set_model_version_tag(
            second.name, second.number, turns.PASSED_OVER_TAG, str(third)
        )
        champions.record(store, third, decide(GOOD, GOOD, [[BETTER], [BETTER]]))

    def move_late(store: Store, chosen: Version) -> None:
        overtake()
        set_champion(store, chosen)

    tie = replace(BETTER, difference=0.0)
    if so_late:
        monkeypatch.setattr(champions, "set_champion", move_late)
    comparer = Overtaken((lambda: None) if so_late else overtake, [BETTER, tie])
    folder = Paths("tiny").bundle("numbers")
    assert not sync.submit(shared, second, folder, lambda: comparer).promote
    assert comparer.champions[-1] == third.digest
    assert versions.find(store, "numbers-tiny@champion").number == third.number
    found = versions.version(store, second.name, second.number)
    assert found.tags["gate.champion"] == third.number
    assert [event.what for event in history([found])] == [KEPT]


def test_a_tie_stays_challenger(store: Store, experiment: Experiment) -> None:
    trained_again(store, experiment)
    result = synced(store, experiment, FakeComparer(comparison=replace(BETTER, difference=0.0)))
    assert "kept as challenger: cannot tell the two apart" in str(result)
    assert versions.find(store, "numbers-tiny@champion").number == "1"
    assert versions.find(store, "numbers-tiny@challenger").number == "2"


def test_the_champion_is_scored_again_when_the_judge_is_another(
    store: Store, experiment: Experiment
) -> None:
    trained_again(store, experiment)
    same, other = FakeComparer(), FakeComparer(replace(GOOD, judge_digest="new"))
    synced(store, experiment, other)
    assert other.asked == 2
    pack(Paths("tiny").bundle("numbers"), {"generator": patterned_numbers(2)}, NUMBERS)
    synced(store, experiment, same)
    assert same.asked == 2


@pytest.mark.parametrize("changed", ["judge_digest", "data_digest"])
def test_a_kinder_judge_or_easier_data_promote_nobody(
    store: Store, experiment: Experiment, changed: str
) -> None:
    """By the figures that stand on the versions an equal would take over: both would have them."""
    trained_again(store, experiment)
    kinder = replace(GOOD, score=GOOD.score - 1, **{changed: "new"})
    comparer = FakeComparer(kinder, replace(BETTER, difference=0.0))
    result = synced(store, experiment, comparer)
    first, second = (versions.version(store, "numbers-tiny", number) for number in "12")
    before, after = (
        json.loads(version.tags[versions.DECIDED_TAG])["challenger"] for version in (first, second)
    )
    assert after["score"] < before["score"]
    assert not result.promoted
    assert comparer.asked == 2  # the champion, too
    with pytest.raises(UserError, match="was scored with another"):
        decide(kinder, GOOD, [[BETTER], [BETTER]])


def test_another_size_is_refused(store: Store, experiment: Experiment) -> None:
    trained_again(store, experiment)
    with pytest.raises(UserError, match="another output shape than the champion's"):
        synced(store, experiment, FakeComparer(replace(GOOD, output_shape=(3, 16, 16))))


def test_numbers_are_comparerd_by_arithmetic(store: Store, experiment: Experiment) -> None:
    result = sync.sync(store, experiment, "tiny", LINEAGE, NumbersComparer)
    assert result.promoted
    pack(Paths("tiny").bundle("numbers"), {"generator": patterned_numbers(1)}, NUMBERS)
    result = sync.sync(store, experiment, "tiny", LINEAGE, NumbersComparer)
    assert not result.promoted
    assert result.reason.startswith(("cannot tell the two apart", "worse"))
    pack(Paths("tiny").bundle("numbers"), {"generator": nn.Sequential(nn.Linear(8, 100))}, NUMBERS)
    result = sync.sync(store, experiment, "tiny", LINEAGE, NumbersComparer)
    assert "multiples of 5" in result.reason


def collected(store: Store, run_id: str | None) -> None:
    """Deletes a run for good, as `mlflow gc` does."""
    from mlflow.cli import cli

    store.client.delete_run(str(run_id))
    command = ["gc", "--backend-store-uri", LOCAL_URI, "--run-ids", str(run_id)]
    result = CliRunner().invoke(cli, command, env={"MLFLOW_TRACKING_URI": LOCAL_URI})
    assert result.exit_code == 0, result.output


def test_a_version_outlives_its_run(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = synced(store, experiment, FakeComparer())
    collected(store, first.run_id)
    monkeypatch.setenv(MLFLOW_URL, "http://127.0.0.1:5000")
    assert [what for what, _ in status_of("numbers", "tiny").links] == ["model numbers-tiny/1"]

    again = synced(store, experiment, FakeComparer())
    assert str(again) == "numbers: numbers-tiny/1 is there already"
    assert again.version is not None
    assert again.version.training_run == again.run_id != first.run_id
    assert [what for what, _ in status_of("numbers", "tiny").links][1:] == ["MLflow run"]
    row = {"figure": "numbers/distance", "now": "0.5", "champion": "0.5"}
    assert row in figures_beside_champion("numbers", "tiny")


def test_a_champion_whose_run_is_gone_is_challenged_as_ever(
    store: Store, experiment: Experiment
) -> None:
    collected(store, synced(store, experiment, FakeComparer()).run_id)
    pack(Paths("tiny").bundle("numbers"), {"generator": patterned_numbers(1)}, NUMBERS)
    assert synced(store, experiment, FakeComparer()).reason.startswith("better in each of 2 rounds")


def test_a_champion_whose_bundle_is_gone_does_not_stop_the_next(
    store: Store, experiment: Experiment
) -> None:
    trained_again(store, experiment)
    shutil.rmtree(versions.find(store, "numbers-tiny@champion").source)
    with pytest.raises(loading.BundleGone):
        sync.score_again(store, experiment, FakeComparer)
    result = synced(store, experiment, FakeComparer())
    assert result.promoted
    because = "held to the floors alone: the bundle of the champion numbers-tiny/1 is gone"
    assert result.reason == because


def test_a_registry_made_anew_names_the_commit_that_holds_the_training(
    store: Store, experiment: Experiment, repository: Path
) -> None:
    """Not the one that a clone has come to, whose lineage is handed in."""
    paths = Paths("tiny")
    made = [dvc_digest(paths.train("numbers")), dvc_digest(paths.bundle("numbers"))]
    (repository / "dvc.lock").write_text("\n".join(made))
    (repository / "data.dvc").write_text("outs:\n- md5: then.dir\n")
    git(repository, "init", "--quiet")
    git(repository, "add", "dvc.lock", "data.dvc")
    git(repository, "commit", "--quiet", "-m", "t")
    then = git(repository, "rev-parse", "HEAD").strip()
    found = synced(store, experiment, FakeComparer())
    assert found.version is not None
    assert found.version.commit == then
    assert found.version.tags["atelier.data"] == "then.dir"
    run = store.client.get_run(str(found.run_id))
    assert run.data.tags["mlflow.source.git.commit"] == then


def test_an_unknown_commit_is_said_once(
    store: Store,
    experiment: Experiment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "")
    registering.sync("tiny", ["numbers"])
    said = "numbers-tiny/1: its commit is unknown (git: cannot be run (No such file or directory))"
    assert said in capsys.readouterr().err.splitlines()
    version = versions.find(store, "numbers-tiny/1")
    assert (version.commit, version.tags["atelier.dirty"]) == ("", "unknown")
    registering.sync("tiny", ["numbers"])
    assert "unknown" not in capsys.readouterr().err
