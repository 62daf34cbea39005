"""What makes DVC train again, and what must not: files really changed, and DVC asked.

Nothing is trained: the outputs of the stages up to `train` are made up, and DVC is told that they
belong to the code and the words that lie beside them.
"""

from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from tests.project import carried, copy_repository

from atelier.pipeline.definition import checkpoint_folder

LISTED = carried().experiments


def using(**facts: str) -> set[str]:
    """The experiments of which the mapping says this."""
    return {
        name
        for name, entry in LISTED.items()
        if all(getattr(entry, key) == value for key, value in facts.items())
    }


FACES = using(dataset="celeba")
EVERY = set(LISTED)
GAN = "experiments/tiny/faces-gan.yaml"
NUMBERS = "experiments/tiny/numbers.yaml"
ZEBRAS = "experiments/tiny/horse2zebra.yaml"
CELEBA = "experiments/tiny/datasets/celeba.yaml"
PREPARED = "artifacts/tiny/celeba/prepared"
CODE = "src/atelier"
Change = Callable[[str, str, str], None]
IRRELEVANT = [
    ("evaluation.samples", GAN, "  samples: 128", "  samples: 64"),
    ("plan.seconds", GAN, "  seconds: 5", "  seconds: 6"),
    ("registered_name", GAN, "registered_name: faces-gan-tiny", "registered_name: portraits"),
    ("name", GAN, "name: faces-gan\n", "name: portraits\n"),
    ("a picture's look", f"{CODE}/tasks/pictures.py", "PREVIEWED = 64", "PREVIEWED = 36"),
    ("a task's module", f"{CODE}/tasks/translation.py", "SHOWN = 12", "SHOWN = 6"),
    ("its own task's", f"{CODE}/tasks/unconditional.py", "[:SHOWN]", "[1:SHOWN]"),
    ("registry/gate", f"{CODE}/registry/gate.py", '"""Decides', '"""Finds'),
    ("what ships", f"{CODE}/bundle/bundle_model.py", "CHUNK = 64", "CHUNK = 32"),
]
"""Changes of which no `train@…` may become stale: what, its file, what stands there, what will."""
IRRELEVANT_TOO = [
    ("evaluation.seed", GAN, "  seed: 100", "  seed: 101"),
    ("plan.gflop_per_image", GAN, "gflop_per_image: 0.0", "gflop_per_image: 0.1"),
    ("the judge's width", CELEBA, "    width: 4", "    width: 8"),
    ("how pictures lie", f"{CODE}/data/sheet.py", '"""', '"""Sheets. '),
    ("a plot's template", ".dvc/plots/curves.json", "{", "{ "),
    *(
        (f"tasks/{task}", f"{CODE}/tasks/{task}.py", '"""', '"""A task. ')
        for task in ("numbers", "conditional", "reconstruction")
    ),
    ("registry/tracking", f"{CODE}/registry/tracking.py", '"""', '"""Runs. '),
    ("evaluation/kid", f"{CODE}/evaluation/kid.py", '"""', '"""Distances. '),
    ("a message", f"{CODE}/errors.py", '"""', '"""Messages. '),
    ("models/judge", f"{CODE}/models/judge.py", '"""', '"""Judges. '),
]
DECIDING = [
    ("an objective's value", GAN, "gamma: 0.05", "gamma: 0.2", {"faces-gan"}),
    ("a width", GAN, "discriminator_width: 8", "discriminator_width: 16", {"faces-gan"}),
    ("training.images", GAN, "images: 1024", "images: 2048", {"faces-gan"}),
    ("data.size_pixels", CELEBA, "size_pixels: 32", "size_pixels: 16", FACES),
    ("models/vae", f"{CODE}/models/vae.py", "-10.0", "-9.0", EVERY),
    (
        "models/translator",
        f"{CODE}/models/translator.py",
        "import",
        "import  ",
        using(model="translator"),
    ),
    ("objectives/bce", f"{CODE}/objectives/bce.py", "import", "import  ", using(objective="bce")),
    ("objectives/phase", f"{CODE}/objectives/phase.py", "10_000", "5_000", EVERY),
    ("training/loop", f"{CODE}/training/loop.py", "step += 1", "step += 2", EVERY),
    ("training/stopping", f"{CODE}/training/stopping.py", "score < self", "score <= self", EVERY),
    ("the prepared pictures", f"{PREPARED}/manifest.json", "celeba", "another", FACES),
]
"""Changes that other weights would come of, and the experiments whose."""
DECIDING_TOO = [
    ("training.seed", GAN, "seed: 1\n", "seed: 2\n", {"faces-gan"}),
    ("dataset", GAN, "dataset: celeba", "dataset: faces", {"faces-gan"}),
    ("sampling", ZEBRAS, "name: domains", "name: others", {"horse2zebra"}),
    ("early stopping", NUMBERS, "keep: ", "keep: not ", {"numbers"}),
    ("data.crop_share", CELEBA, "crop_share: 0.7", "crop_share: 0.8", FACES),
    ("the source", "params.yaml", "source: data/celeba", "source: data/horse2zebra", FACES),
    ("objectives/elbo", f"{CODE}/objectives/elbo.py", "1 / 255", "1 / 127", EVERY),
    ("models/blocks", f"{CODE}/models/blocks.py", "import", "import  ", EVERY),
    ("shared losses", f"{CODE}/objectives/adversarial.py", "import", "import  ", EVERY),
    ("training/ema", f"{CODE}/training/ema.py", "import", "import  ", EVERY),
    ("data/prepare", f"{CODE}/data/prepare.py", "import", "import  ", EVERY),
]


