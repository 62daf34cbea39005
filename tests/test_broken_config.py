"""Broken YAML and options through the command line: a line for each fault, nothing changed.

Each row of a table names a case, what it does to a sound repository, and the lines it must end in.
"""

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from data.breaking import Harm, drop, edit, lost, put
from data.samples import tree_digest

from atelier.cli.main import main
from tests.project import BIN, ROOT, parameters, run
from tests.tables import plain_gan

SOUND = plain_gan()
FACES_ARE = "faces-gan: {task: unconditional, dataset: celeba"
FACES = "experiments/tiny/faces-gan.yaml"
NUMBERS = "experiments/tiny/numbers.yaml"
CELEBA = "experiments/tiny/datasets/celeba.yaml"
DIGITS = "experiments/tiny/datasets/numbers.yaml"
PARAMS = "params.yaml"
NEIGHBOURS = "A file names every key; see its neighbours."
Row = tuple[str, Harm, list[str]]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of the real one at tiny scale, and nothing made yet."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT / "experiments", root / "experiments")
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    # A plain GAN, whose file is the shortest of a generator's.
    (root / FACES).write_text(SOUND)
    plain = ("model: vaegan, objective: vaegan", "model: dcgan, objective: relativistic")
    (root / PARAMS).write_text(parameters("tiny").replace(*plain))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def ends_in(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[str], Sequence[str]], None]:
    """Runs `atelier ...`, which must say exactly the expected lines and change nothing."""

    def run_in_process(arguments: Sequence[str], expected: Sequence[str]) -> None:
        before = tree_digest(repository.parent)
        monkeypatch.setattr(sys, "argv", ["atelier", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert ended.value.code == 2, lines
        assert said.out == ""
        shutil.rmtree(repository / ".atelier", ignore_errors=True)  # the stages' locks
        assert tree_digest(repository.parent) == before
        assert len(lines) == len(expected), lines
        for pattern in expected:
            assert any(re.search(pattern, line) for line in lines), (pattern, lines)

    return run_in_process


def both(*harms: Harm) -> Harm:
    return lambda root: [harm(root) for harm in harms]


def swapped(*pairs: tuple[str, str]) -> Harm:
    """Edits of the faces' experiment."""
    return both(*(edit(FACES, old, new) for old, new in pairs))


UNKNOWN_KEYS: list[Row] = [
    ("top", swapped(("dataset:", "datset:")), [r"datset: unknown key.*dataset\?", "dataset: miss"]),
    (
        "model",
        swapped(("latent_dim", "latent_dims")),
        [r"model.latent_dims: unknown key\. Did you mean latent_dim\?", "model.latent_dim: miss"],
    ),
    (
        "objective",
        swapped(("gamma: 0.1", "gama: 0.1")),
        [r"objective.gama: unknown key\. Did you mean gamma\?", "objective.gamma: missing"],
    ),
    (
        "another's",
        swapped(("gamma: 0.1", "gamma: 0.1\n  critic_steps: 2")),
        [f"{FACES}: objective.critic_steps: unknown key"],
    ),
    (
        "training",
        swapped(("batch_size", "batchsize")),
        [r"training.batchsize: unknown key\. Did you mean batch_size\?", "training.batch_size: m"],
    ),
    (
        "optimizer",
        swapped(("generator: {learning_rate", "generator: {learning_rte")),
        [r"optimizers.generator.learning_rte: unknown key\. Did you mean learning_rate\?", "miss"],
    ),
    (
        "augmentation",
        swapped(("brightness", "brightnes")),
        [r"training.augmentation.brightnes: unknown.*brightness\?", "brightness: missing"],
    ),
    (
        "evaluation",
        swapped(("samples: 128", "sample: 128")),
        [r"evaluation.sample: unknown key\. Did you mean samples\?", "evaluation.samples: missing"],
    ),
    ("nothing near", swapped(("model:", "xyz: 1\nmodel:")), [rf"{FACES}: xyz: unknown key\.$"]),
    ("a number", swapped(("model:", "7: 1\nmodel:")), [rf"{FACES}: .*7"]),
    (
        "three at once",
        swapped(("flip", "f"), ("compile", "c")),
        ["f: unk", "c: unk", "miss", "miss"],
    ),
]
OTHER_FILES_KEYS: list[tuple[list[str], str, Harm, list[str]]] = [
    (
        ["train", "numbers"],
        "early stopping",
        edit(NUMBERS, "patience_steps", "patience"),
        [r"early_stopping.patience: unknown.*patience_steps\?", "patience_steps: missing"],
    ),
    (
        ["judge", "celeba"],
        "data",
        edit(CELEBA, "crop_share", "crop"),
        [rf"{CELEBA}: data.crop: unknown key", "data.crop_share: missing"],
    ),
    (
        ["judge", "celeba"],
        "judge",
        edit(CELEBA, "used_labels", "used_label"),
        [rf"{CELEBA}: judge.used_label: unknown.*used_labels\?", "judge.used_labels: missing"],
    ),
    (
        ["judge", "celeba"],
        "judge's model",
        edit(CELEBA, "width: 4", "widht: 4"),
        [rf"{CELEBA}: judge.model.widht: unknown.*width\?", "judge.model.width: missing"],
    ),
    (
        ["prepare", "celeba"],
        "prepare",
        edit(CELEBA, "limit", "limits"),
        [rf"{CELEBA}: data.limits: unknown.*limit\?", "data.limit: missing"],
    ),
    (
        ["train", "numbers"],
        "params",
        edit(PARAMS, "drawing:", "drawings:"),
        [r"params.yaml: drawings: unknown key\. Did you mean drawing\?", "drawing: missing"],
    ),
    (
        ["draw"],
        "drawing",
        edit(PARAMS, "faces_test:", "face_test:"),
        [r"params.yaml: drawing.face_test: unknown key\. Did you mean faces_test\?"],
    ),
    (
        ["train", "numbers"],
        "mapping",
        edit(PARAMS, "objective: bce", "loss: bce"),
        ["params.yaml: experiments.numbers.loss: unknown key", "experiments.numbers.objective: m"],
    ),
]

VALUES: list[Row] = [
    (
        "a number as text",
        swapped(("generator: {learning_rate: 0.0003", "generator: {learning_rate: '2e-4'")),
        [r"generator.learning_rate: expected a number \(got '2e-4'\)\. Write it without quotes"],
    ),
    (
        "text for a number",
        swapped(("generator: {learning_rate: 0.0003", "generator: {learning_rate: fast")),
        [r"generator.learning_rate: expected a number \(got 'fast'\)\.$"],
    ),
    ("quotes", swapped(("images: 1024", "images: '1024'")), [r"images: must.*integer \(got '1"]),
    ("bool for int", swapped(("batch_size: 32", "batch_size: true")), ["batch_size: .*got True"]),
    ("float for int", swapped(("snapshots: 2", "snapshots: 2.0")), [r"snapshots: .*integer.*2\.0"]),
    ("int for bool", swapped(("flip: true", "flip: 1")), [r"training.flip: must be .*boolean"]),
    ("text for bool", swapped(("compile: false", "compile: 'no'")), [r"training.compile: .*'no'"]),
    ("null", swapped(("ema_share: 0.05", "ema_share: null")), [r"ema_share: .*\(got None\)"]),
    ("list", swapped(("  seed: 100", "  seed: [1]")), [r"evaluation.seed: .*integer.*\[1\]"]),
    ("no keys", swapped(("name: dcgan", "")), [f"{FACES}: model.name: missing"]),
    (
        "a word for keys",
        lambda root: (root / NUMBERS).write_text(
            re.sub(r"model:\n(  .*\n)+", "model: numbers\n", (root / NUMBERS).read_text())
        ),
        [rf"{NUMBERS}: model: expected keys and values \(got 'numbers'\)"],
    ),
    ("zero images", swapped(("images: 1024", "images: 0")), [r"training.images: must.*1.*got 0"]),
    ("negative", swapped(("gamma: 0.1", "gamma: -1.0")), [r"objective.gamma: must.*\(got -1\.0\)"]),
    ("infinite", swapped(("gamma: 0.1", "gamma: .inf")), ["objective.gamma: must.*finite.*inf"]),
    ("nan", swapped(("ema_share: 0.05", "ema_share: .nan")), ["training.ema_share: must.*nan"]),
    ("beta of 1", swapped(("discriminator: {learning_rate: 0.0003, betas: [0.0, 0.99]",
        "discriminator: {learning_rate: 0.0003, betas: [0.0, 1.0]")),
        [r"discriminator.betas.1: must be less than 1 \(got 1\.0\)"]),
    ("one beta", swapped(("generator: {learning_rate: 0.0003, betas: [0.0, 0.99]",
        "generator: {learning_rate: 0.0003, betas: [0.99]")), ["generator.betas.1: missing"]),
    ("absurd rate", swapped(("generator: {learning_rate: 0.0003",
        "generator: {learning_rate: 1.0")),
        [r"generator.learning_rate: must be less than or equal to 0\.1 \(got 1\.0\)"]),
    ("rate without end", swapped(("discriminator: {learning_rate: 0.0003",
        "discriminator: {learning_rate: .inf")),
        [r"discriminator.learning_rate: must be less than or equal to 0\.1 \(got inf\)"]),
    ("seed below 0", swapped(("  seed: 1\n", "  seed: -1\n")), [r"training.seed: must.*got -1"]),
    ("too many samples", swapped(("samples: 128", "samples: 10001")), ["evaluation.samples: must"]),
    ("one sample", swapped(("samples: 128", "samples: 1")), ["evaluation.samples: must.*2"]),
    ("norm", swapped(("norm: none", "norm: layers")), [r"norm: unknown.*Did you mean layer\? One"]),
    ("precision", swapped(("precision: fp32", "precision: fp16")), ["precision: unk.*fp32, bf16"]),
    ("schedule", swapped(("generator: {learning_rate: 0.0003, betas: [0.0, 0.99], schedule: const",
        "generator: {learning_rate: 0.0003, betas: [0.0, 0.99], schedule: cons")), ["constant"]),
    ("no warm-up", swapped(("generator: {learning_rate: 0.0003, betas: [0.0, 0.99], schedule: "
        "constant", "generator: {learning_rate: 0.0003, betas: [0.0, 0.99], schedule: "
        "warm_up_then_linear, warm_up_share: 0.0")),
        [r"generator.warm_up_share: must be greater than 0 \(got 0\.0\)"]),
    ("another's warm-up", swapped(("generator: {learning_rate: 0.0003, betas: [0.0, 0.99], "
        "schedule: constant", "generator: {learning_rate: 0.0003, betas: [0.0, 0.99], schedule: "
        "constant, warm_up_share: 0.1")),
        [r"generator: warm_up_share: only schedule warm_up_then_linear has one \(got constant\)"]),
    ("model", swapped(("name: dcgan", "name: dcgam")), [r"model.name: unknown.*mean dcgan\?"]),
    ("objective", swapped(("name: relativistic", "name: wgan")),
        [r"objective.name: unknown \(got 'wgan'\)\. Did you mean wgan_gp\? One of bce, lsgan"]),
    ("registered name", swapped(("faces-gan-tiny", "faces/gan")), ["registered_name: must match"]),
]  # fmt: skip

TOGETHER: list[Row] = [
    ("not the file's name", swapped(("name: faces-gan\n", "name: faces\n")),
        [rf"{FACES}: name: must be the file's own \(got 'faces'\)\. faces-gan\."]),
    ("batch above images", swapped(("batch_size: 32", "batch_size: 2048")),
        [r"training: batch_size must not exceed images \(got 2048 > 1024\)"]),
    ("batch norm", swapped(("norm: none", "norm: batch")),
        [f"{FACES}: model.discriminator_norm: 'batch' under the gradient penalty"]),
    ("optimizer missing", lambda root: (root / FACES).write_text(
        re.sub(r"    discriminator: {.*\n", "", (root / FACES).read_text())),
        [r"training.optimizers: .* trains discriminator, generator \(got generator\)"]),
    ("optimizer too many", swapped(("    generator:", "    critic: {learning_rate: 0.1, "
        "betas: [0.0, 0.9], schedule: constant}\n    generator:")), ["got critic, generator"]),
    ("the book's model", swapped(("name: dcgan\n  latent_dim: 16\n  generator_width: 8\n"
        "  discriminator_width: 8\n  discriminator_norm: none",
        "name: linear_baseline\n  latent_dim: 100")),
        ["the book's sigmoid and its BCELoss go together"]),
    ("a judge", swapped(("name: relativistic\n  gamma: 0.1\n  penalty_every: 8",
        "name: classification\n  label_smoothing: 0.1")), ["a judge belongs to a dataset's file"]),
    ("early stopping", swapped(("early_stopping: null", "early_stopping: {watch: distance, "
        "draws: 10, patience_steps: 8, keep: last}")), ["follow no rule to stop by. Write null"]),
    ("another dataset", swapped(("dataset: celeba", "dataset: numbers")),
        [r"params.yaml: experiments.faces-gan: does not agree .*dataset: celeba.*Write faces-gan: "
         r"\{task: unconditional, dataset: numbers, model: dcgan, objective: relativistic\}"]),
    ("mapping", edit(PARAMS, "objective: relativistic", "objective: hinge"),
        [r"experiments.faces-gan: does not agree with experiments/tiny/faces-gan\.yaml"]),
    ("not in the mapping", edit(PARAMS, "  faces-gan:", "  faces-gun:"),
        [r"experiments.faces-gan: missing beside .*Write faces-gan: \{task: unconditional, data"]),
    ("pictures for numbers", both(edit(FACES, "dataset: celeba", "dataset: numbers"),
        edit(PARAMS, FACES_ARE, FACES_ARE.replace("celeba", "numbers"))),
        [rf"{FACES}: model.name: dcgan makes no numbers.* One of numbers, linear_baseline\."]),
    ("unknown dataset", both(edit(FACES, "dataset: celeba", "dataset: celeb"),
        edit(PARAMS, FACES_ARE, FACES_ARE.replace("celeba", "celeb"))),
        [rf"datasets/celeb.yaml: no such file\. Did you mean {CELEBA}\?"]),
    ("dataset not listed", edit(PARAMS, "  celeba: {source", "  celebb: {source"),
        [rf"params.yaml: datasets: does not list celeba, which {CELEBA} describes"]),
]  # fmt: skip

FILES: list[Row] = [
    ("missing", drop(FACES), [rf"{FACES}: no such file"]),
    ("empty", put(FACES, b""), [rf"{FACES}: expected keys and values \(got nothing\)"]),
    ("comments", put(FACES, b"# later\n"), [r"expected keys and values \(got nothing\)"]),
    ("list", put(FACES, b"- name: faces-gan\n"), [r"expected keys and values \(got list\)"]),
    ("word", put(FACES, b"faces-gan"), [r"expected keys and values \(got str\)"]),
    ("tab", swapped(("  latent_dim", "\tlatent_dim")), [rf"{FACES}:10: not YAML \(found"]),
    ("bracket", put(FACES, b"name: [faces"), [rf"{FACES}:1: not YAML"]),
    ("brackets without end", put(FACES, b"[" * 5000), [rf"{FACES}.*: not YAML"]),
    ("anchors", put(FACES, b"a: &x 1\nb: *y\n"), [rf"{FACES}:2: not YAML \(found undefined alias"]),
    ("key twice", swapped(("  flip: true", "  flip: true\n  flip: false")),
        [r"not YAML \(the key flip stands twice\)"]),
    ("impossible date", put(FACES, b"name: 2026-13-45\n"), [rf"{FACES}: not YAML \(month must"]),
    ("code", put(FACES, b"name: !!python/object/apply:os.system [ls]\n"), ["not YAML"]),
    ("binary", put(FACES, bytes(range(256))), [rf"{FACES}: not a text file in UTF-8"]),
    ("zeros", put(FACES, bytes(99)), [rf"{FACES}: not YAML \(special characters"]),
    ("two documents", put(FACES, b"a: 1\n---\nb: 2\n"), ["not YAML"]),
    ("folder", both(drop(FACES), lambda root: (root / FACES).mkdir()),
        [rf"{FACES}: cannot be read \(Is a directory\)"]),
    ("no params", drop(PARAMS), [r"params.yaml: no such file\. Run this in the repository's root"]),
    ("empty params", put(PARAMS, b""), [r"params.yaml: expected keys and values \(got nothing\)"]),
    ("only a scale", put(PARAMS, b"scale: tiny\n"),
        [f"{key}: missing" for key in ("drawing", "datasets", "experiments")]),
    ("no scale", edit(PARAMS, "scale: tiny\n", ""), ["params.yaml: scale: missing"]),
    ("other scale", edit(PARAMS, "scale: tiny", "scale: tinny"),
        [r"params.yaml: scale: unknown \(got 'tinny'\)\. Did you mean tiny\? One of"]),
    ("experiments as a list", lambda root: (root / PARAMS).write_text(
        (root / PARAMS).read_text().split("experiments:")[0] + "experiments: [faces-gan]\n"),
        [r"params.yaml: experiments: expected keys and values \(got \['faces-gan'\]\)"]),
]  # fmt: skip

DATASETS: list[Row] = [
    ("size", edit(CELEBA, "size_pixels: 32", "size_pixels: 33"), [r"power of two \(got 33\)"]),
    ("crop", edit(CELEBA, "crop_share: 0.787", "crop_share: 1.5"), ["data.crop_share: must.*1.5"]),
    ("limit", edit(CELEBA, "limit: 256", "limit: 0"), ["data.limit: must.*0"]),
    ("climbing", edit(CELEBA, "path: celeba", "path: ../celeba"), ["data.path: must match"]),
    ("layout", edit(CELEBA, "layout: attributes", "layout: attribute"),
        [r"data.layout: unknown \(got 'attribute'\)\. Did you mean attributes\?"]),
    ("no judge", lambda root: (root / CELEBA).write_text(
        (root / CELEBA).read_text().split("judge:")[0] + "judge: null\njudge_b: null\n"),
        [rf"{CELEBA}: judge: layout attributes takes a classifier"]),
    ("one second judge", edit(CELEBA, "name: judge_b", "name: judge"),
        [r"judge_b.model.name: another than judge's \(got judge\)"]),
    ("one seed of judges", edit(CELEBA, "seed: 2", "seed: 1"),
        [r"judge_b.training.seed: another than judge's \(got 1\)"]),
    ("no classifier", edit(CELEBA, "    name: classification\n    label_smoothing: 0.05",
        "    name: hinge"), [rf"{CELEBA}: judge: a judge is model judge"]),
    ("judge's optimizer", edit(CELEBA, "classifier: {", "generator: {"),
        [r"training.optimizers: objective classification trains classifier \(got generator\)"]),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "expected"), [r[1:] for r in UNKNOWN_KEYS + VALUES],
                         ids=[r[0] for r in UNKNOWN_KEYS + VALUES])  # fmt: skip
def test_keys_and_values(repository, ends_in, harm, expected):
    harm(repository)
    command = ["train", "numbers" if (repository / FACES).read_text() == SOUND else "faces-gan"]
    ends_in(command, expected)


@pytest.mark.parametrize(("command", "name", "harm", "expected"), OTHER_FILES_KEYS,
                         ids=[r[1] for r in OTHER_FILES_KEYS])  # fmt: skip
def test_unknown_keys_of_other_files(repository, ends_in, command, name, harm, expected):
    harm(repository)
    ends_in(command, expected)


@pytest.mark.parametrize(("harm", "expected"), [r[1:] for r in TOGETHER + FILES],
                         ids=[r[0] for r in TOGETHER + FILES])  # fmt: skip
def test_what_does_not_fit_and_what_is_no_yaml(repository, ends_in, harm, expected):
    harm(repository)
    ends_in(["train", "faces-gan"], expected)


@pytest.mark.parametrize(("harm", "expected"), [r[1:] for r in DATASETS],
                         ids=[r[0] for r in DATASETS])  # fmt: skip
def test_datasets(repository, ends_in, harm, expected):
    harm(repository)
    ends_in(["judge", "celeba"], expected)


NOTHING = r"mlruns: nothing is registered here\. Run atelier repro"
COMMANDS: list[tuple[list[str], str]] = [
    (["train", "faces-gam"], rf"faces-gam.yaml: no such file\. Did you mean {FACES}\?"),
    (["train", "xyz"], r"experiments/tiny/xyz.yaml: no such file\. Check the name\."),
    (["train", "datasets/celebb"], rf"no such file\. Did you mean {CELEBA}\?"),
    (["train", "numbers", "--scale", "tinny"], r"scale: unknown \(got 'tinny'\)\. Did you mean"),
    (["judge", "celebs"], rf"no such file\. Did you mean {CELEBA}\?"),
    (["prepare", "number"], rf"no such file\. Did you mean {DIGITS}\?"),
    (["prepare", "celeba"], "data/celeba: no such folder"),
    (["judge", "celeba"], r"celeba/prepared/manifest.json: not there yet\. Run: dvc repro prep"),
    (["judge", "numbers"], r"not there yet\. Run: dvc repro prepare@numbers"),
    (["train", "numbers"], r"not there yet\. Run: dvc repro prepare@numbers"),
    (["bundle", "numbers"], r"not there yet\. Run: dvc repro prepare@numbers"),
    (["evaluate", "faces-gan"], r"not there yet\. Run: dvc repro prepare@celeba"),
    (["register", "faces-gan"], r"not there yet\. Run: dvc repro prepare@celeba"),
    (["registry", "show", "nosuch@champion"], NOTHING),
    (["registry", "rollback", "nosuch"], NOTHING),
    (["registry", "sync", "faces-gam"], rf"no such file\. Did you mean {FACES}\?"),
    (["registry", "sync", "--scale", "huge"], r"scale: unknown \(got 'huge'\)\. One of tiny, "),
    (["generate", "nosuch@champion", "--out", "a.png"], NOTHING),
]  # fmt: skip
COMMANDS += [
    (["generate", "faces-gan@champion", "--out", "a.png", *options], expected)
    for options, expected in [
        (["--count", "0"], r"--count: a whole number from 1 to 10000 \(got 0\)"),
        (["--count", "-1"], r"--count: a whole number from 1 to 10000 \(got -1\)"),
        (["--count", "1000000000"], "--count: a whole number from 1 to 10000"),
        (["--seed", "-1"], "--seed: a whole number from 0"),
        (["--seed", str(2**63)], "--seed: a whole number from 0"),
        (["--truncation", "nan"], r"--truncation: above 0, at most 2\.0 \(got nan\)"),
        (["--truncation", "0"], r"--truncation: above 0, at most 2\.0 \(got 0\.0\)"),
        (["--truncation", "inf"], "--truncation: above 0"),
        (["--out", "params.yaml"], r"params.yaml: exists already\. Choose another, or --overwrite"),
        (["--out", "experiments"], "experiments: exists already"),
        (["--out", "params.yaml/a.png"], "--out: params.yaml is a file, not a folder"),
        (["--out", "params.yaml/a/"], "--out: params.yaml is a file, not a folder"),
        (["--out", f"{'a' * 300}.png"], "--out: cannot be written .File name too long"),
    ]
]


@pytest.mark.parametrize(
    ("arguments", "expected"), COMMANDS, ids=[" ".join(c)[:60] for c, _ in COMMANDS]
)
def test_commands(ends_in, arguments, expected):
    ends_in(arguments, [expected])


def made(*paths: str) -> Harm:
    """What earlier stages would have left, as far as the next one looks before it begins."""
    texts = {"manifest.json": '{"labels": ["Male", "Smiling"], "layout": "attributes"}'}

    def make(root: Path) -> None:
        for path in paths:
            place = root / "artifacts/tiny" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(texts.get(place.name, "{}"))

    return make


PREPARED, JUDGED = "celeba/prepared/manifest.json", "celeba/judge/judge.json"
LATER: list[tuple[list[str], Harm, str]] = [
    (["judge", "celeba"], made(PREPARED), rf"{CELEBA}: judge.used_labels: unknown \(got 'Eyegl"),
    (["bundle", "faces-gan"], made(PREPARED), "Run: dvc repro judge@celeba"),
    (["bundle", "faces-gan"], made(PREPARED, JUDGED), "Run: dvc repro train@faces-gan"),
    (["evaluate", "faces-gan"], made(PREPARED, JUDGED), "Run: dvc repro bundle@faces-gan"),
    (
        ["evaluate", "faces-gan"],
        made(PREPARED, JUDGED, "faces-gan/bundle/bundle.json"),
        r"faces-gan/bundle: the bundle is refused \(.*\)\. Run: dvc repro --force bundle@faces-gan",
    ),
    (
        ["register", "faces-gan"],
        made(PREPARED, JUDGED, "faces-gan/bundle/bundle.json"),
        "Run: dvc repro evaluate@faces-gan",
    ),
]


@pytest.mark.parametrize(("arguments", "harm", "expected"), LATER, ids=[r[2] for r in LATER])
def test_stages_out_of_turn(repository, ends_in, arguments, harm, expected):
    harm(repository)
    ends_in(arguments, [expected])


@pytest.mark.parametrize(
    "command", ["train faces-gan", "prepare celeba", "draw", "repro", "registry sync"]
)
def test_outside_the_repository(repository, ends_in, command):
    lost("experiments")(repository)
    drop(PARAMS, "dvc.yaml")(repository)
    ends_in(command.split(), [r"(params|dvc)\.yaml: no such file\. Run this in the repository's r"])


def test_an_empty_registry_is_listed_without_making_one(repository, capsys, monkeypatch):
    before = tree_digest(repository)
    monkeypatch.setattr(sys, "argv", ["atelier", "registry", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().out == "Nothing is registered yet. Run: atelier repro\n"
    assert tree_digest(repository) == before


USAGE = ["trian", "train", "train numbers --scal tiny", "train a b", "repro --forced"]
USAGE += ["generate a@b --count 1.5", "generate a@b --seed x", "generate a@b --truncation x"]


@pytest.mark.parametrize("command", USAGE)
def test_usage(repository, capsys, monkeypatch, command):
    """typer's own words, and its exit code 2."""
    before = tree_digest(repository)
    monkeypatch.setattr(sys, "argv", ["atelier", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "Usage: atelier" in said
    assert "Traceback" not in said
    assert tree_digest(repository) == before


@pytest.mark.parametrize(
    ("command", "harm", "expected"),
    [
        ("train faces-gan", swapped(("gamma", "gama")), "Did you mean gamma?"),
        ("registry show nosuch@champion", drop(NUMBERS), "nothing is registered here"),
    ],
)
def test_a_real_process_says_the_same(repository, command, harm, expected):
    harm(repository)
    before = tree_digest(repository)
    said = run(repository, str(BIN / "atelier"), *command.split(), code=2)
    assert expected in said
    assert "Traceback" not in said
    assert tree_digest(repository) == before
