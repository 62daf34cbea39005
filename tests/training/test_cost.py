"""The costs that the experiments' files state are those of their networks, and fit their time."""

import pytest
import torch
from tests.tables import CLASSIC, SHIPPED

from atelier import config, params, paths
from atelier.data.numbers import DEPTH
from atelier.training import cost
from atelier.training.cost import batch_memory, cost_of, gflop_per_image, room_of

LISTED = params.listed_experiments()
LAPTOP_SECONDS = ((2100 - 170) * 2 - 7 * 90) / 1.7
"""Of the 35 minutes that `make repro` has, drawing (80 s), preparing (20) and judges (70) leave the
rest to two experiments at once. On half of the cores, a training takes up to 1.7 times as long as
alone, and the other stages of an experiment take 90 s."""
SMALLEST_GFLOP = 1e-4


def counted(scale, name):
    experiment = config.load_experiment(scale, name)
    dataset = config.load_dataset(scale, experiment.dataset)
    return experiment.plan.gflop_per_image, cost_of(experiment, dataset)


@pytest.mark.parametrize("scale", paths.SCALES)
@pytest.mark.parametrize("name", LISTED)
def test_every_file_states_what_a_training_costs(scale, name):
    stated, found = counted(scale, name)
    assert found > SMALLEST_GFLOP
    assert stated == pytest.approx(found, rel=0.02)


@pytest.mark.parametrize("name", LISTED)
def test_between_the_bounds_of_its_terms_a_step_costs_the_same(name, monkeypatch):
    """A term that depended on the progress in another way than by a comparison would be missed."""
    found = []
    for inside in (0.01, 0.99):
        monkeypatch.setattr(cost, "INSIDE", inside)
        found.append(counted("tiny", name)[1])
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_the_laptop_trains_everything_in_its_time():
    seconds = {name: config.load_experiment("laptop", name).plan.seconds for name in SHIPPED}
    assert sum(seconds.values()) <= LAPTOP_SECONDS, seconds


def linear():
    """D = 100 -> 1, G = 100 -> 100."""
    experiment = config.load_experiment("tiny", "numbers").model_dump(mode="json")
    experiment |= {
        "model": {"name": "linear_baseline", "latent_dim": 100},
        "objective": {"name": "linear_baseline"},
    }
    return config.Experiment.model_validate(experiment)


def test_a_linear_network_costs_what_its_matrices_say():
    """The book's three steps, by hand."""
    work = linear()
    found = gflop_per_image(work, (100,), 0)
    discriminator, generator = 2 * 100 * 1, 2 * 100 * 100
    # A pass forward, and one backward for each of weights and inputs that has a gradient.
    real, fake = 2 * discriminator, 2 * discriminator + generator
    learning = 2 * generator + 2 * discriminator
    assert found == pytest.approx((real + fake + learning) / 1e9)


def test_a_phase_now_and_then_and_a_term_for_a_while_count_by_their_shares():
    experiment = config.load_experiment("tiny", "faces-gan")

    def cost(every):
        objective = experiment.objective.model_copy(update={"penalty_every": every})
        work = experiment.model_copy(update={"objective": objective})
        return gflop_per_image(work, (3, 16, 16), 0)

    penalty = 2 * (cost(2) - cost(1000)) / (1 - 2 / 1000)
    assert cost(4) == pytest.approx(cost(1000) + penalty / 4 - penalty / 1000)
    body = config.load_experiment("tiny", "horse2zebra").model_dump(mode="json")
    cycle = config.Experiment.model_validate(body | CLASSIC)

    def share(until):
        objective = cycle.objective.model_copy(update={"identity_until": until})
        return gflop_per_image(cycle.model_copy(update={"objective": objective}), (3, 32, 32), 0)

    assert share(0.3) == pytest.approx(0.7 * share(0.0) + 0.3 * share(1.0))


def test_a_linear_network_takes_the_room_of_its_matrices():
    """Weights once, gradients and two moments of what is trained, averages of the generator."""
    discriminator, generator = 4 * (100 + 1), 4 * (100 * 100 + 100)
    trained = discriminator + generator
    state = trained + generator
    room = room_of(linear(), (100,), 0)
    assert room.memory == state + 3 * trained
    assert room.disk == 3 * (state + 2 * trained) + 2 * generator + state


@pytest.mark.parametrize("name", LISTED)
def test_what_a_batch_takes_is_what_is_kept_of_a_real_one(name, monkeypatch):
    """Counted without content, it is what real tensors show."""
    # The content of empty ones may be no row of a table.
    monkeypatch.setattr(cost._Draws, "uniform", lambda draws, *shape: torch.zeros(shape))
    work = config.load_experiment("tiny", name)
    size = config.load_dataset("tiny", work.dataset).data.size_pixels
    shape = (DEPTH,) if size is None else (3, size, size)
    labels = len(getattr(work.sampling, "attributes", ())) or 2
    nets, objective, batch_at = cost._outline(work, shape, labels)
    real = max(cost._kept(phase, nets, objective, batch_at) for phase in objective.phases)
    assert batch_memory(work, shape, labels, "fp32") == real
    assert batch_memory(work, shape, labels, "bf16") == real // 2
    assert room_of(work, shape, labels).memory > 0
