"""What data.dvc names is never drawn over where it is not here: it is to be pulled."""

import shutil
import sys
from pathlib import Path

import pytest
from data.samples import tree_digest, write_faces
from tests.project import COUNTS, ROOT, contents, copy_repository, git, parameters, run

from atelier.cli.main import main
from atelier.data.folders import listing
from atelier.drawing.scenes import TARGETS, DrawingCounts
from atelier.errors import UserError
from atelier.operations.workspace import workspace
from atelier.pipeline.absent_data import files_drawn, refuse_to_draw_over
from atelier.pipeline.stages import draw

FEW = {**dict.fromkeys(COUNTS, 2), "faces_test": 6}
COUNTED = DrawingCounts(**FEW)
WHOLE = sum(files_drawn(target, COUNTED) for target in TARGETS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as monkeypatch:
        repository(root, monkeypatch)
        draw()
    return root


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository without data."""
    return repository(tmp_path, monkeypatch)


def repository(folder, monkeypatch):
    (folder / "params.yaml").write_text(parameters("tiny", changes={("drawing",): FEW}))
    shutil.copy(ROOT / "tests/data.dvc.template", folder / "data.dvc")
    monkeypatch.chdir(folder)
    return folder


def name(files):
    """As `dvc add data` writes it."""
    Path("data.dvc").write_text(
        Path("data.dvc").read_text().replace("- path: data\n", f"- path: data\n  nfiles: {files}\n")
    )


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_of_a_drawing_are_known_before_it(drawn, target):
    assert files_drawn(target, COUNTED) == len(listing(drawn / "data" / target))


@pytest.mark.parametrize("named", [WHOLE + 1, WHOLE - 1, 3])
def test_somebodys_data_are_asked_for(clone, monkeypatch, capsys, named):
    """In a clone, or a worktree, where nobody pulled them: nothing is drawn, nothing is changed."""
    name(named)
    before = tree_digest(clone)
    monkeypatch.setattr(sys, "argv", ["atelier", "draw"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "data.dvc: names data that are not here, and are not drawn ones "
        f"(got 0 of {named} files). Run dvc pull data.dvc"
    )
    assert len(said.splitlines()) == 1
    assert tree_digest(clone) == before


def test_a_part_of_somebodys_data_is_not_all(clone):
    """A pull that was broken off left one picture of a dataset of their own."""
    name(WHOLE + 5)
    Path("data/mine").mkdir(parents=True)
    Path("data/mine/1.png").touch()
    with pytest.raises(UserError, match=rf"got 1 of {WHOLE + 5} files"):
        refuse_to_draw_over(COUNTED)


def test_drawn_data_are_drawn_again(clone, drawn):
    name(WHOLE)
    refuse_to_draw_over(COUNTED)
    shutil.copytree(drawn / "data", "data")
    shutil.rmtree("data/horse2zebra")
    refuse_to_draw_over(COUNTED)


def test_what_is_named_nowhere_is_drawn(clone):
    refuse_to_draw_over(COUNTED)
    Path("data.dvc").unlink()
    refuse_to_draw_over(COUNTED)


def test_faces_brought_before_the_first_drawing_have_animals_drawn_beside_them(clone):
    """Imported into a fresh clone; then, or not, told to DVC."""
    write_faces(Path("data/celeba"))
    name(WHOLE)
    refuse_to_draw_over(COUNTED)
    shutil.copy(ROOT / "tests/data.dvc.template", "data.dvc")
    name(len(listing(Path("data"))))
    refuse_to_draw_over(COUNTED)


def test_faces_brought_and_named_with_drawn_animals_have_these_drawn_again(clone, drawn):
    write_faces(Path("data/celeba"))
    animals = [files_drawn(f"{parent}horse2zebra", COUNTED) for parent in ("", "twins/")]
    name(len(listing(Path("data"))) + sum(animals))
    refuse_to_draw_over(COUNTED)
    shutil.rmtree("data/celeba")
    with pytest.raises(UserError, match="names data that are not here"):
        refuse_to_draw_over(COUNTED)


def test_where_nothing_is_missing_another_number_is_no_matter(clone, drawn):
    """Counts that were changed: the draw stage draws its own anew."""
    shutil.copytree(drawn / "data", "data")
    name(3)
    refuse_to_draw_over(COUNTED)


@pytest.mark.slow
def test_committed_faces_are_in_a_worktree_and_asked_for_in_a_clone(tmp_path, monkeypatch):
    """Before, both drew others in their place, which DVC then wrote into data.dvc."""
    (tmp_path / "here").mkdir()
    here, clone = copy_repository(tmp_path / "here"), tmp_path / "clone"
    write_faces(here / "data/celeba")
    run(here, "dvc", "repro", "data.dvc")
    git(here, "add", "--all")
    git(here, "commit", "--quiet", "-m", "faces")
    faces, named = contents(here / "data/celeba"), (here / "data.dvc").read_bytes()
    monkeypatch.chdir(here)
    with workspace("laptop"):
        run(Path(), "dvc", "repro", "data.dvc")
        assert contents(Path("data/celeba")) == faces
        assert Path("data.dvc").read_bytes() == named
    git(tmp_path, "clone", "--quiet", "here", "clone")
    said = run(clone, "dvc", "repro", "data.dvc", code=255)
    assert "data.dvc: names data that are not here" in said
    assert "failed to reproduce 'draw'" in said
    assert not (clone / "data").exists()
    assert (clone / "data.dvc").read_bytes() == named
