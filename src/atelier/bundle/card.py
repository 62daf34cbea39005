"""The Markdown page in a bundle: what it makes, how it is asked, and what it is not for.

What differs from task to task is handed over by the task's module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atelier.bundle.bundle_model import CODE, LARGEST_EDIT, MANIFEST

SAMPLES = '{"count": 4, "seed": 7, "truncation": 1.0}'
"""A request for samples."""
OF_SAMPLES = """The same seed gives the same output, however many are asked for. `truncation`
(above 0, at most 2) scales the latent: smaller is more typical, larger more varied."""


@dataclass(frozen=True)
class Card:
    """What a card says of one task's bundle."""

    makes: str
    """One sentence."""
    request: str = SAMPLES
    """A row that `predict` takes, as Python."""
    notes: tuple[str, ...] = (OF_SAMPLES,)
    """Paragraphs: what else can be asked for, and what is refused."""


def size_of(output_shape: tuple[int, ...]) -> str:
    """`64 x 64 pixels`."""
    return " x ".join(str(side) for side in output_shape[1:]) + " pixels"


def of_directions(names: tuple[str, ...]) -> tuple[str, ...]:
    """The paragraph on edits; none where the bundle holds no directions."""
    if not names:
        return ()
    return (
        f"""`edits`, such as "{names[0]}=2.0", steps along {", ".join(names)},
in standard deviations, at most {LARGEST_EDIT:g} either way.""",
    )


def model_card(words: Mapping[str, Any], card: Card) -> str:
    """What a consumer must know; figures stand in the registry, beside the version.

    Args:
        words: the description's fields.
    """
    notes = "\n\n".join(card.notes)
    return f"""# {words["registered_name"]}

{card.makes} Trained by the experiment
`{words["experiment"]}` at scale `{words["scale"]}` on the dataset `{words["dataset"]}`;
the published weights are the moving average after {words["selected_images"]:,} training images.

```python
import mlflow

model = mlflow.pyfunc.load_model("models:/{words["registered_name"]}@champion")
rows = model.predict([{card.request}])
```

{notes}

The bundle runs no code but `{CODE}`, whose hash is in `{MANIFEST}`; weights and graph are data.

Limits: it knows its training data alone, with that data's biases; judge by the figures of the
version in the registry before use.
"""
