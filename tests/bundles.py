"""Bundles of toy networks, and a repository whose store is a copy of one made once."""

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from atelier.bundle import pack as bundle
from atelier.registry import champions, versions
from atelier.registry.gate import Figures, decide
from atelier.registry.store import Store, open_store
from tests.project import forget_connections
from tests.toys import BETTER, CARD, GOOD, IMAGES, TOYS, sheet_of_samples, toy_images


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundle of a toy, by its name in TOYS; packed once."""

    @functools.cache
    def pack(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "bundle"
        TOYS[name].pack(folder)
        return folder

    return pack


@pytest.fixture(scope="session")
def image_bundle(packed: Callable[[str], Path]) -> Path:
    return packed("unconditional")


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same name, other weights."""
    folder = tmp_path_factory.mktemp("other") / "bundle"
    bundle.pack(folder, {"generator": toy_images(seed=1)}, IMAGES, CARD, sheet_of_samples)
    return folder


@pytest.fixture(scope="session")
def number_bundle(packed: Callable[[str], Path]) -> Path:
    return packed("numbers")


@pytest.fixture
def copied(image_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(image_bundle, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def sign() -> Callable[[Path], None]:
    """Makes a changed bundle agree with itself again, as one who tampers with it would."""

    def agree(folder: Path) -> None:
        from atelier.bundle.bundle_model import MANIFEST, digest_of, sha256

        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["members"] = {
            path.name: sha256(path.read_bytes())
            for path in folder.iterdir()
            if path.name != MANIFEST
        }
        manifest["digest"] = digest_of(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return agree


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making a database takes MLflow seconds, so it is made once and copied."""
    root = tmp_path_factory.mktemp("store")
    before = Path.cwd()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.chdir(root)
    try:
        open_store()
    finally:
        os.chdir(before)
    return root / "mlruns" / "mlflow.db"


@pytest.fixture
def repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_database: Path
) -> Iterator[Path]:
    """The root of an empty repository with an open, empty store."""
    root = tmp_path / "repository"
    (root / "mlruns").mkdir(parents=True)
    shutil.copyfile(new_database, root / "mlruns" / "mlflow.db")
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    forget_connections()
    yield root
    forget_connections()


@pytest.fixture
def store(repository: Path) -> Store:
    return open_store()


@pytest.fixture(scope="session")
def published_folder(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Path,
    image_bundle: Path,
    other_bundle: Path,
    number_bundle: Path,
) -> Path:
    """mlruns/ where numbers has a champion, and version 2 of the faces took version 1's place."""
    bundles = [(image_bundle, None), (other_bundle, GOOD), (number_bundle, None)]
    return publish(tmp_path_factory.mktemp("published"), new_database, bundles)


@pytest.fixture
def published(published_folder: Path, repository: Path) -> Store:
    """The store of `published_folder`, a copy for each test."""
    shutil.copytree(published_folder, repository / "mlruns", dirs_exist_ok=True)
    return open_store()


@pytest.fixture(scope="session")
def gallery_folder(
    tmp_path_factory: pytest.TempPathFactory, new_database: Path, packed: Callable[[str], Path]
) -> Path:
    """mlruns/ with a champion of every toy."""
    bundles = [(packed(name), None) for name in TOYS]
    return publish(tmp_path_factory.mktemp("gallery"), new_database, bundles)


@pytest.fixture
def gallery(gallery_folder: Path, repository: Path) -> Store:
    """The store of `gallery_folder`, a copy for each test."""
    shutil.copytree(gallery_folder, repository / "mlruns", dirs_exist_ok=True)
    return open_store()


def publish(root: Path, database: Path, bundles: Sequence[tuple[Path, Figures | None]]) -> Path:
    """Registers bundles in a new store; each is better than the champion whose figures are given.

    Returns its mlruns/.
    """
    with new_store(root, database) as opened:
        for folder, champion in bundles:
            version, _ = versions.register(opened, folder)
            champions.record(opened, version, decide(GOOD, champion, [[BETTER], [BETTER]]))
    return root / "mlruns"


@contextmanager
def new_store(root: Path, database: Path) -> Iterator[Store]:
    """An empty store below `root`, which is the working folder meanwhile."""
    (root / "mlruns").mkdir()
    shutil.copyfile(database, root / "mlruns" / "mlflow.db")
    before = Path.cwd()
    os.chdir(root)
    forget_connections()
    try:
        yield open_store()
    finally:
        os.chdir(before)
        forget_connections()
