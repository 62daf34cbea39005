"""What real people hand over imports as what it plainly is, or one line says why not."""

import itertools
import os
import shutil
import sys
from functools import partial

import numpy as np
import pytest
from data.inputs import (
    COUNT,
    CSV,
    IMAGES,
    NAMES,
    PARTITION,
    PARTS,
    PNG,
    SOUND,
    SPACED,
    TXT,
    bits,
    csv,
    faces,
    images,
    partition,
    txt,
)
from data.samples import encoded, numbered, picture, tree_digest, write_pairs, write_pictures

from atelier.cli.main import main
from atelier.data import importing
from atelier.data.catalog import read_catalog
from atelier.data.checking import check
from atelier.data.importing import import_dataset, import_recognised
from atelier.data.planning import plan_faces, rows_of
from atelier.data.recognising import measured, recognise_opened
from atelier.data.sources import opened
from atelier.errors import UserError
from atelier.paths import SPLITS


def by_option(name, source, root):
    return import_dataset(name, source, root)


def by_look(name, source, root):
    """As `dataset new` does it."""
    with opened(source, root) as found:
        return import_recognised(name, measured(recognise_opened(found)), root)


NUMBERS = {
    encoded(picture(number), kind): number for number in range(COUNT) for kind in ("JPEG", "PNG")
}


@pytest.mark.parametrize("bring", [by_option, by_look])
@pytest.mark.parametrize("case", SOUND)
def test_sound_inputs(user, root, case, bring):
    source = SOUND[case](user)
    before = tree_digest(user)
    imported = bring("celeba" if bring is by_option else "mine", source, root)
    assert tree_digest(user) == before
    folder = root / "data" / imported.catalog.dataset
    read = read_catalog(folder, "attributes")
    found = {}
    for part, split in enumerate(SPLITS):
        for name, labels in zip(read.splits[split].names, read.splits[split].labels, strict=True):
            number = NUMBERS[(read.images / name).read_bytes()]
            found[number] = part, labels.tolist()
    assert found == {number: (PARTS[number], bits(number)) for number in range(COUNT)}
    assert len(read.labels) == 3
    assert not [one for one in check(folder).findings if "nearly equals" not in str(one)]


def test_what_a_user_should_know_is_told(user, root):
    masks = SOUND["masks beside"](user / "masks")
    notes = " ".join(import_dataset("masks", masks, root).notes)
    assert "left out: 00000_hair.png, " in notes
    assert "and 16 more" in notes
    part = SOUND["count of the whole set"](user / "part")
    notes = " ".join(import_dataset("part", part, root).notes)
    assert f"{TXT}: says 202,599 rows, but 12 follow; each image has its row" in notes
    both = SOUND["two tables"](user / "both")
    assert f"{CSV}, {TXT}: say the same" in import_dataset("both", both, root).notes


def shifted(folder):
    """Two tables that differ in one value of one row."""
    source = SOUND["two tables"](folder)
    text = (source / CSV).read_text()
    (source / CSV).write_text(text.replace("000003.jpg,-1", "000003.jpg,1"))
    return source


def bad_rows(folder):
    source = faces(TXT, txt())(folder)
    lines = (source / TXT).read_text().splitlines()
    lines[2:] = [f"{line[:-2]} 7" for line in lines[2:]]
    (source / TXT).write_text("\n".join(lines))
    return source


def cut_short(folder):
    source = faces(TXT, txt())(folder)
    (source / TXT).write_text("\n".join((source / TXT).read_text().splitlines()[:-7]) + "\n")
    return source


def a_label_less(gap):
    def write(folder):
        text = csv(gap=gap).replace(f"image_id{gap}Eyeglasses", "image_id", 1)
        return faces(CSV, text)(folder)

    return write


def twice(folder):
    source = faces(TXT, txt())(folder)
    shutil.copytree(source / IMAGES, source / "faces")
    (source / IMAGES).rename(source / "aligned")
    return source


def two_for_one(folder):
    """a.jpg of the table could be a.png or a.bmp."""
    source = faces(TXT, txt(), PNG, NAMES)(folder)
    (source / IMAGES / "000001.bmp").write_bytes(encoded(picture(50), "BMP"))
    return source


