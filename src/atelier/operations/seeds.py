"""Trains experiments anew with other seeds, as experiments of DVC's, and tells what seeds change.

One training is one draw: what is said of an experiment should hold for the next seed, too. Each
seed is a `dvc exp run --temp` up to `evaluate`, with all else as in the workspace, which stays as
it is; nothing is registered. DVC's queue would do it, too, but its workers are alike, so none can
be told its share of the cores, and they run whatever else is queued.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from atelier.commands import answer, run
from atelier.display import say
from atelier.errors import AtelierError, UserError
from atelier.evaluation.report import flatten
from atelier.files import write_whole
from atelier.operations import dvc
from atelier.operations.devices import places, shares_of_machine
from atelier.operations.staleness import steps_of_all
from atelier.params import STAGES_OF_EXPERIMENT, default_scale, listed_experiments
from atelier.paths import Paths
from atelier.registry.headline import headlines
from atelier.schema import parse, read_yaml, unknown
from atelier.spread import LOCK, Figure, Spread, figures_digest, resting_on

COUNTED = ("src", "experiments", "dvc.yaml", "params.yaml", "dvc.lock", "data.dvc")
"""What decides the figures: DVC takes along what Git knows of it, committed or not."""
AFTER_FIGURES = STAGES_OF_EXPERIMENT[STAGES_OF_EXPERIMENT.index("evaluate") + 1 :]
"""Stages that change no figure."""
SHOWN = 5
"""Files that are named of those which are not committed."""
SEED = "training.seed"
REFERENCES = "refs/exps"
"""Where DVC keeps experiments: refs/exps/<2 digits>/<38 digits of the commit before>/<name>."""


@dataclass(frozen=True)
class Own:
    """An experiment as the workspace has it: trained with its own seed."""

    name: str
    scale: str
    seed: int
    rests_on: str
    figures_digest: str

    def trial(self, seed: int) -> str:
        """The name of its DVC experiment with another seed: another where anything else is."""
        return f"{self.name}-{self.scale}-seed-{seed}-{self.rests_on[:8]}"


def compare_seeds(
    experiments: Sequence[str],
    seeds: Sequence[int],
    jobs: int | None = None,
    tell: Callable[[str], None] = say,
) -> list[Spread]:
    """Trains what is not trained yet, and keeps what seeds change in `Paths.seeds`.

    Args:
        seeds: the own one may be among them; its figures are the workspace's in any case.
        jobs: how many trainings at once; as many as the machine does well where it is None.

    Raises:
        UserError: unknown or repeated names or seeds, no commit, files that Git does not know, or
            figures in the workspace that are not of today's code and data; nothing is trained then.
        Interrupted: stopped on request; the same call goes on.
        AtelierError: a stage failed; its own message stands above.
    """
    _check(experiments, seeds)
    scale = default_scale()
    _check_git(tell)
    owns = _owns(experiments, scale, tell)
    work = [(own, seed) for seed, own in product(seeds, owns) if seed != own.seed]
    for own in owns:
        if not any(own == one for one, _ in work):
            problem = f"names only {own.seed}, which {own.name} is trained with already"
            raise UserError("--seeds", problem, "Name others, as in: 2,3")
    waiting = [(own, seed) for own, seed in work if trained(own, seed) is None]
    if waiting:
        _train(waiting, min(jobs or places(), len(waiting)))
    return [_keep(own, [seed for one, seed in work if one == own]) for own in owns]


def _check(experiments: Sequence[str], seeds: Sequence[int]) -> None:
    listed = listed_experiments()
    for name in experiments:
        if name not in listed:
            raise unknown("experiment", name, listed)
    for where, given in (("EXPERIMENT", experiments), ("--seeds", seeds)):
        if twice := [one for one in given if given.count(one) > 1]:
            raise UserError(where, f"{twice[0]} is named twice", "Name each once.")


def _check_git(tell: Callable[[str], None]) -> None:
    """DVC's experiments are commits on top of the last one, with what Git knows and is changed."""
    if not answer("git", "rev-parse", "--verify", "--quiet", "HEAD"):
        remedy = "Run: git init, git add --all, and git commit"
        raise UserError("git", "there is no commit, and DVC keeps experiments beside one", remedy)
    status = run("git", "status", "--porcelain", "--untracked-files=all", "--", *COUNTED)
    lines = status.splitlines()
    if new := [line[3:] for line in lines if line.startswith("??")]:
        problem = "Git does not know it, so DVC would leave it out"
        raise UserError(_some(new), problem, "Run git add on it, or commit it.")
    if lines:
        tell(f"seeds: what is not committed goes along: {_some([line[3:] for line in lines])}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _owns(experiments: Sequence[str], scale: str, tell: Callable[[str], None]) -> list[Own]:
    """Each, if its figures are of today's code and data: else not only seeds would differ."""
    for name, steps in steps_of_all(experiments, scale, tell).items():
        after = [f"{stage}@{name}" for stage in AFTER_FIGURES]
        needed = [step for step in steps if step.stage not in after]
        if stale := [step for step in needed if step.stale]:
            problem = f"its own figures are not today's ({stale[0]})"
            raise UserError(name, problem, f"Run: atelier repro --no-sync evaluate@{name}")
    lock = read_yaml(LOCK)
    return [_own(name, scale, lock) for name in experiments]


def _own(name: str, scale: str, lock: Mapping[str, object]) -> Own:
    seed = read_yaml(Paths(scale).experiment_file(name))["training"]["seed"]
    rests_on, figures = resting_on(lock, name), figures_digest(lock, name, scale)
    assert rests_on  # DVC has just called every stage up to date
    assert figures
    return Own(name, scale, seed, rests_on, figures)


def trained(own: Own, seed: int) -> str | None:
    """The commit of its finished DVC experiment, on whichever commit; None where there is none."""
    command = ("git", "for-each-ref", "--format=%(refname) %(objectname)", REFERENCES)
    for line in run(*command).splitlines():
        reference, commit = line.split()
        if reference.endswith(f"/{own.trial(seed)}") and _rests_on(commit, own):
            return commit
    return None


def _rests_on(commit: str, own: Own) -> bool:
    """Whether all but the seed is the workspace's: it may have been edited when DVC copied it."""
    return resting_on(parse(_file_of(commit, LOCK)), own.name) == own.rests_on


def _file_of(commit: str, path: Path) -> str:
    return run("git", "show", f"{commit}:./{path.as_posix()}")


def _train(work: Sequence[tuple[Own, int]], jobs: int) -> None:
    runs = [list(_arguments(own, seed)) for own, seed in work]
    # As dvc.yaml does it, whose .venv is not where DVC works; a stage runs that folder's source.
    commands = (str(Path.cwd() / ".venv" / "bin"), os.environ["PATH"], _our_commands())
    ours = {"PATH": os.pathsep.join(commands), "PYTHONPATH": "src"}
    with shares_of_machine(jobs) as shares:
        dvc.try_out(runs, [share | ours for share in shares])
    for own, seed in work:
        if trained(own, seed) is None:
            problem = "is not there, or of other code than the workspace's was"
            remedy = f"Run: dvc exp remove {own.trial(seed)}, then the same command."
            raise AtelierError(f"{own.trial(seed)}: {problem}. {remedy}")


def _our_commands() -> str:
    return str(Path(sys.executable).parent)


def _arguments(own: Own, seed: int) -> Iterator[str]:
    yield from ("--name", own.trial(seed))
    yield from ("--set-param", f"{Paths(own.scale).experiment_file(own.name)}:{SEED}={seed}")
    yield f"evaluate@{own.name}"


def _keep(own: Own, seeds: Sequence[int]) -> Spread:
    trials = {seed: commit for seed in seeds if (commit := trained(own, seed))}
    path = Paths(own.scale).metrics(own.name)
    texts = {own.seed: path.read_text("utf-8")}
    texts |= {seed: _file_of(commit, path) for seed, commit in trials.items()}
    by_seed = {seed: flatten(json.loads(text)) for seed, text in texts.items()}
    spread = Spread(
        experiment=own.name,
        scale=own.scale,
        own_seed=own.seed,
        commit=run("git", "rev-parse", "HEAD").strip(),
        rests_on=own.rests_on,
        own_figures=own.figures_digest,
        trained=trials,
        figures=figures(own.seed, by_seed),
    )
    text = json.dumps(spread.model_dump(), indent=2)
    write_whole(Paths(own.scale).seeds(own.name), text + "\n")
    return spread


def figures(own_seed: int, by_seed: Mapping[int, Mapping[str, float]]) -> dict[str, Figure]:
    """Those that stand for the experiment, where every seed has them."""
    return {
        one.key: Figure(
            name=one.title,
            values={seed: flat[one.key] for seed, flat in by_seed.items()},
            sampling_error=one.error,
        )
        for one in headlines(by_seed[own_seed])
        if all(one.key in flat for flat in by_seed.values())
    }
