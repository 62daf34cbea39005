"""What a folder or an archive is taken for, what is told of it, and what it could be instead."""

import shutil

import pytest
from data.samples import (
    encoded,
    numbered,
    picture,
    tree_digest,
    write_faces,
    write_pairs,
    write_pictures,
    zipped,
)
from PIL import Image

from atelier.data.recognising import recognise
from atelier.errors import UserError


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def told(found):
    return "\n".join(found.lines())


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("nested", ["", "download/mine"])
def test_a_plain_folder(tmp_path, root, as_zip, nested):
    names = [*(f"holiday {n}.jpg" for n in range(30)), "sc\u00e4n.PNG"]
    write_pictures(tmp_path / "user" / nested, names)
    (tmp_path / "user" / nested / "notes.txt").write_text("sunny")
    source = tmp_path / "user"
    source = zipped(source, tmp_path / "user.zip") if as_zip else source
    found = recognise(source, root=root)
    assert found.layout == "pictures"
    assert {p.name for p in found.pictures} == set(names)
    assert {p.size for p in found.pictures} == {(48, 56)}
    lines = found.lines()
    assert lines[0] == f"{source}: taken for 31 pictures without labels"
    assert lines[1].startswith("size in pixels: median 48x56, smallest 48x56 (holiday 0.jpg)")
    assert "left out: notes.txt" in lines
    assert not (root / ".atelier" / "unpacked").exists()


def test_sizes_are_those_of_the_pictures_upright(tmp_path, root):
    source = write_pictures(tmp_path / "user", numbered(9), width=100, height=60)
    turned = Image.Exif()
    turned[0x0112] = 6
    (source / "turned.jpg").write_bytes(encoded(picture(1, 20, 90), exif=turned))
    (source / "broken.jpg").write_bytes(b"broken")
    found = recognise(source, root=root)
    sizes = {p.name: p.size for p in found.pictures}
    assert sizes["turned.jpg"] == (90, 20)
    assert sizes["broken.jpg"] is None
    assert "median 100x60, smallest 90x20 (turned.jpg)" in told(found)
    assert "can't be read: broken.jpg" in told(found)


def test_pictures_at_any_depth(tmp_path, root):
    names = ["2020/may/1.jpg", "2020/may/2.jpg", "2021/1.jpg", *numbered(8)]
    found = recognise(write_pictures(tmp_path / "user", names), root=root)
    assert (found.layout, found.doubt) == ("pictures", "")
    assert {p.name for p in found.pictures} == set(names)
    assert "11 pictures without labels, in 3 folders" in told(found)


def test_folders_in_folders_could_be_classes(tmp_path, root):
    names = [f"{year}/{month}/{n}.jpg" for year in (2020, 2021) for month in "ab" for n in "123"]
    source = write_pictures(tmp_path / "user", names)
    found = recognise(source, root=root)
    assert found.layout == "pictures"
    assert "--as classes takes the folders for labels (2020, 2021)" in found.doubt
    assert recognise(source, layout="classes", root=root).folders == {"2020": 6, "2021": 6}


def test_class_folders(tmp_path, root):
    names = numbered(6, "cats") + numbered(7, "d\u00f6gs big") + numbered(5, "owls")
    found = recognise(write_pictures(tmp_path / "user", names), root=root)
    assert found.layout == "classes"
    assert found.folders == {"cats": 6, "d\u00f6gs big": 7, "owls": 5}
    assert "18 pictures in class folders (cats 6, d\u00f6gs big 7, owls 5)" in told(found)
    assert "--as pictures takes them without labels" in found.doubt
    assert "--a " not in found.doubt


def test_two_class_folders_could_be_a_pair(tmp_path, root):
    names = numbered(9, "zoo/cats") + numbered(8, "zoo/big dogs")
    source = write_pictures(tmp_path / "user", names)
    found = recognise(source, root=root)
    assert found.layout == "classes"
    assert "--a 'zoo/big dogs' --b zoo/cats takes the two for a pair" in found.doubt
    pair = recognise(source, "zoo/big dogs", "zoo/cats", root=root)
    assert (pair.layout, pair.folders) == ("pairs", {"trainA": 8, "trainB": 9})
    assert "a pair of folders (A: big dogs 8, B: cats 9)" in told(pair)
    assert sum(pair.splits().values()) == 17


