"""Pictures of any shape become squares, cut out or fitted in whole, of a side that they support."""

import json

import numpy as np
import pytest
from data.samples import numbered, picture, write_pictures
from PIL import Image

from atelier.data.catalog import DatasetConfig
from atelier.data.drawn import draw
from atelier.data.prepare import padded, prepare, size_fault, to_square
from atelier.data.recognised import Picture
from atelier.data.sizes import largest_size, propose_size
from atelier.drawing.scenes import DrawingCounts
from atelier.errors import UserError, UserErrors


def config(layout="pictures", path="photos", size=32, fit="pad", share=None):
    return DatasetConfig(
        layout=layout, path=path, size_pixels=size, fit=fit, crop_share=share, limit=None
    )


@pytest.mark.parametrize(
    ("width", "height", "rows", "columns"),
    [(64, 32, slice(8, 24), slice(None)), (32, 64, slice(None), slice(8, 24))],
)
def test_pad_keeps_the_whole_picture_and_mirrors_its_border(width, height, rows, columns):
    image = picture(1, width, height)
    square = to_square(image, 32, None)
    inner = image.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    pixels = np.asarray(inner).transpose(2, 0, 1)
    assert square.shape == (3, 32, 32)
    assert np.array_equal(square[:, rows, columns], pixels)
    turned = square if width > height else square.transpose(0, 2, 1)
    assert np.array_equal(turned[:, :8], turned[:, 8:16][:, ::-1])
    assert np.array_equal(turned[:, 24:], turned[:, 16:24][:, ::-1])


def test_a_square_picture_is_the_same_cropped_and_padded():
    image = picture(2, 48, 48)
    assert np.array_equal(to_square(image, 32, None), to_square(image, 32, 1.0))


def test_an_odd_border_and_a_thin_picture():
    pixels = np.arange(15, dtype=np.uint8).reshape(1, 3, 5)
    assert np.array_equal(padded(pixels, 6)[0, :, 0], [0, 0, 5, 10, 10, 5])
    thin = padded(np.arange(6, dtype=np.uint8).reshape(1, 1, 6), 6)
    assert np.array_equal(thin, np.tile(np.arange(6), (1, 6, 1)))


@pytest.mark.parametrize(
    ("width", "height", "share", "size", "problem"),
    [
        (40, 20, None, 64, None),
        (40, 20, 1.0, 64, r"too small \(got 40x20, 20 px after the crop\)"),
        (31, 20, None, 64, r"too small \(got 31x20\)"),
        (20, 160, None, 64, None),
        (161, 20, None, 64, r"too thin to be fitted in whole \(got 161x20\)"),
        (20, 161, 1.0, 32, None),
    ],
)
def test_too_small_and_too_thin(tmp_path, width, height, share, size, problem):
    fault = size_fault(tmp_path, Image.new("RGB", (width, height)), size, share)
    if problem is None:
        assert fault is None
    else:
        with pytest.raises(UserError, match=problem):
            raise fault.error()


def test_a_padded_dataset_says_so(tmp_path):
    write_pictures(tmp_path / "data" / "photos", numbered(12), width=90, height=40)
    prepare(config(), tmp_path, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["fit"], manifest["crop"]) == ("pad", None)
    training = np.load(tmp_path / "out" / "training.npy")
    name = manifest["splits"]["training"]["names"][3]
    image = Image.open(tmp_path / "data" / "photos" / name)
    assert np.array_equal(training[3], to_square(image, 32, None))
    write_pictures(tmp_path / "data" / "photos", ["thin.jpg"], width=400, height=20)
    with pytest.raises(UserErrors, match=r"thin\.jpg: too thin.*`fit: crop` cuts its centre out"):
        prepare(config(), tmp_path, tmp_path / "out")


