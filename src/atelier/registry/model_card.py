"""The Markdown page in a bundle: what it makes, how it is asked, and what it is not for."""

from collections.abc import Mapping, Sequence
from typing import Any

from atelier.registry.bundle_model import CODE, LARGEST_EDIT, MANIFEST

MAKES = {
    "numbers": "Makes numbers from 0 to 99, each a multiple of 5.",
    "images": "Makes pictures of {size}.",
    "conditional": "Makes pictures of {size} with the attributes that are asked for.",
    "translation": "Turns a picture of one domain into one of the other, of the same size.",
    "reconstruction": "Turns a picture of {size} into {latent_dim} numbers, and back.",
}
REQUESTS = {
    "conditional": '{{"count": 4, "seed": 7, "attributes": "{attribute}=1"}}',
    "translation": '{{"image_base64": picture, "direction": "A2B"}}',
    "autoencoder": '{{"image_base64": picture}}',
}
SAMPLES = '{{"count": 4, "seed": 7, "truncation": 1.0}}'
NOTES = {
    "samples": """The same seed gives the same output, however many are asked for. `truncation`
(above 0, at most 2) scales the latent: smaller is more typical, larger more varied.""",
    "conditional": """`attributes` are fractions from 0 to 1 of {attributes}.
What is not named is 0; no hair colour named means another hair colour. A combination that no
training image had is refused unless `allow_unseen` is true; a blend is taken where the whole
combination nearest to it was seen.""",
    "translation": """`picture` is a PNG or JPEG in base64, of any size: what the network changes at
{size}, the size that it was trained at, is enlarged and added to the full picture.""",
    "reconstruction": """`image_base64` takes a PNG or JPEG in base64; one of another size than the
training images is cropped to the centred square that they were.""",
    "variational": "A row asks either for samples or for the reconstruction of an image.",
    "directions": """`edits`, such as "{direction}=2.0", steps along {directions},
in standard deviations, at most {largest_edit:g} either way.""",
    "mixture": """`sampler` "mixture" draws from the mixture fitted to the training images' codes,
"normal" from N(0, 1).""",
}


def model_card(words: Mapping[str, Any], variational: bool, arrays: Sequence[str]) -> str:
    """What a consumer must know; figures stand in the registry, beside the version.

    Args:
        words: the description's fields.
        variational: whether the encoder gives a distribution, which can be sampled.
        arrays: the names of the arrays beside the networks.
    """
    task, attributes, directions = words["task"], words["attributes"], words["directions"]
    facts = {
        "size": " x ".join(str(side) for side in words["output_shape"][1:]) + " pixels",
        "latent_dim": words["latent_dim"],
        "attributes": ", ".join(attributes),
        "attribute": next(iter(attributes), ""),
        "directions": ", ".join(directions),
        "direction": next(iter(directions), ""),
        "largest_edit": LARGEST_EDIT,
    }
    samples = task != "translation" and (task != "reconstruction" or variational)
    applies = {
        "samples": samples,
        task: True,
        "variational": variational,
        "directions": bool(directions),
        "mixture": "mixture_means" in arrays,
    }
    kind = "autoencoder" if task == "reconstruction" and not variational else task
    request = REQUESTS.get(kind, SAMPLES).format(**facts)
    notes = [text.format(**facts) for name, text in NOTES.items() if applies.get(name)]
    return f"""# {words["registered_name"]}

{MAKES[task].format(**facts)} Trained by the experiment
`{words["experiment"]}` at scale `{words["scale"]}` on the dataset `{words["dataset"]}`;
the published weights are the moving average after {words["selected_images"]:,} training images.

```python
import mlflow

model = mlflow.pyfunc.load_model("models:/{words["registered_name"]}@champion")
rows = model.predict([{request}])
```

{(chr(10) * 2).join(notes)}

The bundle runs no code but `{CODE}`, whose hash is in `{MANIFEST}`; weights and graph are data.

Limits: it knows its training data alone, with that data's biases; judge by the figures of the
version in the registry before use.
"""
