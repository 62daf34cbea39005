"""A user's own data come in whole, byte for byte, or not at all."""

import shutil

import pytest
from data.samples import encoded, picture, tree_digest, write_faces, write_pairs, zipped

from atelier.data import importing
from atelier.data.catalog import MARKER, read_catalog
from atelier.data.importing import import_dataset
from atelier.errors import UserError, UserErrors


def same_images(first, second):
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("nested", ["", "img_align_celeba"])
def test_faces(tmp_path, root, as_zip, csv, nested):
    folder = write_faces(tmp_path / "source", csv=csv, nested=nested)
    source = zipped(folder, tmp_path / "archive.zip") if as_zip else folder
    before = tree_digest(folder)
    imported = import_dataset("celeba", source, root)
    assert tree_digest(folder) == before
    stored = root / "data" / "celeba"
    assert sorted(path.name for path in stored.iterdir()) == [
        "img_align_celeba",
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
    ]
    assert same_images(folder / "img_align_celeba" / nested, stored / "img_align_celeba")
    assert [len(split.names) for split in imported.catalog.splits.values()] == [8, 2, 2]
    assert imported.catalog.splits["test"].labels.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert imported.notes == ()
    assert not imported.catalog.drawn


def test_celebas_own_download_is_tables_beside_a_zip(tmp_path, root):
    folder = write_faces(tmp_path / "source")
    zipped(folder / "img_align_celeba", folder / "img_align_celeba.zip")
    shutil.rmtree(folder / "img_align_celeba")
    before = tree_digest(folder)
    imported = import_dataset("celeba", folder, root)
    assert len(imported.catalog.splits["training"].names) == 8
    assert tree_digest(folder) == before
    assert not (root / ".atelier" / "unpacked").exists()


def test_folders_of_the_official_tree(tmp_path, root):
    folder = write_faces(tmp_path / "source")
    for parent, child in (("Img", "img_align_celeba"), ("Anno", "list_attr_celeba.txt")):
        (folder / parent).mkdir()
        (folder / child).rename(folder / parent / child)
    assert len(import_dataset("celeba", folder, root).catalog.splits["training"].names) == 8


def test_without_a_partition_a_seeded_split_is_written(tmp_path, root):
    imported = import_dataset("celeba", write_faces(tmp_path / "s", 20, partition=False), root)
    assert [len(split.names) for split in imported.catalog.splits.values()] == [16, 2, 2]
    assert "no partition file" in imported.notes[0]
    rows = (root / "data" / "celeba" / "list_eval_partition.txt").read_text().splitlines()
    assert len(rows) == 20


@pytest.mark.parametrize("name", ["horse2zebra", "monet2photo"])
@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("nested", ["", "horse2zebra/horse2zebra"])
def test_pairs(tmp_path, root, name, as_zip, nested):
    folder = write_pairs(tmp_path / "source" / nested)
    top = tmp_path / "source"
    source = zipped(top, tmp_path / "archive.zip") if as_zip else top
    imported = import_dataset(name, source, root)
    assert [len(split.names) for split in imported.catalog.splits.values()] == [16, 4, 6]
    assert tree_digest(root / "data" / name) == tree_digest(folder)


def test_faces_under_another_name(tmp_path, root):
    import_dataset("family", write_faces(tmp_path / "source"), root)
    assert len(read_catalog(root / "data" / "family", "attributes").labels) == 3


def test_all_kinds_of_files_are_kept_as_they_are(tmp_path, root):
    source = write_pairs(tmp_path / "source")
    pictures = {
        "gray.png": encoded(picture(1, mode="L"), "PNG"),
        "alpha.PNG": encoded(picture(2, mode="RGBA"), "PNG"),
        "print.tif": encoded(picture(3, mode="CMYK"), "TIFF"),
    }
    for name, content in pictures.items():
        (source / "trainA" / name).write_bytes(content)
    import_dataset("horse2zebra", source, root)
    for name, content in pictures.items():
        assert (root / "data" / "horse2zebra" / "trainA" / name).read_bytes() == content


