"""A bundle as MLflow's model folder, and where a store keeps it.

"Models from code", a signature, four pinned requirements.
"""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from atelier.bundle.bundle_model import CODE, MANIFEST, TASKS, TEXTS, columns
from atelier.data.folders import built_aside
from atelier.errors import UserError
from atelier.registry.store import BUNDLES, Store

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

REQUIREMENTS = ("mlflow", "torch", "numpy", "pillow")
INSIDE = "artifacts/bundle"
"""Where the bundle lies in the model folder."""
COLUMN_TYPES = {
    "count": "long",
    "seed": "long",
    "truncation": "double",
    "allow_unseen": "boolean",
    **dict.fromkeys(TEXTS, "string"),
}
"""MLflow's names of the types of a request's columns."""


def put(store: Store, bundle: Path, digests: tuple[str, str], source: str) -> None:
    """Puts the model folder of a bundle at `source`, where the store names it.

    A server's is sent from a copy that stays in mlruns/.
    """
    place = store.root / (place_of(*digests) if store.is_server else source)
    write_model(bundle, place)
    if store.is_server:
        store.artifacts(source).log_artifacts(str(place))


def is_kept(store: Store, bundle: Path, source: str) -> bool:
    """Whether each file of a bundle is still at `source`.

    A run that is deleted and collected takes along what a server kept below it.
    """
    kept = {Path(file.path).name for file in store.artifacts(source).list_artifacts(INSIDE)}
    return kept >= {file.name for file in bundle.iterdir() if file.is_file()}


def size_of(store: Store, source: str, known: str | None) -> int | None:
    """Bytes of a version's bundle: as `known` tells, else by its files; None where neither does."""
    if known:
        return int(known)
    folder = store.root / source / INSIDE
    if store.is_server or not folder.is_dir():
        return None
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def place_of(digest: str, code: str) -> Path:
    """The folder of a bundle in mlruns/: by its model and its code."""
    return BUNDLES / f"{digest}-{code[:12]}"


def write_model(bundle: Path, out: Path) -> None:
    """Writes MLflow's model folder of a bundle to `out`, whole or not at all, over what is there.

    The model itself is not run, and no path of this machine stays in the folder.
    """
    with tempfile.TemporaryDirectory() as temporary, built_aside(out) as folder:
        copy = Path(temporary, "bundle")  # the name that it has in the model folder
        shutil.copytree(bundle, copy)
        with _quiet():
            from mlflow import pyfunc

            pyfunc.save_model(
                folder,
                python_model=str(copy / CODE),
                artifacts={"bundle": str(copy)},
                signature=signature(json.loads((bundle / MANIFEST).read_bytes())),
                pip_requirements=[f"{name}=={_version(name)}" for name in REQUIREMENTS],
            )
        _remove_paths(folder / "MLmodel")


def copy_model(bundle: Path, out: Path) -> None:
    """Copies the model folder around a bundle, as it is, into the folder `out`.

    Raises:
        UserError: the bundle stands alone; what is around it is something else.
    """
    if bundle.parts[-2:] != Path(INSIDE).parts:
        raise UserError(
            bundle, "has no model folder of MLflow's around it", "atelier registry sync"
        )
    shutil.copytree(bundle.parents[1], out, copy_function=shutil.copyfile, dirs_exist_ok=True)


def bundle_inside(model: Path) -> Path:
    """The bundle in a model folder, or the folder itself where it is a bundle."""
    return model if (model / MANIFEST).exists() else model / INSIDE


def signature(manifest: Mapping[str, Any]) -> "ModelSignature":
    """What a bundle takes and gives: a row asks for `count` outputs, or for one of its image."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    accepted = columns(manifest)
    # A VAE's row asks for samples or for a reconstruction: neither column is needed.
    either = {"image_base64", "count"} <= set(accepted)
    inputs = Schema(
        [
            ColSpec(COLUMN_TYPES[name], name, required=default is None and not either)
            for name, default in accepted.items()
        ]
    )
    made = [("index", "long")]
    if "seed" in accepted:
        made.append(("seed", "long"))
    numbers = TASKS[manifest["task"]].MAKES_NUMBERS
    made.append(("number", "long") if numbers else ("png_base64", "string"))
    outputs = Schema(
        [ColSpec(kind, name, required=not (either and name == "seed")) for name, kind in made]
    )
    return ModelSignature(inputs, outputs, ParamSchema([ParamSpec("format", "string", "png")]))


def _version(package: str) -> str:
    """Without the local part, such as +cpu, which no registry knows."""
    return version(package).partition("+")[0]


def _remove_paths(file: Path) -> None:
    """MLmodel notes where things came from; loading needs their names alone."""
    model: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    flavor = model["flavors"]["python_function"]
    flavor["model_code_path"] = CODE
    flavor["artifacts"]["bundle"]["uri"] = INSIDE
    file.write_text(yaml.safe_dump(model), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what MLflow says of itself: that `Any` is not checked, of its own classes; that an
    example is missing, which costs ten seconds; and that there is no pip."""
    logger = logging.getLogger("mlflow.utils.environment")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example was not provided")
            warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType")
            yield
    finally:
        logger.setLevel(level)