def test_two_folders_or_zips_apart_are_a_pair(tmp_path, root):
    a = write_pictures(tmp_path / "photos", [*numbered(8), "more/x.jpg"])
    b = zipped(write_pictures(tmp_path / "art", numbered(7)), tmp_path / "art.zip")
    found = recognise(None, a, b, root=root)
    names = {p.name for p in found.pictures}
    assert (found.layout, found.hashed) == ("pairs", True)
    assert {"trainA/000.jpg", "trainA/more_x.jpg", "trainB/006.jpg"} <= names
    assert len(names) == 16


@pytest.mark.parametrize("tested", [True, False])
def test_a_pair_with_its_own_names(tmp_path, root, tested):
    source = write_pairs(tmp_path / "user" / "set")
    if not tested:
        shutil.rmtree(source / "testA")
        shutil.rmtree(source / "testB")
    found = recognise(tmp_path / "user", root=root)
    assert (found.layout, found.hashed) == ("pairs", not tested)
    assert ("split by each picture's name" in told(found)) is not tested
    assert "trainA 10, trainB 10" in told(found)


@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("partition", [False, True])
def test_faces_with_their_table(tmp_path, root, csv, partition):
    source = write_faces(tmp_path / "user", csv=csv, partition=partition)
    found = recognise(source, root=root)
    suffix = "csv" if csv else "txt"
    assert found.layout == "attributes"
    assert f"12 pictures and the table list_attr_celeba.{suffix}, 3 attributes" in told(found)
    assert recognise(source, layout="pictures", root=root).layout == "pictures"


ROWS = {f"{n:06d}.jpg": [n & 1, n >> 1 & 1] for n in range(1, 13)}
TABLES = {
    "semicolons": ("l.csv", "file;a;b\n", "{name};{0};{1}\n"),
    "tabs": ("l.tsv", "file\ta\tb\n", "{name}\t{0}\t{1}\n"),
    "index": ("l.csv", ",file,a,b\n", "{n},{name},{0},{1}\n"),
    "quotes": ("l.csv", "file,a,b\n", '"{name}",{0},{1}\n'),
    "floats": ("l.csv", "file,a,b\n", "{name},{0}.0,{1}.0\n"),
    "no suffix": ("l.csv", "file,a,b\n", "{stem},{0},{1}\n"),
    "folder": ("l.csv", "file,a,b\n", "img_align_celeba/{name},{0},{1}\n"),
    "header names the column": ("l.txt", "file a b\n", "{name} {0} {1}\n"),
    "a count above": ("l.txt", "12\na b\n", "{name} {0} {1}\n"),
}


@pytest.mark.parametrize(("name", "header", "row"), TABLES.values(), ids=TABLES)
def test_tables_of_many_kinds_are_seen(tmp_path, root, name, header, row):
    source = write_faces(tmp_path / "user", partition=False)
    (source / "list_attr_celeba.txt").unlink()
    lines = [
        row.format(*bits, name=picture, stem=picture[:-4], n=n)
        for n, (picture, bits) in enumerate(ROWS.items())
    ]
    (source / name).write_text(header + "".join(lines))
    found = recognise(source, root=root)
    assert found.layout == "attributes"
    assert [table.path.name for table in found.tables] == [name]


OTHER_FILES = {
    "partition": ("list_eval_partition.txt", "", "{name} {0}\n"),
    "partition as csv": ("list_eval_partition.csv", "image_id,partition\n", "{name},{0}\n"),
    "identities": ("identity.txt", "", "{name} {n}7\n"),
    "boxes": ("boxes.txt", "12\nimage_id x y\n", "{name} 95 {n}\n"),
    "captions": ("captions.csv", "file,text\n", "{name},a face\n"),
    "of other pictures": ("labels.csv", "file,a,b\n", "x{name},{0},{1}\n"),
    "no text": ("labels.txt", "\0\0", "{name} {0} {1}\n"),
    "empty": ("labels.csv", "", ""),
}


