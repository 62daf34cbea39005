"""The command `atelier`: parses, calls, prints. What is heavy is imported by those who need it."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from atelier.cli.data import data
from atelier.cli.dataset import dataset
from atelier.cli.edit import edit, interpolate
from atelier.cli.experiment import experiment
from atelier.cli.fidelity import export, fidelity
from atelier.cli.generate import generate
from atelier.cli.options import Scale
from atelier.cli.registry import registry
from atelier.cli.report import report
from atelier.cli.seeds import seeds
from atelier.cli.translate import reconstruct, translate
from atelier.cli.upkeep import doctor, status, tidy
from atelier.errors import AtelierError, fault_of_machine
from atelier.pipeline.source import refuse_another_source

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Trains image generators, judges them, and publishes the best.",
)

app.add_typer(data, name="data")
app.add_typer(dataset, name="dataset")
app.add_typer(experiment, name="experiment")
app.add_typer(registry, name="registry")
app.command()(generate)
app.command()(edit)
app.command()(interpolate)
app.command()(translate)
app.command()(reconstruct)
app.command()(export)
app.command()(fidelity)
app.command()(status)
app.command()(seeds)
app.command()(report)
app.command()(tidy)
app.command()(doctor)

Dataset = Annotated[str, typer.Argument(help="A dataset of params.yaml.")]
Experiment = Annotated[str, typer.Argument(help="An experiment of params.yaml.")]


def main() -> None:
    """Runs the command; a foreseen error, or a fault of the machine, is one line on stderr and its
    own exit code."""
    os.environ |= {name: os.environ.get(name, value) for name, value in TELEMETRY_OFF.items()}
    try:
        refuse_another_source()
        app(prog_name="atelier")
    except AtelierError as error:
        _end_with(error)
    except (OSError, MemoryError, RuntimeError) as error:
        if (fault := fault_of_machine(error)) is None:
            raise
        _end_with(fault)


def _end_with(error: AtelierError) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)


@app.command()
def repro(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages, such as train@faces-gan; default: all.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what is up to date.")] = False,
    single_item: Annotated[
        bool, typer.Option("--single-item", help="The targets alone, not what they need.")
    ] = False,
    sync: Annotated[
        bool, typer.Option("--sync/--no-sync", help="Bring the registry up to date at the end.")
    ] = True,
    scale: Annotated[
        str | None, typer.Option(help="Written to params.yaml first: tiny, laptop or gpu.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Experiments at once, each on its share of cores."
        ),
    ] = 1,
) -> None:
    """Run the pipeline: `dvc repro` that waits its turn, then brings the registry up to date."""
    from atelier.operations import repro as pipeline

    pipeline.reproduce(targets or [], force, single_item, sync, scale, jobs)


Slots = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many trainings at once: one for each device. Default: as before.",
        show_default=False,
    ),
]


@app.command()
def up(slots: Slots = None) -> None:
    """Start Prefect's server, a worker and MLflow's pages, and deploy."""
    from atelier.operations import services

    services.up(slots)


@app.command()
def deploy(slots: Slots = None) -> None:
    """Apply params.yaml, schedules.yaml, the slots and the alarms to the server."""
    from atelier.operations import services

    services.apply(slots)


@app.command()
def down() -> None:
    """End what `atelier up` started."""
    from atelier.operations import services

    services.down()


@app.command(rich_help_panel="Stages (run by dvc)")
def draw() -> None:
    """Draw the embedded datasets where none was imported."""
    from atelier.pipeline import stages

    stages.draw()


@app.command(rich_help_panel="Stages (run by dvc)")
def prepare(dataset: Dataset, scale: Scale = None) -> None:
    """Decode, crop and resize a dataset once, to arrays."""
    from atelier.pipeline import stages

    stages.prepare(dataset, stages.scale_or_default(scale))


@app.command(rich_help_panel="Stages (run by dvc)")
def judge(dataset: Dataset, scale: Scale = None) -> None:
    """Train the classifier that scores generators of a dataset."""
    from atelier.pipeline import stages

    stages.judge(dataset, stages.scale_or_default(scale))


@app.command("judge_b", rich_help_panel="Stages (run by dvc)")
def judge_b(dataset: Dataset, scale: Scale = None) -> None:
    """Train the classifier that gives a second opinion on them."""
    from atelier.pipeline import stages

    stages.judge_b(dataset, stages.scale_or_default(scale))


@app.command(rich_help_panel="Stages (run by dvc)")
def train(experiment: Experiment, scale: Scale = None) -> None:
    """Train an experiment, or go on from its checkpoint."""
    from atelier.pipeline import stages

    stages.train(experiment, stages.scale_or_default(scale))


@app.command(rich_help_panel="Stages (run by dvc)")
def bundle(experiment: Experiment, scale: Scale = None) -> None:
    """Choose an experiment's best snapshot and pack it."""
    from atelier.pipeline import stages

    stages.bundle(experiment, stages.scale_or_default(scale))


@app.command(rich_help_panel="Stages (run by dvc)")
def evaluate(experiment: Experiment, scale: Scale = None) -> None:
    """Score an experiment's bundle on the test split."""
    from atelier.pipeline import stages

    stages.evaluate(experiment, stages.scale_or_default(scale))


@app.command(rich_help_panel="Stages (run by dvc)")
def register(experiment: Experiment, scale: Scale = None) -> None:
    """Register an experiment's bundle; the gate decides whether it becomes champion."""
    from atelier.pipeline import stages

    stages.register(experiment, stages.scale_or_default(scale))


if __name__ == "__main__":
    main()
