"""One version for one bundle, its names, and the way back."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.toys import BETTER, GOOD

from atelier.bundle.bundle_model import open_bundle
from atelier.errors import UserError
from atelier.registry import champions, versions
from atelier.registry import loading as generator
from atelier.registry.gate import Decision
from atelier.registry.history import history
from atelier.registry.store import Store


def test_the_same_bundle_makes_one_version(store: Store, image_bundle: Path) -> None:
    first, is_new = versions.register(store, image_bundle, origin=lambda: {"git_commit": "abc"})
    assert (str(first), is_new) == ("faces-gan-tiny/1", True)
    assert first.aliases == ("challenger",)
    assert first.tags["git_commit"] == "abc"
    assert not Path(first.source).is_absolute()
    again, is_new = versions.register(store, image_bundle)
    assert (again.number, is_new) == ("1", False)
    assert len(versions.versions(store, "faces-gan-tiny")) == 1


def test_a_name_that_another_machine_made_a_moment_ago_is_used(
    store: Store, image_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.client.create_registered_model("faces-gan-tiny")
    monkeypatch.setattr(versions, "names", lambda store: [])
    assert str(versions.register(store, image_bundle)[0]) == "faces-gan-tiny/1"


def test_the_newest_is_challenger_whoever_was_slower(
    store: Store, image_bundle: Path, other_bundle: Path
) -> None:
    """Or was killed before it had said so, and registers again."""
    versions.register(store, image_bundle)
    versions.register(store, other_bundle)
    store.client.set_registered_model_alias("faces-gan-tiny", versions.CHALLENGER, "1")
    assert versions.register(store, image_bundle)[0].aliases == ()
    assert versions.find(store, "faces-gan-tiny@challenger").number == "2"


def test_a_lost_model_folder_is_put_back(store: Store, image_bundle: Path) -> None:
    version, _ = versions.register(store, image_bundle)
    shutil.rmtree(version.source)
    with pytest.raises(UserError, match=r"the bundle of faces-gan-tiny/1 is missing\. atelier reg"):
        generator.load("faces-gan-tiny/1")
    versions.register(store, image_bundle)
    assert generator.load("faces-gan-tiny/1").version == str(version)


def test_a_model_folder_that_lost_a_file_is_made_whole(store: Store, image_bundle: Path) -> None:
    version, _ = versions.register(store, image_bundle)
    (Path(version.source) / "artifacts/bundle/model_card.md").unlink()
    with pytest.raises(UserError, match=r"model_card\.md"):
        generator.load("faces-gan-tiny/1")
    assert versions.register(store, image_bundle) == (version, False)
    assert generator.load("faces-gan-tiny/1").version == str(version)


def test_a_changed_bundle_is_not_registered(store: Store, copied: Path) -> None:
    (copied / "model_card.md").write_text("better than it is")
    with pytest.raises(UserError, match=r"model_card\.md: not the file that was packed"):
        versions.register(store, copied)
    assert versions.names(store) == []


def test_a_decision_is_written_down(published: Store) -> None:
    champion = versions.find(published, "faces-gan-tiny@champion")
    assert champion.number == "2"
    assert champion.tags["gate.promoted"] == "true"
    assert champion.tags["previous_champion"] == "1"
    words = json.loads(Path("mlruns/decisions/faces-gan-tiny/2.json").read_text())
    assert words["champion"] == "faces-gan-tiny/1"
    assert words["decision"]["rounds"][0][0]["p_value"] == BETTER.p_value
    assert json.loads(champion.tags["gate.decision"]) == words["decision"]


def test_a_refused_challenger_leaves_the_champion(published: Store) -> None:
    challenger = versions.find(published, "faces-gan-tiny/1")
    tie = Decision(False, "a tie", GOOD, GOOD, (replace(BETTER, difference=0.0),))
    champions.record(published, challenger, tie)
    assert versions.find(published, "faces-gan-tiny@champion").number == "2"


def test_rollback_gives_the_alias_back_and_says_so(published: Store) -> None:
    now, before = champions.rollback(published, "faces-gan-tiny")
    assert (now.number, before.number) == ("1", "2")
    assert now.aliases == ("champion",)
    with pytest.raises(UserError, match="was the first champion"):
        champions.rollback(published, "faces-gan-tiny")


def told(store: Store) -> list[tuple[str, str, str]]:
    events = history(versions.versions(store, "faces-gan-tiny"))
    return [(one.version.rpartition("/")[2], one.what, one.why) for one in events]


def test_the_history_tells_what_became_of_each(
    published: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    decided = [(number, "promoted", versions.version(published, "faces-gan-tiny", number)
                .tags["gate.reason"]) for number in "12"]  # fmt: skip
    assert told(published) == decided
    champions.rollback(published, "faces-gan-tiny")
    monkeypatch.setattr("getpass.getuser", nameless)
    second = versions.version(published, "faces-gan-tiny", "2")
    champions.promote(published, second, "it smiles")
    assert told(published) == [
        *decided,
        ("2", "rolled back", "to faces-gan-tiny/1"),
        ("1", "champion again", "instead of faces-gan-tiny/2"),
        ("2", "promoted against the gate", "it smiles"),
    ]
    last = history(versions.versions(published, "faces-gan-tiny"))[-1]
    assert (last.what, last.who) == ("promoted against the gate", str(os.getuid()))


def test_what_was_promoted_against_the_gate_can_be_rolled_back(published: Store) -> None:
    champions.promote(published, versions.version(published, "faces-gan-tiny", "1"), "older hair")
    assert versions.find(published, "faces-gan-tiny@champion").number == "1"
    champion = versions.find(published, "faces-gan-tiny@champion")
    with pytest.raises(UserError, match="faces-gan-tiny/1: is champion already"):
        champions.promote(published, champion, "again")
    assert champions.rollback(published, "faces-gan-tiny")[0].number == "2"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("faces-gam-tiny@champion", r"faces-gam-tiny: .*Did you mean faces-gan-tiny\?"),
        (
            "zebra@champion",
            r"zebra: no such registered generator\. There is faces-gan-tiny, numbers",
        ),
        ("faces-gan-tiny@champoin", r"Did you mean faces-gan-tiny@champion\?"),
        ("faces-gan-tiny@", r"There is challenger, champion\."),
        ("faces-gan-tiny/9", r"faces-gan-tiny/9: no such version\. There is 2, 1\."),
        ("faces-gan-tiny/x", r"faces-gan-tiny/x: no such version\. There is 2, 1\."),
        ("faces-gan-tiny", r"no version named\. Write faces-gan-tiny@champion"),
        ("", "no version named"),
        ("@champion", "no such registered generator"),
        ("a'b@champion", "no such registered generator"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(
    published: Store, reference: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        generator.load(reference)


def test_an_empty_registry_says_how_to_fill_it(store: Store) -> None:
    with pytest.raises(UserError, match="Run dvc repro to make one"):
        generator.load("faces-gan@champion")


def test_loading_samples_what_the_bundle_makes(published: Store, other_bundle: Path) -> None:
    loaded = generator.load("faces-gan-tiny@champion")
    expected = open_bundle(other_bundle).sample(5, 7, 0.5)
    assert (loaded.sample(5, seed=7, truncation=0.5) == expected).all()
    with pytest.raises(UserError, match=r"faces-gan-tiny@champion: count: a whole number"):
        loaded.sample(0)


def test_another_bundle_in_its_place_is_refused(published: Store, other_bundle: Path) -> None:
    first = versions.find(published, "faces-gan-tiny/1")
    place = Path(first.source, "artifacts", "bundle")
    shutil.rmtree(place)
    shutil.copytree(other_bundle, place)
    with pytest.raises(UserError, match="not the one that was registered"):
        generator.load("faces-gan-tiny/1")
