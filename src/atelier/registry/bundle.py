"""Packs a trained generator into the folder that is registered, with the same bytes every time."""

import copy
import io
import json
import math
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from atelier.data.sheet import sheet
from atelier.errors import UserError
from atelier.registry import bundle_model
from atelier.registry.bundle_model import CHUNK, CODE, FORMAT, MANIFEST, PROGRAM, Sampler, sha256

LARGEST_BATCH = 4096
EXAMPLE_IMAGES = 16
EXAMPLE_NUMBERS = 100
EXAMPLE_SEED = 0


@dataclass(frozen=True)
class BundleDescription:
    """What bundle.json says of a generator, beside its members and digest."""

    experiment: str
    scale: str
    registered_name: str
    kind: Literal["image", "numbers"]
    latent_dim: int
    output_shape: tuple[int, ...]
    """[C, S, S] for images in [-1, 1]; [100] for numbers' scores."""
    dataset: str
    judge: str | None
    """The name of the judge that chose the snapshot; None where nothing was judged."""
    selected_images: int
    """How many training images the chosen snapshot had seen."""


def pack(out: Path, generator: nn.Module, description: BundleDescription) -> str:
    """Writes the bundle's folder, whole or not at all, and returns its digest.

    Equal weights and words give equal bytes: no clock, path or run stands in any member. What was
    at `out` is replaced.

    Args:
        generator: [B, latent_dim] float32 -> [B, *output_shape]; a float32 copy of it in
            evaluation mode is exported with a dynamic batch.

    Raises:
        UserError: the generator makes another shape, or values that are not finite.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        (folder / PROGRAM).write_bytes(export(generator, description.latent_dim))
        shutil.copyfile(bundle_model.__file__, folder / CODE)
        digest = _write_manifest(folder, description)
        _write_examples(folder, description)
        (folder / "model_card.md").write_text(model_card(description), encoding="utf-8")
        _write_manifest(folder, description)
        if out.exists():
            out.rename(Path(temporary) / "replaced")
        folder.rename(out)
    return digest


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle whose members are all as they were packed.

    Raises:
        UserError: there is no bundle, or a member was changed.
    """
    try:
        return bundle_model.check_bundle(folder)
    except bundle_model.Refused as refusal:
        raise UserError(folder, str(refusal), "Run the bundle stage again.") from None


def export(generator: nn.Module, latent_dim: int) -> bytes:
    """The generator as a program of torch.export without pickles, paths or a clock."""
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with _quiet():
        program = torch.export.export(
            _frozen_copy(generator),
            (torch.zeros(CHUNK, latent_dim),),
            dynamic_shapes=({0: batch},),
        )
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    return _plain(buffer.getvalue())


def _frozen_copy(generator: nn.Module) -> nn.Module:
    frozen = copy.deepcopy(generator).to("cpu", torch.float32).eval()
    return frozen.requires_grad_(False).to(memory_format=torch.contiguous_format)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch warns that a Dim's upper bound is a promise; it is one that we keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _plain(archive: bytes) -> bytes:
    """The same program without what is a pickle, names a machine or changes from run to run."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {entry.partition("/")[2]: source.read(entry) for entry in source.namelist()}
    members["data/sample_inputs/model.pt"] = b""
    members[".data/serialization_id"] = b"0" * 40
    graph = json.loads(members["models/model.json"])
    for node in graph["graph_module"]["graph"]["nodes"]:
        # Stack traces with this machine's paths; nothing that computes.
        node["metadata"] = {}
    graph["guards_code"] = []
    members["models/model.json"] = json.dumps(graph, separators=(",", ":")).encode()
    return bundle_model.write_archive(members)


def _write_manifest(folder: Path, description: BundleDescription) -> str:
    words = asdict(description)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        **words,
        "output_shape": list(description.output_shape),
        "inputs": {"latent_dim": words.pop("latent_dim")},
        "chunk": CHUNK,
        "torch": str(torch.__version__).partition("+")[0],
        "members": {
            path.name: sha256(path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.name != MANIFEST
        },
    }
    del manifest["latent_dim"]
    manifest["digest"] = bundle_model.digest_of(manifest)
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return str(manifest["digest"])


def _write_examples(folder: Path, description: BundleDescription) -> None:
    """Loads the bundle the way a consumer does, and keeps what it makes."""
    sampler = Sampler(folder)
    first = next(sampler.outputs(CHUNK, EXAMPLE_SEED))
    if tuple(first.shape[1:]) != description.output_shape:
        made = list(first.shape[1:])
        raise UserError(
            description.experiment,
            f"the generator makes {made}, not {list(description.output_shape)}",
        )
    if not bool(torch.isfinite(first).all()):
        raise UserError(description.experiment, "the generator's outputs are not finite")
    if description.kind == "numbers":
        numbers = sampler.sample(EXAMPLE_NUMBERS, EXAMPLE_SEED).tolist()
        text = json.dumps({"seed": EXAMPLE_SEED, "numbers": numbers})
        (folder / "example.json").write_text(text + "\n", encoding="utf-8")
    else:
        pictures = sampler.sample(EXAMPLE_IMAGES, EXAMPLE_SEED)
        (folder / "example.png").write_bytes(bundle_model.png(grid(pictures)))


def grid(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] -> one sheet of the same kind, as square as N allows."""
    columns = math.ceil(math.sqrt(len(pictures)))
    return sheet(pictures.transpose(0, 3, 1, 2), columns)


def model_card(description: BundleDescription) -> str:
    """What a consumer must know, in Markdown; figures stand in the registry, beside the version."""
    makes = (
        "numbers from 0 to 99, each a multiple of 5"
        if description.kind == "numbers"
        else f"pictures of {description.output_shape[1]} x {description.output_shape[2]} pixels"
    )
    return f"""# {description.registered_name}

Makes {makes}. Trained by the experiment `{description.experiment}` at scale
`{description.scale}` on the dataset `{description.dataset}`; the published weights are the moving
average after {description.selected_images:,} training images.

```python
import mlflow

model = mlflow.pyfunc.load_model("models:/{description.registered_name}@champion")
rows = model.predict([{{"count": 4, "seed": 7, "truncation": 1.0}}])
```

The same seed gives the same output, however many are asked for. `truncation` (above 0, at most 2)
scales the latent: smaller is more typical, larger more varied. The bundle runs no code but
`{CODE}`, whose hash is in `{MANIFEST}`; weights and graph are data.

Limits: it knows its training data alone, with that data's biases; judge by the figures of the
version in the registry before use.
"""
