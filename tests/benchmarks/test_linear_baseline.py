"""The book's variant is what it says it is, can be selected, and is measured as it is published."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from tests.project import copy_shipped

from atelier.config import Experiment, load_dataset
from atelier.data.prepare import prepare
from atelier.operations.experiments import new_experiment
from atelier.schema import load

FOLDER = Path("benchmarks")
FILE = FOLDER / "linear-baseline.yaml"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "benchmark_linear_baseline", FOLDER / "linear_baseline.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers") / "prepared"
    prepare(load_dataset("laptop", "numbers").data, Path(), folder)
    return folder


def short(images: int) -> Experiment:
    work = load(FILE, Experiment)
    training = work.training.model_copy(update={"images": images})
    return work.model_copy(update={"training": training})


def test_the_file_is_complete_and_has_the_books_settings() -> None:
    work = load(FILE, Experiment)
    assert work.model_dump(mode="json", exclude_defaults=True) == yaml.safe_load(FILE.read_text())
    assert work.name == FILE.stem
    stopping = work.training.early_stopping
    assert stopping is not None
    assert (stopping.watch, stopping.draws, stopping.patience_steps) == ("distance", 10, 800)
    assert (work.training.batch_size, stopping.keep, work.training.ema_share) == (10, "last", 0)


def test_the_documented_command_makes_the_same_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = load(FILE, Experiment)
    monkeypatch.chdir(copy_shipped(tmp_path))
    new_experiment("linear-baseline", "numbers", "linear_baseline", "linear_baseline")
    made = load(Path("experiments/laptop/linear-baseline.yaml"), Experiment)
    kept = ("images", "log_every_images", "sample_every_images")
    length = {name: getattr(measured.training, name) for name in kept}
    training = made.training.model_copy(update=length)
    assert made.model_copy(update={"training": training, "plan": measured.plan}) == measured


def test_figures_are_those_of_the_last_weights(
    benchmark: ModuleType, prepared: Path, tmp_path: Path
) -> None:
    first = benchmark.train_and_score(short(200), 1, prepared, tmp_path / "first")
    again = benchmark.train_and_score(short(200), 1, prepared, tmp_path / "again")
    other = benchmark.train_and_score(short(200), 2, prepared, tmp_path / "other")
    assert first == again
    assert first["steps"] == 20
    assert first["entropy_share"] != other["entropy_share"]


def test_the_table_spans_the_seeds(benchmark: ModuleType) -> None:
    row = dict.fromkeys(benchmark.COLUMNS, 1.0)
    table = benchmark.table({"numbers": [row, row | {"values_covered": 20, "steps": 7}]})
    assert table.splitlines()[-1] == "| `numbers` | 2 | 1 | 1 to 20 | 1 | 1 | 1 to 7 |"
