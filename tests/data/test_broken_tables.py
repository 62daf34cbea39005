"""Broken attribute and partition tables: one clear line a problem, exit code 2, nothing changed.

Each row names a case, what it does to a sound source, and the lines that the import must end in.
"""

import pytest
from data.breaking import Harm, drop, edit, put
from data.samples import encoded, picture, write_faces

IMAGE = "img_align_celeba/000003.jpg"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
ROW = "000002.jpg 1 -1 -1"
LABELS = "Eyeglasses Black_Hair Smiling"
TABLES: list[tuple[str, Harm, list[str]]] = [
    ("no table", drop(ATTRIBUTES), ["no attribute table found"]),
    ("empty table", put(ATTRIBUTES, b""), [f"{ATTRIBUTES}: empty"]),
    ("blank table", put(ATTRIBUTES, b"\n \n"), [f"{ATTRIBUTES}: empty"]),
    ("only a count", put(ATTRIBUTES, b"12\n"), [f"{ATTRIBUTES}: empty"]),
    ("binary table", put(ATTRIBUTES, b"\xff\xfe\x00"), ["not a text file in UTF-8"]),
    ("NUL bytes", put(ATTRIBUTES, b"a\0b"), ["it holds NUL bytes"]),
    ("a picture as table", put(ATTRIBUTES, encoded(picture(1))), ["not a text file"]),
    ("one value less", edit(ATTRIBUTES, ROW, "000002.jpg 1 -1"), [":4: 000002.jpg has 2 values"]),
    ("one value more", edit(ATTRIBUTES, ROW, ROW + " 1"), [":4: 000002.jpg has 4 values"]),
    ("no values", edit(ATTRIBUTES, ROW, "000002.jpg"), [":4: 000002.jpg has 0 values"]),
    ("value 2", edit(ATTRIBUTES, ROW, "000002.jpg 2 -1 -1"), [r"neither -1, 0 nor 1 \(got '2'\)"]),
    ("value 0.5", edit(ATTRIBUTES, ROW, "000002.jpg 0.5 -1 -1"), [r"\(got '0.5'\)"]),
    ("value yes", edit(ATTRIBUTES, ROW, "000002.jpg yes -1 -1"), [r"\(got 'yes'\)"]),
    ("value nan", edit(ATTRIBUTES, ROW, "000002.jpg nan -1 -1"), [r"\(got 'nan'\)"]),
    ("mixed spellings", edit(ATTRIBUTES, ROW, "000002.jpg 1 0 0"), ["mixes -1/1 with 0/1"]),
    (
        "two rows",
        edit(ATTRIBUTES, ROW, f"{ROW}\n{ROW}"),
        ["says 12 rows, but 13 follow", ":5: a second row for 000002.jpg"],
    ),
    ("count too low", edit(ATTRIBUTES, "12\n", "11\n"), [":1: says 11 rows, but 12 follow"]),
    (
        "negative count",
        edit(ATTRIBUTES, "12\n", "-12\n"),
        [r":1: not the names of attributes \(got '-12'\)"],
    ),
    ("a label twice", edit(ATTRIBUTES, "Smiling", "Eyeglasses"), [":2: names Eyeglasses twice"]),
    (
        "no labels line",
        edit(ATTRIBUTES, LABELS + "\n", ""),
        [r":2: not the names of attributes \(got '000001.jpg, -1, -1, -1'\)"],
    ),
    (
        "a label missing",
        edit(ATTRIBUTES, LABELS, "Eyeglasses Smiling"),
        [":2: names 2 attributes, but every row has 3 values"],
    ),
    (
        "row without image",
        edit(ATTRIBUTES, ROW, f"{ROW}\nlost.jpg 1 1 1"),
        ["says 12 rows", "a row for lost.jpg, but no image.*--subset"],
    ),
    (
        "image without row",
        edit(ATTRIBUTES, ROW + "\n", ""),
        ["says 12 rows, but 11", "no row for the image 000002.jpg"],
    ),
    (
        "a climbing name",
        edit(ATTRIBUTES, ROW, "../000002.jpg 1 -1 -1"),
        [r"not a file's name \(got '../000002.jpg'\)"],
    ),
    (
        "an absolute name",
        edit(ATTRIBUTES, ROW, "/000002.jpg 1 -1 -1"),
        ["not a file's name"],
    ),
    (
        "a Windows path",
        edit(ATTRIBUTES, ROW, "a\\000002.jpg 1 -1 -1"),
        ["not a file's name"],
    ),
    ("two tables", put("list_attr_celeba.csv", b"image_id,A\n"), ["several tables of one kind"]),
    ("empty partition", put(PARTITION, b""), [f"{PARTITION}: empty"]),
    ("binary partition", put(PARTITION, b"\xff\xff"), ["not a text file in UTF-8"]),
    (
        "partition 3",
        edit(PARTITION, "000002.jpg 0", "000002.jpg 3"),
        [r":2: unknown partition \(got '3'\)"],
    ),
    ("partition train", edit(PARTITION, "000002.jpg 0", "000002.jpg train"), [r"\(got 'train'\)"]),
    ("partition -1", edit(PARTITION, "000002.jpg 0", "000002.jpg -1"), [r"\(got '-1'\)"]),
    (
        "partition missing",
        edit(PARTITION, "000002.jpg 0", "000002.jpg"),
        [r":2: a name and a number.*got 1 fields"],
    ),
    (
        "partition twice",
        edit(PARTITION, "000002.jpg 0", "000002.jpg 0\n000002.jpg 1"),
        [":3: a second row for 000002.jpg"],
    ),
    ("unpartitioned", edit(PARTITION, "000002.jpg 0\n", ""), ["no row for the image 000002.jpg"]),
    (
        "lost in partition",
        edit(PARTITION, "000002.jpg 0", "000002.jpg 0\nlost.jpg 0"),
        ["a row for lost.jpg, but no image"],
    ),
    (
        "climbing in partition",
        edit(PARTITION, "000002.jpg 0", "000002.jpg 0\n../a 0"),
        ["not a file's name"],
    ),
    (
        "two partitions",
        put("list_eval_partition.csv", b"image_id,partition\n"),
        ["several tables of one kind"],
    ),
    (
        "no image",
        lambda s: [p.unlink() for p in (s / "img_align_celeba").iterdir()],
        ["no images found"],
    ),
    (
        "a folder among images",
        lambda s: (s / "img_align_celeba" / "sub").mkdir(),
        ["sub: a folder among images"],
    ),
    (
        "a table among images",
        put("img_align_celeba/a.txt", b""),
        [r"not an image's name \(got \.txt\)"],
    ),
    ("a broken image", put(IMAGE, b""), [r"000003\.jpg: empty"]),
    (
        "a dangling link",
        lambda s: (s / IMAGE).unlink() or (s / IMAGE).symlink_to("nowhere"),
        [r"000003\.jpg: cannot be read"],
    ),
]


