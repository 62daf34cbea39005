"""Splits that follow from a name alone, and names that can't be kept."""

import random

import pytest

from atelier.data.catalog import SPLITS
from atelier.data.names import (
    LEAST,
    LEAST_OF_CLASS,
    are_classes,
    fraction,
    hashed_partition,
    image_names,
    is_filled,
    name_faults,
    names_below,
    shown,
    too_few,
    walk,
)
from atelier.errors import UserError

NAMES = [f"{n}.jpg" for n in range(5000)]


def counts(parts):
    return [list(parts.values()).count(split) for split in SPLITS]


def test_a_names_number_never_changes():
    """Else the next version would train on what this one tests with."""
    assert fraction("holiday 1.jpg") == pytest.approx(0.95326006343962, abs=1e-12)
    assert fraction("cafe\u0301.jpg") == fraction("caf\u00e9.jpg")
    assert fraction("Caf\u00e9.jpg") != fraction("caf\u00e9.jpg")


def test_shares_are_about_80_10_10():
    training, validation, test = counts(hashed_partition(NAMES, LEAST))
    assert training + validation + test == 5000
    assert abs(validation - 500) < 100
    assert abs(test - 500) < 100
    assert not is_filled(NAMES, LEAST)


def test_another_picture_moves_no_other():
    rng = random.Random(1)
    for size in (100, 300, 1000):
        names = rng.sample(NAMES, size)
        parts = hashed_partition(names, LEAST)
        assert not is_filled(names, LEAST)
        more = hashed_partition([*names, *(f"new {n}.png" for n in range(50))], LEAST)
        assert {name: more[name] for name in names} == parts
        assert hashed_partition(names[::-1], LEAST) == parts
        assert hashed_partition(names[7:], LEAST) == {name: parts[name] for name in names[7:]}


@pytest.mark.parametrize("least", [LEAST, LEAST_OF_CLASS])
def test_in_a_small_set_splits_are_filled_and_nothing_leaves_training(least):
    rng = random.Random(2)
    filled = 0
    for trial in range(500):
        names = rng.sample(NAMES, rng.randint(sum(least.values()), 30))
        parts = hashed_partition(names, least)
        if too_few("here", parts, least):
            continue  # six names of which most have a small number: rare, and refused
        filled += is_filled(names, least)
        found = dict(zip(SPLITS, counts(parts), strict=True))
        assert all(found[split] >= needed for split, needed in least.items())
        more = hashed_partition([*names, f"new {trial}.jpg"], least)
        stays = [name for name in names if parts[name] == "training"]
        assert {more[name] for name in stays} == {"training"}
        assert all(more[n] != "test" for n in names if parts[n] == "validation")
    assert filled > 50


def test_too_few_is_one_line():
    parts = hashed_partition(NAMES[:5], LEAST)
    [problem] = too_few("photos", parts, LEAST)
    assert str(problem) == (
        "photos: holds too few images to divide by their names (got 5). "
        "Training takes 2, validation takes 2, test takes 2."
    )
    assert too_few("photos", hashed_partition(NAMES[:60], LEAST), LEAST) == []


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "caf\u00e9.jpg",
        "\u540d\u524d.png",
        "a\u00a0b.jpg",
        "\U0001f468\u200d\U0001f469.jpg",
    ],
)
def test_names_of_many_kinds_are_kept(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert image_names(tmp_path) == ([name], [])
    assert names_below(tmp_path) == ([name], [])


@pytest.mark.parametrize(
    "name", ["line\nbreak.jpg", "tab\t.jpg", "not\udce9utf8.jpg", "bell\x07.jpg"]
)
def test_names_that_no_data_version_holds_are_named_in_one_printable_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    for found in (image_names(tmp_path), names_below(tmp_path)):
        assert found[0] == []
        [problem] = map(str, found[1])
        assert problem.endswith("Rename it.")
        assert "\n" not in problem
        problem.encode()


def test_a_folder_that_is_not_utf8_counts_too(tmp_path):
    assert name_faults({"a\udce9/b.jpg": tmp_path}) != []
    assert shown("a\udce9\n") == "a\\udce9\\n"


def test_litter_and_other_files(tmp_path):
    for name in (".hidden.jpg", "Thumbs.db", "a.jpg", "b.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.jpg").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.JPG").write_bytes(b"")
    names, [problem] = names_below(tmp_path)
    assert names == ["a.jpg", "sub/d.JPG"]
    assert "b.txt: not an image's name (got .txt)" in str(problem)


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch):
    import os

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        list(walk(tmp_path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/1.jpg", "b/1.jpg"], True),
        (["a/1.jpg", "a/2.jpg"], False),
        (["a/1.jpg", "b/1.jpg", "1.jpg"], False),
        (["a/1.jpg", "b/c/1.jpg"], False),
        (["1.jpg", "2.jpg"], False),
    ],
)
def test_class_folders(names, expected):
    assert are_classes(names) is expected
