"""Another scale works in a worktree of the last commit; the repository's own folder stays."""

from pathlib import Path

import pytest
import yaml
from tests.project import git, parameters

from atelier.errors import UserError
from atelier.operations.workspace import workspace


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "params.yaml").write_text(parameters())
    (tmp_path / "code.py").write_text("first\n")
    (tmp_path / ".gitignore").write_text(".atelier/\nmlruns/\nconfig.local\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def commit(folder, message):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message)


def test_its_own_scale_is_worked_on_in_place(repository):
    for scale in (None, "laptop"):
        with workspace(scale) as at:
            assert (at, Path.cwd()) == ("laptop", repository)


def test_another_scale_has_a_folder_that_shares_registry_and_checkpoints(repository):
    with workspace("tiny") as at:
        assert at == "tiny"
        assert Path.cwd() == repository / ".atelier/worktrees/tiny"
        assert yaml.safe_load(Path("params.yaml").read_text())["scale"] == "tiny"
        Path("mlruns/found").touch()
        Path("code.py").write_text("overwritten\n")
    assert Path.cwd() == repository
    assert (repository / "mlruns/found").exists()
    assert (repository / "code.py").read_text() == "first\n"
    assert (repository / "params.yaml").read_text() == parameters()


def test_it_follows_the_last_commit_and_keeps_its_own_lock(repository):
    with workspace("tiny"):
        assert not Path("dvc.lock").exists()
        Path("dvc.lock").write_text("of tiny\n")
    (repository / "dvc.lock").write_text("of laptop\n")
    (repository / "code.py").write_text("second\n")
    commit(repository, "second")
    (repository / "code.py").write_text("not committed\n")
    with workspace("tiny"):
        assert Path("code.py").read_text() == "second\n"
        assert Path("dvc.lock").read_text() == "of tiny\n"


def test_what_cannot_be_is_refused(repository, tmp_path_factory, monkeypatch):
    with pytest.raises(UserError, match="huge"), workspace("huge"):
        pass
    bare = tmp_path_factory.mktemp("bare")
    (bare / "params.yaml").write_text(parameters())
    monkeypatch.chdir(bare)
    with pytest.raises(UserError, match="needs a git repository"), workspace("tiny"):
        pass
