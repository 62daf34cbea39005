"""True twins beside the test split: the right rows, the same crop, a mask that hides nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atelier.data.catalog import DatasetConfig
from atelier.data.drawn import draw
from atelier.data.prepare import crop_box, prepare, to_square
from atelier.data.twins import Twins, array_names, mask_to_square, open_twins
from atelier.drawing.scenes import DrawingCounts
from atelier.errors import UserError

SIZE = 32
COUNTS = DrawingCounts(
    faces_training=6, faces_validation=2, faces_test=24, animals_training=4, animals_test=3
)
PAIRS = DatasetConfig(
    layout="pairs", path="horse2zebra", size_pixels=SIZE, fit="crop", crop_share=1.0, limit=None
)
FACES = DatasetConfig(
    layout="attributes", path="celeba", size_pixels=SIZE, fit="crop", crop_share=0.787, limit=None
)
A, B = {"domain_b": 0}, {"domain_b": 1}
BLACK, BLOND = {"Black_Hair": 1, "Blond_Hair": 0}, {"Blond_Hair": 1, "Black_Hair": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("drawn")
    draw(folder, COUNTS, workers=1)
    for config in (PAIRS, FACES):
        prepare(config, folder, folder / config.name, workers=1)
    return folder


def opened(prepared: Path, source: dict[str, int], target: dict[str, int]) -> Twins:
    found = open_twins(prepared, said(prepared), source, target)
    assert found is not None
    return found


def said(prepared: Path) -> dict:
    return json.loads((prepared / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("name", "source", "target", "each"),
    [
        ("horse2zebra", A, B, 1),
        ("horse2zebra", B, A, 8),
        ("celeba", BLACK, BLOND, 1),
        ("celeba", BLOND, BLACK, 1),
    ],
)
def test_twins_differ_from_their_images_inside_the_mask_alone(root, name, source, target, each):
    twins = opened(root / name, source, target)
    images = np.load(root / name / "test.npy")[twins.rows].astype(int)
    assert twins.images.shape == (len(twins.rows), each, 3, SIZE, SIZE)
    assert twins.masks.shape == (len(twins.rows), SIZE, SIZE)
    assert len(twins.rows) > 0
    difference = np.abs(twins.images.astype(int) - images[:, None]).max(axis=(1, 2))
    assert difference[twins.masks == 0].max() < 20  # what JPEG alone makes of it
    assert difference[twins.masks == 0].mean() < 2
    assert difference[twins.masks == 255].mean() > 30


def test_each_row_is_the_twin_of_its_image(root):
    names = said(root / "horse2zebra")["splits"]["test"]["names"]
    twins = opened(root / "horse2zebra", B, A)
    folder = root / "data" / "twins" / "horse2zebra"
    for row, images, mask in zip(twins.rows, twins.images, twins.masks, strict=True):
        stem = names[row].removesuffix(".jpg")
        assert stem.startswith("testB/")
        for coat, image in enumerate(images):
            expected = to_square(Image.open(folder / f"{stem}_{coat}.jpg"), SIZE, 1.0)
            assert np.array_equal(image, expected)
        drawn = Image.open(folder / "masks" / f"{stem}.png")
        assert np.array_equal(mask, mask_to_square(drawn, SIZE, crop_box(*drawn.size, 1.0)))


def test_hair_twins_stand_by_the_label(root):
    prepared = root / "celeba"
    manifest, labels = said(prepared), np.load(prepared / "test_labels.npy")
    black, blond = (manifest["labels"].index(f"{hair}_Hair") for hair in ("Black", "Blond"))
    found = opened(prepared, BLACK, BLOND).rows.tolist()
    assert found == np.flatnonzero(labels[:, black]).tolist()
    assert opened(prepared, BLOND, BLACK).rows.tolist() == np.flatnonzero(labels[:, blond]).tolist()


def test_other_domains_have_no_twins(root):
    manifest = said(root / "celeba")
    assert open_twins(root / "celeba", manifest, {"Male": 1}, {"Male": 0}) is None
    assert open_twins(root / "celeba", manifest, BLACK, {"Brown_Hair": 1}) is None
    assert open_twins(root / "celeba", {"splits": {}}, BLACK, BLOND) is None


def test_only_the_test_split_has_them_and_the_manifest_tells(root):
    prepared = root / "horse2zebra"
    entry = said(prepared)["twins"]["b_to_a"]
    assert entry["split"] == "test"
    assert (entry["from"], entry["to"], entry["count"], entry["each"]) == (B, A, 3, 8)
    assert len(entry["digest"]) == 64
    arrays = {path.name for path in prepared.glob("*twins*")}
    assert arrays == {*array_names("a_to_b"), *array_names("b_to_a")}
    assert all(name.startswith("test_") for name in arrays)


def test_a_limit_keeps_the_rows_right(root, tmp_path):
    limited = PAIRS.model_copy(update={"limit": 4})
    prepare(limited, root, tmp_path / "out", workers=1)
    images = np.load(tmp_path / "out" / "test.npy").astype(int)
    for source, target in ((A, B), (B, A)):
        twins = opened(tmp_path / "out", source, target)
        difference = np.abs(twins.images[:, 0] - images[twins.rows]).max(axis=1)
        assert difference[twins.masks == 0].max() < 20


def test_imported_data_have_none(root, tmp_path):
    (tmp_path / "data").mkdir()
    for folder in ("horse2zebra", "twins"):
        (tmp_path / "data" / folder).symlink_to(root / "data" / folder)
    brought = tmp_path / "data" / "horse2zebra"
    brought.unlink()
    brought.mkdir()
    for domain in ("trainA", "trainB", "testA", "testB"):
        (brought / domain).symlink_to(root / "data" / "horse2zebra" / domain)
    prepare(PAIRS, tmp_path, tmp_path / "out", workers=1)
    assert said(tmp_path / "out")["twins"] == {}
    assert not list((tmp_path / "out").glob("*twins*"))


@pytest.mark.parametrize("gone", ["testB/zebra_0002_3.jpg", "masks/testA/horse_0001.png"])
def test_a_missing_twin_is_named_and_nothing_is_written(root, tmp_path, gone):
    path = root / "data" / "twins" / "horse2zebra" / gone
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        with pytest.raises(UserError, match=r"not every drawn test image.*Run: atelier draw"):
            prepare(PAIRS, root, tmp_path / "out", workers=1)
        assert not (tmp_path / "out").exists()
    finally:
        aside.rename(path)


def test_a_pixel_is_outside_only_where_next_to_nothing_from_inside_went_into_it():
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 16:48] = 255
    small = mask_to_square(Image.fromarray(mask), 16, (0, 0, 64, 64))
    assert set(np.unique(small[5:10, 4:12])) <= {*range(200, 256)}
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    twin = np.where(mask[..., None] > 0, noise[1], noise[0])
    first, second = (to_square(Image.fromarray(one), 16, 1.0) for one in (noise[0], twin))
    difference = np.abs(first.astype(int) - second)
    assert difference[:, small == 0].max() <= 2  # corners, where the weights all but vanish
    assert difference[:, small > 0].max() > 40
