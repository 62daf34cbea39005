"""What each file plans agrees with what its networks cost, and a scale fits into its time."""

import pytest

from atelier import config
from atelier.training.plan import gflop_per_image

EXPERIMENTS = list(config.listed_experiments())
LAPTOP_SECONDS = 1200
"""Of all trainings together: with drawing, judges and registering, half an hour on two cores."""


@pytest.mark.parametrize("scale", config.SCALES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_planned_operations_are_those_that_are_counted(scale, name):
    experiment = config.load_experiment(scale, name)
    size = config.load_dataset(scale, experiment.dataset).data.size_pixels
    shape = (3, size, size) if size else (100,)
    labels = len(getattr(experiment.sampling, "attributes", ()))
    counted = gflop_per_image(experiment, shape, labels)
    assert experiment.plan.gflop_per_image == pytest.approx(counted, rel=0.02)


def test_laptop_trains_everything_within_its_time():
    planned = [config.load_experiment("laptop", name).plan.seconds for name in EXPERIMENTS]
    assert sum(planned) <= LAPTOP_SECONDS


def test_twice_the_width_costs_about_four_times_as_much():
    experiment = config.load_experiment("laptop", "faces-gan")
    wide = {"generator_width": 64, "discriminator_width": 64}
    wider = experiment.model_copy(update={"model": experiment.model.model_copy(update=wide)})
    narrow = gflop_per_image(experiment, (3, 64, 64), 0)
    assert 3 < gflop_per_image(wider, (3, 64, 64), 0) / narrow < 4
