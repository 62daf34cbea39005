"""What a refresh hands on: a commit on a branch of its own, and files to the DVC remote."""

import subprocess

import pytest
from tests.project import run

from atelier.errors import AtelierError
from atelier.pipeline import publication

METRICS = "artifacts/tiny/numbers/metrics.json"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with a lock and figures; nobody's own git configuration is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / METRICS).parent.mkdir(parents=True)
    for name in ("dvc.lock", "data.dvc", METRICS, "code.py"):
        (tmp_path / name).write_text(f"first {name}\n")
    (tmp_path / ".gitignore").write_text("artifacts/\n")
    git("init", "--quiet", "--initial-branch", "main")
    git("add", "code.py", "dvc.lock")
    git("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "first")
    return tmp_path


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_commit_leaves_tree_index_and_branch_alone(repository):
    (repository / "dvc.lock").write_text("second\n")
    (repository / "code.py").write_text("under work\n")
    git("add", "code.py")
    before = git("status", "--porcelain"), git("rev-parse", "main")
    said = publication.commit("results")
    assert (git("status", "--porcelain"), git("rev-parse", "main")) == before
    assert said.split(": ")[1] == git("rev-parse", publication.BRANCH)[:12]
    assert git("show", f"{publication.BRANCH}:dvc.lock") == "second\n"
    assert git("show", f"{publication.BRANCH}:{METRICS}") == f"first {METRICS}\n"
    assert git("show", f"{publication.BRANCH}:code.py") == "first code.py\n"


def test_the_branch_grows_by_what_is_new(repository):
    publication.commit("first results")
    assert publication.commit("the same") == f"{publication.BRANCH}: nothing new"
    (repository / "dvc.lock").write_text("second\n")
    publication.commit("second results")
    subjects = git("log", "--format=%s", publication.BRANCH).splitlines()
    assert subjects == ["second results", "first results", "first"]


def test_a_branch_in_use_is_refused(repository):
    publication.commit("results")
    git("checkout", "--quiet", "--force", publication.BRANCH)
    with pytest.raises(AtelierError, match="is checked out here"):
        publication.commit("more")


@pytest.mark.slow
def test_data_and_run_cache_go_to_the_remote(repository, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    (repository / "data.dvc").unlink()
    (repository / "dvc.lock").unlink()
    run(repository, "dvc", "init", "--quiet")
    assert "nothing was pushed" in publication.push()
    run(repository, "dvc", "remote", "add", "--default", "store", str(store))
    stage = ("-n", "make", "-d", "code.py", "-o", "out", "cp code.py out")
    run(repository, "dvc", "stage", "add", "--run", *stage)
    assert "pushed" in publication.push()
    assert list((store / "runs").rglob("*")), "the run cache"
    assert list((store / "files").rglob("*")), "the outputs"
