"""What a scheduled run hands on: files to the DVC remote, figures to a git branch."""

import tempfile
from pathlib import Path

from atelier.commands import MODULE, answer, run
from atelier.errors import AtelierError

BRANCH = "atelier/results"
RESULTS = (
    "dvc.lock",
    "data.dvc",
    "artifacts/*/*/*metrics.json",
    "artifacts/*/*/seeds.json",
)


def push() -> str:
    """`dvc push` with the run cache to the default remote; says what was done."""
    if not run(*MODULE, "dvc", "remote", "list").strip():
        return "no DVC remote is set; nothing was pushed"
    said = run(*MODULE, "dvc", "--wait-for-lock", "push", "--run-cache")
    return f"dvc push: {(said.strip().splitlines() or ['done'])[-1]}"


def commit(message: str, branch: str = BRANCH) -> str:
    """Commits dvc.lock and the figures on a branch; returns the commit, or says that none is new.

    The working tree, the index and the branch that is checked out stay as they are: the commit is
    made with an index of its own, on top of the branch (or of HEAD, where it is new).
    """
    reference = f"refs/heads/{branch}"
    if _current() == reference:
        raise AtelierError(f"{branch}: is checked out here; a flow commits to no branch in use.")
    found = answer("git", "rev-parse", "--verify", "--quiet", reference).strip()
    parent = found or run("git", "rev-parse", "HEAD").strip()
    files = [str(path) for pattern in RESULTS for path in sorted(Path().glob(pattern))]
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        run("git", "read-tree", parent, variables=index)
        run("git", "add", "--force", "--", *files, variables=index)
        tree = run("git", "write-tree", variables=index).strip()
    if tree == run("git", "rev-parse", f"{parent}^{{tree}}").strip():
        return f"{branch}: nothing new"
    made = run("git", *_author(), "commit-tree", tree, "-p", parent, "-m", message).strip()
    run("git", "update-ref", reference, made, found or "")
    return f"{branch}: {made[:12]}"


def _author() -> tuple[str, ...]:
    """The repository's own author, or one that says who it was."""
    if answer("git", "config", "user.email"):
        return ()
    return ("-c", "user.name=Atelier", "-c", "user.email=atelier@localhost")


def _current() -> str:
    return answer("git", "symbolic-ref", "--quiet", "HEAD").strip()
