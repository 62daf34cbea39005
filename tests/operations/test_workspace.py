"""Another scale works in a worktree of the last commit; the repository's own folder stays."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.project import BIN, contents, git, parameters

from atelier.errors import UserError
from atelier.operations.workspace import workspace


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "params.yaml").write_text(parameters())
    (tmp_path / "code.py").write_text("first\n")
    ignored = (".atelier/", "mlruns/", ".dvc/cache/", ".dvc/tmp/", ".dvc/config.local", "")
    (tmp_path / ".gitignore").write_text("\n".join(ignored))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/objective.py").write_text("print('committed')\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def commit(folder, message):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message)


def dvc(folder, *arguments):
    subprocess.run([BIN / "dvc", *arguments], cwd=folder, check=True)


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


OBJECTIVE = (sys.executable, "-m", "objective")


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_its_commands_run_the_commits_source(repository, monkeypatch, before):
    """The environment has the root's; what is left out is said."""
    if before:
        monkeypatch.setenv("PYTHONPATH", before)
    else:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    told = []
    (repository / "src/objective.py").write_text("print('not committed')\n")
    (repository / "src/new.py").write_text("")
    (repository / "code.py").write_text("no matter\n")
    with workspace("tiny", told.append):
        assert subprocess.check_output(OBJECTIVE, text=True) == "committed\n"
    assert told == [
        "tiny: the last commit runs, without what is not committed: src/objective.py, src/new.py"
    ]
    assert os.environ.get("PYTHONPATH") == before
    commit(repository, "second")
    with workspace("tiny", told.append):
        assert subprocess.check_output(OBJECTIVE, text=True) == "not committed\n"
    assert len(told) == 1


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_a_repository_that_was_moved_or_copied_takes_its_worktrees_along(
    repository, tmp_path_factory, monkeypatch, how
):
    with workspace("tiny"):
        Path("dvc.lock").write_text("of tiny\n")
        Path("mlruns/found").touch()
    there = tmp_path_factory.mktemp("moved") / "repository"
    options = {"symlinks": True} if how is shutil.copytree else {}
    how(repository, there, **options)
    left = contents(repository) if repository.exists() else {}
    monkeypatch.chdir(there)
    (there / "code.py").write_text("second\n")
    commit(there, "second")
    place, told = there / ".atelier/worktrees/tiny", []
    for _ in range(2):
        with workspace("tiny", told.append):
            assert Path("code.py").read_text() == "second\n"
            assert Path("dvc.lock").read_text() == "of tiny\n"
            assert Path("mlruns").resolve() == there / "mlruns"
            assert git(Path(), "rev-parse", "--show-toplevel").strip() == str(place)
    assert told == [
        f"{place}: the repository is at another place than before; its links are renewed"
    ]
    assert (contents(repository) if repository.exists() else {}) == left
    assert str(place) in git(there, "worktree", "list")


@pytest.fixture
def pictures(repository):
    """Somebody's own, and what DVC has of them."""
    (repository / "data/mine").mkdir(parents=True)
    (repository / "data/mine/1.png").write_text("first")
    dvc(repository, "add", "--quiet", "data")
    commit(repository, "pictures")
    return repository


@pytest.mark.parametrize("cache", [None, "elsewhere"])
def test_the_commits_data_are_brought_from_the_cache(pictures, cache):
    if cache:
        dvc(pictures, "cache", "dir", "--local", str(pictures.parent / cache))
        shutil.move(pictures / ".dvc/cache", pictures.parent / cache)
        dvc(pictures, "config", "--local", "cache.type", "symlink")
    (pictures / "data/mine/1.png").unlink()
    (pictures / "data/mine/1.png").write_text("not committed")
    with workspace("tiny"):
        brought = Path("data/mine/1.png")
        assert brought.read_text() == "first"
        assert brought.is_symlink() == bool(cache)
        brought.unlink()
        brought.write_text("drawn anew, by a renderer that was changed")
    with workspace("tiny"):
        assert brought.read_text().startswith("drawn anew")
    dvc(pictures, "add", "--quiet", "data")
    commit(pictures, "other pictures")
    with workspace("tiny"):
        assert brought.read_text() == "not committed"
    assert (pictures / "data/mine/1.png").read_text() == "not committed"


def test_data_that_are_in_part_in_the_cache_are_to_be_pulled(pictures):
    for path in (pictures / ".dvc/cache/files").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()
    told = r"data.dvc: not whole in DVC's cache \(.*\)\. Run dvc pull data.dvc in the repository's"
    with pytest.raises(UserError, match=told), workspace("tiny"):
        pass


def test_data_that_were_never_here_are_left_to_the_pipeline(pictures):
    shutil.rmtree(pictures / ".dvc/cache")
    with workspace("tiny"):
        assert not Path("data").exists()


def test_what_cannot_be_is_refused(repository, tmp_path_factory, monkeypatch):
    with pytest.raises(UserError, match="huge"), workspace("huge"):
        pass
    bare = tmp_path_factory.mktemp("bare")
    (bare / "params.yaml").write_text(parameters())
    monkeypatch.chdir(bare)
    with pytest.raises(UserError, match="needs a git repository"), workspace("tiny"):
        pass
