"""How a training fares: figures of samples and gradients, signs of illness, the rule to stop."""

import csv
import math

import pytest
import torch
from tests.training.test_loop import experiment, run
from torch.optim import Adam

from atelier.config import Sign
from atelier.errors import AtelierError, Interrupted
from atelier.tasks.unconditional import preview
from atelier.training import health
from atelier.training.health import LASTING, LIMITS, Made, Watch


def pictures(count=32, seed=0):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) - 0.5


def figures(outputs, real):
    found = health.figures([Made("generator", outputs, real)])
    return {name.removeprefix("generator_"): float(value) for name, value in found.items()}


def test_what_equals_real_images_is_well():
    assert figures(pictures(), pictures()) == {"diversity": 1, "duplicates": 0, "saturation": 0}


def test_diversity_is_the_mean_squared_distance_of_two_outputs_over_that_of_real_images():
    outputs, real = pictures(seed=1) * 0.3, pictures(seed=2)

    def apart(images):
        rows = images.flatten(1).double()
        return torch.pdist(rows).square().mean()

    expected = float(apart(outputs) / apart(real))
    assert figures(outputs, real)["diversity"] == pytest.approx(expected, rel=1e-4)


def test_one_picture_again_and_again_is_collapse_and_duplicates():
    found = figures(pictures(1).expand(32, -1, -1, -1), pictures())
    assert (found["diversity"], found["duplicates"]) == (0, 1)
    half = torch.cat([pictures(16), pictures(1, seed=3).expand(16, -1, -1, -1)])
    assert figures(half, pictures())["duplicates"] == 0.5


def test_saturation_is_what_real_images_have_not():
    black = pictures()
    black[:, :, :4] = -1
    assert figures(black, pictures())["saturation"] == 0.5
    assert figures(black, black)["saturation"] == 0


def test_a_gradients_norm_is_read_from_adam():
    """A gradient that stays: its own norm. Of two: by the weights of Adam's average."""
    weights = [torch.zeros(3, requires_grad=True), torch.zeros(2, 2, requires_grad=True)]
    optimizer = Adam(weights, lr=0.1, betas=(0.5, 0.9))
    assert health.gradient_norms({"generator": optimizer}) == {}
    for norm, steps in ((6.0, 5), (60.0, 1)):
        for weight in weights:
            weight.grad = torch.full_like(weight, norm / math.sqrt(7))
        for _ in range(steps):
            optimizer.step()
        if steps == 5:
            found = health.gradient_norms({"generator": optimizer})
            assert found["generator_gradient_norm"] == pytest.approx(6)
    shares = [0.9**age for age in range(6)]
    mean = (shares[0] * 60**2 + sum(shares[1:]) * 6**2) / sum(shares)
    found = health.gradient_norms({"generator": optimizer})
    assert found["generator_gradient_norm"] == pytest.approx(math.sqrt(mean))


def ill(sign: Sign) -> dict[str, float]:
    limit = LIMITS[sign]
    value = limit.value * 1.5 if limit.above else limit.value / 2
    return {f"a2b_{limit.figure}": value, "a2b_loss": 1e9}


@pytest.mark.parametrize("sign", LIMITS)
def test_a_sign_that_lasts_is_told_once_in_words(sign):
    watch = Watch(1000)
    said = [watch.see(images, ill(sign)) for images in range(300, 800, 100)]
    assert [len(words) for words in said] == [0, 0, 1, 0, 0]
    assert said[LASTING - 1][0].startswith(f"{sign} at 500 images: ")
    assert "a2b" in said[LASTING - 1][0]
    assert watch.signs == {sign}


@pytest.mark.parametrize("sign", LIMITS)
def test_what_does_not_last_or_is_early_is_no_sign(sign):
    watch, well = Watch(1000), {f"a2b_{LIMITS[sign].figure}": LIMITS[sign].value}
    for images in range(0, 240, 10):
        assert not watch.see(images, ill(sign))
    for images in range(300, 900, 100):
        # A row without the figure says nothing of it.
        assert not watch.see(images, {"a2b_loss": 1.0})
        assert not watch.see(images, ill(sign) if images % 300 else well)
    assert not watch.signs


def test_a_translator_that_changes_every_picture_alike_stands_still():
    """As `horse2zebra` did: its mask at the floor, its colours at their bound."""
    rows = [0.0886, 0.10008, 0.1, 0.09999, 0.1, 0.09994, 0.1, 0.1]
    watch = Watch(1000)
    for images, stuck in zip(range(200, 1000, 100), rows, strict=True):
        watch.see(images, {"change_b2a": stuck, "change_a2b": 0.13 + images * 5e-6})
        watch.see(images, {"b2a_diversity": 0.736})  # a row of samples alone
    assert watch.signs == {"standstill"}
    (said,) = watch.warnings
    assert said.startswith("standstill at 600 images: b2a changes each picture alike")


def test_what_is_no_number_is_a_sign():
    watch = Watch(10)
    said = [watch.see(9, {"decoder_diversity": math.nan}) for _ in range(LASTING)]
    assert said[-1]


def wild(**training):
    """Before a discriminator that hardly learns, all pictures become the one that it likes best."""
    rates = {"generator": 0.1, "discriminator": 1e-6}
    optimizers = {
        name: {"learning_rate": rate, "betas": [0.0, 0.9], "schedule": "constant"}
        for name, rate in rates.items()
    }
    return experiment(
        "hinge", images=1600, log_every_images=16, sample_every_images=16, optimizers=optimizers,
        **training,
    )  # fmt: skip


def test_a_training_tells_how_it_fares(faces, fabric, tmp_path, capsys):
    summary, _ = run(wild(), faces, tmp_path, fabric, preview=preview)
    assert summary.images == 1600
    assert any(warning.startswith("collapse at ") for warning in summary.warnings)
    err = capsys.readouterr().err
    assert all(f"faces-gan: {warning}" in err for warning in summary.warnings)
    with (tmp_path / "output" / "history.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert all(float(row["discriminator_gradient_norm"]) > 0 for row in rows)
    assert {"generator_diversity", "generator_duplicates", "generator_saturation"} <= rows[0].keys()


def test_a_training_that_is_told_to_stops(faces, fabric, tmp_path, capsys):
    """Interrupted on its way or not, and each time that it goes on."""
    work = wild(stop_when=["collapse"])
    with pytest.raises(AtelierError, match=r"collapse at \d+ images: .* training.stop_when") as end:
        run(work, faces, tmp_path / "whole", fabric, preview=preview)
    steps = iter([False] * 25 + [True] + [False] * 99)
    with pytest.raises(Interrupted):
        run(
            work, faces, tmp_path / "parts", fabric,
            preview=preview, should_stop=lambda: next(steps),
        )  # fmt: skip
    for _ in range(2):
        with pytest.raises(AtelierError) as again:
            run(work, faces, tmp_path / "parts", fabric, preview=preview)
        assert str(again.value) == str(end.value)
