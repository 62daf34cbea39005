"""The one loop: resumed bit for bit, in the same order for all, and stopped where it must."""

import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file
from tests.project import contents
from tests.tables import plain_gan, tiny_model
from tests.training import book

from atelier import config
from atelier.data.numbers import DEPTH, gen_batch
from atelier.errors import AtelierError, Interrupted, UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES, vaegan
from atelier.objectives.phase import EXAMPLES, PART, Phase
from atelier.schema import read_yaml
from atelier.task import UNCONDITIONAL
from atelier.training import checkpoint, loop, setup
from atelier.training.randomness import StepRandomness

TINY = read_yaml(Path("experiments/tiny/faces-gan.yaml"))
PLAIN = yaml.safe_load(plain_gan())
OPTIONS = {
    "wgan_gp": {"gradient_penalty": 10.0, "critic_steps": 2},
    "relativistic": {"gamma": 0.1, "penalty_every": 4},
    "vaegan": {
        "gamma": 0.1,
        "penalty_every": 4,
        "reconstruct_until": 0.4,
        "learn_codes_until": 0.6,
        "head_start": 0.1,
        "patches": 0.25,
        "likeness": 10.0,
        "features": 0.5,
        "real_label_weight": 1.0,
    },
}
ADVERSARIAL = [name for name, module in OBJECTIVES.items() if UNCONDITIONAL in module.tasks]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "manifest.json").write_text(json.dumps({"layout": "numbers"}))
    return folder


def experiment(objective="relativistic", **training):
    body = json.loads(json.dumps(TINY if objective == "vaegan" else PLAIN))
    body["objective"] = {"name": objective} | OPTIONS.get(objective, {})
    body["training"] |= {
        "images": 256, "batch_size": 16, "log_every_images": 48, "sample_every_images": 96,
    } | training  # fmt: skip
    if objective != "vaegan":
        body["model"] |= {"generator_width": 4, "discriminator_width": 4}
    return config.Experiment.model_validate(body)


def run(work, prepared, folder, fabric, **options):
    learner = setup.build(work, prepared, fabric)
    return loop.train("faces-gan", work, learner, folder, **options), learner


@pytest.mark.parametrize("objective", ADVERSARIAL)
def test_a_resumed_run_equals_an_uninterrupted_one(objective, faces, fabric, tmp_path):
    work = experiment(objective)
    run(work, faces, tmp_path / "whole", fabric)
    steps = iter([False] * 6 + [True] + [False] * 4 + [True] + [False] * 99)
    parts = tmp_path / "parts"
    for _ in range(2):
        with pytest.raises(Interrupted, match="saved"):
            run(work, faces, parts, fabric, should_stop=lambda: next(steps))
    summary, _ = run(work, faces, parts, fabric, should_stop=lambda: next(steps))
    assert summary.images == 256
    assert contents(parts / "output") == contents(tmp_path / "whole" / "output")


def test_a_phase_is_prepared_once_before_it_first_runs(faces, fabric, tmp_path, monkeypatch):
    """Of 16 steps the prior's are 7 to 9 and the game's 10 to 15; each is interrupted."""
    steps = iter([False] * 8 + [True] + [False] * 3 + [True] + [False] * 99)
    calls = []

    def noted(objective, nets, batches, rng):
        calls.append((sum(len(batch.real) for batch in batches), rng.turn))

    monkeypatch.setattr(vaegan.Objective, "_remember", noted)
    monkeypatch.setattr(vaegan.Objective, "_begin_game", noted)
    for _ in range(2):
        with pytest.raises(Interrupted):
            run(experiment("vaegan"), faces, tmp_path, fabric, should_stop=lambda: next(steps))
    run(experiment("vaegan"), faces, tmp_path, fabric, should_stop=lambda: next(steps))
    (prior, first), (game, second) = calls
    assert prior == game == EXAMPLES
    assert first != second


def test_what_prepares_a_phase_is_read_in_parts_and_shows_each_image_as_often(
    faces, fabric, tmp_path, monkeypatch
):
    shown = Counter()

    def noted(objective, nets, batches, rng):
        for batch in batches:
            assert len(batch.real) <= PART
            shown.update(batch.real.double().exp().sum((1, 2, 3)).round(decimals=4).tolist())

    monkeypatch.setattr(vaegan.Objective, "_remember", noted)
    run(experiment("vaegan"), faces, tmp_path, fabric)
    images = len(np.load(faces / "training.npy"))
    assert len(shown) == images < PART
    # Neither the first epoch nor the last need be whole.
    assert max(shown.values()) - min(shown.values()) <= 2


