"""What nobody needs goes, and nothing else."""

import os
import time

from tests.project import run

from atelier.operations import tidying
from atelier.operations.overview import bytes_below
from atelier.operations.records import cache_folder
from atelier.pipeline.definition import FINISHED, checkpoint_folder
from atelier.pipeline.locks import held
from atelier.tasks.context import KEPT_FEATURES


def begun(folder):
    """A checkpoint that was left two days ago."""
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(b"\0" * 1000)
    then = time.time() - 2 * 86_400
    os.utime(folder, (then, then))
    return folder


def test_an_abandoned_checkpoint_goes_and_a_current_one_stays(in_project):
    current = begun(checkpoint_folder("train", "numbers", "tiny"))
    abandoned = begun(current.with_name("tiny-numbers-0123456789abcdef"))
    in_use = begun(current.with_name("tiny-numbers-fedcba9876543210"))
    fresh = begun(current.with_name("laptop-numbers-0123456789abcdef"))
    os.utime(fresh)
    gone = begun(FINISHED / "tiny-nobody")
    with held(in_use.with_suffix(".lock"), "it", lambda: True):
        found = tidying.removals(keep=1)
    assert [(one.what, one.disk_bytes) for one in found] == [
        (str(abandoned), 1000),
        (str(gone), 1000),
    ]
    assert abandoned.exists(), "it was only said"
    for one in found:
        one.remove()
    assert not abandoned.exists()
    assert not gone.exists()
    assert all(folder.exists() for folder in (current, in_use, fresh, FINISHED / "tiny-numbers"))


def test_features_that_nobody_asked_for_go(in_project):
    KEPT_FEATURES.mkdir(parents=True, exist_ok=True)
    used, unused = KEPT_FEATURES / "used.npy", KEPT_FEATURES / "unused.npy"
    for file in (used, unused):
        file.write_bytes(b"\0" * 500)
    then = time.time() - 8 * 86_400
    os.utime(unused, (then, then))
    (found,) = [one for one in tidying.removals(keep=1) if "features" in one.what]
    assert found.what.startswith("1 files of")
    assert found.disk_bytes == 500
    found.remove()
    assert used.exists()
    assert not unused.exists()


def test_the_cache_keeps_what_a_workspace_names(in_project):
    stray = in_project / ".dvc/cache/files/md5/00/0123456789abcdef0123456789abcd"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"\0" * 5000)
    before = bytes_below(cache_folder())
    freed = tidying.collect_cache()
    assert freed >= 5000
    assert bytes_below(cache_folder()) == before - freed
    assert not stray.exists()
    assert "up to date" in run(in_project, "dvc", "status")
    run(in_project, "rm", "-r", "artifacts/tiny/numbers/train", "artifacts/tiny/numbers/bundle")
    run(in_project, "dvc", "checkout")
    assert "up to date" in run(in_project, "dvc", "status")


def test_what_is_removed_is_said_before(in_project):
    begun(FINISHED / "tiny-nobody")
    said = run(in_project, "atelier", "tidy")
    assert "tiny-nobody" in said
    assert "To remove it: atelier tidy --keep 3 --remove" in said
    assert (FINISHED / "tiny-nobody").exists()
    assert "freed" in run(in_project, "atelier", "tidy", "--remove")
    assert not (FINISHED / "tiny-nobody").exists()
    assert run(in_project, "atelier", "generate", "numbers-tiny/1", "--count", "1")
