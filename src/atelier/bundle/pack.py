"""Packs trained networks into the folder that is registered, with the same bytes every time."""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import CHUNK, CODE, FORMAT, MANIFEST, Bundle, open_bundle, sha256
from atelier.bundle.card import Card, model_card
from atelier.bundle.program import export, frozen_copy
from atelier.data.folders import built_aside
from atelier.data.images import channels_first
from atelier.data.sheet import sheet
from atelier.errors import UserError

EXAMPLE_IMAGES = 16
EXAMPLE_NUMBERS = 100
EXAMPLE_SEED = 0

Pictures = NDArray[np.uint8]
"""[N, H, W, 3]."""
Example = Callable[[Bundle], np.ndarray]
"""What a bundle shows of itself: a sheet, uint8 [H, W, 3], or numbers, int64 [N]."""


@dataclass(frozen=True)
class BundleDescription:
    """What bundle.json says of the networks, beside their members and the digest."""

    experiment: str
    scale: str
    registered_name: str
    task: str
    """One of atelier.task.TASKS."""
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
    crop_share: float | None = 1.0
    """Side of the training images' centred crop, as a share of the shorter side; None where all of
    a picture was fitted in."""
    words: dict[str, Any] = field(default_factory=dict)
    """Facts of the task, such as a decoder's sigma; JSON."""


def pack(
    out: Path,
    networks: Mapping[str, nn.Module],
    description: BundleDescription,
    card: Card,
    example: Example,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Writes the bundle's folder, whole or not at all, and returns its digest.

    Equal weights, arrays and words give equal bytes: no clock, path or run stands in any member.
    Only the example is made by the networks, so that another processor, or other threads, may
    draw a pixel otherwise; the digest leaves it out. What was at `out` is replaced.

    Args:
        networks: those that the class of the task in bundle_model names; float32 copies of them in
            evaluation mode are exported with a dynamic batch.
        card: what the model card says of the task.
        example: called with the bundle as a consumer opens it; what it makes is kept as
            `example.png` or `example.json`.
        arrays: some of bundle_model.ARRAYS, of the shapes there; cast to the types there.

    Raises:
        UserError: the networks make another shape, or values that are not finite.
    """
    with built_aside(out) as folder:
        inputs = _inputs(networks, description)
        for name, network in networks.items():
            (folder / f"{name}.pt2").write_bytes(export(network, inputs[name]))
        for name, array in (arrays or {}).items():
            kind, _ = bundle_model.ARRAYS[name]
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array, kind), allow_pickle=False)
        shutil.copyfile(bundle_model.__file__, folder / CODE)
        variational = _is_variational(networks, inputs, description)
        digest = _write_manifest(folder, description, variational)
        _write_example(folder, description, example)
        text = model_card(asdict(description), card)
        (folder / "model_card.md").write_text(text, encoding="utf-8")
        _write_manifest(folder, description, variational)
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
    wanted = bundle_model.TASKS[description.task].NETWORKS
    if set(networks) != set(wanted):
        expected, got = ", ".join(wanted), ", ".join(networks)
        raise UserError(description.experiment, f"{description.task} packs {expected} (got {got})")
    shapes = {
        "latent": (description.latent_dim or 0,),
        "attributes": (len(description.attributes),),
        "image": description.output_shape,
    }
    return {name: [shapes[kind] for kind in wanted[name]] for name in networks}


def _is_variational(
    networks: Mapping[str, nn.Module],
    inputs: Mapping[str, Sequence[tuple[int, ...]]],
    description: BundleDescription,
) -> bool:
    """Whether an encoder gives means and log-variances, and not codes."""
    if "encoder" not in networks:
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


def _write_example(folder: Path, description: BundleDescription, example: Example) -> None:
    """Loads the bundle the way a consumer does, checks what it makes, and keeps some of it."""
    try:
        bundle = open_bundle(folder)
        for name, made in _try(bundle).items():
            _check_made(description, bundle, name, made)
        shown = example(bundle)
    except bundle_model.Refused as refusal:
        member = f"{Path(refusal.where).name}: " if refusal.where else ""
        raise UserError(description.experiment, member + refusal.problem) from None
    if bundle.MAKES_NUMBERS:
        text = json.dumps({"seed": EXAMPLE_SEED, "numbers": shown.tolist()})
        (folder / "example.json").write_text(text + "\n", encoding="utf-8")
    else:
        (folder / "example.png").write_bytes(bundle_model.png(shown))


def _try(bundle: Bundle) -> dict[str, torch.Tensor]:
    """One run of each network, on the kind of input that it is made for."""
    shape = bundle.manifest["output_shape"]
    draw = np.random.default_rng(EXAMPLE_SEED)
    inputs: dict[str, np.ndarray] = {
        "latent": draw.standard_normal((CHUNK, bundle.latent_dim)),
        "image": np.broadcast_to(draw.uniform(-1, 1, (CHUNK, 3, 1, 1)), (CHUNK, *shape))
        if len(shape) == 3
        else np.empty(0),
    }
    if bundle.attributes:
        inputs["attributes"] = combinations(bundle, CHUNK)
    with torch.inference_mode():
        return {
            name: bundle.networks[name](*(torch.from_numpy(inputs[k].astype("f4")) for k in kinds))
            for name, kinds in bundle.NETWORKS.items()
        }


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


def combinations(bundle: Bundle, count: int) -> np.ndarray:
    """Combinations of attributes that were seen, in turn: [count, K]."""
    seen = bundle.arrays["combinations"]
    rows: np.ndarray = seen[np.arange(count) % len(seen)]
    return rows


def grid(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] -> one sheet of the same kind, as square as N allows."""
    columns = math.ceil(math.sqrt(len(pictures)))
    return sheet(channels_first(pictures), columns)


def pairs(*rows: tuple[Pictures, Pictures]) -> np.ndarray:
    """One sheet of pictures, each row above the row of what became of them."""
    columns = max(len(given) for given, _ in rows)
    shown = [row for pair in rows for row in pair if len(pair[0]) == columns]
    return sheet(channels_first(np.concatenate(shown)), columns)
