"""A contract over the table of models: what each publishes packs, loads and answers."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tables import tiny_model
from tests.toys import ATTRIBUTES, SEEN, Toy, named, pictures, sheet_of_samples, some_numbers
from torch import nn

from atelier.bundle.bundle_model import Bundle, answer, columns, open_bundle
from atelier.bundle.pack import grid
from atelier.models import MODELS
from atelier.task import TASKS

from .test_bundle import contents

PUBLISHING = [name for name, model in MODELS.items() if model.task.name in TASKS]
SIDE = 32


def example(opened: Bundle) -> np.ndarray:
    """Whatever a bundle can make: a new task is shown without a new line here."""
    if opened.can_sample:
        return some_numbers(opened) if opened.MAKES_NUMBERS else sheet_of_samples(opened)
    if "direction" in columns(opened.manifest):
        return grid(opened.translate(pictures(2, SIDE), "A2B"))
    return grid(opened.reconstruct(pictures(2, SIDE)))


def published(name: str) -> Toy:
    """A model as its `tiny` experiment has it, untrained, with what its task's bundle needs."""
    family, config = MODELS[name], tiny_model(name)
    conditional = family.task.takes_attributes
    shape = (100,) if family.task.makes == "numbers" else (3, SIDE, SIDE)
    torch.manual_seed(0)
    nets: nn.ModuleDict = family.build(config, shape, len(ATTRIBUTES) if conditional else 0)
    description = named(
        name,
        family.task.name,
        output_shape=shape,
        latent_dim=getattr(config, "latent_dim", None),
        attributes=ATTRIBUTES if conditional else (),
    )
    networks = {network: nets[network] for network in family.task.networks}
    arrays = {"combinations": SEEN} if conditional else {}
    return Toy(networks, description, example, arrays)


@pytest.mark.parametrize("name", PUBLISHING)
def test_what_a_model_publishes_packs_loads_and_answers(name: str, tmp_path: Path) -> None:
    toy = published(name)
    toy.pack(tmp_path / "bundle")
    toy.pack(tmp_path / "again")
    assert contents(tmp_path / "bundle") == contents(tmp_path / "again")
    opened = open_bundle(tmp_path / "bundle")
    accepted = columns(opened.manifest)
    if opened.can_sample:
        combination = SEEN[1] if opened.attributes else None
        many = opened.sample(3, 5, attributes=combination)
        np.testing.assert_array_equal(opened.sample(1, 5, attributes=combination), many[:1])
        row = {"count": 3, "seed": 5}
        row |= {"attributes": f"{ATTRIBUTES[0]}=1"} if opened.attributes else {}
        assert len(answer(opened, [row], None)) == 3
        raw = next(opened.outputs(3, 5, attributes=combination))
        with torch.inference_mode():
            latents = torch.from_numpy(opened.latents(3, 5))
            stacked = [] if combination is None else [np.stack([combination] * 3)]
            given = [torch.from_numpy(rows).float() for rows in stacked]
            network = toy.networks.get("generator", toy.networks.get("decoder"))
            assert network is not None
            torch.testing.assert_close(raw, network.eval()(latents, *given), atol=1e-4, rtol=1e-4)
    if "image_base64" in accepted:
        photo = pictures(1, SIDE + 9)[0]
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "PNG")
        row = {"image_base64": base64.b64encode(buffer.getvalue()).decode()}
        row |= {"direction": "B2A"} if "direction" in accepted else {}
        (made,) = answer(opened, [row], None)
        size = Image.open(io.BytesIO(base64.b64decode(made["png_base64"]))).size
        assert size == ((SIDE + 9,) * 2 if "direction" in accepted else (SIDE,) * 2)
