"""Packs trained networks into the folder that is registered, with the same bytes every time."""

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from atelier.data.sheet import sheet
from atelier.errors import UserError
from atelier.registry import bundle_model
from atelier.registry.bundle_model import CHUNK, CODE, FORMAT, MANIFEST, Bundle, open_bundle, sha256
from atelier.registry.model_card import model_card
from atelier.registry.program import export, frozen_copy

EXAMPLE_IMAGES = 16
EXAMPLE_NUMBERS = 100
EXAMPLE_SEED = 0

Images = NDArray[np.uint8]
"""[N, 3, S, S]."""


@dataclass(frozen=True)
class BundleDescription:
    """What bundle.json says of the networks, beside their members and the digest."""

    experiment: str
    scale: str
    registered_name: str
    task: str
    """One of models/__init__.py, and not classification."""
    latent_dim: int | None
    """The length of a latent or code; None for translation, which has none."""
    output_shape: tuple[int, ...]
    """[C, S, S] for images in [-1, 1]; [100] for numbers' scores."""
    dataset: str
    judge: str | None
    """The name of the judge that chose the snapshot; None where nothing was judged."""
    selected_images: int
    """How many training images the chosen snapshot had seen."""
    attributes: tuple[str, ...] = ()
    """What a conditional generator is asked for, in its network's order."""
    directions: tuple[str, ...] = ()
    """The names of the rows of the array `directions`."""
    crop_share: float = 1.0
    """Side of the training images' centred crop, as a share of the shorter side."""
    words: dict[str, Any] = field(default_factory=dict)
    """Facts of the task, such as a decoder's sigma; JSON."""


