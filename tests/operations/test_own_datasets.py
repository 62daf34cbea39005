"""`atelier dataset new`: each kind is recognised, brought and described; or nothing changes."""

import re
import shutil
import sys

import pytest
import yaml
from data.samples import (
    numbered,
    picture,
    tree_digest,
    write_faces,
    write_pairs,
    write_pictures,
)
from tests.project import ROOT, copy_shipped

from atelier import config, params, paths
from atelier.cli.main import main
from atelier.operations.experiments import new_experiment
from atelier.operations.own_datasets import Asked, new_dataset
from atelier.training.cost import cost_of

BIG = {"width": 150, "height": 130}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    root = copy_shipped(tmp_path / "root")
    (root / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def user(tmp_path):
    """A folder with one of each kind of what users have."""
    folder = tmp_path / "user"
    write_pictures(folder / "plain", [*numbered(40), "a b.png", "deep/caf\u00e9.jpg"], **BIG)
    write_pictures(folder / "kinds", numbered(12, "Big cats"), 100, **BIG)
    write_pictures(folder / "kinds", numbered(12, "dogs"), 200, **BIG)
    write_pictures(folder / "kinds", numbered(12, "birds"), 300, **BIG)
    write_pictures(folder / "two" / "summer", numbered(14), 400, **BIG)
    write_pictures(folder / "two" / "winter", numbered(13), 500, **BIG)
    write_pairs(folder / "pair", train=12, test=3)
    write_faces(folder / "faces", 24, partition=False)
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("no picture\n")
    return folder


def run(monkeypatch, capsys, *arguments, code=0):
    monkeypatch.setattr(sys, "argv", ["atelier", "dataset", "new", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code, said.err
    return said


KINDS = {
    # arguments, what it says, layout, side at each scale, labels that judge, experiments' sources
    "plain": (
        ["plain"],
        "taken for 42 pictures without labels, in 2 folders",
        ("pictures", [32, 64, 128], None),
        ["faces-gan", "faces-ae", "faces-vae"],
    ),
    "kinds": (
        ["kinds"],
        "taken for 36 pictures in class folders (Big cats 12, birds 12, dogs 12)",
        ("classes", [32, 64, 128], ("Big_cats", "birds", "dogs")),
        ["faces-gan", "faces-cgan", "black2blond", "faces-vae"],
    ),
    "two": (
        ["two", "--a", "summer", "--b", "winter"],
        "taken for a pair of folders (A: summer 14, B: winter 13)",
        ("pairs", [32, 64, 128], ("domain_b",)),
        ["horse2zebra", "black2blond", "faces-gan"],
    ),
    "pair": (
        ["pair"],
        "taken for a pair of folders (testA 3, testB 3, trainA 12, trainB 12)",
        ("pairs", [32, 64, 64], ("domain_b",)),
        ["horse2zebra"],
    ),
    "faces": (
        ["faces"],
        "taken for 24 pictures and the table list_attr_celeba.txt, 3 attributes",
        ("attributes", [32, 64, 64], ("Eyeglasses", "Black_Hair", "Smiling")),
        ["faces-gan", "faces-cgan", "black2blond", "horse2zebra", "faces-ae"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_becomes_a_dataset(repository, user, monkeypatch, capsys, kind):
    (name, *more), says, (layout, sides, labels), sources = KINDS[kind]
    mapping = (repository / "params.yaml").read_text()
    said = run(monkeypatch, capsys, "mine", user / name, *more).out.splitlines()
    assert says in said[0]
    assert said[-2:] == [
        f"  atelier experiment new {(made := said[-1].partition('@')[2])} "
        f"--from {'horse2zebra' if layout == 'pairs' else 'faces-gan'} --dataset mine",
        f"  atelier repro register@{made}",
    ]
    assert made == ("mine-pair" if layout == "pairs" else "mine-gan")
    line = "  mine: {source: data/mine}\n"
    assert (repository / "params.yaml").read_text() == mapping.replace(
        "\n\nexperiments:", f"\n{line}\nexperiments:"
    )
    for scale, side in zip(paths.SCALES, sides, strict=True):
        dataset = config.load_dataset(scale, "mine")
        assert (dataset.data.layout, dataset.data.size_pixels) == (layout, side)
        assert (dataset.judge and dataset.judge.used_labels) == labels
        complete = yaml.safe_load(paths.Paths(scale).dataset_file("mine").read_text())
        assert dataset.model_dump(mode="json", exclude_unset=True) == complete
        assert complete.keys() == config.Dataset.model_fields.keys()
    check_experiment(sources[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind, (*_, sources) in KINDS.items() if sources[1:]])
def test_other_experiments_go_with_it_too(repository, user, monkeypatch, capsys, kind):
    (name, *more), _, _, sources = KINDS[kind]
    run(monkeypatch, capsys, "mine", user / name, *more)
    for source in sources[1:]:
        check_experiment(source)


def check_experiment(source):
    """On the new dataset, from a shipped one: sound at every scale, its cost counted."""
    name = f"new-{source}"
    new_experiment(name, source, dataset="mine")
    assert params.listed_experiments()[name].dataset == "mine"
    for scale in paths.SCALES:
        made = config.load_experiment(scale, name)
        dataset = config.load_dataset(scale, "mine")
        assert made.plan.gflop_per_image > 0
        if scale == "tiny":  # counted alike at every scale, which takes seconds
            assert made.plan.gflop_per_image == pytest.approx(cost_of(made, dataset), rel=0.02)
        known = dataset.judge.used_labels if dataset.judge else ()
        if (asked := getattr(made.sampling, "attributes", None)) is not None:
            assert asked == known
        if hasattr(made.sampling, "a"):
            assert made.sampling.a.keys() == made.sampling.b.keys() <= set(known)
            assert made.sampling.a != made.sampling.b


def test_what_a_long_table_is_judged_by_is_near_even(repository, tmp_path, monkeypatch, capsys):
    folder = write_faces(tmp_path / "user", 40)
    names = ["never", "always", *(f"label_{n}" for n in range(10))]
    rows = [
        f"{n + 1:06d}.jpg -1 1 " + " ".join("1" if (n + k) % 4 == 0 else "-1" for k in range(10))
        for n in range(40)
    ]
    text = "\n".join(["40", " ".join(names), *rows]) + "\n"
    (folder / "list_attr_celeba.txt").write_text(text)
    run(monkeypatch, capsys, "mine", folder)
    judge = config.load_dataset("tiny", "mine").judge
    assert judge
    assert len(judge.used_labels) == 8
    assert not {"never", "always"} & set(judge.used_labels)


def test_few_pictures_are_judged_for_a_short_while(repository, user, monkeypatch, capsys):
    run(monkeypatch, capsys, "mine", user / "kinds")
    for scale in paths.SCALES:
        judge = config.load_dataset(scale, "mine").judge
        assert judge
        training = judge.training
        assert training.images <= 60 * training.batch_size
        assert training.log_every_images <= training.images


def test_pad_size_and_layout_as_asked(repository, user, monkeypatch, capsys):
    asked = ("--as", "pictures", "--fit", "pad", "--size", "32")
    run(monkeypatch, capsys, "mine", user / "kinds", *asked)
    data = [config.load_dataset(scale, "mine").data for scale in paths.SCALES]
    assert [one.size_pixels for one in data] == [32, 32, 128]
    assert {(one.layout, one.fit, one.crop_share) for one in data} == {("pictures", "pad", None)}


def test_what_is_too_small_and_copies_stay_out_and_are_named(repository, user, monkeypatch, capsys):
    picture(1, 20, 20).save(user / "plain" / "icon.png")
    shutil.copy(user / "plain" / "000.jpg", user / "plain" / "zz.jpg")
    said = run(monkeypatch, capsys, "mine", user / "plain").out
    assert "1 left out as too small or too thin: icon.png" in said
    assert "1 left out, being exact copies: zz.jpg (as 000.jpg)" in said
    assert len([p for p in (repository / "data/mine").rglob("*") if p.is_file()]) == 42


def test_what_is_left_out_is_told_once(repository, user, monkeypatch, capsys):
    (user / "plain" / "read me.txt").write_text("no picture\n")
    said = run(monkeypatch, capsys, "mine", user / "plain").out.splitlines()
    assert len(said) == len(set(said))
    assert "left out: read me.txt" in said
    assert len([line for line in said if "name" in line]) == 1


REFUSED = [
    ("celeba {user}/plain", r"experiments/tiny/datasets/celeba.yaml: has celeba already\. Choose"),
    ("numbers {user}/plain", r"has numbers already\. Choose another name\."),
    ("twins {user}/plain", r"twins: no name for a dataset\. "),
    (
        "My {user}/plain",
        r"My: no name for a dataset\. Lower-case letters, digits and hyphens make one",
    ),
    ("my_own {user}/plain", "no name for a dataset"),
    ("../up {user}/plain", "no name for a dataset"),
    ("there {user}/plain", r"data/there: is there already\. Choose another name\."),
    ("mine {user}/nowhere", "nowhere: no such file or folder"),
    ("mine {user}/notes.txt", r"notes\.txt: not a zip file.* A folder, a zip or a tar can be"),
    ("mine {user}/empty", "empty: no images found"),
    ("mine {user}/few", r"few: holds too few images to divide by their names \(got 3\)\. Train"),
    ("mine", "PATH: a folder or an archive is missing. Give one PATH, or both --a and --b."),
    ("mine --a {user}/plain", "PATH: only one of --a and --b"),
    ("mine {user}/two --a summer --b autumn", "two: holds no folder autumn. It has summer, winter"),
    ("mine {user}/two --a summer --b summer", "summer: both are one folder"),
    ("mine {user}/two --a summer --b winter --as classes", "two folders are a pair"),
    ("mine {user}/stray --as classes", "stray/one.jpg: an image beside the class folders"),
    ("mine {user}/plain --as pairs", "no folders trainA and trainB. Name the two folders with --a"),
    ("mine {user}/plain --as attributes", "plain: (several folders|no attribute table)"),
    ("mine {user}/plain --size 8", r"plain: too small a size \(got 8\)\. 16 px or more\."),
    ("mine .", "holds data/mine itself. Give a folder beside data/."),
    ("mine {user}/one-test", r"one-test/testA: holds too few images \(got 1\)\. It takes 2"),
    ("mine {user}/five-faces", r"five-faces: holds .* for the validation split \(got 1 of all\)"),
    ("mine {user}/torn", "torn/half.jpg: damaged"),
]


@pytest.mark.parametrize(("arguments", "expected"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_changes_nothing(
    repository, user, monkeypatch, capsys, arguments, expected
):
    (repository / "data" / "there").mkdir(parents=True)
    write_pictures(user / "few", numbered(3))
    shutil.copytree(user / "plain", user / "torn")
    whole = (user / "torn" / "000.jpg").read_bytes()
    (user / "torn" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    write_pairs(user / "one-test", train=4, test=2)
    (user / "one-test" / "testA" / "001.jpg").unlink()
    write_faces(user / "five-faces", 5, partition=False)
    shutil.copytree(user / "kinds", user / "stray")
    shutil.copy(user / "plain" / "000.jpg", user / "stray" / "one.jpg")
    write_pictures(repository / "pictures", numbered(9))
    before = tree_digest(repository)
    words = arguments.format(user=user).split()
    said = run(monkeypatch, capsys, *words, code=2)
    assert re.search(expected, said.err), said.err
    assert len(said.err.splitlines()) == 1, said.err
    shutil.rmtree(repository / ".atelier", ignore_errors=True)
    assert tree_digest(repository) == before


def test_a_conditional_experiment_needs_labels(repository, user, monkeypatch, capsys):
    run(monkeypatch, capsys, "mine", user / "plain")
    before = tree_digest(repository)
    for source in ("faces-cgan", "horse2zebra"):
        words = ["experiment", "new", "mine-x", "--from", source, "--dataset", "mine"]
        monkeypatch.setattr(sys, "argv", ["atelier", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "needs labels, and mine has none. Take a dataset of class folders" in said
        assert len(said.splitlines()) == 1
    assert tree_digest(repository) == before


def test_pictures_go_whatever_else_goes_wrong(repository, user):
    """A terminal that can't show a name, or Ctrl-C after the import: no half of a dataset stays."""
    write_faces(user / "many", 24, partition=False)
    before = tree_digest(repository / "data")

    def tell(line):
        if line.startswith("no partition file"):
            raise UnicodeEncodeError("ascii", line, 0, 1, "as a terminal might")

    with pytest.raises(UnicodeEncodeError):
        new_dataset("mine", Asked(user / "many"), tell)
    assert tree_digest(repository / "data") == before


def test_pictures_go_where_their_line_could_not_be_written(repository, user, monkeypatch, capsys):
    file = repository / "params.yaml"
    listed = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(listed, default_flow_style=True))
    said = run(monkeypatch, capsys, "mine", user / "plain", code=2).err
    assert "params.yaml: datasets: can't be added to" in said
    assert "Add mine: {source: data/mine} by hand." in said
    assert not (repository / "data" / "mine").exists()
    assert not list(repository.glob("experiments/*/datasets/mine.yaml"))