def test_a_phase_that_runs_seldom_enters_once(fabric):
    """Whether or not it begins in one of its turns."""
    entered = loop._Run.__new__(loop._Run)
    entered.settings, entered.planned = SimpleNamespace(batch_size=16), 160
    phase = Phase("seldom", trains=(), every=3, begins=0.25)
    steps = []
    for step in range(10):
        entered.clock = loop.Clock(16, step)
        if phase.is_due(step, entered.progress) and entered._enters(phase):
            steps.append(step)
    assert steps == [3]


def test_batches_of_each_process_are_multiples_of_what_networks_compare(faces):
    body = json.loads(json.dumps(TINY))
    body["training"]["batch_size"] = 30
    with pytest.raises(ValidationError, match=r"compares 4 images, so a multiple .* \(got 30\)"):
        config.Experiment.model_validate(body)
    two = SimpleNamespace(world_size=2)
    with pytest.raises(UserError, match=r"multiple of the processes times 4 \(got 12 for 2\)"):
        setup.build(experiment("vaegan", batch_size=12), faces, two)


def test_what_lies_beyond_the_checkpoint_is_written_again(faces, fabric, tmp_path):
    """As after kill -9: history, samples and snapshots are ahead of the checkpoint."""
    work = experiment()
    run(work, faces, tmp_path / "whole", fabric)
    steps = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        run(work, faces, tmp_path / "killed", fabric, should_stop=lambda: next(steps))
    saved = (tmp_path / "killed" / "checkpoint.pt").read_bytes()
    run(work, faces, tmp_path / "killed", fabric)
    (tmp_path / "killed" / "checkpoint.pt").write_bytes(saved)
    with (tmp_path / "killed" / "output" / "history.csv").open("a") as table:
        table.write("16,25")
    run(work, faces, tmp_path / "killed", fabric)
    assert contents(tmp_path / "killed" / "output") == contents(tmp_path / "whole" / "output")


def test_after_a_damaged_checkpoint_the_one_before_leads_to_the_same(
    faces, fabric, tmp_path, capsys
):
    work = experiment()
    run(work, faces, tmp_path / "whole", fabric)
    steps = iter([False] * 5 + [True] + [False] * 4 + [True] + [False] * 99)
    parts = tmp_path / "parts"
    for _ in range(2):
        with pytest.raises(Interrupted):
            run(work, faces, parts, fabric, should_stop=lambda: next(steps))
    last = parts / checkpoint.FILE
    last.write_bytes(last.read_bytes()[:1000])
    run(work, faces, parts, fabric, should_stop=lambda: next(steps))
    assert "goes on from the one before" in capsys.readouterr().err
    assert contents(parts / "output") == contents(tmp_path / "whole" / "output")


def test_two_runs_are_equal_and_another_seed_is_not(faces, fabric, tmp_path):
    for name, seed in (("first", 1), ("second", 1), ("third", 2)):
        run(experiment(seed=seed), faces, tmp_path / name, fabric)
    first, second, third = (contents(tmp_path / n) for n in ("first", "second", "third"))
    assert first == second
    assert first.keys() == third.keys()
    assert first != third


def test_a_killed_save_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c.pt", {"step": 1})

    def dies(state, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path / "c.pt", {"step": 2})
    assert checkpoint.load(tmp_path / "c.pt", torch.device("cpu")) == {"step": 1}


def test_snapshots_are_spread_over_the_second_half(faces, fabric, tmp_path):
    run(experiment(snapshots=4), faces, tmp_path, fabric)
    names = [path.stem for path in sorted((tmp_path / "output" / "snapshots").iterdir())]
    assert names == ["000000160", "000000192", "000000224", "000000256"]


def test_snapshots_hold_the_average_and_not_the_last_weights(faces, fabric, tmp_path):
    _, learner = run(experiment(), faces, tmp_path, fabric)
    saved = load_file(tmp_path / "output" / "snapshots" / "000000256.safetensors")
    averages, nets = learner.averages.state_dict(), learner.nets.state_dict()
    key = "generator.layers.0.weight"
    assert saved.keys() == averages.keys()
    assert torch.equal(saved[key], averages[key])
    assert not torch.equal(saved[key], nets[key])


