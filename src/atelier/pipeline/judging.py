"""Where judging and training meet: the judge's own exam, the choice of a snapshot, the final score.

`bundle` reads the validation split, `evaluate` the test split, and neither the other's.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from atelier import config
from atelier.config import Experiment, load_dataset
from atelier.data.batches import read_manifest
from atelier.data.folders import built_aside
from atelier.data.images import to_bytes
from atelier.errors import UserError
from atelier.evaluation import report
from atelier.evaluation.faces import kid_table, open_references, score_images
from atelier.evaluation.features import Images, in_batches
from atelier.evaluation.judge import balanced_accuracy, judge_report, judge_table
from atelier.evaluation.numbers import evaluate_numbers, score_numbers, value_table
from atelier.evaluation.yardstick import Yardstick, open_yardstick
from atelier.models import MODELS
from atelier.models.judge import Judge
from atelier.paths import Paths
from atelier.registry import bundle
from atelier.registry.bundle_model import Refused, Sampler
from atelier.training.display import say

CLASSIFIER = "classifier.safetensors"
SHOWN = 64
NUMBERS_CHOSEN_ON = 2000


def keep_best(folder: Path, work: config.Judge, prepared: Path, metrics: Path) -> None:
    """Turns a finished training of a judge into a judge: its best snapshot, examined.

    Validation chooses among the snapshots; the test split examines the chosen one.
    """
    manifest = read_manifest(prepared)
    names, drawn = tuple(manifest["labels"]), manifest["drawn"]
    size = manifest["size_pixels"]
    candidates = []
    for path in sorted((folder / "snapshots").iterdir()):
        classifier = _network("classifier", work, (3, size, size), len(names), path)
        logits, labels = _answers(classifier, prepared, "validation")
        scores = [balanced_accuracy(logits[:, c], labels[:, c]) for c in _judged(labels)]
        candidates.append((float(np.mean(scores)) if scores else 0.0, path, classifier))
    best, path, classifier = max(candidates, key=lambda candidate: candidate[0])
    logits, labels = _answers(classifier, prepared, "test")
    exam = judge_report(logits, labels, names, work.used_labels, drawn)
    say(
        f"judge: snapshot {path.stem}, validation {best:.4f}, untrusted: "
        f"{exam['untrusted_labels'] or 'none'}"
    )
    path.rename(folder / CLASSIFIER)
    for other in (folder / "snapshots").iterdir():
        other.unlink()
    (folder / "snapshots").rmdir()
    (folder / "samples").rmdir()
    described = {
        "model": work.model.model_dump(),
        "labels": list(names),
        "used_labels": list(work.used_labels),
        "trusted_labels": exam["trusted_labels"],
        "size_pixels": size,
        "selected_images": int(path.stem),
    }
    (folder / "judge.json").write_text(json.dumps(described, indent=2) + "\n")
    report.write_metrics(metrics, exam)
    report.write_table(folder / "labels.csv", judge_table(logits, labels, names))


def _judged(labels: np.ndarray) -> list[int]:
    """Columns with both answers among the labels."""
    return [c for c in range(labels.shape[1]) if 0 < labels[:, c].sum() < len(labels)]


def _answers(classifier: nn.Module, prepared: Path, split: str) -> tuple[Any, Any]:
    images = np.load(prepared / f"{split}.npy", mmap_mode="r")
    return in_batches(classifier, images), np.load(prepared / f"{split}_labels.npy")


def open_judge(folder: Path) -> Judge:
    """The judge of a dataset, as its stage left it."""
    if not (folder / CLASSIFIER).exists():
        raise UserError(folder, "no judge here yet", f"Run: dvc repro judge@{folder.parent.name}")
    described = json.loads((folder / "judge.json").read_text())
    size = described["size_pixels"]
    family = MODELS["judge"]
    model = family.Config.model_validate(described["model"])
    nets = family.build(model, (3, size, size), len(described["labels"]))
    nets.load_state_dict(load_file(folder / CLASSIFIER))
    judge: Judge = nets["classifier"].eval()
    return judge


def _network(
    name: str, work: Experiment | config.Judge, shape: tuple[int, ...], labels: int, path: Path
) -> nn.Module:
    """One published network of a snapshot, in evaluation mode."""
    nets = MODELS[work.model.name].build(work.model, shape, labels)
    published = load_file(path)
    network: nn.Module = nets[name]
    weights = {
        k.removeprefix(f"{name}."): v for k, v in published.items() if k.startswith(f"{name}.")
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        problem = "its weights are those of another model than the experiment's file names now"
        raise UserError(path, problem, "Run: dvc repro") from None
    return network.eval()


def choose_and_pack(experiment: Experiment, paths: Paths) -> None:
    """Packs the snapshot that the validation split likes best.

    Images: least judge KID to the validation reals. Numbers: least stopping score of fresh draws.
    """
    prepared = paths.prepared(experiment.dataset)
    manifest = read_manifest(prepared)
    numbers = manifest["layout"] == "numbers"
    size = None if numbers else manifest["size_pixels"]
    shape = tuple(manifest["shape"]) if numbers else (3, size, size)
    snapshots = sorted((paths.train(experiment.name) / "snapshots").iterdir())
    yardstick = None if numbers else _yardstick(experiment, paths, "validation")
    found = []
    for path in snapshots:
        generator = _network("generator", experiment, shape, 0, path)
        figure = _validation_figure(experiment, generator, yardstick)
        say(f"bundle: snapshot {path.stem}: {figure:.5f}")
        found.append((figure, path, generator))
    figure, path, generator = min(found, key=lambda candidate: candidate[0])
    description = bundle.BundleDescription(
        experiment=experiment.name,
        scale=paths.scale,
        registered_name=experiment.registered_name,
        kind="numbers" if numbers else "image",
        latent_dim=experiment.model.latent_dim,
        output_shape=shape,
        dataset=experiment.dataset,
        judge=None if numbers else "judge",
        selected_images=int(path.stem),
    )
    bundle.pack(paths.bundle(experiment.name), generator, description)


def _validation_figure(
    experiment: Experiment, generator: nn.Module, yardstick: Yardstick | None
) -> float:
    count = experiment.evaluation.samples if yardstick else NUMBERS_CHOSEN_ON
    seeded = torch.Generator().manual_seed(experiment.evaluation.seed)
    latents = torch.randn(count, experiment.model.latent_dim, generator=seeded)
    with torch.inference_mode():
        outputs = torch.cat([generator(part) for part in torch.split(latents, 100)])
    if yardstick is None:
        return score_numbers(outputs)["stopping_score"]
    return yardstick.kid(yardstick.features(to_bytes(outputs).numpy()))["judge"].value


def _yardstick(experiment: Experiment, paths: Paths, split: str) -> Yardstick:
    judge = open_judge(paths.judge(experiment.dataset))
    prepared = paths.prepared(experiment.dataset)
    return open_yardstick(prepared, judge, split, experiment.evaluation.samples)


def score_bundle(experiment: Experiment, paths: Paths) -> None:
    """Scores the published bundle on the test split: metrics.json, tables and a grid."""
    sampler = _open_bundle(paths.bundle(experiment.name))
    wanted = experiment.evaluation
    with built_aside(paths.evaluation(experiment.name)) as building:
        if sampler.is_numbers:

            def scores(count: int, seed: int) -> torch.Tensor:
                return torch.cat(list(sampler.outputs(count, seed)))

            metrics = evaluate_numbers(scores, wanted.seed, wanted.samples)
            rows = value_table(scores(wanted.samples, wanted.seed))
            report.write_table(building / "values.csv", rows)
        else:
            yardstick = _yardstick(experiment, paths, "test")
            pictures = pixels(sampler, wanted.samples, wanted.seed)
            references = open_references(yardstick, wanted.samples, wanted.seed)
            metrics = score_images(pictures, yardstick, references, wanted.seed)
            rows = kid_table(metrics)
            named = [{"name": f"{row['extractor']}: {row['set']}", **row} for row in rows]
            report.write_table(building / "kid.csv", named)
            report.write_grid(building / "grid.png", pictures[:SHOWN])
            report.write_grid(building / "reals.png", yardstick.reals[:SHOWN])
        metrics["judge_trusted"] = _trusted_labels(paths, experiment)
    report.write_metrics(paths.metrics(experiment.name), metrics)


def _open_bundle(folder: Path) -> Sampler:
    try:
        return Sampler(folder)
    except Refused as refusal:
        remedy = f"Run: dvc repro --force bundle@{folder.parent.name}"
        raise UserError(folder, f"the bundle is refused ({refusal})", remedy) from None


def pixels(sampler: Sampler, count: int, seed: int) -> Images:
    """Drawn pictures, channels first: uint8 [count, 3, S, S]."""
    return np.ascontiguousarray(sampler.sample(count, seed).transpose(0, 3, 1, 2))


def _trusted_labels(paths: Paths, experiment: Experiment) -> list[str]:
    if load_dataset(paths.scale, experiment.dataset).judge is None:
        return []
    described = json.loads((paths.judge(experiment.dataset) / "judge.json").read_text())
    trusted: list[str] = described["trusted_labels"]
    return trusted
