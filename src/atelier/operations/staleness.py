"""What is stale in an experiment's pipeline, and why, as DVC sees it.

DVC names only the stages whose own files changed. Those that wait for a stale one are added here:
whether they will really run, DVC decides when it comes to them.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from atelier.commands import MODULE, CommandFailed, run
from atelier.display import say
from atelier.errors import AtelierError
from atelier.operations.dvc import POLL_SECONDS, waited
from atelier.operations.records import keep_or_put_back
from atelier.params import STAGES_OF_DATASET, STAGES_OF_EXPERIMENT, listed_experiments
from atelier.paths import Paths
from atelier.pipeline.definition import define

DATA = "data.dvc"
IN_THE_WAY = ("is busy", "RWLock-file")
"""In DVC's message where another process holds a path, or a killed one left half a record."""
TRIES = 10
"""How often DVC may say so while its record names nobody: who stood in the way has gone since."""
STAGE_OF_OUTPUT = {
    "prepared": "prepare",
    "curves.csv": "train",
    "evaluation": "evaluate",
    "metrics.json": "evaluate",
    "judge-metrics.json": "judge",
}
"""Which stage makes an output that is not called like it: artifacts/<scale>/<name>/<output>."""


@dataclass(frozen=True)
class Step:
    """A stage and why it is stale; `reasons` is empty where it is up to date."""

    stage: str
    reasons: tuple[str, ...]

    @property
    def stale(self) -> bool:
        return bool(self.reasons)

    def __str__(self) -> str:
        return f"{self.stage}: {'; '.join(self.reasons) or 'up to date'}"


def stages_of(experiment: str) -> tuple[str, ...]:
    """The stages that an experiment needs, in order; `data.dvc` stands for drawing and checking."""
    dataset = listed_experiments()[experiment].dataset
    shared = (f"{stage}@{dataset}" for stage in STAGES_OF_DATASET)
    return (DATA, *shared, *(f"{stage}@{experiment}" for stage in STAGES_OF_EXPERIMENT))


def steps_of(experiment: str, scale: str, tell: Callable[[str], None] = say) -> list[Step]:
    """Each stage of the pipeline with the reasons for which it is, or may become, stale.

    `tell` hears for whom it waits.

    Raises:
        AtelierError: DVC can't say; its own message is in the error.
    """
    return steps_of_all([experiment], scale, tell)[experiment]


def steps_of_all(
    experiments: Sequence[str], scale: str, tell: Callable[[str], None] = say
) -> dict[str, list[Step]]:
    """`steps_of` each experiment, by its name; DVC is asked once."""
    stages = {name: stages_of(name) for name in experiments}
    # Of all that there are DVC says it seven times as fast as of forty-five that are named.
    of_all = stages.keys() == listed_experiments().keys()
    named = dict.fromkeys(chain.from_iterable(stages.values()))
    found = direct_reasons([] if of_all else list(named), tell)
    return {name: _steps(of, found, scale) for name, of in stages.items()}


def _steps(stages: Sequence[str], found: Mapping[str, tuple[str, ...]], scale: str) -> list[Step]:
    steps: dict[str, Step] = {}
    for stage in stages:
        waits = [f"after {name}" for name in upstream(stage, scale) if _stale(steps, name)]
        steps[stage] = Step(stage, (*found.get(stage, ()), *waits))
    return list(steps.values())


def direct_reasons(
    stages: Sequence[str], tell: Callable[[str], None] = say
) -> dict[str, tuple[str, ...]]:
    """What `dvc status` says of these stages, or of all where none is named: in words, by stage;
    the others are up to date.

    It fails where another DVC works on their paths; then it is asked again, once they are free.
    """
    keep_or_put_back()
    words = json.loads(_dvc_status(stages, tell) or "{}")
    return {stage: tuple(_in_words(entries)) for stage, entries in words.items()}


def _dvc_status(stages: Sequence[str], tell: Callable[[str], None]) -> str:
    command = (*MODULE, "dvc", "--wait-for-lock", "status", "--json", *stages)
    nobody = 0
    while True:
        try:
            return run(*command, variables={"DVC_NO_ANALYTICS": "1"})
        except CommandFailed as failed:
            met = any(words in failed.error for words in IN_THE_WAY)
            nobody = 0 if met and waited(tell) else nobody + 1
            if not met or nobody == TRIES:
                raise AtelierError(f"dvc status: {failed.last}") from None
        time.sleep(POLL_SECONDS)


def upstream(stage: str, scale: str) -> tuple[str, ...]:
    """The stages whose outputs a stage reads."""
    kind, _, name = stage.partition("@")
    if stage == DATA:
        return ()
    makers: dict[str, None] = {}
    for dep in define(kind, name, scale).deps:
        if dep.parts[0] == "artifacts":
            _, _, of, output = dep.parts[:4]
            makers[f"{STAGE_OF_OUTPUT.get(output, output)}@{of}"] = None
        elif dep == Paths(scale).receipt(dep.stem):
            makers[f"register@{dep.stem}"] = None
        elif dep.parts[0] == "data":
            makers[DATA] = None
    return tuple(makers)


def _stale(steps: dict[str, Step], name: str) -> bool:
    return name in steps and steps[name].stale


def _in_words(entries: list[object]) -> list[str]:
    """[{"changed deps": {"a.py": "modified"}}, "always changed"] -> ["a.py modified", …]."""
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            found.append(str(entry))
            continue
        for files in entry.values():
            if isinstance(files, dict):
                found += [_file_in_words(Path(file), said) for file, said in files.items()]
            else:
                found.append(str(files))
    return found


def _file_in_words(file: Path, said: object) -> str:
    if isinstance(said, dict):  # params: {"file": {"key": "modified"}}
        keys = ", ".join(f"{key} {how}" for key, how in said.items())
        return f"{file}: {keys}"
    return f"{file} {said}"
