"""The loss families that an experiment can name: one line each."""

from types import ModuleType

from atelier.objectives import (
    bce,
    classification,
    cyclegan,
    elbo,
    hinge,
    lsgan,
    reconstruction,
    relativistic,
    relativistic_ac,
    seed,
    wgan_gp,
)

OBJECTIVES: dict[str, ModuleType] = {
    "bce": bce,
    "lsgan": lsgan,
    "hinge": hinge,
    "wgan_gp": wgan_gp,
    "relativistic": relativistic,
    "relativistic_ac": relativistic_ac,
    "seed": seed,
    "cyclegan": cyclegan,
    "reconstruction": reconstruction,
    "elbo": elbo,
    "classification": classification,
}
