"""A user's own pictures: plain, in class folders, or a pair without a test split, end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from data.samples import (
    numbered,
    tree_digest,
    write_faces,
    write_pairs,
    write_pictures,
    zipped,
)

from atelier import config
from atelier.data import importing
from atelier.data.catalog import DatasetConfig, layout_of, read_catalog
from atelier.data.checking import check
from atelier.data.importing import import_dataset, import_recognised
from atelier.data.names import LEAST, hashed_partition
from atelier.data.prepare import prepare
from atelier.data.recognising import measured, recognise_opened
from atelier.data.sources import opened
from atelier.errors import UserError, UserErrors
from atelier.schema import read_yaml

ODD = [
    "a b.jpg",
    "caf\u00e9.jpg",
    "cafe\u0301 2.jpg",
    "\u540d\u524d.png",
    "50%, 'best' #1.JPG",
    "a\u00a0b.webp",
]


def counts(catalog):
    return {split: len(found.names) for split, found in catalog.splits.items()}


def prepared(root, layout, name="mine"):
    wanted = DatasetConfig(
        layout=layout, path=name, size_pixels=16, fit="crop", crop_share=1.0, limit=None
    )
    prepare(wanted, root, root / "out")
    return json.loads((root / "out" / "manifest.json").read_text())


@pytest.mark.parametrize("as_zip", [False, True])
def test_plain_pictures(tmp_path, root, as_zip):
    folder = write_pictures(tmp_path / "user" / "top", [*numbered(40), *ODD, "deep/er/x.jpg"])
    source = zipped(tmp_path / "user", tmp_path / "user.zip") if as_zip else tmp_path / "user"
    import_dataset("mine", source, root)
    assert tree_digest(root / "data" / "mine") == tree_digest(folder)
    catalog = read_catalog(root / "data" / "mine", "pictures")
    assert (catalog.labels, catalog.hashed, catalog.drawn) == ((), True, False)
    assert sum(counts(catalog).values()) == 47
    manifest = prepared(root, "pictures")
    assert (manifest["layout"], manifest["labels"]) == ("pictures", [])
    for split, said in manifest["splits"].items():
        labels = np.load(root / "out" / f"{split}_labels.npy")
        assert (labels.shape, labels.dtype) == ((said["count"], 0), np.uint8)
        assert np.load(root / "out" / f"{split}.npy").shape == (said["count"], 3, 16, 16)
    assert check(root / "data" / "mine").findings == ()


def test_what_is_reported_is_what_stands_there(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(40))
    imported = import_dataset("mine", source, root).catalog
    read = read_catalog(root / "data" / "mine", "pictures")
    assert (imported.dataset, imported.images) == ("mine", root / "data" / "mine")
    names = {split: found.names for split, found in read.splits.items()}
    assert {split: found.names for split, found in imported.splits.items()} == names


def test_class_folders_give_one_label_each(tmp_path, root):
    names = numbered(30, "dogs") + numbered(20, "caf\u00e9 cats") + numbered(25, "7")
    source = write_pictures(tmp_path / "user", names)
    catalog = import_dataset("mine", source, root).catalog
    assert tree_digest(root / "data" / "mine") == tree_digest(source)
    assert (catalog.layout, catalog.labels) == ("classes", ("7", "caf\u00e9_cats", "dogs"))
    for found in catalog.splits.values():
        assert (found.labels.sum(axis=1) == 1).all()
        assert found.labels.any(axis=0).all()
        folders = ["7", "caf\u00e9 cats", "dogs"]
        given = [folders[column] for column in found.labels.argmax(axis=1)]
        assert given == [name.split("/")[0] for name in found.names]
    manifest = prepared(root, "classes")
    assert manifest["labels"] == ["7", "caf\u00e9_cats", "dogs"]
    assert np.load(root / "out" / "training_labels.npy").shape[1] == 3


def test_classes_taken_without_their_labels(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(9, "a") + numbered(9, "b"))
    catalog = import_dataset("mine", source, root, layout="pictures").catalog
    assert (catalog.layout, catalog.labels) == ("pictures", ())
    assert layout_of(root / "data" / "mine") == "classes"
    assert check(root / "data" / "mine", "pictures").findings == ()


@pytest.mark.parametrize("given", ["names", "two folders", "inside"])
def test_a_pair_without_a_test_split(tmp_path, root, given):
    a = write_pictures(tmp_path / "user" / "trainA", numbered(60))
    b = write_pictures(tmp_path / "user" / "trainB", numbered(50), start=900)
    options = {
        "names": {"source": tmp_path / "user"},
        "two folders": {"source": None, "a": a, "b": b},
        "inside": {"source": tmp_path / "user", "a": "trainA", "b": "trainB"},
    }
    imported = import_dataset("mine", root=root, **options[given])
    assert any("each name decides its split" in note for note in imported.notes)
    catalog = imported.catalog
    assert (catalog.layout, catalog.labels, catalog.hashed) == ("pairs", ("domain_b",), True)
    for split, found in catalog.splits.items():
        parts = hashed_partition(numbered(60), LEAST)
        wanted = {f"trainA/{name}" for name, part in parts.items() if part == split}
        assert {name for name in found.names if name.startswith("trainA")} == wanted
        assert found.labels[:, 0].tolist() == [name.startswith("trainB") for name in found.names]
    assert sorted(path.name for path in (root / "data" / "mine").iterdir()) == ["trainA", "trainB"]
    assert prepared(root, "pairs")["labels"] == ["domain_b"]
    assert layout_of(root / "data" / "mine") == "pairs"


def test_counterparts_of_a_pair_stay_in_one_split(tmp_path):
    names = [*numbered(80, "trainA"), *numbered(80, "trainB")]
    catalog = read_catalog(write_pictures(tmp_path / "pair", names), "pairs")
    for found in catalog.splits.values():
        bare = [name.split("/")[1] for name in found.names]
        assert sorted(bare[: len(bare) // 2]) == sorted(bare[len(bare) // 2 :])


def test_adding_a_picture_moves_no_other(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(80))
    before = import_dataset("mine", source, root).catalog.splits
    write_pictures(source, [f"new {n}.jpg" for n in range(10)], start=500)
    after = import_dataset("mine", source, root, replace=True).catalog.splits
    for split, found in before.items():
        assert set(found.names) <= set(after[split].names)


def test_exact_copies_are_left_out_and_named(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(30))
    (source / "copy.jpg").write_bytes((source / "003.jpg").read_bytes())
    imported = import_dataset("mine", source, root)
    assert "1 left out, being exact copies: copy.jpg (as 003.jpg)" in imported.notes
    assert not (root / "data" / "mine" / "copy.jpg").exists()
    assert check(root / "data" / "mine").findings == ()


def test_one_picture_in_two_classes_is_refused(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(9, "a") + numbered(9, "b"))
    (source / "b" / "x.jpg").write_bytes((source / "a" / "003.jpg").read_bytes())
    with pytest.raises(UserErrors, match=r"b/x\.jpg: is the same picture as .*a/003\.jpg, in ano"):
        import_dataset("mine", source, root)
    (source / "a" / "y.jpg").write_bytes((source / "a" / "004.jpg").read_bytes())
    (source / "b" / "x.jpg").unlink()
    assert "a/y.jpg (as a/004.jpg)" in import_dataset("mine", source, root).notes[-1]


def test_a_pair_that_has_its_test_split_keeps_its_copies(tmp_path, root):
    source = write_pairs(tmp_path / "user")
    (source / "trainA" / "copy.jpg").write_bytes((source / "trainA" / "003.jpg").read_bytes())
    import_dataset("mine", source, root)
    assert (root / "data" / "mine" / "trainA" / "copy.jpg").exists()


def test_recognised_once_measured_and_imported_without_the_small_ones(tmp_path, root):
    folder = write_pictures(tmp_path / "user", numbered(30))
    write_pictures(folder, ["icon.png", "thumb.png"], start=99, width=12, height=12)
    archive = zipped(folder, tmp_path / "user.zip")
    with opened(archive, root) as source:
        found = measured(recognise_opened(source))
        small = [p.name for p in found.pictures if p.size and min(p.size) < 16]
        imported = import_recognised("mine", found, root, without=small)
    assert "2 left out as too small or too thin: icon.png, thumb.png" in imported.notes
    assert sum(counts(imported.catalog).values()) == 30
    assert not (root / ".atelier" / "unpacked").exists()


def test_faces_without_the_small_ones_lose_their_rows_too(tmp_path, root):
    source = write_faces(tmp_path / "user", count=20)
    with opened(source, root) as seen:
        imported = import_recognised("family", recognise_opened(seen), root, without=["000004.jpg"])
    assert sum(counts(imported.catalog).values()) == 19
    assert "000004.jpg" not in (root / "data/family/list_attr_celeba.txt").read_text()
    assert "000004.jpg" not in (root / "data/family/list_eval_partition.txt").read_text()


REFUSED = {
    "five": (numbered(5), {}, r"too few images to divide by their names \(got 5\)"),
    "small class": (
        numbered(9, "a") + numbered(3, "b"),
        {},
        r"user/b: holds too few images .*\(got 3\)",
    ),
    "small domain": (
        numbered(9, "a") + numbered(5, "b"),
        {"a": "a", "b": "b"},
        r"user/b: holds too few images .*\(got 5\)",
    ),
    "loose": (
        ["x.jpg", *numbered(9, "a"), *numbered(9, "b")],
        {"layout": "classes"},
        "user/x.jpg: an image beside the class folders",
    ),
    "one class": (["x.jpg", *numbered(9, "a")], {"layout": "classes"}, "too few class folders"),
    "two of a label": (
        numbered(9, "a b") + numbered(9, "a_b"),
        {},
        r"a_b: gives no label of its own \(got 'a_b'",
    ),
    "no label": (numbered(9, "a") + numbered(9, "!"), {}, r"!: gives no label of its own"),
    "not utf-8": ([*numbered(9), "caf\udce9.jpg"], {}, r"caf\\udce9\.jpg: a name with characters"),
    "line break": ([*numbered(9), "a\nb.jpg"], {}, r"a\\nb\.jpg: a name with characters"),
    "not utf-8 in a pair": (
        numbered(9, "trainA") + numbered(9, "trainB") + ["trainA/caf\udce9.jpg"],
        {},
        r"caf\\udce9\.jpg: a name with characters",
    ),
}


@pytest.mark.parametrize("names", [[], ["old.jpg"]], ids=["empty", "there"])
@pytest.mark.parametrize(("given", "options", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_changes_nothing(tmp_path, root, names, given, options, problem):
    source = write_pictures(tmp_path / "user", given)
    write_pictures(root / "data" / "mine", names)
    before = tree_digest(root / "data"), tree_digest(source)
    with pytest.raises(UserErrors, match=problem):
        import_dataset("mine", source, root, replace=True, **options)
    assert (tree_digest(root / "data"), tree_digest(source)) == before


def test_a_table_that_reads_back_otherwise_is_refused_before_the_swap(tmp_path, root, monkeypatch):
    """Whatever a layout's writer gets wrong, the dataset that was there stays."""
    import_dataset("family", write_faces(tmp_path / "first", count=20), root)
    before = tree_digest(root / "data")
    monkeypatch.setattr(importing, "write_partition", lambda path, splits: path.write_text("x 0\n"))
    second = write_faces(tmp_path / "second")
    with pytest.raises(UserErrors) as caught:
        import_dataset("family", second, root, replace=True)
    assert tree_digest(root / "data") == before
    assert ".building" not in str(caught.value)
    assert f"{second}/list_eval_partition.txt: a row for x, which isn't there" in str(caught.value)