def test_twins_of_a_padded_dataset_are_framed_as_their_pictures(tmp_path):
    counts = DrawingCounts(
        faces_training=2, faces_validation=1, faces_test=8, animals_training=4, animals_test=2
    )
    draw(tmp_path, counts, workers=1)
    prepare(config("attributes", "celeba"), tmp_path, tmp_path / "out", workers=1)
    for direction in ("black_to_blond", "blond_to_black"):
        stem = tmp_path / "out" / f"test_twins_{direction}"
        if stem.with_name(f"{stem.name}.npy").exists():
            break
    rows, twins, masks = (
        np.load(stem.with_name(stem.name + end)) for end in ("_rows.npy", ".npy", "_masks.npy")
    )
    images = np.load(tmp_path / "out" / "test.npy")[rows].astype(int)
    outside = (masks == 0)[:, None]
    assert 0.05 < outside.mean() < 0.95
    assert (np.abs(twins[:, 0].astype(int) - images) * outside).max() <= 2
    # 178 x 218 becomes 26 x 32: three columns on each side are mirrored.
    assert np.array_equal(masks[:, :, :3], masks[:, :, 3:6][:, :, ::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": "crop"}, "fit crop takes a value for crop_share"),
        ({"crop_share": 1.0}, r"fit pad takes null for crop_share \(got 1.0\)"),
        ({"fit": None}, "layout pictures takes a value for fit"),
        ({"fit": "stretch"}, "'crop' or 'pad'"),
        ({"layout": "numbers", "path": None, "size_pixels": None}, "takes null for fit"),
    ],
)
def test_wrong_configuration(change, message):
    with pytest.raises(ValueError, match=message):
        DatasetConfig.model_validate({**config().model_dump(), **change})


def measured(tmp_path, *sizes):
    return [Picture(f"{n}.jpg", tmp_path / f"{n}.jpg", size) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "wanted", "fit", "size"),
    [
        ([(640, 480)], 64, "crop", 64),
        ([(640, 480)], 100, "crop", 64),
        ([(640, 480)], 2000, "crop", 512),
        ([(640, 480)], 2000, "pad", 1024),
        ([(60, 100)], 128, "crop", 64),
        ([(60, 100)], 128, "pad", 128),
        ([(16, 16)], 1024, "crop", 32),
        ([(100, 100)] * 5 + [(200, 200)] * 5, 512, "crop", 128),
    ],
)
def test_the_median_picture_decides_the_size(tmp_path, sizes, wanted, fit, size):
    pictures = measured(tmp_path, *sizes)
    assert propose_size("photos", pictures, wanted, fit).size_pixels == size
    assert largest_size(pictures, wanted, fit) == size


def test_a_few_smaller_ones_are_left_out_and_many_are_refused(tmp_path):
    pictures = measured(tmp_path, *[(300, 300)] * 18, (20, 90), (300, 12))
    found = propose_size("photos", pictures, 64, "crop")
    assert (found.size_pixels, found.unfit) == (64, ("18.jpg", "19.jpg"))
    assert propose_size("photos", pictures, 64, "pad").unfit == ("19.jpg",)
    assert largest_size(pictures, 64, "crop") is None
    assert largest_size(pictures[:19], 64, "crop") == 32
    many = measured(tmp_path, *[(300, 300)] * 8, (40, 90), (40, 90))
    with pytest.raises(UserError) as caught:
        propose_size("photos", many, 128, "crop")
    assert str(caught.value) == (
        "photos: 2 of 10 pictures are too small or too thin for 128 px (such as 8.jpg, 40x90). "
        "Ask for 64 px, or take them out."
    )
    assert propose_size("photos", many, 64, "crop").unfit == ()


def test_no_size_at_all(tmp_path):
    with pytest.raises(UserError, match=r"most pictures are too small \(median side 12 px\)"):
        propose_size("photos", measured(tmp_path, (12, 40), (12, 40), (90, 90)), 64, "crop")
    with pytest.raises(UserError, match=r"too small a size \(got 8\)\. 16 px or more"):
        propose_size("photos", measured(tmp_path, (90, 90)), 8, "crop")


def test_what_is_proposed_can_be_prepared(tmp_path):
    write_pictures(tmp_path / "data" / "photos", numbered(12), width=70, height=50)
    pictures = measured(tmp_path, *[(70, 50)] * 12)
    for fit, share in (("crop", 1.0), ("pad", None)):
        size = propose_size("photos", pictures, 1024, fit).size_pixels
        wanted = config(size=size, fit=fit, share=share)
        prepare(wanted, tmp_path, tmp_path / "out")
        with pytest.raises(UserErrors, match="too small"):
            prepare(config(size=size * 2, fit=fit, share=share), tmp_path, tmp_path / "out")
