r"""Which figure sees which fault? Faces that are right are spoilt in known doses, and scored.

    python benchmarks/dose_response.py --out table.md --pictures docs/images

Run it where `atelier repro judge@celeba judge_b@celeba` has run. The faces are drawn anew, from
scenes of no split, so they are what a perfect generator would make; the last columns say what the
gate finds of a spoilt set beside an unspoilt champion.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from atelier.data.batches import read_manifest
from atelier.data.prepare import to_square
from atelier.drawing import faces, faces_features
from atelier.drawing.texture import encode_jpeg
from atelier.evaluation.features import Features, Images
from atelier.evaluation.judge import open_judge
from atelier.evaluation.keys import EXTRACTORS, JUDGE, JUDGE_B
from atelier.evaluation.manifold import manifold
from atelier.evaluation.memorisation import copies
from atelier.evaluation.reference import ReferenceSet, open_reference
from atelier.evaluation.report import write_grid
from atelier.paths import Paths
from atelier.registry.gate import SMALLEST_DIVERSITY
from atelier.tasks.comparing import compare_sets
from atelier.tasks.pictures import fewer_kinds

FRESH = 7_000_000
"""Where seeds of scenes begin that belong to no split."""
SHOWN = 8
Spoil = Callable[[Images], Images]


@contextmanager
def eyeless() -> Iterator[None]:
    """Faces are drawn without eyes; lids, brows and all else stay."""
    paint = faces_features.paint_eyes
    faces_features.paint_eyes = lambda *_: None
    try:
        yield
    finally:
        faces_features.paint_eyes = paint


def drawn(scenes: list[faces.FaceScene], size: int, crop: float) -> Images:
    """Pictures as `prepare` would have them: uint8 [N, 3, S, S]."""

    def one(scene: faces.FaceScene) -> np.ndarray:
        picture = Image.open(BytesIO(encode_jpeg(faces.render(scene))))
        return to_square(picture, size, crop)

    found = np.stack([one(scene) for scene in scenes])
    return found if found.shape[1] == 3 else np.ascontiguousarray(found.transpose(0, 3, 1, 2))


def in_some(share: float, spoil: Spoil, seed: int = 0) -> Spoil:
    """The same in so many pictures alone."""

    def some(images: Images) -> Images:
        chosen = np.random.default_rng(seed).permutation(len(images))[: round(share * len(images))]
        made = images.copy()
        made[chosen] = spoil(images)[chosen]
        return made

    return some


def clipped(values: np.ndarray) -> Images:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def blur(sigma: float) -> Spoil:
    return lambda images: clipped(
        gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma), mode="nearest")
    )


def noise(deviation: float) -> Spoil:
    draw = np.random.default_rng(1)
    return lambda images: clipped(images + draw.normal(0, deviation, images.shape))


def weave(strength: float) -> Spoil:
    """A checkerboard of two pixels, as upsampling leaves it."""

    def spoil(images: Images) -> Images:
        rows, columns = np.indices(images.shape[2:])
        return clipped(images + strength * (((rows // 2 + columns // 2) % 2) * 2.0 - 1))

    return spoil


def glued(images: Images) -> Images:
    """The left half of one person and the right half of the next."""
    made, half = images.copy(), images.shape[3] // 2
    made[..., half:] = np.roll(images, 1, axis=0)[..., half:]
    return made


def torn(images: Images) -> Images:
    """Below the eyes, shifted by a tenth of the width."""
    made, below = images.copy(), images.shape[2] * 6 // 10
    made[:, :, below:] = np.roll(images[:, :, below:], images.shape[3] // 10, axis=3)
    return made


def sets(reference: ReferenceSet, count: int) -> Iterator[tuple[str, Images]]:
    """Each fault and dose, and its pictures; the first are right."""
    size, crop = reference.manifest["size_pixels"], reference.manifest["crop"]
    seeds = range(FRESH, FRESH + count)
    scenes = [faces.sample(np.random.default_rng(seed)) for seed in seeds]
    right = drawn(scenes, size, crop)
    with eyeless():
        blind = drawn(scenes, size, crop)
    yield "nothing: fresh faces", right
    for sigma in (0.5, 1.0, 2.0):
        yield f"blur of {sigma:g} px", blur(sigma)(right)
    for deviation in (4, 8, 16):
        yield f"noise of {deviation} grey levels", noise(deviation)(right)
    for strength in (2, 4, 8):
        yield f"a weave of {strength} grey levels", weave(strength)(right)
    for share in (0.1, 0.25, 1.0):
        yield f"no eyes in {share:.0%}", in_some(share, lambda _: blind)(right)
    for share in (0.1, 0.25, 1.0):
        yield f"glued of two people in {share:.0%}", in_some(share, glued)(right)
    for share in (0.1, 0.25, 1.0):
        yield f"torn in {share:.0%}", in_some(share, torn)(right)
    bare = np.array([faces.attributes(scene)["Eyeglasses"] != 1 for scene in scenes])
    yield "nobody with glasses", right[np.resize(np.flatnonzero(bare), count)]
    for kinds in (300, 100):
        yield f"{kinds} different faces", right[np.arange(count) % kinds]
    chosen = np.random.default_rng(2).integers(len(reference.training), size=count)
    for share in (0.1, 0.25, 0.5, 1.0):
        known = np.array(reference.training[np.sort(chosen)])
        yield f"copies in {share:.0%}", in_some(share, lambda _, known=known: known)(right)


def row(name: str, images: Images, reference: ReferenceSet, champion: dict[str, Features]) -> str:
    """A line of the table: distances, what lies near, and what the gate finds."""
    features = dict(reference.features(images))
    distances = reference.kid(features)
    chosen = reference.chooses
    near = manifold(reference.real_features[chosen], features[chosen])
    copied = copies(images, reference.training, reference.reals)
    diversity = reference.diversity_share(features)
    kinds = [*fewer_kinds(reference, features, champion)]
    beside = compare_sets(as_the_gate(reference), features, champion, 0, objections=kinds)
    found = [f"{one.part} says worse" for one in beside if one.is_farther()]
    found += [*copied.in_words(), *beside[0].objections]
    if diversity < SMALLEST_DIVERSITY:
        found.append("collapsed")
    cells = [
        name,
        *(f"{one.value:.4f} ± {one.standard_error:.4f}" for one in map(distances.get, EXTRACTORS)),
        f"{near['precision']:.2f}",
        f"{near['recall']:.2f}",
        f"{near['coverage']:.2f}",
        f"{copied.share:.3f}",
        "; ".join(found) or "-",
    ]
    return f"| {' | '.join(cells)} |"


def as_the_gate(reference: ReferenceSet) -> ReferenceSet:
    """Without the second judge, whom it does not ask."""
    asked = {name: of for name, of in reference.real_features.items() if name != JUDGE_B}
    return replace(reference, real_features=asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    options = parser.parse_args()
    paths = Paths(options.scale)
    judge, second = (open_judge(paths.judge("celeba", stage)) for stage in (JUDGE, JUDGE_B))
    reference = open_reference(paths.prepared("celeba"), judge, "test", options.count, second)
    assert read_manifest(paths.prepared("celeba"))["drawn"]
    other = range(2 * FRESH, 2 * FRESH + options.count)
    size, crop = reference.manifest["size_pixels"], reference.manifest["crop"]
    champion = dict(
        reference.features(
            drawn([faces.sample(np.random.default_rng(seed)) for seed in other], size, crop)
        )
    )
    columns = ["fault", *(f"{name} KID" for name in EXTRACTORS)]
    columns += ["precision", "recall", "coverage", "copied", "the gate, beside fresh faces"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    shown = []
    for name, images in sets(reference, options.count):
        lines.append(row(name, images, reference, champion))
        print(lines[-1], flush=True)
        shown.append(images[:SHOWN])
    options.out.write_text("\n".join(lines) + "\n")
    write_grid(options.pictures / "dose-response.png", np.concatenate(shown), SHOWN)


if __name__ == "__main__":
    main()