def test_a_shipped_name_keeps_its_layout(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(9))
    with pytest.raises(UserError, match=r"celeba: has layout attributes.*\(got pictures\)"):
        import_dataset("celeba", source, root, layout="pictures")


def test_by_hand_in_data(tmp_path):
    """A dataset that nobody imported is read by the same rules."""
    folder = write_pictures(tmp_path / "mine", numbered(30))
    assert layout_of(folder) == "pictures"
    (folder / "notes.txt").write_text("x")
    with pytest.raises(UserErrors, match=r"notes\.txt: not an image's name"):
        read_catalog(folder, "pictures")
    write_pictures(tmp_path / "twins" / "celeba" / "images", numbered(3))
    assert layout_of(tmp_path / "twins") is None
    (tmp_path / "empty").mkdir()
    assert layout_of(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("layout", "judged", "problem"),
    [
        ("pictures", False, None),
        ("pictures", True, "layout pictures takes null, because nothing is labelled"),
        ("classes", True, None),
        ("classes", False, "layout classes takes a classifier"),
        ("pairs", False, "layout pairs takes a classifier"),
    ],
)
def test_what_has_no_labels_has_no_judge(layout, judged, problem):
    written = read_yaml(Path("experiments/tiny/datasets/celeba.yaml"))
    written["data"]["layout"] = layout
    for judge in ("judge", "judge_b"):
        written[judge] = written[judge] if judged else None
    if problem is None:
        assert (config.Dataset.model_validate(written).judge is not None) == judged
    else:
        with pytest.raises(ValueError, match=problem):
            config.Dataset.model_validate(written)
