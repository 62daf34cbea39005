"""Arrays on disk: their shape, their bytes, their labels, and nothing half-written."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data.samples import encoded, picture, tree_digest, write_faces, write_pairs
from PIL import Image

from atelier.data import prepare as module
from atelier.data.catalog import MARKER, DatasetConfig
from atelier.data.prepare import crop_box, prepare, to_square
from atelier.errors import UserErrors


def config(layout="pairs", path="horse2zebra", size=16, share=1.0, limit=None):
    return DatasetConfig(
        layout=layout, path=path, size_pixels=size, fit="crop", crop_share=share, limit=limit
    )


FACES = config("attributes", "celeba", share=140 / 178)
NUMBERS = DatasetConfig(
    layout="numbers", path=None, size_pixels=None, fit=None, crop_share=None, limit=None
)


def prepared(root: Path, wanted: DatasetConfig, workers: int | None = None) -> Path:
    out = root / "artifacts" / "tiny" / wanted.name / "prepared"
    prepare(wanted, root, out, workers)
    return out


def manifest(out: Path):
    return json.loads((out / "manifest.json").read_text())


def test_faces(tmp_path):
    write_faces(tmp_path / "data" / "celeba")
    out = prepared(tmp_path, FACES)
    said = manifest(out)
    keys = ["dataset", "layout", "size_pixels", "fit", "crop", "drawn", "labels", "splits"]
    assert list(said) == [*keys, "twins"]
    assert (said["dataset"], said["layout"], said["drawn"]) == ("celeba", "attributes", False)
    assert (said["size_pixels"], said["fit"], said["crop"]) == (16, "crop", 140 / 178)
    assert said["labels"] == ["Eyeglasses", "Black_Hair", "Smiling"]
    assert said["splits"]["test"]["count"] == 2
    assert said["splits"]["test"]["names"] == ["000011.jpg", "000012.jpg"]
    digests = {split["digest"] for split in said["splits"].values()}
    assert len(digests) == 3
    for split, count in (("training", 8), ("validation", 2), ("test", 2)):
        images = np.load(out / f"{split}.npy", mmap_mode="r")
        labels = np.load(out / f"{split}_labels.npy")
        assert images.shape == (count, 3, 16, 16)
        assert images.dtype == labels.dtype == np.uint8
        assert images.flags.c_contiguous
        assert labels.shape == (count, 3)
    assert len(list(out.iterdir())) == 7


def test_each_row_is_its_image(tmp_path):
    folder = write_pairs(tmp_path / "data" / "horse2zebra")
    out = prepared(tmp_path, config())
    for split, said in manifest(out)["splits"].items():
        images, labels = np.load(out / f"{split}.npy"), np.load(out / f"{split}_labels.npy")
        for row, name in enumerate(said["names"]):
            assert np.array_equal(images[row], to_square(Image.open(folder / name), 16, 1.0))
            assert labels[row, 0] == name.split("/")[0].endswith("B")
    assert manifest(out)["labels"] == ["domain_b"]


def test_drawn_data_are_called_drawn(tmp_path):
    folder = write_pairs(tmp_path / "data" / "horse2zebra")
    (folder / MARKER).write_text("{}")
    assert manifest(prepared(tmp_path, config()))["drawn"] is True


def test_numbers_have_only_a_manifest(tmp_path):
    out = prepared(tmp_path, NUMBERS)
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    expected = {"dataset": "numbers", "layout": "numbers", "shape": [100], "splits": {}}
    assert manifest(out) == expected


def test_a_limit_holds_per_split(tmp_path):
    write_pairs(tmp_path / "data" / "horse2zebra", train=20)
    said = manifest(prepared(tmp_path, config(limit=4)))
    assert [split["count"] for split in said["splits"].values()] == [4, 4, 4]


def test_bytes_are_equal_for_any_number_of_workers(tmp_path):
    write_pairs(tmp_path / "data" / "horse2zebra", train=40, test=20)
    first = tree_digest(prepared(tmp_path, config(), workers=1))
    assert tree_digest(prepared(tmp_path, config(), workers=2)) == first
    assert tree_digest(prepared(tmp_path, config(), workers=3)) == first


@pytest.mark.parametrize(
    ("width", "height", "share", "box"),
    [
        (178, 218, 140 / 178, (19, 39, 159, 179)),
        (178, 218, 0.787, (19, 39, 159, 179)),
        (89, 109, 140 / 178, (9, 19, 79, 89)),
        (128, 128, 1.0, (0, 0, 128, 128)),
        (300, 200, 1.0, (50, 0, 250, 200)),
        (200, 300, 0.5, (50, 100, 150, 200)),
    ],
)
def test_the_crop_is_a_centred_square(width, height, share, box):
    assert crop_box(width, height, share) == box


def test_resizing_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = to_square(Image.fromarray(stripes), 8, 1.0)
    assert small.min() >= 120
    assert small.max() <= 135


def test_a_flat_colour_stays_as_it_is():
    image = Image.new("RGB", (178, 218), (10, 200, 90))
    found = to_square(image, 64, 140 / 178)
    assert (found == np.array([10, 200, 90], np.uint8)[:, None, None]).all()


def test_all_bad_files_are_named_and_nothing_is_written(tmp_path):
    folder = write_pairs(tmp_path / "data" / "horse2zebra")
    out = prepared(tmp_path, config())
    before = tree_digest(tmp_path / "artifacts")
    (folder / "trainA" / "001.jpg").write_bytes(b"")
    (folder / "testB" / "002.jpg").write_bytes(encoded(picture(1))[:300])
    (folder / "trainB" / "003.jpg").write_bytes(encoded(picture(1, 15, 400)))
    for workers in (1, 2):
        with pytest.raises(UserErrors) as caught:
            prepare(config(), tmp_path, out, workers)
        lines = str(caught.value).splitlines()
        assert len(lines) == 3
        assert any("trainA/001.jpg: empty" in line for line in lines)
        assert any("testB/002.jpg: damaged or cut short" in line for line in lines)
        small = "trainB/003.jpg: too small (got 15x400, 15 px after the crop). "
        assert any(small + "16 px are made from 16 px or more." in line for line in lines)
        assert tree_digest(tmp_path / "artifacts") == before


def test_more_than_twofold_enlargement_is_refused(tmp_path):
    write_pairs(tmp_path / "data" / "horse2zebra")  # 48 x 56 pixels
    prepared(tmp_path, config(size=64))
    with pytest.raises(UserErrors, match="128 px are made from 64 px or more"):
        prepared(tmp_path, config(size=128))


def test_an_interruption_leaves_what_was_there(tmp_path, monkeypatch):
    write_pairs(tmp_path / "data" / "horse2zebra")
    out = prepared(tmp_path, config())
    before = tree_digest(tmp_path / "artifacts")

    def interrupted(folder, manifest):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(config(size=32), tmp_path, out)
    assert tree_digest(tmp_path / "artifacts") == before


def test_what_a_kill_left_behind_is_swept_away(tmp_path):
    write_pairs(tmp_path / "data" / "horse2zebra")
    out = prepared(tmp_path, config())
    before = tree_digest(out)
    # Killed between the two renames: the old folder is aside, the new one not yet in place.
    out.rename(out.with_name(".prepared.replaced"))
    out.with_name(".prepared.building").mkdir()
    assert tree_digest(prepared(tmp_path, config())) == before
    assert [path.name for path in out.parent.iterdir()] == ["prepared"]


@pytest.fixture
def small_disk(tmp_path):
    """Where the arrays go, on a disk of its own of 64 kB, where the tests may mount one."""
    place = tmp_path / "artifacts"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


PREPARE = """
import sys
from pathlib import Path
from data.test_prepare import config, prepared
prepared(Path(sys.argv[1]), config("attributes", "celeba", size=64))
"""


def test_a_full_disk_is_an_error_and_no_signal(tmp_path, small_disk):
    """In a process of its own: what is written through a map of memory would kill ours."""
    write_faces(tmp_path / "data" / "celeba")
    command = [sys.executable, "-c", PREPARE, str(tmp_path)]
    tests = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert f"[Errno {errno.ENOSPC}]" in said
    assert "training.npy" in said
    assert not any(small_disk.rglob("*.npy"))