@pytest.mark.parametrize(("name", "header", "row"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_other_files_are_no_table(tmp_path, root, name, header, row):
    source = write_faces(tmp_path / "user", partition=False)
    (source / "list_attr_celeba.txt").unlink()
    lines = [row.format(*bits, name=p, n=n) for n, (p, bits) in enumerate(ROWS.items())]
    (source / name).write_text(header + "".join(lines))
    assert recognise(source, root=root).layout == "pictures"


def test_a_table_of_celebas_name_is_one_however_broken(tmp_path, root):
    source = write_faces(tmp_path / "user", partition=False)
    (source / "list_attr_celeba.txt").write_text("")
    found = recognise(source, root=root)
    assert found.layout == "attributes"
    assert "and the table list_attr_celeba.txt" in told(found)


def test_several_tables_are_a_doubt(tmp_path, root):
    source = write_faces(tmp_path / "user")
    write_faces(tmp_path / "csv", csv=True)
    shutil.copy(tmp_path / "csv" / "list_attr_celeba.csv", source)
    found = recognise(source, root=root)
    assert found.doubt.startswith("list_attr_celeba.csv, list_attr_celeba.txt could be meant")


def test_masks_beside_the_faces_are_not_taken_for_faces(tmp_path, root):
    source = write_faces(tmp_path / "user", partition=False)
    write_pictures(source / "masks", [f"{n:05d}_hair.png" for n in range(30)])
    found = recognise(source, root=root)
    assert (found.layout, len(found.pictures)) == ("attributes", 12)


REFUSED = {
    "nothing": ([], {}, "no images found"),
    "telephone": (["1.heic", "2.HEIC"], {}, r"\.heic can't be read: save them as JPEG or PNG"),
    "divided": (
        numbered(4, "train/cats") + numbered(4, "test/cats"),
        {},
        "is divided already, into test, train, which would be lost",
    ),
    "no classes": (numbered(9), {"layout": "classes"}, "holds no class folders"),
    "numbers": (numbered(9), {"layout": "numbers"}, "numbers are computed"),
    "no pair": (numbered(9), {"layout": "pairs"}, r"no pair: .* with --a and --b"),
    "half a pair": (numbered(9), {"a": "x"}, "only one of --a and --b"),
    "no such folder": (numbered(9, "x"), {"a": "x", "b": "y"}, r"holds no folder y\. It has x"),
    "one twice": (numbered(9, "x"), {"a": "x", "b": "x"}, "both are one folder"),
    "one in the other": (numbered(9, "x/y"), {"a": "x", "b": "x/y"}, "the one holds the other"),
    "empty domain": ([*numbered(9, "x"), "y/n.txt"], {"a": "x", "b": "y"}, "y: no images found"),
    "classes of a pair": (
        numbered(9, "x") + numbered(9, "y"),
        {"a": "x", "b": "y", "layout": "classes"},
        r"two folders are a pair \(got --as classes\)",
    ),
    "one name": (
        ["x/a_b.jpg", "x/a/b.jpg", "y/1.jpg"],
        {"a": "x", "b": "y"},
        "a/b.jpg: would have the name of .*a_b.jpg",
    ),
}


@pytest.mark.parametrize(("names", "options", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_in_one_line(tmp_path, root, names, options, problem):
    source = tmp_path / "user"
    source.mkdir()
    write_pictures(source, names)
    before = tree_digest(source)
    with pytest.raises(UserError, match=problem) as caught:
        recognise(source, **options, root=root)
    assert len(str(caught.value).splitlines()) == 1
    assert tree_digest(source) == before


def test_no_path_at_all(tmp_path, root):
    with pytest.raises(UserError, match="a folder or an archive is missing"):
        recognise(None, root=root)
    with pytest.raises(UserError, match="no such file or folder"):
        recognise(tmp_path / "nowhere", root=root)


def test_what_is_unpacked_has_its_names_in_the_archive(tmp_path, root):
    names = numbered(9, "x")
    archive = zipped(write_pictures(tmp_path / "user", names), tmp_path / "user.zip")
    with pytest.raises(UserError) as caught:
        recognise(archive, "x", "x", root=root)
    assert str(caught.value).startswith(f"{archive}/x: both are one folder")
