"""Archives are judged whole before one byte is written."""

import io
import stat
import struct
import tarfile
import zipfile

import pytest
from data.samples import tree_digest, write_pairs, write_zip, zipped

from atelier.data import archives
from atelier.data.archives import unpack
from atelier.errors import UserError


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def refused(archive, target, match):
    with pytest.raises(UserError, match=match):
        unpack(archive, target)
    assert list(target.iterdir()) == []


def special(name, mode):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_an_honest_tar_comes_out_as_it_was(tmp_path, target, suffix):
    source = write_pairs(tmp_path / "source")
    (source / "empty").mkdir()
    packing = {"tar": "", "tgz": "gz"}.get(suffix, suffix.removeprefix("tar."))
    with tarfile.open(tmp_path / f"a.{suffix}", f"w:{packing}") as out:
        out.add(source, ".")
    unpack(tmp_path / f"a.{suffix}", target)
    assert tree_digest(target) == tree_digest(source)


def test_rights_of_a_tar_are_not_taken_over(tmp_path, target):
    entry = tarfile.TarInfo("a.jpg")
    entry.mode, entry.size = 0o6777, 1
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        out.addfile(entry, io.BytesIO(b"x"))
    unpack(tmp_path / "a.tar", target)
    assert (target / "a.jpg").stat().st_mode & 0o6111 == 0


def test_backslashes_are_between_folders(tmp_path, target):
    members = [("a\\", b""), ("a\\b.jpg", b"1"), ("a/c.jpg", b"2"), ("__MACOSX\\._b.jpg", b"3")]
    unpack(write_zip(tmp_path / "a.zip", members), target)
    assert {p.relative_to(target).as_posix() for p in target.rglob("*")} == {
        "a",
        "a/b.jpg",
        "a/c.jpg",
    }
    (target / "a").rename(tmp_path / "gone")
    members = [("a\\b.jpg", b"1"), ("a/b.jpg", b"2")]
    refused(write_zip(tmp_path / "a.zip", members), target, "has the name of another member")


def test_an_honest_zip_comes_out_as_it_was(tmp_path, target):
    source = write_pairs(tmp_path / "source")
    (source / "empty").mkdir()
    unpack(zipped(source, tmp_path / "a.zip"), target)
    assert tree_digest(target) == tree_digest(source)


def test_system_litter_is_left_out(tmp_path, target):
    members = [("__MACOSX/._a.jpg", b"x"), (".DS_Store", b"x"), ("a/Thumbs.db", b"x"), ("b", b"y")]
    unpack(write_zip(tmp_path / "a.zip", members), target)
    assert [path.name for path in target.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../evil.jpg", "climbs out"),
        ("a/../../evil.jpg", "climbs out"),
        ("a/..", "climbs out"),
        ("/etc/evil.jpg", "absolute"),
        ("//server/evil.jpg", "absolute"),
        ("C:/evil.jpg", "absolute"),
        ("C:evil.jpg", "absolute"),
        ("\\evil.jpg", "absolute"),
        ("a\\..\\evil.jpg", "climbs out"),
    ],
)
def test_names_that_leave_the_folder(tmp_path, target, name, match):
    archive = write_zip(tmp_path / "a.zip", [("good.jpg", b"x"), (name, b"x")])
    refused(archive, target, match)
    assert not (tmp_path / "evil.jpg").exists()


@pytest.mark.parametrize(
    ("mode", "match"),
    [
        (stat.S_IFLNK | 0o777, "is a link"),
        (stat.S_IFIFO | 0o644, "neither file nor folder"),
        (stat.S_IFCHR | 0o644, "neither file nor folder"),
        (stat.S_IFBLK | 0o644, "neither file nor folder"),
        (stat.S_IFSOCK | 0o644, "neither file nor folder"),
    ],
)
def test_members_that_are_no_files(tmp_path, target, mode, match):
    members = [("a.jpg", b"x"), (special("link", mode), b"/etc/passwd")]
    refused(write_zip(tmp_path / "a.zip", members), target, match)


def test_two_members_of_one_name(tmp_path, target):
    refused(write_zip(tmp_path / "a.zip", [("a.jpg", b"1"), ("A.JPG", b"2")]), target, "another")


def test_a_member_below_a_file(tmp_path, target):
    members = [("a", b"1"), ("a/b.jpg", b"2")]
    refused(write_zip(tmp_path / "a.zip", members), target, "folder that is a file")


def test_encryption(tmp_path, target):
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"x")])
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    refused(archive, target, "is encrypted")


def test_an_unknown_method(tmp_path, target):
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"x")])
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + offset] = 99
    archive.write_bytes(content)
    refused(archive, target, r"unknown method \(got 99\)")


def test_a_bomb_by_ratio(tmp_path, target):
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", bytes(32 * 2**20))])
    assert archive.stat().st_size < 64 * 2**10
    refused(archive, target, "times its size")


def test_a_bomb_by_size(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    refused(write_zip(tmp_path / "a.zip", [("a.jpg", bytes(1001))]), target, "GiB")


def test_a_bomb_by_number(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    members = [(f"{n}.jpg", b"x") for n in range(4)]
    refused(write_zip(tmp_path / "a.zip", members), target, "4 members; 3 are allowed")


def test_a_bomb_by_overlap(tmp_path, target):
    """Many directory entries that all name one packed stream (Fifield 2019)."""
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", bytes(range(256)) * 40)])
    content = archive.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    entries = b"".join(entry.replace(b"a.jpg", f"{n}.jpg".encode()) for n in range(8))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 8, 8, len(entries), start, 0)
    archive.write_bytes(content[:start] + entries + tail)
    refused(archive, target, "overlap")


def test_too_little_room(tmp_path, target, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"x" * 100)])
    usage = archives.shutil.disk_usage(tmp_path)._replace(free=50)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    refused(archive, target, "are free")


def test_a_member_that_holds_more_than_it_says(tmp_path, target):
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", bytes(5000))])
    content = bytearray(archive.read_bytes())
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 24, 10)
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip/a\.jpg: can't be unpacked"):
        unpack(archive, target)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 10


def test_a_damaged_member_is_named(tmp_path, target):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a.jpg", b"x" * 1000)
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip/a\.jpg: can't be unpacked \(Bad CRC"):
        unpack(archive, target)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(100), b"PK\x05\x06"])
def test_no_zip(tmp_path, target, content):
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    refused(archive, target, "not a zip file")


def test_all_bad_members_are_named_at_once(tmp_path, target):
    members = [("../a", b""), ("/b", b""), (special("c", stat.S_IFLNK), b"x")]
    with pytest.raises(UserError) as caught:
        unpack(write_zip(tmp_path / "a.zip", members), target)
    assert len(str(caught.value).splitlines()) == 3


def test_no_file(tmp_path, target):
    refused(tmp_path / "a.zip", target, "no such file")
