"""Trains experiments for some steps, in one process or in those that torchrun started.

python -m torch.distributed.run --nproc-per-node 2 tests/training/processes.py OUT PREPARED NAME …

A name is an experiment's, or with another objective "numbers with hinge". What is in OUT goes on.
The environment says more: SEED; with HALF, a training stops there; with DOUBLE, it is in double
precision.
"""

import os
import sys
from pathlib import Path

import torch
from tests.training.test_table import shortened

from atelier import config
from atelier.errors import Interrupted
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.training import loop, runtime, setup

BATCH = 16
"""Two processes, each with as many images for draws as for reconstructions, four of each."""
STEPS = 50
FEW = {"translator": 10, "cyclegan": 2}
"""Where two trainings part sooner. A translator begins as the identity: there an absolute error is
rounding, and its gradient the sign of that. CycleGAN normalises each map, and what is flat is then
rounding made large."""
PLAIN = {"faces-gan": "dcgan", "faces-cgan": "cdcgan"}
"""The networks that another objective trains there, here with BatchNorm in both."""
LARGE = 1e-3
"""Adam's epsilon. Adam else divides a gradient that is all rounding, as of a bias that a difference
of logits takes away, by its own size, and what was nothing becomes a whole step."""


def worked(name: str) -> config.Experiment:
    experiment, _, objective = name.partition(" with ")
    steps = FEW.get(objective or config.load_experiment("tiny", experiment).model.name, STEPS)
    changed = shortened(experiment, steps, BATCH).model_dump()
    training = changed["training"]
    if objective:
        changed["objective"] = {"name": objective, **OBJECTIVES[objective].values}
    if objective and experiment in PLAIN:
        model = PLAIN[experiment]
        changed["model"] = {"name": model, **MODELS[model].values, "discriminator_norm": "batch"}
        networks = "generator", "discriminator"
        training["optimizers"] = {name: training["optimizers"][name] for name in networks}
    if objective == "cyclegan":
        changed["model"] = {"name": "cyclegan", **MODELS["cyclegan"].values}
        changed["objective"]["pool"] = training["batch_size"]  # full after a step
    training["seed"] = int(os.environ["SEED"])
    return config.Experiment.model_validate(changed)


def be_in_double_precision() -> None:
    """What asks for single precision by name gets double from here on."""
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float64
    torch.Tensor.float = torch.Tensor.double


def main() -> None:
    out, prepared, *names = sys.argv[1:]
    torch.set_num_threads(1)
    if "DOUBLE" in os.environ:
        be_in_double_precision()
    fabric = runtime.launch("fp32")
    for name in names:
        work = worked(name)
        learner = setup.build(work, Path(prepared, name.partition(" ")[0]), fabric)
        for optimizer in learner.optimizers.values():
            for group in optimizer.param_groups:
                group["eps"] = LARGE
        folder, steps = Path(out, name), iter(range(work.training.images))
        half = work.training.images // work.training.batch_size // 2

        def should_stop(steps=steps, half=half):
            # One process alone is asked, and all stop.
            return "HALF" in os.environ and next(steps) == half and fabric.global_rank == 0

        try:
            loop.train(name, work, learner, folder, should_stop=should_stop)
        except Interrupted:
            continue
        state = {"nets": learner.nets.state_dict(), "averages": learner.averages.state_dict()}
        torch.save(state, folder / f"process-{fabric.global_rank}-of-{fabric.world_size}.pt")


if __name__ == "__main__":
    main()
