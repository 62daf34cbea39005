"""The same model with another code file: it takes the champion's place, and nothing is hidden."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.project import git
from tests.toys import BETTER, CARD, GOOD, IMAGES, sheet_of_samples, toy_images

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import MANIFEST, code_digest_of
from atelier.bundle.comparison import Figures, Round
from atelier.bundle.pack import pack, read
from atelier.config import load_experiment
from atelier.paths import Paths
from atelier.registry import champions, sync, versions
from atelier.registry.lineage import Lineage, is_before
from atelier.registry.store import LOCAL_URI, Store
from atelier.registry.sync import Synced

ROOT = Path(__file__).parents[2]
FACES = replace(IMAGES, scale="laptop", registered_name="faces-gan")
FAULTY = ('{"index": index, "seed": seed}', '{"index": index + 1000, "seed": seed}')
"""What a fault does to the code: a consumer sees it in every row."""


class CountingComparer:
    """Finds every challenger better; counts what it is asked."""

    def __init__(self, figures: Figures = GOOD) -> None:
        self.known, self.scored, self.compared = figures, 0, 0

    def figures(self, bundle: bundle_model.Bundle) -> Figures:
        self.scored += 1
        return self.known

    def compare(
        self, challenger: bundle_model.Bundle, champion: bundle_model.Bundle
    ) -> list[Round]:
        self.compared += 1
        return [[BETTER], [BETTER]]


Publish = Callable[..., Synced]


@pytest.fixture
def publish(store: Store, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Packs and registers `faces-gan`: the model of a seed, with this code, at this commit."""
    shutil.copytree(ROOT / "experiments", "experiments")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    code, paths = Path(bundle_model.__file__).read_text(), Paths("laptop")
    experiment = load_experiment("laptop", "faces-gan")

    def register(
        change: tuple[str, str] = ("", ""),
        commit: str = "",
        seed: int = 0,
        comparer: CountingComparer | None = None,
    ) -> Synced:
        assert change[0] in code
        file = repository / "packed_from.py"
        file.write_text(code.replace(*change, 1))
        with monkeypatch.context() as patched:
            patched.setattr(bundle_model, "__file__", str(file))
            networks = {"generator": toy_images(seed)}
            pack(paths.bundle("faces-gan"), networks, FACES, CARD, sheet_of_samples)
        paths.metrics("faces-gan").write_text("{}")
        asked = comparer or CountingComparer()
        return sync.sync(store, experiment, "laptop", Lineage(commit, "", ""), lambda: asked)

    return register


Consume = Callable[[], list[int]]


@pytest.fixture
def consume(monkeypatch: pytest.MonkeyPatch) -> Consume:
    """What a consumer gets who knows MLflow alone: the indices of two pictures."""
    from mlflow import pyfunc

    def predict() -> list[int]:
        # Not set_tracking_uri, which would name this store to every later test.
        with monkeypatch.context() as patched:
            patched.setenv("MLFLOW_TRACKING_URI", LOCAL_URI)
            model: Any = pyfunc.load_model("models:/faces-gan@champion")
            return [row["index"] for row in model.predict([{"count": 2, "seed": 7}])]

    return predict


def champion(store: Store) -> versions.Version:
    return versions.find(store, "faces-gan@champion")


def test_mended_code_reaches_a_consumer_of_the_champion(publish: Publish, consume: Consume) -> None:
    first = publish(FAULTY).version
    assert consume() == [1000, 1001]
    comparer = CountingComparer()
    second = publish(comparer=comparer)
    assert consume() == [0, 1]

    assert first is not None
    assert second.version is not None
    assert (second.is_new, second.promoted) == (True, True)
    assert second.version.digest == first.digest
    assert second.version.code_digest != first.code_digest
    assert second.version.code_digest == code_digest_of(read(Paths("laptop").bundle("faces-gan")))
    assert (comparer.scored, comparer.compared) == (0, 0)


def test_the_history_says_why_the_alias_moved(store: Store, publish: Publish) -> None:
    publish(FAULTY)
    publish()
    now = champion(store)
    assert (now.number, now.aliases) == ("2", ("challenger", "champion"))
    reason = "the same model as the champion faces-gan/1, with newer code"
    assert now.tags["gate.reason"] == reason
    assert now.tags["gate.promoted"] == "true"
    assert now.tags["previous_champion"] == now.tags["gate.champion"] == "1"
    written = json.loads(Path("mlruns/decisions/faces-gan/2.json").read_text())
    assert written["decision"]["reason"] == reason
    assert written["decision"]["rounds"] == []
    assert written["decision"]["challenger"]["score"] == GOOD.score
    assert champions.rollback(store, "faces-gan")[0].number == "1"


