"""Several processes that train one experiment: torch's launcher starts them, and the first writes.

torchrun --nproc-per-node 2 -m atelier train faces-gan
ATELIER_PROCESSES=2 atelier train faces-gan             the same, also below dvc and the flows
"""

import os
import sys

from atelier.errors import UserError

PROCESSES = "ATELIER_PROCESSES"
"""How many processes a stage that trains shall have on this machine."""
LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Set by torch's launcher in each process that it starts."""


def leads() -> bool:
    """Whether this process writes: alone, or the first of those that were launched."""
    return LAUNCHED not in os.environ or os.environ["RANK"] == "0"


def asked_for() -> int:
    """How many processes a training shall have, as the environment says.

    Raises:
        UserError: it says what is no number of processes.
    """
    asked = os.environ.get(PROCESSES, "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise UserError(PROCESSES, f"is a number of processes (got {asked!r})")
    return int(asked)


def launch(*words: str) -> None:
    """Becomes torch's launcher of `atelier` with these words, where several processes are asked
    for and none was launched yet.

    Raises:
        UserError: the environment asks for what is no number of processes.
    """
    if (asked := asked_for()) > 1 and LAUNCHED not in os.environ:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={asked}"]
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *launcher, "-m", "atelier", *words])
