"""Where things lie: what the folders of datasets are called, and the files of a scale."""

from dataclasses import dataclass
from pathlib import Path

from atelier.schema import unknown

SCALES = ("tiny", "laptop", "gpu")
PARAMETERS = Path("params.yaml")

IMAGES = "img_align_celeba"
"""Where CelebA's layout keeps its pictures."""
DOMAIN_FOLDERS = ("trainA", "trainB", "testA", "testB")
"""CycleGAN's layout."""
JUDGE, JUDGE_B = "judge", "judge_b"
"""The stages that train the judges of a dataset; of files and blocks of settings, their names."""
REPORT = "report.html"
"""Wherever it is kept, an experiment's page is called so."""
SPLITS = ("training", "validation", "test")
TRIALS = (".dvc", "tmp", "exps")
"""Where `dvc exp run --temp` and `--queue` work, in a folder that is removed with all it holds."""


def check_scale(scale: str) -> str:
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    return scale


def home_of(folder: Path) -> Path:
    """The repository that started a trial of DVC's in this folder; else the folder itself."""
    for above in folder.parents:
        if above.parts[-len(TRIALS) :] == TRIALS:
            return above.parents[len(TRIALS) - 1]
    return folder


@dataclass(frozen=True)
class Paths:
    """Where a scale's files lie, seen from the repository's root."""

    scale: str

    def experiment_file(self, experiment: str) -> Path:
        return Path("experiments", self.scale, f"{experiment}.yaml")

    def dataset_file(self, dataset: str) -> Path:
        return Path("experiments", self.scale, "datasets", f"{dataset}.yaml")

    def _artifact(self, name: str, stage: str) -> Path:
        return Path("artifacts", self.scale, name, stage)

    def prepared(self, dataset: str) -> Path:
        return self._artifact(dataset, "prepared")

    def judge(self, dataset: str, stage: str = JUDGE) -> Path:
        """Of the stage `judge`, or of the second one, `judge_b`."""
        return self._artifact(dataset, stage)

    def train(self, experiment: str) -> Path:
        return self._artifact(experiment, "train")

    def bundle(self, experiment: str) -> Path:
        return self._artifact(experiment, "bundle")

    def evaluation(self, experiment: str) -> Path:
        return self._artifact(experiment, "evaluation")

    def curves(self, experiment: str) -> Path:
        """Every figure of the training by its images, a row each: for plots."""
        return self._artifact(experiment, "curves.csv")

    def judge_table(self, dataset: str, stage: str = JUDGE) -> Path:
        """A judge's exam, a row for each label: for plots."""
        return self._artifact(dataset, f"{stage}-labels.csv")

    def metrics(self, experiment: str) -> Path:
        """Figures of the bundle on the test split; in git."""
        return self._artifact(experiment, "metrics.json")

    def judge_metrics(self, dataset: str, stage: str = JUDGE) -> Path:
        """Figures of a judge itself on the test split; in git."""
        return self._artifact(dataset, f"{stage}-metrics.json")

    def receipt(self, experiment: str) -> Path:
        """Which version its bundle is: what registering leaves for DVC."""
        return Path("mlruns", "receipts", self.scale, f"{experiment}.json")

    def report(self, experiment: str) -> Path:
        """One page of it: sheets, figures, curves, and what the gate said."""
        return self._artifact(experiment, REPORT)

    def seeds(self, experiment: str) -> Path:
        """What other training seeds make of its figures; in git."""
        return self._artifact(experiment, "seeds.json")
