"""What gpu.py asks of averaged networks, and the figures of what they make."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from atelier import config
from atelier.data.images import to_bytes, to_float
from atelier.data.numbers import multiples_share
from atelier.data.sampling import columns, members
from atelier.evaluation.features import Images, WitnessFeatures, evenly
from atelier.evaluation.kid import kid

CHUNK = 100
SHOWN = 32


@dataclass(frozen=True)
class Request:
    """What averaged networks are asked to make, and the reals that it is compared with."""

    name: str
    networks: tuple[str, ...]
    """One after the other."""
    inputs: tuple[Tensor, ...]
    reals: Images | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def first(self, count: int) -> "Request":
        return Request(self.name, self.networks, tuple(t[:count] for t in self.inputs))

    @torch.inference_mode()
    def made_by(self, averages: nn.ModuleDict, latent_dim: int) -> Tensor:
        """float32 [N, …] on the CPU, made in batches on the networks' device."""
        device = next(averages.parameters()).device
        made = []
        for start in range(0, len(self), CHUNK):
            given = [rows[start : start + CHUNK].to(device) for rows in self.inputs]
            for name in self.networks:
                given = [averages[name](*given)]
                if name == "encoder":
                    given = [given[0][:, :latent_dim]]  # the means, where it is variational
            made.append(given[0].float().cpu())
        return torch.cat(made)


def requests(work: config.Experiment | config.Judge, prepared: Path, count: int) -> list[Request]:
    """What a task's networks are asked to make; nothing of a judge."""
    if not isinstance(work, config.Experiment):
        return []
    return REQUESTS[work.task.name](work, prepared, count)


def noise(work: config.Experiment, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(work.evaluation.seed)
    return torch.randn(count, work.model.latent_dim, generator=rng)


def images_of_test(prepared: Path) -> Images:
    found: Images = np.load(prepared / "test.npy")
    return found


def labels_of_test(prepared: Path) -> tuple[tuple[str, ...], Any]:
    names = tuple(json.loads((prepared / "manifest.json").read_text())["labels"])
    return names, np.load(prepared / "test_labels.npy")


def _numbers(work: config.Experiment, prepared: Path, count: int) -> list[Request]:
    return [Request("numbers", ("generator",), (noise(work, count),))]


def _images(work: config.Experiment, prepared: Path, count: int) -> list[Request]:
    return [Request("samples", ("generator",), (noise(work, count),), images_of_test(prepared))]


def _conditional(work: config.Experiment, prepared: Path, count: int) -> list[Request]:
    """The attributes of test images, again and again."""
    names, labels = labels_of_test(prepared)
    sampling = cast("Any", work.sampling)
    conditions = labels[np.arange(count) % len(labels)][:, columns(names, sampling.attributes)]
    inputs = (noise(work, count), torch.from_numpy(conditions).float())
    return [Request("samples", ("generator",), inputs, images_of_test(prepared))]


def _translation(work: config.Experiment, prepared: Path, count: int) -> list[Request]:
    names, labels = labels_of_test(prepared)
    pixels, sampling = images_of_test(prepared), cast("Any", work.sampling)
    a, b = (pixels[members(labels, names, domain)[:count]] for domain in (sampling.a, sampling.b))
    floats = [to_float(torch.from_numpy(domain)) for domain in (a, b)]
    return [Request("A2B", ("a2b",), (floats[0],), b), Request("B2A", ("b2a",), (floats[1],), a)]


def _reconstruction(work: config.Experiment, prepared: Path, count: int) -> list[Request]:
    """And samples: of a plain autoencoder they are not expected to be faces."""
    reals = images_of_test(prepared)[:count]
    given = (to_float(torch.from_numpy(reals)),)
    return [
        Request("reconstructions", ("encoder", "decoder"), given, reals),
        Request("samples", ("decoder",), (noise(work, count),), reals),
    ]


REQUESTS: dict[str, Callable[[config.Experiment, Path, int], list[Request]]] = {
    "numbers": _numbers,
    "unconditional": _images,
    "conditional": _conditional,
    "translation": _translation,
    "reconstruction": _reconstruction,
}


@cache
def witness(prepared: Path) -> tuple[WitnessFeatures, Images]:
    training = np.load(prepared / "training.npy", mmap_mode="r")
    return WitnessFeatures(training), training


def score(request: Request, made: Tensor, prepared: Path) -> float:
    """Share of multiples of 5, or KID in the witness's features to the test images."""
    if request.reals is None:
        return float(multiples_share(made))
    extract, _ = witness(prepared)
    return kid(extract(request.reals), extract(to_bytes(made).numpy())).value


def ceiling(request: Request, prepared: Path) -> float | None:
    """The figure of as many training images."""
    if request.reals is None or request.networks in (("a2b",), ("b2a",)):
        return None
    extract, training = witness(prepared)
    return kid(extract(request.reals), extract(evenly(training, len(request)))).value


def differences(device_made: Tensor, cpu_made: Tensor) -> dict[str, float]:
    """Of two sets of pictures as bytes."""
    both = [to_bytes(made).int() for made in (device_made, cpu_made)]
    apart = (both[0] - both[1]).abs()
    return {
        "largest": int(apart.max()),
        "share": float((apart > 0).float().mean()),
        "beyond_1_share": float((apart > 1).float().mean()),
    }


@contextlib.contextmanager
def exact_fp32() -> Iterator[None]:
    """fp32 products of the GPU without TF32, whose inputs have ten bits."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def shown(request: Request, made: Tensor) -> Images:
    """Pictures for a sheet; beside each, on its left, the picture that it was made of."""
    pictures, given = to_bytes(made[:SHOWN]), request.inputs[0]
    if given.ndim != 4:
        return pictures.numpy()
    given = to_bytes(given[: SHOWN // 2])
    return torch.stack([given, pictures[: len(given)]], dim=1).flatten(0, 1).numpy()
