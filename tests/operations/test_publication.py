"""What a refresh hands on: a commit on a branch of its own, and files to the DVC remote."""

import pytest
from tests.project import git, run

from atelier.errors import AtelierError
from atelier.operations import publication

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
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "code.py", "dvc.lock")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def state(repository):
    return git(repository, "status", "--porcelain"), git(repository, "rev-parse", "main")


def test_a_commit_leaves_tree_index_and_branch_alone(repository):
    (repository / "dvc.lock").write_text("second\n")
    (repository / "code.py").write_text("under work\n")
    git(repository, "add", "code.py")
    before = state(repository)
    said = publication.commit("results")
    assert state(repository) == before
    assert said.split(": ")[1] == git(repository, "rev-parse", publication.BRANCH)[:12]
    assert git(repository, "show", f"{publication.BRANCH}:dvc.lock") == "second\n"
    assert git(repository, "show", f"{publication.BRANCH}:{METRICS}") == f"first {METRICS}\n"
    assert git(repository, "show", f"{publication.BRANCH}:code.py") == "first code.py\n"


def test_the_branch_grows_by_what_is_new(repository):
    publication.commit("first results")
    assert publication.commit("the same") == f"{publication.BRANCH}: nothing new"
    (repository / "dvc.lock").write_text("second\n")
    publication.commit("second results")
    subjects = git(repository, "log", "--format=%s", publication.BRANCH).splitlines()
    assert subjects == ["second results", "first results", "first"]


def test_a_branch_in_use_is_refused(repository):
    publication.commit("results")
    git(repository, "checkout", "--quiet", "--force", publication.BRANCH)
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
