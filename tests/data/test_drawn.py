"""Whole drawn datasets: complete, equal on every machine, and never over a user's own data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data.samples import tree_digest, write_faces, write_pairs
from PIL import Image

from atelier.data import drawn as drawing
from atelier.data.catalog import MARKER, read_catalog
from atelier.data.drawn import draw
from atelier.drawing import animals, faces, scenes
from atelier.drawing.scenes import DrawingCounts, scene_seed
from atelier.errors import UserError

COUNTS = DrawingCounts(
    faces_training=6, faces_validation=2, faces_test=8, animals_training=4, animals_test=2
)
OTHER_PROCESSORS = {
    "plain": {},
    "without AVX2 and FMA": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4",
    },
}
PROGRAM = """
import sys
from pathlib import Path
from atelier.data.drawn import draw
from atelier.drawing.scenes import DrawingCounts
if __name__ == "__main__":
    counts = dict(zip(DrawingCounts.model_fields, map(int, sys.argv[3:]), strict=True))
    draw(Path(sys.argv[1]), DrawingCounts(**counts), int(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    draw(root, COUNTS, workers=1)
    return root


def program(root, workers, counts, environment=None):
    numbers = [str(number) for number in counts.model_dump().values()]
    script = root.parent / f"{root.name}.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(script), str(root), str(workers), *numbers],
        env={**os.environ, **(environment or {})},
    )


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_faces_stand_in_celebas_layout(drawn):
    found = read_catalog(drawn / "data" / "celeba", "attributes")
    assert found.drawn
    assert found.labels == tuple(faces.ATTRIBUTE_NAMES)
    assert len(found.labels) == 40
    assert [len(split.names) for split in found.splits.values()] == [6, 2, 8]
    with Image.open(found.images / "000001.jpg") as image:
        assert image.size == (178, 218)


def test_the_table_holds_the_true_attributes(drawn):
    found = read_catalog(drawn / "data" / "celeba", "attributes")
    for index in range(8):
        truth = faces.attributes(faces.sample(scene_seed("celeba", "test", index)))
        row = found.splits["test"].labels[index]
        assert row.tolist() == [truth[name] == 1 for name in found.labels]


def test_animals_stand_in_cyclegans_layout(drawn):
    found = read_catalog(drawn / "data" / "horse2zebra", "pairs")
    assert found.drawn
    assert [len(split.names) for split in found.splits.values()] == [4, 4, 4]
    with Image.open(found.images / "trainA" / "horse_0001.jpg") as image:
        assert image.size == (animals.SIZE, animals.SIZE)


def test_each_black_or_blond_test_face_has_its_twin(drawn):
    catalog = read_catalog(drawn / "data" / "celeba", "attributes")
    hair = [catalog.labels.index(name) for name in ("Black_Hair", "Blond_Hair")]
    test = catalog.splits["test"]
    rows = test.labels[:, hair].any(axis=1)
    expected = [name for name, either in zip(test.names, rows, strict=True) if either]
    twins = drawn / "data" / "twins" / "celeba"
    assert expected
    assert files(twins / "images") == expected
    assert files(twins / "masks") == [name.replace(".jpg", ".png") for name in expected]


def test_each_test_animal_has_its_twins(drawn):
    twins = drawn / "data" / "twins" / "horse2zebra"
    assert files(twins / "testA") == ["horse_0001.jpg", "horse_0002.jpg"]
    coats = [f"zebra_{n:04d}_{coat}.jpg" for n in (1, 2) for coat in range(8)]
    assert files(twins / "testB") == coats
    assert files(twins / "masks" / "testB") == ["zebra_0001.png", "zebra_0002.png"]


@pytest.mark.parametrize(
    ("picture", "twin", "mask"),
    [
        ("horse2zebra/testA/horse_0001.jpg", "testA/horse_0001.jpg", "testA/horse_0001.png"),
        ("horse2zebra/testB/zebra_0001.jpg", "testB/zebra_0001_3.jpg", "testB/zebra_0001.png"),
    ],
)
def test_a_twin_differs_inside_its_mask(drawn, picture, twin, mask):
    data, twins = drawn / "data", drawn / "data" / "twins" / "horse2zebra"
    first = np.asarray(Image.open(data / picture)).astype(int)
    second = np.asarray(Image.open(twins / twin)).astype(int)
    masked = Image.open(twins / "masks" / mask)
    assert masked.mode == "L"
    inside = np.asarray(masked) == 255
    difference = np.abs(first - second).mean(axis=2)
    # JPEG carries a little of the difference across the mask's edge.
    assert difference[inside].mean() > 6 * difference[~inside].mean()


def test_no_two_scenes_share_a_seed():
    keys = [
        ("celeba", split, index) for split in ("training", "validation", "test") for index in (0, 1)
    ]
    keys += [("horse2zebra", split, 0) for split in ("trainA", "trainB", "testA", "testB")]
    draws = {tuple(scene_seed(*key).integers(0, 2**63, 4)) for key in keys}
    assert len(draws) == len(keys)


def test_nothing_is_drawn_twice(drawn):
    before = {path: path.stat().st_mtime_ns for path in (drawn / "data").rglob("*")}
    draw(drawn, COUNTS, workers=1)
    assert {path: path.stat().st_mtime_ns for path in (drawn / "data").rglob("*")} == before


def test_what_is_missing_cut_or_drawn_by_another_is_drawn_again(tmp_path):
    counts = COUNTS.model_copy(
        update={"faces_training": 3, "faces_test": 2, "animals_training": 2, "animals_test": 1}
    )
    draw(tmp_path, counts, workers=1)
    before = tree_digest(tmp_path / "data")
    celeba = tmp_path / "data" / "celeba"

    def lose():
        (celeba / "img_align_celeba" / "000002.jpg").unlink()

    def cut():
        (celeba / "img_align_celeba" / "000003.jpg").write_bytes(b"\xff")

    def grow():
        (celeba / "img_align_celeba" / "999999.jpg").write_bytes(b"")

    def age():
        marker = json.loads((celeba / MARKER).read_text())
        (celeba / MARKER).write_text(json.dumps({**marker, "renderer": 0}))

    def empty():
        for path in (tmp_path / "data" / "twins" / "celeba").rglob("*.*"):
            path.unlink()

    for harm in (lose, cut, grow, age, empty):
        harm()
        assert tree_digest(tmp_path / "data") != before
        draw(tmp_path, counts, workers=1)
        assert tree_digest(tmp_path / "data") == before, harm


def test_another_renderer_draws_again_what_it_would_draw_otherwise(tmp_path, monkeypatch):
    counts = COUNTS.model_copy(
        update={"faces_training": 3, "faces_test": 2, "animals_training": 2, "animals_test": 1}
    )
    draw(tmp_path, counts, workers=1)
    before = tree_digest(tmp_path / "data")
    render = animals.render
    monkeypatch.setattr(scenes.animals, "render", lambda scene: 255 - render(scene))
    draw(tmp_path, counts, workers=1)
    again = tree_digest(tmp_path / "data")
    assert again != before
    draw(tmp_path, counts, workers=1)
    assert tree_digest(tmp_path / "data") == again
    monkeypatch.undo()
    truth = faces.attributes
    monkeypatch.setattr(scenes.animals, "render", render)
    monkeypatch.setattr(scenes.faces, "attributes", lambda scene: {**truth(scene), "Young": 1})
    draw(tmp_path, counts, workers=1)
    table = (tmp_path / "data" / "celeba" / "list_attr_celeba.txt").read_text().splitlines()
    assert all(row.endswith(" 1") for row in table[2:])


def test_leftovers_of_a_kill_are_swept_away(drawn):
    before = tree_digest(drawn / "data")
    for leftover in (".celeba.building", "twins/.horse2zebra.building"):
        (drawn / "data" / leftover / "deep").mkdir(parents=True)
    (drawn / "data" / "celeba").rename(drawn / "data" / ".celeba.replaced")
    draw(drawn, COUNTS, workers=1)
    assert tree_digest(drawn / "data") == before


def test_imported_data_are_never_drawn_over(tmp_path):
    write_faces(tmp_path / "data" / "celeba")
    before = tree_digest(tmp_path / "data" / "celeba")
    draw(tmp_path, COUNTS, workers=1)
    assert tree_digest(tmp_path / "data" / "celeba") == before
    drawn = {path.parent.relative_to(tmp_path) for path in tmp_path.rglob(MARKER)}
    assert drawn == {Path("data/horse2zebra"), Path("data/twins/horse2zebra")}
    assert not (tmp_path / "data" / "twins" / "celeba").exists()


def test_twins_of_data_that_were_swapped_by_hand_go(tmp_path):
    twins = tmp_path / "data" / "twins" / "horse2zebra"
    twins.mkdir(parents=True)
    (twins / MARKER).write_text("{}")
    write_pairs(tmp_path / "data" / "horse2zebra")
    draw(tmp_path, COUNTS, workers=1)
    assert not twins.exists()


def test_the_marker_says_who_drew_and_how_much(drawn):
    said = json.loads((drawn / "data" / "celeba" / MARKER).read_text())
    assert said["drawn_by"] == "atelier"
    assert said["files"] == 16 + 2  # pictures and two tables
    assert said["counts"].keys() == {"faces_training", "faces_validation", "faces_test"}


def test_another_drawing_at_the_same_time_is_refused(tmp_path):
    with (
        drawing.data_lock(tmp_path),
        pytest.raises(UserError, match="another command is changing it"),
    ):
        draw(tmp_path, COUNTS, workers=1)


def test_counts_are_positive():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        DrawingCounts(faces_test=0)


@pytest.mark.slow
def test_a_killed_drawing_leaves_nothing_half_made(tmp_path):
    root = tmp_path / "root"
    process = program(root, 2, COUNTS.model_copy(update={"faces_training": 4000}))
    building = root / "data" / ".celeba.building" / "img_align_celeba"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (building.is_dir() and len(list(building.iterdir())) > 9):
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [p for p in (root / "data").iterdir() if not p.name.startswith(".")] in (
        [],
        [root / "data" / "twins"],
    )
    counted = len(list(building.iterdir()))
    time.sleep(1.5)
    assert len(list(building.iterdir())) <= counted + 64  # the workers ended with their parent
    process = program(root, 2, COUNTS)
    assert process.wait() == 0
    draw(tmp_path / "again", COUNTS, workers=1)
    assert tree_digest(root / "data") == tree_digest(tmp_path / "again" / "data")


@pytest.mark.slow
def test_fifty_of_each_kind_have_the_same_bytes_on_other_processors(tmp_path):
    counts = DrawingCounts(
        faces_training=10, faces_validation=10, faces_test=130, animals_training=50, animals_test=7
    )
    digests = {}
    for name, environment in OTHER_PROCESSORS.items():
        for workers in (1, 2):
            root = tmp_path / f"{len(digests)}"
            assert program(root, workers, counts, environment).wait() == 0
            digests[name, workers] = tree_digest(root / "data")
    twins = list((tmp_path / "0" / "data" / "twins" / "celeba" / "images").iterdir())
    assert len(twins) >= 50
    assert len(set(digests.values())) == 1, digests
