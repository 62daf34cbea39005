"""DVC's records, cut short at any byte, are put back."""

from pathlib import Path

import pytest
from tests.project import run

from atelier.operations import records, staleness


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    monkeypatch.setattr(records, "WRITING_SECONDS", 0.0)
    return project


@pytest.mark.parametrize("record", records.RECORDS, ids=str)
def test_a_record_cut_anywhere_is_whole_or_put_back(
    inside: Path, record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "RECORDS", (record,))  # the other is whole, and read each time
    whole = record.read_bytes()
    records.keep_or_put_back()
    assert capsys.readouterr().err == ""
    put_back = 0
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        record.write_bytes(whole[:length])
        records.keep_or_put_back()
        found = record.read_bytes()
        assert records.is_whole(found)
        if found == whole:
            put_back += 1
            assert "put back" in capsys.readouterr().err
        (records.KEPT / record.name).write_bytes(whole)
    assert put_back > 0


def test_dvc_works_on_after_a_lock_was_cut_short(inside: Path) -> None:
    lock = Path("dvc.lock")
    whole = lock.read_bytes()
    records.keep_or_put_back()
    middle = whole.index(b"path:", len(whole) // 2) + len(b"path:")
    lock.write_bytes(whole[:middle])
    assert "validation failed" in run(inside, "dvc", "status", code=1)
    assert "put back as it was" in run(inside, "atelier", "repro", "register@numbers")
    assert lock.read_bytes() == whole
    lock.write_bytes(whole[:middle])
    assert not any(step.stale for step in staleness.steps_of("numbers", "tiny"))


def test_what_was_never_kept_is_only_said(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvc.lock").write_text("stages:\n  a:\n    deps:\n    - path:")
    (records.KEPT / "dvc.lock").unlink(missing_ok=True)
    records.keep_or_put_back()
    assert "git checkout dvc.lock" in capsys.readouterr().err
    assert Path("dvc.lock").read_text().endswith("path:")


def test_dvc_works_on_after_a_kill_left_a_run_without_its_outcome(inside: Path) -> None:
    """DVC makes the folder first. One that it fills meanwhile stays."""
    runs = records.cache_folder() / "runs"
    # All, as other tests may have run the stage with other inputs: DVC asks one of them.
    trained = "path: artifacts/tiny/numbers/train\n"
    kept = [one for one in runs.glob("*/*") if trained in _words(one)]
    outcomes = {folder: next(folder.iterdir()) for folder in kept}
    aside = runs.parent / "outcomes"
    aside.mkdir()
    for folder, outcome in outcomes.items():
        outcome.rename(aside / folder.name)
    Path("dvc.lock").unlink()
    assert "join() argument must be str" in run(inside, "dvc", "repro", "train@numbers", code=255)
    records.keep_or_put_back()
    assert outcomes
    assert not any(folder.exists() for folder in kept)
    for folder, outcome in outcomes.items():
        folder.mkdir()
        (aside / folder.name).rename(outcome)
    records.keep_or_put_back()
    assert "is cached" in run(inside, "atelier", "repro", "train@numbers")


def _words(folder: Path) -> str:
    return "".join(file.read_text() for file in folder.iterdir())
