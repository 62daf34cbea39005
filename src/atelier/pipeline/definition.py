"""What dvc.yaml says of a stage: its params and deps, and the checkpoint key that they make.

Reads the YAML itself: importing dvc would cost each stage most of a second.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atelier.schema import read_yaml

CHECKPOINTS = Path(".atelier", "checkpoints")


@dataclass(frozen=True)
class Definition:
    """One stage with its templates filled in."""

    deps: tuple[Path, ...]
    params: tuple[Path, ...]


def define(stage: str, name: str, scale: str) -> Definition:
    """The definition of `stage@name` at a scale."""
    parameters = read_yaml(Path("params.yaml")) | {"scale": scale}
    document = read_yaml(Path("dvc.yaml"))
    for variables in document["vars"]:
        parameters |= variables
    entry = document["stages"][stage]
    collection = _lookup(parameters, entry["foreach"].strip("${}"))
    values = parameters | {"key": name, "item": collection[name]}
    body = entry["do"]
    return Definition(
        deps=tuple(Path(_fill(dep, values)) for dep in body["deps"]),
        params=tuple(Path(_fill(file, values)) for item in body.get("params", ()) for file in item),
    )


def checkpoint_folder(stage: str, name: str, scale: str) -> Path:
    """Where a stage keeps its state until it is done: by the hash of its params and deps.

    A prepared dataset counts by its manifest, which holds the digests of its arrays.
    """
    definition = define(stage, name, scale)
    params = {path: path.read_bytes() for path in definition.params}
    return CHECKPOINTS / f"{scale}-{name}-{_digest(definition, params)[:16]}"


def same_but_images(stage: str, name: str, scale: str) -> str:
    """A digest of all that decides a training, but for how long it is planned."""
    definition = define(stage, name, scale)
    params = {}
    for path in definition.params:
        words = read_yaml(path)
        words.pop("plan", None)
        words["training"].pop("images")
        params[path] = json.dumps(words, sort_keys=True).encode()
    return _digest(definition, params)


def _digest(definition: Definition, params: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for path in (*definition.params, *definition.deps):
        content = params.get(path)
        if content is None:
            content = (path / "manifest.json" if path.is_dir() else path).read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _lookup(values: Mapping[str, Any], dotted: str) -> Any:
    found: Any = values
    for key in dotted.split("."):
        found = found[key]
    return found


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda match: str(_lookup(values, match[1])), template)
