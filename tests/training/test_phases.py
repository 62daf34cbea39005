"""Phases that begin and end: when each runs, at which rates, and what the curves show of it."""

from types import SimpleNamespace

import pytest

from atelier.objectives.phase import Phase
from atelier.training.history import History, long_table
from atelier.training.setup import Learner


def test_a_phase_runs_in_its_own_share_and_steps():
    phase = Phase("second", trains=("generator",), every=2, begins=0.25, until=0.5)
    due = [step for step in range(16) if phase.is_due(step, step / 16)]
    assert due == [4, 6]


def test_a_schedule_runs_while_its_network_is_trained():
    """Two phases that train one network: from the first one's beginning to the last one's end."""
    learner = Learner.__new__(Learner)
    adam = SimpleNamespace(learning_rate=0.1, schedule="flat_then_linear", warm_up_share=0.1)
    phases = (
        Phase("early", trains=("encoder",), until=0.5),
        Phase("game", trains=("discriminator",), begins=0.5),
        Phase("penalty", trains=("discriminator",), begins=0.6),
    )
    learner.settings = SimpleNamespace(optimizers={"encoder": adam, "discriminator": adam})
    learner.objective = SimpleNamespace(phases=phases, optimizer_ratio=lambda name: 1.0)
    learner.optimizers = {
        name: SimpleNamespace(param_groups=[{"lr": 0.0}]) for name in ("encoder", "discriminator")
    }

    def rates(progress):
        learner.set_learning_rates(progress)
        return [one.param_groups[0]["lr"] for one in learner.optimizers.values()]

    assert rates(0.0) == pytest.approx([0.1, 0.1])
    assert rates(0.375) == pytest.approx([0.05, 0.1])
    assert rates(0.75) == pytest.approx([0.0, 0.1])
    assert rates(0.875) == pytest.approx([0.0, 0.05])


def test_figures_of_a_later_phase_are_new_columns(tmp_path):
    """And a training that goes on from before them writes the same bytes."""
    rows = [({"a": 1.0}, 8), ({"a": 2.0}, 16), ({"a": 3.0, "b": 4.0}, 24), ({"b": 5.0}, 32)]
    for name in ("whole", "resumed"):
        history = History(tmp_path / name)
        for metrics, images in rows:
            history.log(images // 8, images, metrics)
    whole = (tmp_path / "whole" / "history.csv").read_text()
    assert whole == "step,images,a,b\n1,8,1,\n2,16,2,\n3,24,3,4\n4,32,,5\n"
    figures = [(row["images"], row["figure"]) for row in long_table(tmp_path / "whole/history.csv")]
    assert figures == [("8", "a"), ("16", "a"), ("24", "a"), ("24", "b"), ("32", "b")]
    history.rewind(16)
    for metrics, images in rows[2:]:
        history.log(images // 8, images, metrics)
    assert (tmp_path / "resumed" / "history.csv").read_text() == whole
