"""The whole pipeline or a part of it, then the registry is brought up to date."""

from pathlib import Path

from atelier.commands import CommandFailed, run
from atelier.display import say
from atelier.errors import UserError
from atelier.operations import dvc
from atelier.operations.devices import shares_of_cores
from atelier.operations.workspace import change_scale
from atelier.params import (
    STAGES_OF_DATASET,
    STAGES_OF_EXPERIMENT,
    default_scale,
    listed_experiments,
    load_parameters,
)
from atelier.paths import Paths
from atelier.schema import unknown


def reproduce(
    targets: list[str],
    force: bool = False,
    single_item: bool = False,
    sync: bool = True,
    scale: str | None = None,
    jobs: int = 1,
) -> None:
    """Runs the pipeline, or `targets` and what they need, in the repository's root.

    Args:
        targets: stages; none means all.
        force: runs even what is up to date.
        single_item: runs the targets without what they need.
        sync: brings the registry up to date at the end.
        scale: params.yaml names it from now on.
        jobs: how many experiments of the whole pipeline go on at once.

    Raises:
        UserError: this is no repository of ours, or a target or the scale is unknown, or targets
            are to run side by side; nothing is changed then.
        Interrupted: stopped on request; the same call goes on.
        AtelierError: a stage failed; its own message stands above.
    """
    if not Path("dvc.yaml").exists():
        raise UserError("dvc.yaml", "no such file", "Run this in the repository's root.")
    if jobs > 1 and (targets or single_item):
        raise UserError(
            "--jobs", "goes with the whole pipeline", "Name no stages, or leave it out."
        )
    _check_targets(targets)
    if scale is not None:
        change_scale(scale)
    options = [*(["--force"] if force else []), *(["--single-item"] if single_item else [])]
    if jobs > 1:
        _experiments_side_by_side(options, jobs)
        options = []
    dvc.repro([[*options, *targets]], one_stage=single_item and len(targets) == 1)
    if sync:
        _sync_registry()
        _check_data()


def _experiments_side_by_side(options: list[str], jobs: int) -> None:
    """Each on its share of the cores, where networks so small take less than as many times as long
    as on all of them."""
    dvc.repro([[*options, *STAGES_OF_DATASET]])
    runs = [
        [*options, "--single-item", *(f"{stage}@{name}" for stage in STAGES_OF_EXPERIMENT)]
        for name in _longest_first()
    ]
    with shares_of_cores(jobs) as shares:
        dvc.repro(runs, shares)


def _longest_first() -> list[str]:
    """So that no long one is left over at the end."""
    # Reading an experiment's file imports torch, for which no other run should wait.
    from atelier import config

    scale = default_scale()
    seconds = {
        name: config.load_experiment(scale, name).plan.seconds for name in listed_experiments()
    }
    return sorted(seconds, key=lambda name: seconds[name], reverse=True)


def _check_targets(targets: list[str]) -> None:
    """A stage of an experiment or dataset that is not listed is told by name, before DVC starts."""
    parameters = load_parameters()
    known = {
        **dict.fromkeys(STAGES_OF_DATASET, tuple(parameters.datasets)),
        **dict.fromkeys(STAGES_OF_EXPERIMENT, tuple(parameters.experiments)),
    }
    for target in targets:
        stage, _, name = target.partition("@")
        if name and name not in known.get(stage, [name]):
            raise unknown(f"{stage}@", name, known[stage])


def _sync_registry() -> None:
    """A receipt is no proof: compares the store with the artifacts that there are."""
    from atelier.pipeline.registering import sync

    scale = default_scale()
    sync(scale, [name for name in listed_experiments() if Paths(scale).train(name).exists()])


def _check_data() -> None:
    """DVC rewrites a hash that drifted without a word; here the word is said."""
    try:
        run("git", "diff", "--quiet", "--", "data.dvc")
    except CommandFailed as failed:
        if failed.code == 1:
            say(
                "data.dvc: the data differ from those of the last commit. If you changed them, "
                "commit data.dvc; if not, they were drawn with other versions: git diff data.dvc"
            )