def test_the_figures_of_a_taken_over_champion_hold_in_the_next_contest(
    store: Store, publish: Publish
) -> None:
    publish(FAULTY)
    publish()
    comparer = CountingComparer()
    assert publish(seed=1, comparer=comparer).promoted
    assert (comparer.scored, comparer.compared) == (1, 1)


def test_what_equals_the_champion_in_both_changes_nothing(store: Store, publish: Publish) -> None:
    publish()
    comparer = CountingComparer()
    again = publish(comparer=comparer)
    assert str(again) == "faces-gan: faces-gan/1 is there already"
    assert (again.is_new, again.promoted) == (False, False)
    assert (comparer.scored, comparer.compared) == (0, 0)
    assert [one.number for one in versions.versions(store, "faces-gan")] == ["1"]


def test_code_that_was_there_before_does_not_come_back(
    store: Store, publish: Publish, consume: Consume
) -> None:
    publish(FAULTY)
    publish()
    again = publish(FAULTY)
    assert str(again) == "faces-gan: faces-gan/1 is there already"
    assert champion(store).number == "2"
    assert consume() == [0, 1]


def test_code_that_was_registered_earlier_never_takes_over(store: Store, publish: Publish) -> None:
    """With another model then, so that this very version is a new one."""
    publish(FAULTY, seed=1)
    publish(seed=0)
    older = publish(FAULTY, seed=0)
    reason = "the same model as the champion faces-gan/2, with older code"
    assert str(older) == f"faces-gan: faces-gan/3 kept as challenger: {reason}"
    assert champion(store).number == "2"
    assert versions.find(store, "faces-gan/3").tags["gate.reason"] == reason


@pytest.fixture
def commits(repository: Path) -> list[str]:
    """Two commits, the second built on the first."""
    git(repository, "init", "--quiet")
    for message in "one", "two":
        git(repository, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(repository, "rev-list", "--reverse", "HEAD").split()


def test_git_says_which_code_is_older(store: Store, publish: Publish, commits: list[str]) -> None:
    """Where the registry was rebuilt, older code may be new to it; and a revert is no old code."""
    old, new = commits
    publish(commit=new)
    assert publish(FAULTY, commit=old).reason.endswith("faces-gan/1, with older code")
    assert champion(store).number == "1"
    publish(FAULTY, commit=old, seed=1)
    assert champion(store).number == "3"
    assert publish(commit=new, seed=1).reason.endswith("faces-gan/3, with newer code")


def test_commits_that_git_cannot_place_are_not_before_each_other(commits: list[str]) -> None:
    old, new = commits
    assert is_before(old, new)
    assert not is_before(new, old)
    assert not is_before(old, old)
    assert not is_before("", new)
    assert not is_before("0" * 40, new)


def test_a_better_model_with_older_code_takes_over_and_says_so(
    store: Store, publish: Publish, commits: list[str]
) -> None:
    old, new = commits
    publish(commit=new)
    better = publish(FAULTY, commit=old, seed=1)
    assert better.promoted
    assert better.reason.startswith("better in each of 2 rounds")
    assert better.reason.endswith("; with older code than the champion faces-gan/1 had")
    assert champion(store).tags["gate.reason"] == better.reason
    same_code = publish(FAULTY, commit=new, seed=2)
    assert same_code.promoted
    assert "code" not in same_code.reason


def age(store: Store, sign: Callable[[Path], None]) -> None:
    """Makes the champion's bundle one that an earlier Atelier packed."""
    folder = Path(champion(store).source, "artifacts", "bundle")
    words = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(words | {"format": bundle_model.FORMAT - 1}))
    sign(folder)


OLD = f"has bundle format {bundle_model.FORMAT - 1}, this reads {bundle_model.FORMAT}"


def test_a_champion_that_nothing_of_today_reads_gives_way_and_the_line_says_so(
    store: Store, publish: Publish, sign: Callable[[Path], None]
) -> None:
    publish()
    age(store, sign)
    comparer = CountingComparer()
    result = publish(seed=1, comparer=comparer)
    assert result.promoted
    assert result.reason == f"held to the floors alone: the champion faces-gan/1 {OLD}"
    assert (comparer.scored, comparer.compared) == (1, 0)
    assert champion(store).number == "2"


def test_what_breaks_a_floor_does_not_replace_it_either_and_both_reasons_stand(
    store: Store, publish: Publish, sign: Callable[[Path], None]
) -> None:
    publish()
    age(store, sign)
    result = publish(seed=1, comparer=CountingComparer(replace(GOOD, finite=False)))
    assert not result.promoted
    assert result.reason.startswith(
        "sanity floor: outputs are not finite; held to the floors alone"
    )
    assert result.reason.endswith(OLD)
    assert champion(store).number == "1"
