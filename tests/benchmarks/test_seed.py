"""The seed's variant is what it says it is, can be selected, and is measured as it is published."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from atelier.config import Experiment, load_dataset
from atelier.data.prepare import prepare
from atelier.schema import load

FOLDER = Path("benchmarks")
FILE = FOLDER / "numbers-seed.yaml"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_seed", FOLDER / "seed.py")
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


def test_the_file_is_complete_and_has_the_seeds_settings() -> None:
    work = load(FILE, Experiment)
    assert work.model_dump(mode="json") == yaml.safe_load(FILE.read_text())
    assert work.name == FILE.stem
    stopping = work.training.early_stopping
    assert stopping is not None
    assert (stopping.watch, stopping.draws, stopping.patience_steps) == ("distance", 10, 800)
    assert (work.training.batch_size, stopping.keep, work.training.ema_share) == (10, "last", 0)


def test_the_line_that_selects_it_goes_at_the_end_of_params() -> None:
    (line,) = [line for line in Path("docs/numbers.md").read_text().splitlines()
               if line.startswith("echo ")]  # fmt: skip
    added = line.removeprefix("echo '").partition("' >>")[0]
    parameters = yaml.safe_load(Path("params.yaml").read_text() + added + "\n")
    work = load(FILE, Experiment)
    assert parameters["experiments"]["numbers-seed"] == {
        "dataset": work.dataset, "model": work.model.name, "objective": work.objective.name,
    }  # fmt: skip


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
