"""A database's files are found below its own root, wherever the work is done."""

import os
import sys
from pathlib import Path

import pytest
from tests.invoking import invoke
from tests.project import contents, forget_connections, git, run
from tests.toys import GOOD

from atelier.cli.registry import registry
from atelier.errors import UserError
from atelier.registry import champions, loading, tracking, versions
from atelier.registry.gate import decide
from atelier.registry.store import DATABASE, Store, open_store


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_an_absolute_address_is_good_from_every_folder(
    published: Store,
    repository: Path,
    elsewhere: Path,
    number_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository}/{DATABASE}")
    assert "faces-gan-tiny/2" in invoke(registry, "list")
    assert len(loading.load("faces-gan-tiny@champion").sample(2)) == 2
    assert not contents(elsewhere)


def test_what_is_written_from_another_folder_lies_below_the_database(
    store: Store,
    repository: Path,
    elsewhere: Path,
    image_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository}/{DATABASE}")
    written = open_store()
    run_id = tracking.find_or_create(
        written, tracking.RunDescription("faces-gan-tiny", "a", "key", patch="+ changed\n")
    )
    version, _ = versions.register(written, image_bundle, run_id)
    champions.record(written, version, decide(GOOD, None))
    assert not contents(elsewhere)
    assert [one.path for one in written.client.list_artifacts(run_id)] == ["uncommitted.patch"]

    monkeypatch.chdir(repository)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert loading.load("faces-gan-tiny@champion").version == str(version)
    there = open_store()
    assert [one.path for one in there.client.list_artifacts(run_id)] == ["uncommitted.patch"]
    assert Path("mlruns/decisions/faces-gan-tiny/1.json").exists()
    assert b"elsewhere" not in DATABASE.read_bytes()


def test_a_database_outside_mlruns_keeps_its_files_beside_it(
    repository: Path,
    elsewhere: Path,
    image_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team = tmp_path / "team"
    team.mkdir()
    os.replace(DATABASE, team / "registry.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{team}/registry.db")
    forget_connections()
    version, _ = versions.register(open_store(), image_bundle)
    monkeypatch.chdir(elsewhere)
    assert loading.load("faces-gan-tiny/1").version == str(version)
    assert (team / "mlruns/bundles").is_dir()


@pytest.mark.parametrize("address", ["", "sqlite:///mlruns/mlflow.db"])
def test_a_trial_in_a_folder_of_dvcs_writes_to_the_repository(
    repository: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = repository / ".dvc/tmp/exps/standalone/tmp1a2b"
    trial.mkdir(parents=True)
    monkeypatch.chdir(trial)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    run_id = tracking.find_or_create(
        open_store(), tracking.RunDescription("faces-gan-tiny", "a", "key", patch="+ changed\n")
    )
    assert not contents(trial)
    monkeypatch.chdir(repository)
    store = open_store()
    assert tracking.run_at(store, run_id) is not None
    assert [one.path for one in store.client.list_artifacts(run_id)] == ["uncommitted.patch"]


TRAIN = """
from pathlib import Path
from atelier.registry.store import open_store
from atelier.registry.tracking import RunDescription, find_or_create
number = Path("params.yaml").read_text().split()[-1]
find_or_create(open_store(), RunDescription("faces-gan-tiny", number, number, patch=number))
Path("out.txt").write_text(number)
"""


@pytest.mark.slow
def test_the_runs_of_temporary_and_queued_trials_stay(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC's own commands, in their own processes."""
    (repository / "train.py").write_text(TRAIN)
    (repository / "params.yaml").write_text("number: 1\n")
    (repository / ".gitignore").write_text("mlruns/\n")
    stage = f"{sys.executable} train.py"
    (repository / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: {stage}\n    deps: [train.py]\n"
        "    params: [number]\n    outs: [out.txt]\n"
    )
    git(repository, "init", "--quiet")
    run(repository, "dvc", "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "t")
    source = str(Path(__file__).parents[2] / "src")
    variables = {"PYTHONPATH": source, "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@localhost"}
    variables |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@localhost"}
    run(repository, "dvc", "exp", "run", "--temp", "-S", "number=2", **variables)
    run(repository, "dvc", "exp", "run", "--queue", "-S", "number=3", **variables)
    run(repository, "dvc", "exp", "run", "--run-all", **variables)
    store = open_store()
    found = store.client.search_runs([store.experiment("faces-gan-tiny")])
    assert {one.info.run_name for one in found} == {"2", "3"}
    for one in found:
        kept = store.client.list_artifacts(one.info.run_id)
        assert [artifact.path for artifact in kept] == ["uncommitted.patch"]


def test_a_missing_bundle_is_named_where_it_should_be(
    published: Store, repository: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = versions.find(published, "faces-gan-tiny/1")
    (repository / found.source).rename(elsewhere / "gone")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository}/{DATABASE}")
    with pytest.raises(UserError, match=rf"^{repository}/mlruns/bundles/\S+: the bundle of"):
        loading.load("faces-gan-tiny/1")
