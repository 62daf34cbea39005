"""docs/extending.md is true: a toy sequence model joins by the four steps, from data to registry.

On a copy of the repository: nothing but the four steps is written, and everything else, the tests
too, finds the new line by itself.
"""

import re
import subprocess
import sys

import pytest
from tests.project import run

from atelier.params import STAGES_OF_EXPERIMENT

pytestmark = pytest.mark.slow
MELODY = '''"""A toy: sequences grow from a few notes by one-dimensional transposed convolutions.

After WaveGAN (Donahue, McAuley and Puckette 2018, arXiv 1802.04208), some thousand times smaller.
"""

from typing import Literal

from torch import nn

from atelier.schema import Positive, Strict

class Config(Strict):
    name: Literal["melody"]
    latent_dim: Positive
    width: Positive


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """`shape` is (T,), T divisible by 4: generator [B, latent_dim] -> [B, T] >= 0."""
    (length,) = shape
    width = config.width
    return nn.ModuleDict(
        {
            "generator": nn.Sequential(
                nn.Linear(config.latent_dim, width * (length // 4)),
                nn.Unflatten(1, (width, length // 4)),
                nn.LeakyReLU(0.2),
                nn.ConvTranspose1d(width, width, 4, 2, 1),
                nn.LeakyReLU(0.2),
                nn.ConvTranspose1d(width, 1, 4, 2, 1),
                nn.Flatten(),
                nn.ReLU(),
            ),
            "discriminator": nn.Sequential(
                nn.Linear(length, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1)
            ),
        }
    )
'''


def edit(path, pattern, by):
    """Replaces the one place that matches."""
    text, count = re.subn(pattern, by, path.read_text(), flags=re.MULTILINE)
    assert count == 1, (path, pattern, count)
    path.write_text(text)


def take_four_steps(project):
    models = project / "src/atelier/models"
    (models / "melody.py").write_text(MELODY)
    edit(models / "__init__.py", r"^(    numbers,)$", r"    melody,\n\1")
    edit(models / "__init__.py", r'^(    "dcgan": Model)',
         r'    "melody": Model(NUMBERS, melody.Config, melody.build),\n\1')  # fmt: skip
    for scale in ("tiny", "laptop", "gpu"):
        made = project / f"experiments/{scale}/melody.yaml"
        made.write_text((project / f"experiments/{scale}/numbers.yaml").read_text())
        edit(made, "^name: numbers$", "name: melody")
        edit(made, r"^registered_name: numbers(.*)$", r"registered_name: melody\1")
        edit(made, r"^  name: numbers\n  latent_dim: .*\n  hidden: .*$",
             "  name: melody\n  latent_dim: 16\n  width: 8")  # fmt: skip
    line = "melody: {task: numbers, dataset: numbers, model: melody, objective: bce}"
    edit(project / "params.yaml", "^(experiments:)$", rf"\1\n  {line}")


def test_a_sequence_model_joins_by_four_steps(project):
    take_four_steps(project)
    source = {"PYTHONPATH": str(project / "src")}

    said = run(project, "dvc", "repro", **source)
    ran = re.findall(r"Running stage '(.*)'", said)
    assert ran == [f"{stage}@melody" for stage in STAGES_OF_EXPERIMENT], "no other model is stale"

    listing = ("git", "status", "--short", "--untracked-files=all")
    written = run(project, *listing, "src", "experiments")
    assert {line.split()[-1] for line in written.splitlines()} == {
        "src/atelier/models/__init__.py",
        "src/atelier/models/melody.py",
        *(f"experiments/{scale}/melody.yaml" for scale in ("tiny", "laptop", "gpu")),
    }

    reference = "melody-tiny/1"
    assert reference in run(project, "atelier", "registry", "list", **source)
    played = run(project, "atelier", "generate", reference, "--count", "20", **source).split()
    assert len([word for word in played if word.isdigit()]) == 20


def test_the_contracts_find_the_new_line_by_themselves(project, monkeypatch):
    take_four_steps(project)
    monkeypatch.setenv("PYTHONPATH", str(project / "src"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-k", "melody", "-p", "no:cacheprovider", "-vv",
         "tests/bundle/test_models.py", "tests/training/test_table.py",
         "tests/training/test_loop.py", "tests/pipeline/test_definition.py"],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    for contract in ("packs_loads_and_answers", "goes_on_bit_for_bit", "builds_and_comes_back"):
        assert re.search(rf"{contract}\[melody\] PASSED", done.stdout), done.stdout[-3000:]
