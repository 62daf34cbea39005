"""`atelier experiment new`: files and line are right at every scale, or nothing changes."""

import re
import sys

import pytest
import yaml
from data.samples import tree_digest
from tests.pipeline import test_definition as definition
from tests.project import ROOT, copy_shipped
from tests.tables import SHIPPED, fits

from atelier import config, params, paths
from atelier.cli.main import main
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.operations.adding import add
from atelier.operations.experiments import new_experiment
from atelier.task import CLASSIFICATION
from atelier.training.cost import cost_of

LISTED = {name: params.listed_experiments()[name] for name in SHIPPED}
TAUGHT = [
    pytest.param(source, objective, marks=[pytest.mark.slow] if earlier else [])
    for objective in OBJECTIVES
    for earlier, source in enumerate(
        name for name, listed in LISTED.items() if fits(objective, listed.model)
    )
]
"""Each objective with each experiment whose model it can train; with the first of them, fast."""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (copy_shipped(tmp_path) / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raw(scale, name):
    return yaml.safe_load(paths.Paths(scale).experiment_file(name).read_text())


@pytest.mark.parametrize(("source", "objective"), TAUGHT)
def test_every_objective_makes_sound_files(repository, source, objective):
    new_experiment("another", source, objective)
    for scale in paths.SCALES:
        made, before = raw(scale, "another"), raw(scale, source)
        suffix = "" if scale == "laptop" else f"-{scale}"
        assert made["name"] == "another"
        assert made["registered_name"] == f"another{suffix}"
        if before["objective"]["name"] != objective:
            assert made["objective"] == {"name": objective, **OBJECTIVES[objective].values}
        found = config.load_experiment(scale, "another")
        adams = made["training"].pop("optimizers")
        assert adams.keys() == config.trained_networks(found.objective)
        assert adams.items() <= before["training"].pop("optimizers").items()
        for key in before.keys() - {"name", "registered_name", "objective", "plan"}:
            assert made[key] == before[key]
        assert (said := made["plan"]["gflop_per_image"]) > 0
        if scale == "tiny":  # counted alike at every scale, which takes seconds
            counted = cost_of(found, config.load_dataset(scale, found.dataset))
            assert said == pytest.approx(counted, rel=0.02)
        assert config.load_experiment(scale, "another").objective.name == objective


def test_the_pipelines_definition_still_holds(repository, monkeypatch):
    new_experiment("faces-hinge", "faces-gan", "hinge")
    new_experiment("linear-baseline", "numbers", "linear_baseline", "linear_baseline")
    monkeypatch.setattr(definition, "LISTED", params.listed_experiments())
    assert list(definition.LISTED)[-2:] == ["faces-hinge", "linear-baseline"]
    for scale in paths.SCALES:
        definition.test_the_mapping_names_exactly_the_files(scale)
        for name in definition.LISTED:
            definition.test_experiment_files_are_complete_and_agree_with_the_mapping(scale, name)
    for name in definition.LISTED:
        for stage in ("train", "bundle", "evaluate"):
            definition.test_a_stage_follows_every_file_that_can_change_its_result(stage, name)
            definition.test_a_stage_follows_every_block_that_can_change_its_result(stage, name)
        definition.test_no_room_above_the_training_makes_it_stale(name)


def test_comments_and_order_stay(repository):
    file = repository / "experiments/laptop/faces-gan.yaml"
    text = file.read_text().replace("label_weight: 1.0\n", "label_weight: 1.0  # all\n\n# Why\n")
    file.write_text(text)
    mapping = (repository / "params.yaml").read_text()
    new_experiment("faces-hinge", "faces-gan", "hinge")
    made = (repository / "experiments/laptop/faces-hinge.yaml").read_text()
    expected = re.sub(r"(objective:\n  name:) vaegan\n(  .*\n)+", r"\1 hinge\n", text)
    expected = re.sub(r"    (encoder|decoder|prior|classifier): .*\n", "", expected)
    for key in ("name", "registered_name"):
        expected = expected.replace(f"{key}: faces-gan", f"{key}: faces-hinge")
    cost = re.compile(r"(gflop_per_image|seconds): .*")  # counted anew
    assert cost.sub("", made) == cost.sub("", expected)
    line = (
        "  faces-hinge: {task: unconditional, dataset: celeba, model: vaegan, objective: hinge}\n"
    )
    assert (repository / "params.yaml").read_text() == mapping.rstrip("\n") + "\n" + line


def test_what_comes_after_the_mapping_stays_after_it(repository):
    mapping = repository / "params.yaml"
    head, tail = mapping.read_text().split("datasets:")
    datasets, listed = tail.split("experiments:")
    mapping.write_text(f"{head}experiments:{listed}\n# From where\ndatasets:{datasets}")
    new_experiment("numbers-hinge", "numbers", "hinge")
    assert "objective: hinge}\n\n# From where\ndatasets:" in mapping.read_text()
    assert list(params.listed_experiments())[-1] == "numbers-hinge"


def test_the_book_is_exactly_the_book(repository):
    new_experiment("linear-baseline", "numbers", "linear_baseline", "linear_baseline")
    for scale in paths.SCALES:
        made = config.load_experiment(scale, "linear-baseline")
        assert made.model.model_dump() == {"name": "linear_baseline", "latent_dim": 100}
        assert made.objective.model_dump() == {"name": "linear_baseline"}
        training = made.training
        assert (training.batch_size, training.ema_share, training.augmentation) == (10, 0.0, None)
        for adam in training.optimizers.values():
            assert adam.model_dump() == {
                "learning_rate": 0.0005, "betas": (0.9, 0.999), "schedule": "constant"
            }  # fmt: skip
        assert training.early_stopping is not None
        assert training.early_stopping.model_dump() == {
            "watch": "distance", "draws": 10, "patience_steps": 800, "keep": "last"
        }  # fmt: skip


def test_the_classic_translation_is_a_command_away(repository):
    new_experiment("zebras-classic", "horse2zebra", "cyclegan", "cyclegan")
    for scale in paths.SCALES:
        made = config.load_experiment(scale, "zebras-classic")
        assert (made.model.name, made.objective.name) == ("cyclegan", "cyclegan")
        assert (made.training.batch_size, made.training.augmentation) == (1, None)
        source = config.load_experiment(scale, "horse2zebra")
        assert made.training.channels_last == source.training.channels_last
        counted = cost_of(made, config.load_dataset(scale, made.dataset))
        assert made.plan.gflop_per_image == pytest.approx(counted, rel=0.02)
    with pytest.raises(UserError, match="translator with objective cyclegan: each goes"):
        new_experiment("another", "horse2zebra", "cyclegan")


def test_the_tables_know_every_objective_and_its_keys():
    for name, loss in OBJECTIVES.items():
        if CLASSIFICATION not in loss.tasks:
            loss.config.model_validate({"name": name, **loss.values})
    for name, model in MODELS.items():
        if model.values is not None:
            model.config.model_validate({"name": name, **model.values})


REFUSED = [
    ("faces-gan --from numbers", r"experiments/tiny/faces-gan.yaml: has faces-gan already"),
    ("celeba2 --from celeba", r"--from: unknown \(got 'celeba'\)\. One of numbers, faces-gan"),
    ("new --from faces-gam", r"--from: unknown .* Did you mean faces-gan\?"),
    ("new --from faces-gan --objective hing", r"--objective: unknown .* Did you mean hinge\?"),
    ("new --from faces-gan --objective classification", "--objective: unknown"),
    ("new --from faces-gan --objective linear_baseline", "the book's sigmoid"),
    ("new --from numbers --model linear_baseline", "the book's sigmoid"),
    ("new --from numbers --model vae", "--model: no values to start vae with"),
    (
        "new --from faces-gan --objective hinge --model numbers",
        "numbers makes no pictures, which dataset celeba",
    ),
    ("New --from numbers", "New: no name for an experiment"),
    ("../new --from numbers", "no name for an experiment"),
    ("a/b --from numbers", "no name for an experiment"),
    ("a_b --from numbers", "no name for an experiment"),
]


@pytest.mark.parametrize(("arguments", "expected"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_changes_nothing(repository, capsys, monkeypatch, arguments, expected):
    assert re.search(expected, refused(arguments, repository, capsys, monkeypatch))


def test_a_mapping_in_one_line_is_left_to_its_owner(repository, capsys, monkeypatch):
    params = repository / "params.yaml"
    listed = yaml.safe_load(params.read_text())
    params.write_text(yaml.safe_dump(listed, default_flow_style=True))
    said = refused("new --from numbers", repository, capsys, monkeypatch)
    assert (
        "not one entry a line. Add new: {task: numbers, dataset: numbers, model: numbers, obj"
        in said
    )


def test_a_source_that_is_broken_at_one_scale_is_no_source(repository, capsys, monkeypatch):
    path = repository / "experiments/gpu/numbers.yaml"
    path.write_text(path.read_text().replace("hidden", "hiden"))
    said = refused("new --from numbers", repository, capsys, monkeypatch)
    assert "experiments/gpu/numbers.yaml: model.hiden: unknown key" in said


ENTRY = {"dataset": "numbers", "model": "numbers", "objective": "bce"}


def test_nothing_is_left_of_what_could_not_all_be_written(repository):
    before = tree_digest(repository)
    new, taken = (repository / f"experiments/tiny/{name}.yaml" for name in ("new", "numbers"))
    with pytest.raises(UserError, match=r"numbers\.yaml: cannot be written \(File exists\)"):
        add({new: "x", taken: "x"}, "experiments", "new", {"task": "numbers"} | ENTRY)
    assert tree_digest(repository) == before


def refused(arguments, repository, capsys, monkeypatch):
    before = tree_digest(repository)
    monkeypatch.setattr(sys, "argv", ["atelier", "experiment", "new", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert tree_digest(repository) == before
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_it_says_what_to_run_next(repository, capsys, monkeypatch):
    line = "experiment new faces-wgan --from faces-gan --objective wgan_gp"
    monkeypatch.setattr(sys, "argv", ["atelier", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().out.splitlines() == [
        "experiments/tiny/faces-wgan.yaml",
        "experiments/laptop/faces-wgan.yaml",
        "experiments/gpu/faces-wgan.yaml",
        "Next: change them as you like, then run atelier repro register@faces-wgan",
    ]
