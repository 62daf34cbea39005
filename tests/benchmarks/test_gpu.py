"""The GPU's benchmark runs on any device, alone, and a fault costs only what it broke."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from atelier.errors import AtelierError
from atelier.training import loop

FOLDER = Path("benchmarks").resolve()
BLOCKED = ("mlflow", "dvc", "prefect", "prdc", "torch_fidelity")


@pytest.fixture
def module(monkeypatch):
    """Loads one of the benchmark's files; they import each other as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def run(module, monkeypatch, tmp_path):
    """Runs the benchmark of `numbers`, in short, and returns the experiment's report."""
    benchmark, measurement = module("gpu"), module("gpu_measurement")
    monkeypatch.setattr(measurement, "ROUND_SECONDS", 0.1)
    monkeypatch.setattr(measurement, "LOG_STEPS", 1)  # several rows, however busy the machine

    def run(*more):
        out = tmp_path / "out"
        words = ["numbers", "--scale", "tiny", "--seconds", "0.4", "--samples", "50"]
        words += ["--sides-seconds", "0", "--out", str(out), *more]
        benchmark.Benchmark(benchmark.read_arguments(words)).run(tmp_path / "scratch")
        report = json.loads((out / "gpu.json").read_text())
        return report, (out / "gpu.md").read_text()

    return run


def test_numbers_learn_are_timed_and_scored(run):
    whole, table = run()
    report = whole["experiments"]["numbers"]
    assert "`numbers`" in table
    assert whole["left_out"] == []
    assert "faults" not in whole
    assert "faults" not in report
    assert report["finite"]
    assert report["moving"]
    assert report["images"] > 0
    assert min(report["images_per_second"]["fp32"]) > 0
    assert report["figures"]["numbers"]["pictures"] == 50
    # On the CPU a repeated and a resumed training are the same to the last bit.
    assert report["differences"] == {"repeated": 0.0, "resumed": 0.0}


def test_a_fault_is_written_down_and_costs_nothing_else(run, monkeypatch):
    def fail(*arguments, **keywords):
        raise AtelierError("the loss was not finite")

    monkeypatch.setattr(loop, "train", fail)
    whole, table = run()
    report = whole["experiments"]["numbers"]
    assert "training, speed, repetition" in table
    assert set(report["faults"]) >= {"training", "speed", "repetition"}
    assert "the loss was not finite" in report["faults"]["training"]
    assert "numbers" in report["figures"]


def test_without_steps_at_several_sides_the_trainings_go_on(run, module, monkeypatch):
    def fail(*arguments):
        raise AtelierError("no such device")

    monkeypatch.setattr(module("gpu_sides"), "matrix_rate", fail)
    whole, table = run("--sides-seconds", "60")
    assert "no such device" in whole["faults"]["the steps at several sides"]
    assert whole["sides"] == {}
    assert "numbers" in whole["experiments"]
    assert "Failed, as gpu.json says: the steps at several sides." in table


def test_what_the_budget_leaves_out_is_said(run, tmp_path):
    whole, table = run("--budget", "0", "--photographs", str(tmp_path))
    assert whole["left_out"] == ["numbers", "faces-gan-photographs"]
    assert whole["experiments"] == {}
    assert "Left out, the time was spent: numbers, faces-gan-photographs." in table


def test_it_needs_neither_tracker_nor_orchestrator():
    block = f"import runpy, sys; sys.modules.update(dict.fromkeys({BLOCKED}))"
    script = FOLDER / "gpu.py"
    start = f"sys.path.insert(0, {str(FOLDER)!r}); sys.argv = ['gpu.py', '--help']"
    code = f"{block}; {start}; runpy.run_path({str(script)!r}, run_name='__main__')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--photographs" in said.stdout


def test_the_watch_stops_at_its_last_step_and_times_the_later_ones(module):
    training = module("gpu_training")
    watch = training.Stopwatch(torch.device("cpu"), math.inf, steps=3)
    asked = [watch() for _ in range(training.WARM_UP_STEPS + 3)]
    assert asked == [False] * (len(asked) - 1) + [True]
    assert watch.steps_per_second > 0


def test_differences_are_counted_in_bytes(module):
    reference = torch.zeros(1, 3, 2, 2)
    apart = reference.clone()
    apart[0, 0, 0] = torch.tensor([1 / 127.5, 3 / 127.5])
    found = module("gpu_pictures").differences(apart, reference)
    assert found == {
        "largest": 3,
        "share": pytest.approx(2 / 12),
        "beyond_1_share": pytest.approx(1 / 12),
    }
