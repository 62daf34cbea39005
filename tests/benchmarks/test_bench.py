"""The bench counts what a step computes, replays it alone, and measures each part of a training."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from atelier import config
from atelier.training.cost import gflop_per_image

FOLDER = Path("benchmarks").resolve()


@pytest.fixture
def bench(monkeypatch):
    """They import each other as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("bench")


def open_bench(bench, name, folder, scale="tiny"):
    work = config.load_experiment(scale, name)
    dataset = config.load_dataset(scale, work.dataset)
    # Parts that are longer than a round, as at other scales.
    training = work.training.model_copy(update={"images": 80_000})
    work = work.model_copy(update={"training": training})
    folder.mkdir()
    return work, bench.Bench(name, work, bench.noise_for(work, dataset, folder), folder)


def test_what_is_collected_is_what_a_step_computes(bench):
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5)
    )
    images = torch.randn(2, 3, 4, 4)
    with bench.Collector() as collected:
        network(images).sum().backward()
    names = {func.overloadpacket.__name__ for func, _, _ in collected.calls}
    assert names == {"convolution", "convolution_backward", "addmm", "mm"}
    forward = 2 * (2 * 16 * 8 * 27 + 2 * 128 * 5)
    first = 2 * 2 * 16 * 8 * 27  # images need no gradient
    assert collected.operations == 3 * forward - first
    replayed = bench.Collector()
    run = bench.replay(collected.calls)
    with replayed:
        run()
    assert replayed.operations == collected.operations


def test_forms_are_kept(bench):
    """An expanded bias, channels last, bf16: what decides which kernel runs."""
    given = torch.randn(2, 4, 3, 3).to(torch.bfloat16).to(memory_format=torch.channels_last)
    for tensor in (given, torch.randn(4, 1).expand(4, 5), torch.arange(6).reshape(2, 3).T):
        made = bench._described(tensor).made()
        assert (made.shape, made.stride(), made.dtype) == (
            tensor.shape,
            tensor.stride(),
            tensor.dtype,
        )


@pytest.mark.parametrize("name", ["numbers", "faces-ae", "faces-cgan", "horse2zebra"])
def test_it_counts_what_the_plan_counts(bench, name, tmp_path):
    """Two ways to count a training's operations; the plan's has no data and computes nothing."""
    work, opened = open_bench(bench, name, tmp_path / "prepared")
    counted = 0.0
    for begins, ends in opened.parts():
        opened.enter((begins + ends) / 2)
        with bench.Collector() as collected:
            opened.round()
        images = opened.steps * work.training.batch_size
        counted += (ends - begins) * collected.operations / images / 1e9
    labels = len(opened.learner.batches.label_names)
    expected = gflop_per_image(work, opened.learner.batches.shape, labels)
    assert counted == pytest.approx(expected, rel=0.05)


def test_parts_count_by_their_shares_of_the_images(bench):
    slow = bench.Part(0.25, images=10, operations=4e9, whole=[1.0, 9.0, 1.0], alone=[0.5])
    fast = bench.Part(0.75, images=10, operations=1e9, whole=[0.2], alone=[0.2])
    row = bench.row("it", [slow, fast], bare=20e9, peak_mb=1.0)
    seconds = 0.25 * 0.1 + 0.75 * 0.02
    assert row["images_per_second"] == pytest.approx(1 / seconds)
    assert row["gflops"] == pytest.approx((0.25 * 0.4 + 0.75 * 0.1) / seconds)
    assert row["share_of_alone"] == pytest.approx((0.25 * 0.05 + 0.75 * 0.02) / seconds)
    assert row["share_of_bare"] == pytest.approx(row["gflops"] / 20)


@pytest.mark.slow
def test_a_row_of_each_experiment_and_a_trace(tmp_path):
    out = tmp_path / "bench.json"
    ran = subprocess.run(
        [sys.executable, FOLDER / "bench.py", "numbers", "--scale", "tiny", "--seconds", "0.1",
         "--out", out, "--profile", tmp_path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (row,) = json.loads(out.read_text())
    assert row["experiment"] == "numbers"
    assert 0 < row["share_of_alone"] <= 1
    assert "numbers" in ran.stdout
    assert json.loads((tmp_path / "numbers.trace.json").read_text())["traceEvents"]
