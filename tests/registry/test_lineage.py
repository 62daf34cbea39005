"""The commit that made a version, wherever it is registered; or that none is known."""

from pathlib import Path

import pytest
from tests.project import contents, git, run

from atelier.registry.lineage import (
    COMMIT_TAG,
    KEPT,
    dvc_digest,
    keep,
    lineage_of,
    read_lineage,
)

DATA = "outs:\n- md5: {}.dir\n  path: data\n"
TRAINED = Path("artifacts/train")


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in whose second of three commits dvc.lock names what was trained."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    root = tmp_path / "root"
    make_artifacts(root)
    monkeypatch.chdir(root)
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / ".gitignore").write_text("artifacts/\n")
    for number, lock in enumerate(["other", dvc_digest(TRAINED), dvc_digest(TRAINED)]):
        (root / "dvc.lock").write_text(f"outs:\n- md5: {lock}\n")
        (root / "data.dvc").write_text(DATA.format(number))
        commit(root)
    return root


def make_artifacts(root: Path) -> None:
    for name in ("history.csv", "samples/2.png", "samples-of/1.png", "samples.txt"):
        (root / TRAINED / name).parent.mkdir(parents=True, exist_ok=True)
        (root / TRAINED / name).write_text(name)


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "t")
    return git(root, "rev-parse", "HEAD").strip()


def test_a_clone_knows_the_commit_of_the_training(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "--quiet", str(trained), "clone")
    clone = tmp_path / "clone"
    make_artifacts(clone)
    monkeypatch.chdir(clone)
    own = commit(clone)
    (clone / "params.yaml").write_text("scale: tiny\n")
    now = read_lineage()
    assert (now.commit, bool(now.patch)) == (own, True)
    found = lineage_of(TRAINED, now)
    assert found.commit == git(trained, "rev-parse", "HEAD~1").strip()
    assert (found.patch, found.data_digest) == ("", "1.dir")
    assert found.tags()["atelier.dirty"] == "false"


def test_what_a_run_writes_makes_no_tree_a_changed_one(trained: Path) -> None:
    for name in ("dvc.lock", "data.dvc"):
        (trained / name).write_text("outs: []\n")
    (trained / "notes.txt").write_text("mine")
    assert read_lineage().tags()["atelier.dirty"] == "false"


def test_the_patch_has_changed_new_and_removed_source(trained: Path, tmp_path: Path) -> None:
    """It makes the tree of the commit that of the run; index and objects stay as they are."""
    source = trained / "src" / "atelier"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    (source / "kept.py").write_text("kept = 1\n")
    (source / "gone.py").write_text("gone = 1\n")
    commit(trained)
    (source / "kept.py").write_text("kept = 2\n")
    (source / "gone.py").unlink()
    (source / "new.py").write_text("new = 1\n")
    (source / "weights.bin").write_bytes(bytes(range(256)))
    (trained / ".gitignore").write_text("artifacts/\n*.pyc\n")
    (source / "new.pyc").write_text("not source")
    before = git(trained, "status", "--porcelain"), git(trained, "count-objects")
    now = read_lineage()
    assert (git(trained, "status", "--porcelain"), git(trained, "count-objects")) == before
    git(tmp_path, "clone", "--quiet", str(trained), "clone")
    (tmp_path / "patch").write_text(now.patch)
    git(tmp_path / "clone", "apply", str(tmp_path / "patch"))
    made = contents(tmp_path / "clone" / "src")
    assert made == {k: v for k, v in contents(trained / "src").items() if k.suffix != ".pyc"}


def test_what_no_commit_names_was_made_by_the_working_tree(trained: Path) -> None:
    (trained / TRAINED / "history.csv").write_text("trained again")
    now = read_lineage()
    assert lineage_of(TRAINED, now) is now


def test_what_was_made_here_is_remembered_whatever_the_tree_has_come_to(trained: Path) -> None:
    """A registry that is made anew would else stamp the commit of that moment on it."""
    (trained / TRAINED / "history.csv").write_text("never committed")
    (trained / "params.yaml").write_text("scale: gpu\n")
    made_by = read_lineage()
    keep(TRAINED, made_by)
    (trained / "params.yaml").unlink()
    commit(trained)
    now = read_lineage()
    assert (now.commit == made_by.commit, now.patch) == (False, "")
    assert lineage_of(TRAINED, now) == made_by
    keep(TRAINED, now)  # made again, the same to the byte
    assert lineage_of(TRAINED, now) == made_by
    for damaged in ("{", "{}", '{"commit": "a", "later": 1}'):
        next(KEPT.iterdir()).write_text(damaged)
        assert lineage_of(TRAINED, now) == now


def test_a_shallow_clone_does_not_take_its_end_for_the_training(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{trained}", "shallow")
    make_artifacts(tmp_path / "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    now = read_lineage()
    assert lineage_of(TRAINED, now) is now


@pytest.mark.slow
def test_a_folder_has_the_hash_that_dvc_gives_it(trained: Path) -> None:
    (trained / ".gitignore").unlink()
    run(trained, "dvc", "init", "--quiet")
    run(trained, "dvc", "add", "--quiet", str(TRAINED))
    assert f"md5: {dvc_digest(TRAINED)}\n" in Path(f"{TRAINED}.dvc").read_text()


def no_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def anothers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")


def no_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(root, "checkout", "--quiet", "--orphan", "new")


def damaged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit can be told, and what was changed since can't."""
    (root / ".git/index").write_bytes(b"DIRC" * 20)


@pytest.mark.parametrize(
    ("break_git", "why"),
    [
        (no_git, "cannot be run (No such file or directory)"),
        (anothers, "fatal: detected dubious ownership in repository"),
        (no_commit, "fatal: Needed a single revision"),
        (damaged, "error: bad index"),
    ],
)
def test_a_commit_that_git_does_not_tell_is_unknown(
    trained: Path, monkeypatch: pytest.MonkeyPatch, break_git: object, why: str
) -> None:
    break_git(trained, monkeypatch)  # type: ignore[operator]
    now = read_lineage()
    tags = now.tags()
    assert (tags[COMMIT_TAG], tags["atelier.dirty"]) == ("unknown", "unknown")
    assert tags["atelier.data"] == "2.dir"
    assert why in now.why_unknown
    assert lineage_of(TRAINED, now) is now