@pytest.mark.parametrize(("name", "harm", "expected"), TABLES, ids=[row[0] for row in TABLES])
def test_tables(world, ends_in, name, harm, expected):
    source = write_faces(world / "user")
    harm(source)
    ends_in(["import", "celeba", str(source)], expected)


CSV = "list_attr_celeba.csv"
CSV_TABLES: list[tuple[str, Harm, list[str]]] = [
    (
        "too few fields",
        edit(CSV, "000002.jpg,1,-1,-1", "000002.jpg,1,-1"),
        [":3: 000002.jpg has 2 values"],
    ),
    (
        "too many fields",
        edit(CSV, "000002.jpg,1,-1,-1", "000002.jpg,1,-1,-1,"),
        [":3: 000002.jpg has 4 values"],
    ),
    ("empty field", edit(CSV, "000002.jpg,1,-1,-1", "000002.jpg,1,,-1"), [r"\(got ''\)"]),
    (
        "empty name",
        edit(CSV, "000002.jpg,1,-1,-1", ",1,-1,-1"),
        [r"not a file's name \(got ''\)", "no row for the image 000002"],
    ),
    (
        "no header",
        edit(CSV, "image_id,Eyeglasses,Black_Hair,Smiling\n", ""),
        [r":1: not the names of attributes \(got '-1, -1, -1'\)"],
    ),
    ("label twice", edit(CSV, "Smiling", "Black_Hair"), [":1: names Black_Hair twice"]),
    ("only a header", put(CSV, b"image_id,Eyeglasses\n"), [":1: no rows follow"]),
    ("no labels", put(CSV, b"image_id,\n"), [":1: not the names of attributes"]),
    (
        "unknown partition",
        edit("list_eval_partition.csv", "000002.jpg,0", "000002.jpg,7"),
        [r":3: unknown partition \(got '7'\)"],
    ),
]


@pytest.mark.parametrize(("name", "harm", "expected"), CSV_TABLES, ids=[r[0] for r in CSV_TABLES])
def test_csv_tables(world, ends_in, name, harm, expected):
    source = write_faces(world / "user", csv=True)
    harm(source)
    ends_in(["import", "celeba", str(source)], expected)
