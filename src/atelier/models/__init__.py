"""The architectures that an experiment can name: one line each."""

from types import ModuleType

from atelier.models import dcgan, judge, numbers, seed

MODELS: dict[str, ModuleType] = {
    "numbers": numbers,
    "seed": seed,
    "dcgan": dcgan,
    "judge": judge,
}