def one_tested(folder):
    source = faces(TXT, txt())(folder)
    text = (source / PARTITION).read_text()
    (source / PARTITION).write_text(text.replace("000012.jpg 2", "000012.jpg 0"))
    return source


def pair_with(train, test):
    return partial(write_pairs, train=train, test=test)


def other_bytes(name, encoding):
    def write(folder):
        source = faces(TXT, txt())(folder)
        (source / name).write_text((source / name).read_text() + "\u00e9\n", encoding=encoding)
        return source

    return write


def not_utf8(make, name):
    def write(folder):
        source = make(folder)
        old = source / name
        os.rename(os.fsencode(old), os.fsencode(old.parent) + b"/caf\xe9" + old.suffix.encode())
        return source

    return write


def class_not_utf8(folder):
    source = classes(folder)
    os.rename(source / "cats", os.fsencode(source) + b"/ch\xe2ts")
    return source


def classes(folder):
    return write_pictures(folder, numbered(6, "cats") + numbered(6, "dogs"))


def packed_otherwise(folder):
    partition(folder / PARTITION)
    (folder / TXT).write_text(txt())
    (folder / "img_align_celeba_png.7z.001").write_bytes(b"7z\xbc\xaf\x27\x1c")
    return folder


REFUSED = {
    "bad rows": (
        bad_rows,
        r"celeba\.txt:3: 000001\.jpg has a value .* \(got '7'\), and so in 11 more: lines 4, 5, ",
    ),
    "tables that differ": (
        shifted,
        rf"user: several tables of one kind, which differ \(got {CSV}, {TXT}\)\. Keep one",
    ),
    "no row for many": (
        lambda folder: faces(TXT, txt(NAMES[:5], count=5))(folder),
        r"celeba\.txt: no row for 7 images: 000006\.jpg, 000007\.jpg, ",
    ),
    "a label less": (
        a_label_less(","),
        r"names 2 attributes, but every row has 3 values",
    ),
    "a label less, by semicolons": (
        a_label_less(";"),
        r"names 2 attributes, but every row has 3 values",
    ),
    "two folders of these names": (
        twice,
        r"celeba\.txt: describes the pictures of several folders \(\S+aligned, \S+faces\)",
    ),
    "one test picture by its row": (
        one_tested,
        r"user: holds too few images for the test split \(got 1 of all\)\. It takes 2 or more\.",
    ),
    "one test picture": (pair_with(12, 1), r"testA: holds too few images \(got 1\)\. It takes 2"),
    "one validation picture": (
        pair_with(3, 3),
        r"user: holds too few images for the validation split \(got 1 of domain A\)",
    ),
    "table in UTF-16": (other_bytes(TXT, "utf-16"), r"not a text file in UTF-8\. Save it as UTF-8"),
    "table in Latin-1": (other_bytes(TXT, "latin-1"), r"not a text file in UTF-8\. Save it as UTF"),
    "face not UTF-8": (
        not_utf8(faces(TXT, txt()), f"{IMAGES}/{NAMES[3]}"),
        r"img_align_celeba/caf\\udce9\.jpg: a name with characters that are not UTF-8",
    ),
    "domain not UTF-8": (
        not_utf8(pair_with(6, 3), "trainA/000.jpg"),
        r"trainA/caf\\udce9\.jpg: a name with characters that are not UTF-8",
    ),
    "picture not UTF-8": (
        not_utf8(classes, "cats/000.jpg"),
        r"cats/caf\\udce9\.jpg: a name with characters that are not UTF-8",
    ),
    "class not UTF-8": (
        class_not_utf8,
        r"ch\\udce2ts/000\.jpg: a name .*, and so for 5 more: \S+ch\\udce2ts/001\.jpg, .*Rename",
    ),
    "other archives": (packed_otherwise, r"no images found \(\.001 can't be opened: unpack it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_a_sound_dataset_alone(user, root, case):
    make, problem = REFUSED[case]
    source = make(user)
    import_dataset("mine", write_pairs(root / "first"), root)
    before = tree_digest(root / "data"), tree_digest(user)
    with pytest.raises(UserError, match=problem) as caught:
        import_dataset("mine", source, root, replace=True)
    lines = str(caught.value).splitlines()
    assert len(lines) == (2 if case == "one test picture" else 1), lines
    assert (tree_digest(root / "data"), tree_digest(user)) == before
    assert not (root / ".atelier" / "unpacked").exists()
    assert os.listdir(root / "data") == ["mine"]


def test_a_table_cut_short_names_its_count(user, root):
    with pytest.raises(UserError, match=r"celeba\.txt:1: says 12 rows, but 5 follow") as caught:
        import_dataset("celeba", cut_short(user), root)
    assert "no row for 7 images" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_a_name_that_two_could_mean_means_none(user, root):
    with pytest.raises(UserError) as caught:
        import_dataset("celeba", two_for_one(user), root)
    lines = str(caught.value).splitlines()
    assert any("no row for 2 images: 000001.bmp, 000001.png" in line for line in lines)
    assert any("a row for 000001.jpg, but no image" in line for line in lines)


def test_rows_of_images():
    assert rows_of(["a.jpg", "b.png"], ["b.jpg", "a.JPG"]) == {"a.jpg": "a.JPG", "b.png": "b.jpg"}
    assert rows_of(["a.png"], ["a.jpg", "a.png"]) == {"a.png": "a.png"}
    assert rows_of(["a.png"], ["a.jpg", "a.bmp"]) == {}
    assert rows_of(["a.png", "A.jpg"], ["a.gif"]) == {}
    assert rows_of(["A b.jpg", "a b.jpg"], ["a b.jpg"]) == {"a b.jpg": "a b.jpg"}


def test_a_dataset_whose_tables_can_be_read_gives_way_to_one_like_it(user, root):
    """Names with spaces were written as a table that could not be read again."""
    import_dataset("celeba", faces(TXT, txt())(user / "first"), root)
    source = faces(TXT, txt(SPACED), SPACED)(user / "second")
    imported = import_dataset("celeba", source, root, replace=True)
    assert sum(len(split.names) for split in imported.catalog.splits.values()) == COUNT
    assert read_catalog(root / "data" / "celeba", "attributes").splits["test"].names == (
        "my face 10.jpg",
        "my face 11.jpg",
    )


def test_what_is_there_stays_where_the_new_one_can_not_be_read_back(user, root, monkeypatch):
    """Whatever the reason: what was written is read before it takes the old one's place."""
    import_dataset("celeba", faces(TXT, txt())(user / "first"), root)
    before = tree_digest(root / "data")
    monkeypatch.setattr(importing, "write_partition", lambda path, splits: path.write_text("?\n"))
    source = faces(TXT, txt(SPACED), SPACED)(user / "second")
    with pytest.raises(UserError, match=r"user/second/list_eval_partition\.txt:1: a name and a"):
        import_dataset("celeba", source, root, replace=True)
    assert tree_digest(root / "data") == before


def test_as_says_what_it_is(user, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    classes(user / "animals")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["atelier", "data", "import", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr()

    code, said = run("animals", str(user / "animals"), "--as", "pictures")
    assert (code, said.err) == (0, "")
    assert "data/animals: " in said.out
    images(user / "faces" / "a")
    (user / "faces" / "labels.csv").write_text(csv())
    assert run("plain", str(user / "faces"), "--as", "pictures")[0] == 0
    assert not (root / "data" / "plain" / IMAGES).exists()
    code, said = run("celeba", str(user / "faces"), "--as", "pairs")
    assert code == 2
    assert "celeba: has layout attributes, which the shipped" in said.err


def test_many_ways_at_once(user, root):
    """Each spelling of a value with each kind of gap and with numbers or without."""
    spells = (str, lambda bit: str(2 * bit - 1), lambda bit: str(bool(bit)), lambda bit: f"{bit}.0")
    ways = itertools.product(",;\t", spells, (False, True), ('"', ""))
    for count, (gap, spell, index, quote) in enumerate(ways):
        text = csv(gap=gap, spell=spell, numbered=index, quote=quote)
        source = faces(CSV, text)(user / str(count))
        with opened(source, root) as found:
            recognised = recognise_opened(found)
            plan = plan_faces(recognised, subset=False)
        assert plan.problems == []
        assert plan.table is not None
        assert np.array_equal(plan.table.values, [bits(number) for number in range(COUNT)])
