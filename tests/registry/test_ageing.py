"""Old versions let go of their bundles; what a champion rests on stays."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bundles import new_store
from tests.toys import GOOD

from atelier.errors import UserError
from atelier.registry import ageing, champions, loading, versions
from atelier.registry.gate import Decision
from atelier.registry.store import Store, open_store

NAME = "faces-gan-tiny"
PROMOTED = (1, 10, 20)
STARTED_FROM = {20: 5, 5: 2}
"""Version 20 began with the networks of 5, which had begun with those of 2."""


@pytest.fixture(scope="module")
def thirty_folder(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Path,
    image_bundle: Path,
    sign: Callable[[Path], None],
) -> Path:
    """mlruns/ with thirty versions of one name."""
    root = tmp_path_factory.mktemp("thirty")
    bundle = shutil.copytree(image_bundle, root / "bundle")
    with new_store(root, new_database) as store:
        for number in range(1, 31):
            words = json.loads((bundle / "bundle.json").read_text())
            (bundle / "bundle.json").write_text(json.dumps(words | {"selected_images": number}))
            sign(bundle)
            start = STARTED_FROM.get(number)
            tags = {ageing.STARTED_FROM: f"{NAME}/{start}"} if start else {}
            version, _ = versions.register(store, bundle, origin=tags.copy)
            champions.record(store, version, Decision(number in PROMOTED, "a word", GOOD, GOOD, ()))
    return root / "mlruns"


@pytest.fixture
def thirty(thirty_folder: Path, repository: Path) -> Store:
    """Its store, a copy for each test."""
    shutil.copytree(thirty_folder, repository / "mlruns", dirs_exist_ok=True)
    return open_store()


def holding(store: Store) -> list[int]:
    """The numbers of versions whose bundles lie there."""
    found = versions.versions(store, NAME)
    return sorted(int(one.number) for one in found if Path(one.source).is_dir())


def test_of_thirty_versions_those_stay_that_something_rests_on(thirty: Store) -> None:
    old = ageing.aged(thirty, keep=3)
    assert len(old) == 30 - 7
    for one in old:
        ageing.let_go(thirty, one)
    # The newest three; the champion, the ones that it began with, and those before it.
    assert holding(thirty) == [2, 5, 10, 20, 28, 29, 30]
    assert ageing.aged(thirty, keep=3) == []
    assert loading.load(f"{NAME}@champion").version == f"{NAME}/20"
    champions.rollback(thirty, NAME)
    assert loading.load(f"{NAME}@champion").version == f"{NAME}/10"


def test_a_record_outlives_its_bundle_which_can_come_back(thirty: Store, copied: Path) -> None:
    shutil.copytree(versions.version(thirty, NAME, "7").source, copied.parent / "seven")
    for one in ageing.aged(thirty, keep=3):
        ageing.let_go(thirty, one)
    seven = versions.version(thirty, NAME, "7")
    assert seven.tags["gate.reason"] == "a word"
    with pytest.raises(UserError, match=rf"the bundle of {NAME}/7 is missing"):
        loading.load(f"{NAME}/7")
    inside = next((copied.parent / "seven").rglob("bundle.json")).parent
    assert versions.register(thirty, inside) == (seven, False)
    assert loading.load(f"{NAME}/7").version == f"{NAME}/7"


def test_a_bundle_that_two_versions_share_stays_with_the_kept_one(thirty: Store) -> None:
    champion = versions.champion(thirty, NAME)
    assert champion
    twin = thirty.client.create_model_version(NAME, champion.source)
    thirty.client.create_model_version(NAME, versions.version(thirty, NAME, "30").source)
    (old,) = [one for one in ageing.aged(thirty, keep=1) if one.version.number == "29"]
    assert old.folders == (Path(old.version.source),)
    assert not [one for one in ageing.aged(thirty, keep=1) if one.version.number == twin.version]


def test_nothing_is_old_where_little_is_registered(published: Store) -> None:
    assert ageing.aged(published, keep=1) == []
