"""Evaluate again: the champions on today's data and with today's judge, without training."""

from prefect import flow, get_run_logger

import stage
from atelier.operations.staleness import stages_of
from atelier.operations.workspace import workspace
from atelier.params import listed_experiments
from parameters import Experiment, Scale
from slot import device_slot


@flow(flow_run_name="evaluate again")
def evaluate(experiments: list[Experiment] | None = None, scale: Scale | None = None) -> None:
    """Scores each champion from its bundle; the figures become tags of its version."""
    chosen = experiments or list(listed_experiments())
    with workspace(scale, get_run_logger().info) as at:
        for needed in dict.fromkeys(one for name in chosen for one in stages_of(name)[:3]):
            stage.run(needed)  # the data and their judges
        with device_slot("registry score"):
            stage.run_command(f"registry score {' '.join(chosen)} --scale {at}")


if __name__ == "__main__":
    evaluate()
