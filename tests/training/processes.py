"""Trains experiments for some steps, in one process or in those that torchrun started.

python -m torch.distributed.run --nproc-per-node 2 tests/training/processes.py OUT PREPARED NAME …
"""

import sys
from pathlib import Path

import torch
from tests.training.test_table import shortened

from atelier.training import loop, runtime, setup


def main() -> None:
    out, prepared, *names = sys.argv[1:]
    torch.set_num_threads(1)
    fabric = runtime.launch("fp32")
    for name in names:
        learner = setup.build(shortened(name, steps=50), Path(prepared, name), fabric)
        folder = Path(out, name)
        loop.train(name, shortened(name, steps=50), learner, folder)
        state = {"nets": learner.nets.state_dict(), "averages": learner.averages.state_dict()}
        torch.save(state, folder / f"process-{fabric.global_rank}-of-{fabric.world_size}.pt")


if __name__ == "__main__":
    main()