def test_linked_folders_are_followed_once(tmp_path, root):
    source = write_pairs(tmp_path / "source")
    (source / "trainA").rename(tmp_path / "elsewhere")
    (tmp_path / "far").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "far" / "trainA")
    (source / "trainA").symlink_to(tmp_path / "far" / "trainA")
    (source / "again").symlink_to(source)
    import_dataset("horse2zebra", source, root)
    stored = root / "data" / "horse2zebra" / "trainA"
    assert not stored.is_symlink()
    assert len(list(stored.iterdir())) == 10


def test_imported_data_are_replaced_only_on_request(tmp_path, root):
    import_dataset("horse2zebra", write_pairs(tmp_path / "first"), root)
    before = tree_digest(root / "data")
    second = write_pairs(tmp_path / "second", train=11)
    with pytest.raises(UserError, match=r"is there already\. Add --replace"):
        import_dataset("horse2zebra", second, root)
    assert tree_digest(root / "data") == before
    import_dataset("horse2zebra", second, root, replace=True)
    assert tree_digest(root / "data" / "horse2zebra") == tree_digest(second)


def test_drawn_data_and_their_twins_give_way(tmp_path, root):
    for name in ("celeba", "twins/celeba", "twins/horse2zebra"):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / MARKER).write_text("{}")
    import_dataset("celeba", write_faces(tmp_path / "source"), root)
    assert not (root / "data" / "celeba" / MARKER).exists()
    assert not (root / "data" / "twins" / "celeba").exists()
    assert (root / "data" / "twins" / "horse2zebra").exists()


def test_rows_without_an_image_are_an_error_or_left_out(tmp_path, root):
    source = write_faces(tmp_path / "source")
    (source / "img_align_celeba" / "000003.jpg").unlink()
    with pytest.raises(UserErrors, match=r"a row for 000003\.jpg, but no image.*--subset"):
        import_dataset("celeba", source, root)
    imported = import_dataset("celeba", source, root, subset=True)
    assert "000003.jpg" not in imported.catalog.splits["training"].names
    assert len(imported.catalog.splits["training"].names) == 7
    assert "list_attr_celeba.txt: 1 rows without an image were left out" in imported.notes


def test_an_interrupted_copy_leaves_what_was_there(tmp_path, root, monkeypatch):
    import_dataset("horse2zebra", write_pairs(tmp_path / "first"), root)
    before = tree_digest(root / "data")
    copy = shutil.copyfile

    def interrupted(source, target):
        if source.name == "005.jpg":
            raise KeyboardInterrupt
        copy(source, target)

    monkeypatch.setattr(importing.shutil, "copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_dataset("horse2zebra", write_pairs(tmp_path / "second", 12), root, replace=True)
    assert tree_digest(root / "data") == before


def test_a_full_disk_is_one_line(tmp_path, root, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(importing.shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"the copy failed \(No space left on device\)"):
        import_dataset("horse2zebra", write_pairs(tmp_path / "source"), root)
    assert list((root / "data").iterdir()) == []


def test_problems_in_a_zip_are_named_by_its_members(tmp_path, root):
    source = write_pairs(tmp_path / "source")
    (source / "trainA" / "003.jpg").write_bytes(b"broken")
    archive = zipped(source, tmp_path / "archive.zip")
    with pytest.raises(UserError) as caught:
        import_dataset("horse2zebra", archive, root)
    assert str(caught.value).startswith(f"{archive}/trainA/003.jpg: not an image")
    assert "unpacked" not in str(caught.value)


def test_the_source_may_not_hold_the_destination(root):
    write_pairs(root / "data" / "horse2zebra")
    with pytest.raises(UserError, match="itself"):
        import_dataset("horse2zebra", root / "data" / "horse2zebra", root, replace=True)
