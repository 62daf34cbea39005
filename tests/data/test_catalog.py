"""Layouts, tables, splits and the dataset's configuration."""

import numpy as np
import pytest
from data.samples import LABELS, write_faces, write_pairs
from pydantic import ValidationError

from atelier.data import catalog
from atelier.data.catalog import DatasetConfig, read_catalog, seeded_partition
from atelier.data.table_rows import any_rows
from atelier.data.tables import read_attributes, read_partition, write_attributes, write_partition
from atelier.errors import UserError, UserErrors

FACES = {
    "layout": "attributes",
    "path": "celeba",
    "size_pixels": 64,
    "fit": "crop",
    "crop_share": 0.787,
}


def test_attributes_layout(tmp_path):
    found = read_catalog(write_faces(tmp_path / "celeba"), "attributes")
    assert (found.dataset, found.layout, found.drawn) == ("celeba", "attributes", False)
    assert found.labels == LABELS
    assert [len(split.names) for split in found.splits.values()] == [8, 2, 2]
    assert found.splits["test"].names == ("000011.jpg", "000012.jpg")
    # 000012.jpg is number 11 = 0b1011: the first two of its three lowest bits are set.
    assert found.splits["test"].labels.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert found.splits["test"].labels.dtype == np.uint8


def test_the_marker_tells_drawn_from_imported(tmp_path):
    folder = write_pairs(tmp_path / "horse2zebra")
    assert not read_catalog(folder, "pairs").drawn
    assert catalog.is_imported(folder)
    (folder / catalog.MARKER).write_text("{}")
    assert read_catalog(folder, "pairs").drawn
    assert not catalog.is_imported(folder)


def test_pairs_layout_holds_a_tenth_of_training_out(tmp_path):
    found = read_catalog(write_pairs(tmp_path / "h2z", train=20), "pairs")
    counts = {name: len(split.names) for name, split in found.splits.items()}
    assert counts == {"training": 36, "validation": 4, "test": 6}
    assert found.labels == ("domain_b",)
    for split in found.splits.values():
        in_b = [name.split("/")[0].endswith("B") for name in split.names]
        assert split.labels[:, 0].tolist() == in_b
        assert sum(in_b) * 2 == len(in_b)
    training, validation = (set(found.splits[s].names) for s in ("training", "validation"))
    assert not training & validation


def test_without_a_partition_file_the_split_is_seeded(tmp_path):
    folder = write_faces(tmp_path / "celeba", count=20, partition=False)
    first, second = (read_catalog(folder, "attributes") for _ in range(2))
    counts = [len(split.names) for split in first.splits.values()]
    assert counts == [16, 2, 2]
    assert {s: v.names for s, v in first.splits.items()} == {
        s: v.names for s, v in second.splits.items()
    }


def test_seeded_partition_is_disjoint_and_knows_no_order():
    names = [f"{n}.jpg" for n in range(1000)]
    parts = seeded_partition(names)
    assert parts == seeded_partition(names[::-1])
    counts = {split: list(parts.values()).count(split) for split in catalog.SPLITS}
    assert counts == {"training": 800, "validation": 100, "test": 100}


@pytest.mark.parametrize(
    ("count", "test"), [(1, 0), (2, 0), (3, 1), (6, 2), (10, 2), (25, 2), (26, 3)]
)
def test_small_sets_are_divided_too(count, test):
    parts = list(seeded_partition([str(n) for n in range(count)]).values())
    assert parts.count("test") == parts.count("validation") == test


def test_a_limit_keeps_images_of_both_domains(tmp_path):
    split = read_catalog(write_pairs(tmp_path / "p", train=20), "pairs").splits["training"]
    kept = split.first(6)
    assert len(kept.names) == len(kept.labels) == 6
    assert kept.labels.sum() == 3
    assert set(kept.names) < set(split.names)
    assert split.first(None) is split
    assert split.first(10**6) is split


@pytest.mark.parametrize("csv", [False, True])
def test_tables_as_txt_and_csv_say_the_same(tmp_path, csv):
    folder = write_faces(tmp_path / "f", csv=csv)
    suffix = "csv" if csv else "txt"
    table, problems = read_attributes(folder / f"list_attr_celeba.{suffix}", any_rows)
    splits, more = read_partition(folder / f"list_eval_partition.{suffix}", any_rows)
    assert problems == more == []
    assert table.labels == LABELS
    assert table.values[5].tolist() == [1, 0, 1]
    assert splits.splits["000001.jpg"] == "training"
    assert splits.splits["000012.jpg"] == "test"


