"""Where a run or a version comes from: the commit, what was changed since, the data's hash."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from atelier.commands import ANSWER_SECONDS, CommandFailed, answer, run
from atelier.files import write_whole

FLOW_RUN, FLOW_RUN_URL = "ATELIER_FLOW_RUN_ID", "ATELIER_FLOW_RUN_URL"
"""Set by a flow for the stages that it runs: who ordered the work, and its page."""
COMMIT_TAG = "mlflow.source.git.commit"
"""The key that MLflow's own pages show."""
DIRTY_TAG, DATA_TAG = "atelier.dirty", "atelier.data"
UNKNOWN = "unknown"
SOURCE = (
    "src", "flows", "experiments", "params.yaml", "dvc.yaml", "pyproject.toml", "requirements.lock",
)  # fmt: skip
"""What decides what is made, beside the data, whose hash is told apart. Not dvc.lock and figures,
which a run itself writes: after it, every tree would be a changed one."""
KEPT = Path(".atelier", "lineage")
"""Of what was made here, by its hash: mlruns/ can be deleted, and tells the same when it is made
anew."""
LARGEST_PATCH = 5_000_000
"""Bytes; a larger one is cut, and says so."""


@dataclass(frozen=True)
class Lineage:
    """`commit` is empty where it is unknown."""

    commit: str
    patch: str
    """What the source has that the commit has not, new files too; empty in a clean tree."""
    data_digest: str
    """What data.dvc says of data/, or empty."""
    flow_run: str = ""
    """The Prefect flow run that ordered it, or empty."""
    flow_run_url: str = ""
    why_unknown: str = ""
    """What git said where the commit is unknown."""

    def tags(self) -> dict[str, str]:
        """As MLflow tags."""
        ordered = {"prefect.flow_run": self.flow_run, "prefect.flow_run_url": self.flow_run_url}
        return {
            COMMIT_TAG: self.commit or UNKNOWN,
            DIRTY_TAG: str(bool(self.patch)).lower() if self.commit else UNKNOWN,
            DATA_TAG: self.data_digest,
            **{key: text for key, text in ordered.items() if text},
        }


def read_lineage() -> Lineage:
    """The state of the repository in the working directory."""
    commit, patch, why_unknown = "", "", ""
    try:
        commit = run("git", "rev-parse", "--verify", "HEAD", seconds=ANSWER_SECONDS).strip()
        patch = _changed_source()
    except CommandFailed as failed:
        # Half an answer is none: a commit whose changes nobody knows would pass for a clean one.
        commit, why_unknown = "", (failed.error.strip().splitlines() or [failed.last])[0]
    if len(patch) > LARGEST_PATCH:
        patch = patch[:LARGEST_PATCH] + "\n# cut here: the patch is larger than 5 MB\n"
    data = Path("data.dvc")
    return Lineage(
        commit=commit,
        patch=patch,
        data_digest=_data_digest(data.read_text(encoding="utf-8")) if data.exists() else "",
        flow_run=os.environ.get(FLOW_RUN, ""),
        flow_run_url=os.environ.get(FLOW_RUN_URL, ""),
        why_unknown=why_unknown,
    )


def _changed_source() -> str:
    """As a patch that `git apply` takes. New files are added to a copy of the index: git has no
    other way to tell them."""
    index = Path(run("git", "rev-parse", "--git-path", "index", seconds=ANSWER_SECONDS).strip())
    with TemporaryDirectory() as folder:
        copy = Path(folder, "index")
        if index.exists():
            shutil.copyfile(index, copy)
        aside = {"GIT_INDEX_FILE": str(copy)}
        if there := [path for path in SOURCE if Path(path).exists()]:
            adding = ("git", "add", "--intent-to-add", "--", *there)
            run(*adding, variables=aside, seconds=ANSWER_SECONDS)
        changed = ("git", "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color", "--", *SOURCE)
        return run(*changed, variables=aside, seconds=ANSWER_SECONDS)


def keep(folder: Path, made_by: Lineage) -> None:
    """Remembers what made the files of a folder; where the same were made before, that stays."""
    path = _kept(dvc_digest(folder))
    with suppress(OSError):  # a full disk is no reason to lose a finished training
        if not path.exists():
            write_whole(path, json.dumps(asdict(made_by), indent=2) + "\n")


def lineage_of(folder: Path, now: Lineage) -> Lineage:
    """Of what a stage made in `folder`: the first commit whose dvc.lock names these very files.

    That commit holds code, settings and data together, whatever the working tree, or a clone, has
    come to since. Where none names them, it is what was kept when they were made here; else they
    pass for made by the working tree, whose lineage is `now`.
    """
    digest = dvc_digest(folder)
    if now.commit and (commit := _first_commit_with(digest)):
        return Lineage(commit, "", _data_digest(answer("git", "show", f"{commit}:./data.dvc")))
    try:
        return Lineage(**json.loads(_kept(digest).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # TypeError: of another Atelier
        return now


def _kept(digest: str) -> Path:
    return KEPT / f"{digest.removesuffix('.dir')}.json"


def _first_commit_with(digest: str) -> str:
    """The oldest ancestor of HEAD whose dvc.lock has this text; empty where there is none.

    Nor where a shallow clone ends with it: what is before may have it, too.
    """
    search = ("git", "log", "--reverse", "--format=%H", "-S", digest, "--", "dvc.lock")
    if not (found := answer(*search).split()):
        return ""
    is_first = not answer("git", "rev-parse", "--quiet", "--verify", f"{found[0]}^")
    if is_first and answer("git", "rev-parse", "--is-shallow-repository").strip() == "true":
        return ""
    return found[0]


def dvc_digest(folder: Path) -> str:
    """DVC's hash of a folder, as it stands in dvc.lock."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    entries = [
        {"md5": _md5(file.read_bytes()), "relpath": file.relative_to(folder).as_posix()}
        for file in files
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return f"{_md5(json.dumps(entries, sort_keys=True).encode())}.dir"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def is_before(commit: str, other: str) -> bool:
    """Whether `other` was built on `commit`; False where git knows one of them not."""
    if not commit or not other or commit == other:
        return False
    return answer("git", "merge-base", commit, other).strip() == commit


def _data_digest(text: str) -> str:
    """What the text of data.dvc says of data/."""
    words = yaml.safe_load(text)
    outs = words.get("outs", []) if isinstance(words, dict) else []
    return str(outs[0].get("md5", "")) if outs else ""