def pack(
    out: Path,
    networks: Mapping[str, nn.Module],
    description: BundleDescription,
    arrays: Mapping[str, np.ndarray] | None = None,
    examples: Sequence[Images] = (),
) -> str:
    """Writes the bundle's folder, whole or not at all, and returns its digest.

    Equal weights, arrays and words give equal bytes: no clock, path or run stands in any member.
    Only the example is made by the networks, so that another processor, or other threads, may
    draw a pixel otherwise; the digest leaves it out. What was at `out` is replaced.

    Args:
        networks: those that bundle_model.NETWORKS names for the task, each of one tensor (a
            conditional generator: latent and attributes) to one; float32 copies of them in
            evaluation mode are exported with a dynamic batch.
        arrays: some of bundle_model.ARRAYS, of the shapes there; cast to the types there.
        examples: pictures for `example.png`, which a bundle without noise cannot draw itself: of
            the domains a and b for translation, of one set for reconstruction. Without them such a
            bundle has no `example.png`, except that a VAE shows samples.

    Raises:
        UserError: the networks make another shape, or values that are not finite.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        inputs = _inputs(networks, description)
        for name, network in networks.items():
            (folder / f"{name}.pt2").write_bytes(export(network, inputs[name]))
        for name, array in (arrays or {}).items():
            kind, _ = bundle_model.ARRAYS[name]
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array, kind), allow_pickle=False)
        shutil.copyfile(bundle_model.__file__, folder / CODE)
        variational = _is_variational(networks, inputs, description)
        digest = _write_manifest(folder, description, variational)
        _write_examples(folder, description, examples)
        (folder / "model_card.md").write_text(
            model_card(asdict(description), variational, tuple(arrays or {})), encoding="utf-8"
        )
        _write_manifest(folder, description, variational)
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


def _inputs(
    networks: Mapping[str, nn.Module], description: BundleDescription
) -> dict[str, list[tuple[int, ...]]]:
    """The shapes that each network takes, without the batch."""
    if set(networks) != set(bundle_model.NETWORKS[description.task]):
        expected = ", ".join(bundle_model.NETWORKS[description.task])
        got = ", ".join(networks)
        raise UserError(description.experiment, f"{description.task} packs {expected} (got {got})")
    image = description.output_shape
    latent = (description.latent_dim or 0,)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "generator": [
            latent,
            *([(len(description.attributes),)] if description.attributes else []),
        ],
        "a2b": [image],
        "b2a": [image],
        "encoder": [image],
        "decoder": [latent],
    }
    return {name: shapes[name] for name in networks}


def _is_variational(
    networks: Mapping[str, nn.Module],
    inputs: Mapping[str, Sequence[tuple[int, ...]]],
    description: BundleDescription,
) -> bool:
    """Whether an encoder gives means and log-variances, and not codes."""
    if description.task != "reconstruction":
        return False
    with torch.inference_mode():
        image = torch.zeros(1, *inputs["encoder"][0])
        width = frozen_copy(networks["encoder"])(image).shape[1]
    latent_dim = description.latent_dim or 0
    if width not in (latent_dim, 2 * latent_dim):
        problem = f"the encoder makes {width} numbers, not {latent_dim} or twice as many"
        raise UserError(description.experiment, problem)
    return bool(width != latent_dim)


def _write_manifest(folder: Path, description: BundleDescription, variational: bool) -> str:
    words = asdict(description)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "inputs": {"latent_dim": words.pop("latent_dim"), "variational": variational},
        **words,
        "chunk": CHUNK,
        "torch": str(torch.__version__).partition("+")[0],
        "members": {
            path.name: sha256(path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.name != MANIFEST
        },
    }
    # As a reader of the file has it, in lists: the digest is that of the words read back.
    manifest = json.loads(json.dumps(manifest))
    manifest["digest"] = bundle_model.digest_of(manifest)
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return str(manifest["digest"])


def _write_examples(
    folder: Path, description: BundleDescription, examples: Sequence[Images]
) -> None:
    """Loads the bundle the way a consumer does, checks what it makes, and keeps some of it."""
    try:
        bundle = open_bundle(folder)
        for name, made in _try(bundle).items():
            _check_made(description, bundle, name, made)
    except bundle_model.Refused as refusal:
        raise UserError(description.experiment, str(refusal).rpartition("/")[2]) from None
    if bundle.is_numbers:
        numbers = bundle.sample(EXAMPLE_NUMBERS, EXAMPLE_SEED).tolist()
        text = json.dumps({"seed": EXAMPLE_SEED, "numbers": numbers})
        (folder / "example.json").write_text(text + "\n", encoding="utf-8")
    elif (drawn := _example(bundle, examples)) is not None:
        (folder / "example.png").write_bytes(bundle_model.png(drawn))


def _try(bundle: Bundle) -> dict[str, torch.Tensor]:
    """One run of each network, on what it is made for."""
    if "generator" in bundle.networks:
        asked = _combinations(bundle, 1)
        return {"generator": next(bundle.outputs(CHUNK, EXAMPLE_SEED, 1.0, asked))}
    drawn = torch.from_numpy(np.random.default_rng(EXAMPLE_SEED).random((CHUNK, 3, 1, 1)))
    image = (drawn * 2 - 1).float().expand(CHUNK, *bundle.manifest["output_shape"])
    with torch.inference_mode():
        if bundle.task == "translation":
            return {name: network(image) for name, network in bundle.networks.items()}
        codes = bundle.networks["encoder"](image)
        decoded = bundle.networks["decoder"](codes[:, : bundle.latent_dim])
        return {"encoder": codes, "decoder": decoded}


def _check_made(
    description: BundleDescription, bundle: Bundle, name: str, made: torch.Tensor
) -> None:
    expected = description.output_shape
    if name == "encoder":
        expected = (bundle.latent_dim * (2 if bundle.is_variational else 1),)
    if tuple(made.shape[1:]) != expected:
        problem = f"the {name} makes {list(made.shape[1:])}, not {list(expected)}"
        raise UserError(description.experiment, problem)
    if not bool(torch.isfinite(made).all()):
        raise UserError(description.experiment, f"the {name}'s outputs are not finite")


def _combinations(bundle: Bundle, count: int) -> np.ndarray | None:
    """Combinations of attributes that were seen, in turn: [count, K]; [K] where one is asked."""
    if not bundle.attributes:
        return None
    seen = bundle.arrays["combinations"]
    rows: np.ndarray = seen[np.arange(count) % len(seen)]
    return rows[0] if count == 1 else rows


def _example(bundle: Bundle, examples: Sequence[Images]) -> np.ndarray | None:
    """uint8 [height, width, 3]: samples, or pictures above what became of them."""
    if bundle.task == "translation" and len(examples) == 2:
        a, b = (one[:EXAMPLE_IMAGES] for one in examples)
        pairs = [(a, bundle.translate(a, "A2B")), (b, bundle.translate(b, "B2A"))]
    elif bundle.task == "reconstruction" and examples:
        pairs = [
            (one[:EXAMPLE_IMAGES], bundle.reconstruct(one[:EXAMPLE_IMAGES])) for one in examples
        ]
    elif bundle.can_sample:
        asked = _combinations(bundle, EXAMPLE_IMAGES)
        return grid(bundle.sample(EXAMPLE_IMAGES, EXAMPLE_SEED, 1.0, asked))
    else:
        return None
    columns = max(len(one) for one, _ in pairs)
    rows = [row for pair in pairs for row in pair if len(pair[0]) == columns]
    return sheet(np.concatenate(rows), columns)


def grid(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] -> one sheet of the same kind, as square as N allows."""
    columns = math.ceil(math.sqrt(len(pictures)))
    return sheet(pictures.transpose(0, 3, 1, 2), columns)
