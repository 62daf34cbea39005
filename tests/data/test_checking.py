"""`check` finds every kind of fault in one pass, and the same picture under many coats."""

import time

import numpy as np
import pytest
from data.samples import (
    encoded,
    numbered,
    picture,
    tree_digest,
    write_faces,
    write_pairs,
    write_pictures,
)
from PIL import Image, ImageEnhance

from atelier.data import checking
from atelier.data.catalog import DatasetConfig
from atelier.data.checking import check
from atelier.data.names import fraction
from atelier.errors import UserError


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path / "horse2zebra")


def lines(report):
    return [str(finding) for finding in report.findings]


def test_a_dataset_in_order(pairs):
    report = check(pairs)
    assert report.findings == ()
    assert report.counts == {"training": 16, "validation": 4, "test": 6}


def test_everything_is_reported_at_once_and_nothing_is_changed(tmp_path):
    folder = write_faces(tmp_path / "celeba", count=20)
    images = folder / "img_align_celeba"
    (images / "000001.jpg").write_bytes(encoded(picture(0))[:400])  # training
    (images / "000002.jpg").write_bytes(encoded(picture(50, 12, 80)))
    (images / "000004.jpg").write_bytes((images / "000003.jpg").read_bytes())
    (images / "000006.jpg").write_bytes(encoded(Image.open(images / "000005.jpg"), "PNG"))
    (images / "000020.jpg").write_bytes((images / "000007.jpg").read_bytes())  # test
    (images / "000018.jpg").write_bytes(encoded(picture(7), quality=40))  # validation
    (images / "new.jpg").write_bytes(encoded(picture(60)))
    (images / "000009.jpg").unlink()
    table = (folder / "list_attr_celeba.txt").read_text().replace("000010.jpg 1", "000010.jpg 7")
    (folder / "list_attr_celeba.txt").write_text(table)
    before = tree_digest(folder)
    found = lines(check(folder))
    assert tree_digest(folder) == before
    for part in (
        "000001.jpg: damaged or cut short",
        "000002.jpg: too small (got 12x80",
        "000004.jpg: duplicate: has the same bytes as 000003.jpg",
        "000006.jpg: duplicate: has the same pixels as 000005.jpg",
        "000020.jpg: leaks from training into test: has the same bytes as 000007.jpg",
        "000018.jpg: leaks from training into validation: nearly equals 000008.jpg",
        "new.jpg: no row in the attribute table",
        "000009.jpg: no such file, but it has a row in the attribute table",
        "000010.jpg has a value that is neither -1, 0 nor 1 (got '7')",
        "list_eval_partition.txt: no row for new.jpg",
        "list_eval_partition.txt: a row for 000009.jpg, which isn't there",
    ):
        assert sum(part in line for line in found) == 1, part
    assert len(found) == 11


def test_the_configuration_says_how_large_images_must_be(pairs):
    config = DatasetConfig(
        layout="pairs", path="horse2zebra", size_pixels=128, fit="crop", crop_share=1.0, limit=None
    )
    found = lines(check(pairs, config=config))
    assert len(found) == 26
    assert all("128 px are made from 64 px or more" in line for line in found)


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image.convert("L").convert("RGB"),
        lambda image: image.resize((96, 112), Image.Resampling.BICUBIC),
        lambda image: image.resize((24, 28), Image.Resampling.BOX),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Contrast(image).enhance(1.1),
        lambda image: ImageEnhance.Color(image).enhance(0.3),
    ],
    ids=["gray", "larger", "smaller", "darker", "contrast", "paler"],
)
def test_a_changed_copy_leaks(pairs, changed):
    original = Image.open(pairs / "trainA" / "000.jpg")
    (pairs / "testA" / "copy.jpg").write_bytes(encoded(changed(original), quality=75))
    found = lines(check(pairs))
    assert len(found) == 1
    assert "testA/copy.jpg: leaks from" in found[0]
    assert "nearly equals trainA/000.jpg" in found[0]


def test_flat_pictures_are_near_to_nothing(pairs):
    for folder, level in (("trainA", 100), ("testA", 101)):
        flat = Image.new("RGB", (32, 32), (level,) * 3)
        (pairs / folder / "flat.png").write_bytes(encoded(flat, "PNG"))
    assert check(pairs).findings == ()


def test_copies_within_training_are_no_leak(pairs):
    copy = encoded(Image.open(pairs / "testA" / "000.jpg"), quality=60)
    (pairs / "testB" / "copy.jpg").write_bytes(copy)
    assert check(pairs).findings == ()


def test_blocks_find_what_one_product_finds(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(n, 256)).astype(np.float32) for n in (70, 30))
    second[[3, 17]] = first[[65, 2]]
    first, second = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
    monkeypatch.setattr(checking, "BLOCK_ROWS", 8)
    assert list(checking._near_pairs(first, second)) == [(2, 17), (65, 3)]


@pytest.mark.slow
def test_two_hundred_thousand_images_are_feasible():
    """A twentieth of the operations of 160,000 against 40,000 images takes some seconds."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(n, 256)).astype(np.float32) for n in (40_000, 8_000))
    first, second = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
    begun = time.monotonic()
    assert list(checking._near_pairs(first, second)) == []
    assert time.monotonic() - begun < 30


def test_no_dataset(tmp_path):
    with pytest.raises(UserError, match="no dataset in a known layout"):
        check(tmp_path / "celeba")
    (tmp_path / "celeba" / "photos").mkdir(parents=True)
    with pytest.raises(UserError, match="no dataset in a known layout"):
        check(tmp_path / "celeba")


def test_a_near_copy_in_another_split_is_told(tmp_path):
    names = [name for name in numbered(60) if fraction(name) >= 0.2][:20]
    tested = next(f"t{n}.jpg" for n in range(99) if fraction(f"t{n}.jpg") < 0.1)
    folder = write_pictures(tmp_path / "mine", [*numbered(40), *names])
    original = Image.open(folder / names[0])
    (folder / tested).write_bytes(encoded(original, quality=60))
    [finding] = map(str, check(folder).findings)
    assert f"{tested}: leaks from training into test: nearly equals {names[0]}" in finding
    assert finding.endswith("Delete one: their names decide their splits.")


def test_frames_of_one_film_are_one_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "SHOWN_LEAKS", 3)
    folder = tmp_path / "film"
    folder.mkdir()
    for n in range(60):
        (folder / f"{n}.jpg").write_bytes(encoded(picture(1), quality=60 + n // 2))
    findings = [str(finding) for finding in check(folder).findings]
    assert len(findings) == 4
    assert "more copies and near copies, not shown. Training goes on" in findings[-1]
