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

from atelier.paths import home_of
from atelier.schema import read_yaml

CHECKPOINTS = Path(".atelier", "checkpoints")
FINISHED = CHECKPOINTS.with_name("finished")
"""Of each experiment, the networks that another training may start from."""


@dataclass(frozen=True)
class Definition:
    """One stage with its templates filled in."""

    deps: tuple[Path, ...]
    params: Mapping[Path, tuple[str, ...]]
    """By file: the blocks that can change the stage's result."""


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
        params={
            Path(_fill(file, values)): tuple(blocks)
            for item in body.get("params", ())
            for file, blocks in item.items()
        },
    )


def checkpoint_folder(stage: str, name: str, scale: str) -> Path:
    """Where a stage keeps its state until it is done: by the hash of its params and deps.

    A prepared dataset counts by its manifest, which holds the digests of its arrays. A trial's lies
    in the repository that started it: DVC removes a trial's own folder when it is interrupted.
    """
    definition = define(stage, name, scale)
    digest = _digest(definition, _blocks(definition))
    home = home_of(here := Path.cwd())
    folder = CHECKPOINTS if home == here else home / CHECKPOINTS
    return folder / f"{scale}-{name}-{digest[:16]}"


def same_but_images(stage: str, name: str, scale: str) -> str:
    """A digest of all that decides a training, but for how long it is planned."""
    definition = define(stage, name, scale)
    blocks = _blocks(definition)
    for words in blocks.values():
        words["training"] = {k: word for k, word in words["training"].items() if k != "images"}
    return _digest(definition, blocks)


def _blocks(definition: Definition) -> dict[Path, dict[str, Any]]:
    """What each file says in the blocks that count."""
    files = {path: read_yaml(path) for path in definition.params}
    return {
        path: {block: files[path].get(block) for block in blocks}
        for path, blocks in definition.params.items()
    }


def _digest(definition: Definition, blocks: Mapping[Path, Any]) -> str:
    digest = hashlib.sha256()
    counted = {path: json.dumps(words, sort_keys=True).encode() for path, words in blocks.items()}
    for path in definition.deps:
        counted[path] = (path / "manifest.json" if path.is_dir() else path).read_bytes()
    for path, content in counted.items():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _lookup(values: Mapping[str, Any], dotted: str) -> Any:
    found: Any = values
    for key in dotted.split("."):
        found = found[key]
    return found


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda match: str(_lookup(values, match[1])), template)