def test_zero_and_one_are_read_like_minus_one_and_one(tmp_path):
    path = tmp_path / "list_attr_celeba.csv"
    path.write_text("image_id,Male\na.jpg,0\nb.jpg,1\n")
    table, problems = read_attributes(path, any_rows)
    assert problems == []
    assert table.values.tolist() == [[0], [1]]


def test_byte_order_marks_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfimage_id,Male\r\na.jpg,-1\r\n\r\n")
    table, problems = read_attributes(path, any_rows)
    assert problems == []
    assert (table.labels, table.names) == (("Male",), ("a.jpg",))


def test_what_is_written_reads_back(tmp_path):
    folder = write_faces(tmp_path / "f")
    table, _ = read_attributes(folder / "list_attr_celeba.txt")
    splits, _ = read_partition(folder / "list_eval_partition.txt")
    write_attributes(tmp_path / "a.txt", table)
    write_partition(tmp_path / "p.txt", splits.splits)
    again, problems = read_attributes(tmp_path / "a.txt")
    assert problems == []
    assert (again.labels, again.names) == (table.labels, table.names)
    assert np.array_equal(again.values, table.values)
    assert read_partition(tmp_path / "p.txt") == (splits, [])
    celeba = "12\nEyeglasses Black_Hair Smiling\n000001.jpg -1 -1 -1\n000002.jpg  1 -1 -1\n"
    assert (tmp_path / "a.txt").read_text().startswith(celeba)


def test_all_faults_are_named_at_once(tmp_path):
    folder = write_faces(tmp_path / "celeba")
    (folder / "img_align_celeba" / "000003.jpg").unlink()
    (folder / "img_align_celeba" / "new.jpg").write_bytes(b"")
    (folder / "img_align_celeba" / "notes.txt").write_text("")
    with pytest.raises(UserErrors) as caught:
        read_catalog(folder, "attributes")
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    for part in ("000003.jpg: no such file", "new.jpg: no row", "notes.txt: not an image's name"):
        assert any(part in line for line in lines), part


def test_at_most_twenty_are_shown_and_the_others_counted(tmp_path):
    problems = [UserError(f"{n}.jpg", "bad") for n in range(33)]
    with pytest.raises(UserErrors) as caught:
        catalog.refuse(tmp_path, problems)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("13 more problems, not shown.")


def test_hidden_files_and_litter_are_no_problem(tmp_path):
    folder = write_pairs(tmp_path / "p")
    (folder / "trainA" / ".DS_Store").write_bytes(b"x")
    (folder / "trainA" / "Thumbs.db").write_bytes(b"x")
    assert len(read_catalog(folder, "pairs").splits["training"].names) == 16


def test_no_folder_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match=r"no such folder.*atelier data import"):
        read_catalog(tmp_path / "celeba", "attributes")


def test_configuration_round_trip():
    config = DatasetConfig.model_validate({**FACES, "limit": None})
    assert config.name == "celeba"
    assert config.model_dump() == {**FACES, "limit": None}
    numbers = dict.fromkeys(("path", "size_pixels", "fit", "crop_share", "limit"))
    assert DatasetConfig.model_validate({"layout": "numbers", **numbers}).name == "numbers"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_pixels": 60}, "power of two .got 60."),
        ({"size_pixels": 4}, "greater than or equal to 8"),
        ({"size_pixels": 2048}, "less than or equal to 1024"),
        ({"size_pixels": None}, "takes a value for size_pixels"),
        ({"size_pixels": "64"}, "valid integer"),
        ({"crop_share": 0.0}, "greater than 0"),
        ({"crop_share": 1.1}, "less than or equal to 1"),
        ({"path": "../secrets"}, "should match pattern"),
        ({"path": "/data"}, "should match pattern"),
        ({"path": None}, "takes a value for path"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"layout": "folders"}, "'attributes', 'pairs' or 'numbers'"),
        ({"layout": "numbers"}, "takes null for path"),
        ({"sise": 3}, "Extra inputs"),
    ],
)
def test_wrong_configuration(change, message):
    with pytest.raises(ValidationError, match=message):
        DatasetConfig.model_validate({**FACES, "limit": None, **change})