def cases(fast: list, more: list) -> list:
    """Parameters, named; one question to DVC takes half a second, so that `more` are slow."""
    marked = [(case, ()) for case in fast] + [(case, pytest.mark.slow) for case in more]
    return [pytest.param(*case[1:], id=case[0], marks=marks) for case, marks in marked]


@pytest.fixture(scope="module")
def up_to_date(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project that is, as far as DVC knows, trained; the working directory meanwhile."""
    folder = copy_repository(tmp_path_factory.mktemp("trained"))
    with chdir(folder):
        datasets = yaml.safe_load(Path("params.yaml").read_text())["datasets"]
        write(Path("artifacts/drawn.json"))
        for name, entry in datasets.items():
            if not Path(entry["source"]).exists():
                write(Path(entry["source"], "1.png"))
            write(Path("artifacts/tiny", name, "prepared", "manifest.json"))
        for name in LISTED:
            write(Path("artifacts/tiny", name, "train", "train.json"))
            write(Path("artifacts/tiny", name, "curves.csv"))
        prepared = [f"prepare@{name}" for name in datasets]
        with Repo() as repo:
            for stage in ["draw", "data.dvc", *prepared, *(f"train@{name}" for name in LISTED)]:
                repo.commit(stage, force=True)
        yield folder


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{path}\n")


@pytest.fixture
def change(up_to_date: Path) -> Iterator[Change]:
    """Changes a file of the project, the first place only, and takes it back afterwards."""
    before: dict[Path, bytes] = {}

    def replace(file: str, old: str, new: str) -> None:
        path = up_to_date / file
        before[path] = path.read_bytes()
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    yield replace
    for path, content in before.items():
        path.write_bytes(content)


def stale_stages() -> set[str]:
    with Repo() as repo:
        return set(repo.status())


def to_train_again(stale: set[str]) -> set[str]:
    """The experiments whose training, or the dataset that it reads, is stale."""
    return {
        name
        for name, entry in LISTED.items()
        if {f"train@{name}", f"prepare@{entry.dataset}"} & stale
    }


def keys() -> dict[str, Path]:
    """The checkpoint of each training: stopped, it goes on under the same key alone."""
    return {name: checkpoint_folder("train", name, "tiny") for name in LISTED}


def test_what_was_trained_is_up_to_date(up_to_date: Path) -> None:
    assert to_train_again(stale_stages()) == set()


@pytest.mark.parametrize(("file", "old", "new"), cases(IRRELEVANT, IRRELEVANT_TOO))
def test_what_decides_no_weights_trains_nothing(
    change: Change, file: str, old: str, new: str
) -> None:
    before = keys()
    change(file, old, new)
    assert to_train_again(stale_stages()) == set()
    assert keys() == before


@pytest.mark.parametrize(("file", "old", "new", "names"), cases(DECIDING, DECIDING_TOO))
def test_what_decides_weights_trains_again(
    change: Change, file: str, old: str, new: str, names: set[str]
) -> None:
    before = keys()
    change(file, old, new)
    stale, now = stale_stages(), keys()
    assert to_train_again(stale) == names
    anew = {name for name in LISTED if now[name] != before[name]}
    assert anew == {name for name in LISTED if f"train@{name}" in stale}