def test_a_loss_that_is_not_finite_names_step_and_phase(faces, fabric, tmp_path):
    work = experiment("lsgan", log_every_images=16)
    learner = setup.build(work, faces, fabric)
    with torch.no_grad():
        learner.nets["generator"].layers[0].weight.fill_(math.nan)
    with pytest.raises(AtelierError, match="phase generator was not finite in step 0"):
        loop.train("faces-gan", work, learner, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def inputs(task, network, images, latent_dim):
    """What a published network is given."""
    made = {
        "latent": torch.randn(len(images), latent_dim),
        "attributes": torch.rand(len(images), 2),
        "image": images,
    }
    return [made[kind] for kind in task.networks[network]]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_builds_and_comes_back(name):
    family, model = MODELS[name], tiny_model(name)
    latent_dim = getattr(model, "latent_dim", 0)
    shapes = [(DEPTH,)] if family.task.makes == "numbers" else [(3, 32, 32), (3, 64, 64)]
    codes = {(latent_dim,), (2 * latent_dim,)}
    made = {"classifier": {(2,)}, "encoder": codes}
    for shape in shapes:
        nets = family.build(model, shape, 2).eval()
        again = family.build(model, shape, 2).eval()
        again.load_state_dict(nets.state_dict())
        for network in family.task.networks:
            given = inputs(family.task, network, torch.rand(4, *shape) * 2 - 1, latent_dim)
            output = nets[network](*given)
            assert output.dtype == torch.float32
            assert tuple(output.shape[1:]) in made.get(network, {shape})
            assert torch.equal(output, again[network](*given))
        if "discriminator" in nets:
            generated = nets["generator"](*given)
            assert nets["discriminator"](generated, *given[1:]).shape == (4, 1)


def test_faces_learn(faces, fabric, tmp_path):
    """LSGAN's generator loss starts where D tells all apart; the averages move towards the data."""
    adam = {"learning_rate": 0.002, "betas": [0.5, 0.99], "schedule": "constant"}
    both = {"generator": adam, "discriminator": adam}
    work = experiment("lsgan", images=1600, ema_share=0.1, optimizers=both)
    _, learner = run(work, faces, tmp_path, fabric)
    fresh = setup.build(work, faces, fabric)
    reals = learner.batches.take(StepRandomness(9, 0, 0), 64)["real"]

    def spread_gap(some):
        return (some.draw(64).std() - reals.std()).abs()

    assert spread_gap(learner) < 0.5 * spread_gap(fresh)


def numbers_experiment(**changes):
    body = read_yaml(Path("experiments/tiny/numbers.yaml"))
    for key, value in changes.items():
        body[key] = body[key] | value if isinstance(value, dict) and key == "training" else value
    return config.Experiment.model_validate(body)


def test_the_loop_makes_what_train_d_g_makes(numbers, fabric, tmp_path):
    """The book's step, fed the loop's own draws, leaves the same weights as the loop."""
    adam = {"learning_rate": 0.0005, "betas": [0.9, 0.999], "schedule": "constant"}
    work = numbers_experiment(
        model={"name": "linear_baseline", "latent_dim": 100},
        objective={"name": "linear_baseline"},
        training={"images": 50, "batch_size": 10, "ema_share": 0.0, "log_every_images": 10,
                  "optimizers": {"generator": adam, "discriminator": adam},
                  "early_stopping": None},
    )  # fmt: skip
    start = setup.build(work, numbers, fabric)
    D, G = start.nets["discriminator"], start.nets["generator"]
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.0005) for net in (D, G)]

    def draws(step):
        for phase in (0, 1, 2):
            rng = StepRandomness(work.training.seed, step, phase, phases=3)
            yield rng.draw(10, gen_batch), rng.normal(10, 100)

    for step in range(5):
        (real, _), (_, first), (_, second) = draws(step)
        noises = iter([first, second])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(book, "gen_batch", lambda real=real: real)
            patch.setattr(torch, "randn", lambda shape, noises=noises: next(noises))
            made = book.train_D_G(D, G, torch.nn.BCELoss(), *optimizers)
        assert made.shape == (10, 100)
    _, learner = run(work, numbers, tmp_path, fabric)
    for ours, taught in ((learner.nets["generator"], G), (learner.nets["discriminator"], D)):
        for mine, theirs in zip(ours.parameters(), taught.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-6)


def test_early_stopping_publishes_its_best_weights(numbers, fabric, tmp_path):
    work = numbers_experiment(
        training={"images": 12800, "early_stopping": {
            "watch": "stopping_score", "draws": 500, "patience_steps": 5, "keep": "best"}}
    )  # fmt: skip
    summary, learner = run(work, numbers, tmp_path, fabric)
    assert summary.stopped_early
    assert [p.stem for p in (tmp_path / "output" / "snapshots").iterdir()] == [
        f"{summary.images:09d}"
    ]
    score = learner.batches.score("stopping_score", learner.draw(2000, 1))
    assert score == pytest.approx(summary.best_score, abs=0.5)
