"""What the stages do for each task: one module and one line each.

A task's module has

    figure(networks, context) -> float      on the validation split; the snapshot with the smallest
                                            is published
    pack(networks, context, out, images)    writes the bundle of the networks after that many
                                            training images
    score(bundle, context, folder) -> dict  on the test split: figures for metrics.json; tables and
                                            pictures go to the folder
    referee(context) -> Referee             who scores bundles for the gate, on the test split

Tables are CSV files with the columns `name` and `value`, so that DVC draws each as bars.
"""

from types import ModuleType

from atelier.pipeline.tasks import conditional, images, numbers, reconstruction, translation

TASKS: dict[str, ModuleType] = {
    "numbers": numbers,
    "images": images,
    "conditional": conditional,
    "translation": translation,
    "reconstruction": reconstruction,
}
