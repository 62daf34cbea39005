"""Refresh: every experiment, or those of a list; a broken one does not stop the others."""

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from atelier.operations import publication, status
from atelier.params import default_scale, listed_experiments
from parameters import Experiment, Scale
from train import train


@task(persist_result=False)
def push() -> None:
    """Sends data, outputs and the run cache to the DVC remote, where one is set."""
    get_run_logger().info(publication.push())


@task(persist_result=False)
def commit_results() -> None:
    """Puts dvc.lock and the figures on a branch of their own."""
    get_run_logger().info(publication.commit("Results of a scheduled refresh"))


def run_name() -> str:
    return f"refresh {flow_run.parameters.get('scale') or default_scale()}"


@flow(flow_run_name=run_name)
def refresh(
    experiments: list[Experiment] | None = None,
    scale: Scale | None = None,
    force: bool = False,
    commit: bool = False,
) -> None:
    """Brings every experiment up to date, one after the other.

    Args:
        experiments: null means all of params.yaml.
        scale: as in train.
        force: train again even where nothing has changed.
        commit: put dvc.lock and the figures on the branch atelier/results.
    """
    rows, failed = [], []
    for name in experiments or list(listed_experiments()):
        try:
            done = train(name, scale, force)
            champion = status.champion_of(name, scale or default_scale()) or "none yet"
        except Exception as error:  # a border: the others shall have their turn
            failed.append(name)
            done, champion = f"failed: {error}", "as before"
        rows.append({"experiment": name, "done": done, "champion": champion})
    create_table_artifact(rows, key="refresh", description="What was done, and who is champion")
    if scale in (None, default_scale()):
        push()
        if commit:
            commit_results()
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}; the others are up to date")


if __name__ == "__main__":
    refresh()
