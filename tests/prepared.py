"""A prepared dataset of toys' size, where stages would have laid it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from atelier.paths import Paths
from tests.toys import SIZE, pictures

LABELS = ("Male", "Black_Hair", "Blond_Hair", "Eyeglasses")
COUNTS = {"training": 40, "validation": 20, "test": 30}


def lay_out(root: Path, **words: Any) -> Path:
    """Writes faces of noise: men, black, blond and other hair in turn; `words` of the manifest."""
    folder = root / Paths("tiny").prepared("celeba")
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate(COUNTS.items()):
        labels = np.zeros((count, len(LABELS)), np.uint8)
        labels[::2, 0] = 1
        labels[0::3, 1] = labels[1::3, 2] = 1
        labels[2::3, 3] = 1
        np.save(folder / f"{split}.npy", pictures(count, seed=seed).transpose(0, 3, 1, 2))
        np.save(folder / f"{split}_labels.npy", labels)
    manifest = {
        "dataset": "celeba", "layout": "attributes", "size_pixels": SIZE, "fit": "crop",
        "crop": 1.0, "drawn": False, "labels": LABELS,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest | words))
    return folder
