"""A toy generator's bundle, and a repository whose store is a copy of one made once."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from atelier.registry import bundle, versions
from atelier.registry.bundle import BundleDescription
from atelier.registry.gate import decide
from atelier.registry.store import Store, open_store

from .test_gate import BETTER, GOOD


def toy_images(seed: int = 0) -> nn.Module:
    """[B, 8] -> [B, 3, 8, 8], with what real generators are made of."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, 3 * 4 * 4),
        nn.Unflatten(1, (3, 4, 4)),
        nn.ConvTranspose2d(3, 3, 4, 2, 1),
        nn.BatchNorm2d(3),
        nn.Tanh(),
    )


def toy_numbers(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 100), nn.ReLU())


IMAGES = BundleDescription(
    experiment="faces-gan",
    scale="tiny",
    registered_name="faces-gan-tiny",
    kind="image",
    latent_dim=8,
    output_shape=(3, 8, 8),
    dataset="celeba",
    judge="judge",
    selected_images=1000,
)
NUMBERS = BundleDescription(
    experiment="numbers",
    scale="tiny",
    registered_name="numbers-tiny",
    kind="numbers",
    latent_dim=8,
    output_shape=(100,),
    dataset="numbers",
    judge=None,
    selected_images=500,
)


@pytest.fixture(scope="session")
def image_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "bundle"
    bundle.pack(folder, toy_images(), IMAGES)
    return folder


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same name, other weights."""
    folder = tmp_path_factory.mktemp("other") / "bundle"
    bundle.pack(folder, toy_images(seed=1), IMAGES)
    return folder


@pytest.fixture(scope="session")
def number_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers") / "bundle"
    bundle.pack(folder, toy_numbers(), NUMBERS)
    return folder


@pytest.fixture
def copied(image_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(image_bundle, tmp_path / "bundle"))


@pytest.fixture
def sign() -> Callable[[Path], None]:
    """Makes a changed bundle agree with itself again, as one who tampers with it would."""

    def agree(folder: Path) -> None:
        from atelier.registry.bundle_model import MANIFEST, digest_of, sha256

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
    _forget_connections()
    yield root
    _forget_connections()


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
    root = tmp_path_factory.mktemp("published")
    (root / "mlruns").mkdir()
    shutil.copyfile(new_database, root / "mlruns" / "mlflow.db")
    before = Path.cwd()
    os.chdir(root)
    _forget_connections()
    try:
        opened = open_store()
        for folder, champion in ((image_bundle, None), (other_bundle, GOOD), (number_bundle, None)):
            version, _ = versions.register(opened, folder)
            versions.record(opened, version, decide(GOOD, champion, [BETTER, BETTER]))
    finally:
        os.chdir(before)
        _forget_connections()
    return root / "mlruns"


@pytest.fixture
def published(published_folder: Path, repository: Path) -> Store:
    """The store of `published_folder`, a copy for each test."""
    shutil.copytree(published_folder, repository / "mlruns", dirs_exist_ok=True)
    return open_store()


def _forget_connections() -> None:
    """MLflow keeps one store for each address in a process; here each test has its own file."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracker
    from mlflow.tracking._model_registry import utils as registries
    from mlflow.tracking._tracking_service import utils as trackers

    trackers._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    registries._get_store_registry()._get_store_with_resolved_uri.cache_clear()
    for engines in (Tracker._engine_map, Registry._engine_map):
        for engine in engines.values():
            engine.dispose()
        engines.clear()
