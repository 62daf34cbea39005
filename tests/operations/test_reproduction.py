"""A version is rebuilt from its lineage, and what comes out is said honestly."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.project import git, run

from atelier.errors import UserError
from atelier.operations import reproduction
from atelier.operations.reproduction import Reproduction
from atelier.registry.store import Store
from atelier.registry.versions import Version

SAME = Reproduction("faces-gan/1", True, (), 8, ())
VERSION = Version("faces-gan", "1", (), {"experiment": "faces-gan", "scale": "tiny"}, "", None, "")


@pytest.mark.parametrize(
    ("found", "holds", "said"),
    [
        (SAME, True, "faces-gan/1: rebuilt, equal in every bit"),
        (replace(SAME, bit_equal=False), True, "all 8 figures with an error agree"),
        (replace(SAME, bit_equal=False, apart=("kid",)), False, "1 of 8 figures are apart"),
        (replace(SAME, bit_equal=False, figures=0), False, "no figures of it are kept"),
    ],
)
def test_what_came_out_is_said(found: Reproduction, holds: bool, said: str) -> None:
    lines = list(found.lines())
    assert found.holds is holds
    assert said in lines[0]
    assert ("nothing that is recorded" in lines[-1]) is not found.bit_equal


def test_figures_are_held_to_both_errors() -> None:
    recorded = {"judge/kid": 0.1, "judge/kid_standard_error": 0.03, "judge/recall": 0.9}
    rebuilt = {"judge": {"kid": 0.19, "kid_standard_error": 0.04, "recall": 0.1}}
    assert list(reproduction._compared(recorded, rebuilt)) == [""]
    rebuilt["judge"]["kid"] = 0.21
    (words,) = reproduction._compared(recorded, rebuilt)
    assert words == "judge/kid 0.1, now 0.21 (+- 0.1)"


def test_where_it_ran_is_held_to_what_was_recorded() -> None:
    tags = {"atelier.trained.threads": "2", "atelier.trained.torch": "2.11", "atelier.data": "a"}
    ran = {"threads": 1, "torch": "2.11", "device": "cpu"}
    found = list(reproduction._elsewhere(replace(VERSION, tags=tags), ran, "b"))
    assert found == ["threads 2, now 1", "data a, now b"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({}, "its commit is unknown"),
        ({"mlflow.source.git.commit": "0" * 40}, "made by commit 000000000000, .*git fetch"),
        ({"atelier.start.found": "faces-gan/2"}, "began with the networks of faces-gan/2"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused(
    store: Store, tags: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        reproduction.reproduce(store, replace(VERSION, tags=VERSION.tags | tags))


@pytest.mark.slow
def test_a_version_is_rebuilt_with_what_nobody_committed(project: Path) -> None:
    """Its source is gone from the working tree: what its run keeps is enough."""
    file = project / "experiments/tiny/numbers.yaml"
    committed = file.read_text()
    file.write_text(committed.replace("  seed: 1\n", "  seed: 7\n", 1))
    (project / "flows/unlisted.py").write_text("NEW = True\n")
    run(project, "atelier", "repro", "register@numbers")
    git(project, "checkout", "--", "experiments")
    (project / "flows/unlisted.py").unlink()
    before = {name: (project / name).read_bytes() for name in ("dvc.lock", "data.dvc")}
    for version in ("numbers-tiny/2", "numbers-tiny/1"):
        assert f"{version}: rebuilt, equal in every bit" in run(
            project, "atelier", "registry", "reproduce", version
        )
    assert before == {name: (project / name).read_bytes() for name in before}
    assert not [one for one in (project / ".atelier/reproductions").iterdir() if one.is_dir()]
    assert len(git(project, "worktree", "list").splitlines()) == 1


@pytest.mark.slow
def test_other_threads_are_named_where_bits_differ(project: Path) -> None:
    said = run(project, "atelier", "registry", "reproduce", "faces-gan-tiny/1", OMP_NUM_THREADS="2")
    assert "it ran otherwise: threads 1, now 2" in said
    assert "figures with an error agree within two standard errors" in said
