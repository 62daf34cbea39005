"""Tars come from anywhere: what can't be trusted is refused in one line, and nothing is left."""

import os
import tarfile

import pytest
from data.inputs import SOUND, tar_of

from atelier.data.importing import import_dataset
from atelier.errors import UserError


def entry(name, kind=tarfile.REGTYPE, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


TARS = {
    "climbing": ([entry("../evil.jpg")], r"a\.tar/\.\./evil\.jpg: climbs out of the folder"),
    "climbing by backslashes": ([entry("a\\..\\..\\evil.jpg")], "climbs out of the folder"),
    "absolute": ([entry("/tmp/evil.jpg")], "has an absolute name"),
    "link": ([entry("a", tarfile.SYMTYPE, "/etc")], r"a\.tar/a: is a link"),
    "hard link": ([entry("a.jpg", tarfile.LNKTYPE, "b.jpg")], "is a link"),
    "device": ([entry("a.jpg", tarfile.CHRTYPE)], "is neither file nor folder"),
    "pipe": ([entry("a.jpg", tarfile.FIFOTYPE)], "is neither file nor folder"),
    "one name twice": ([entry("./a.jpg"), entry("A.JPG")], "has the name of another member"),
    "below a file": ([entry("a"), entry("a/b.jpg")], "lies in a folder that is a file too"),
}


@pytest.mark.parametrize("case", TARS)
def test_tars_that_are_not_trusted(user, root, case):
    entries, problem = TARS[case]
    members = [(one, b"" if one.type != tarfile.REGTYPE else b"x") for one in entries]
    with pytest.raises(UserError, match=problem) as caught:
        import_dataset("mine", tar_of(user, *members), root)
    assert len(str(caught.value).splitlines()) == 1
    assert os.listdir(root / "data") == []


def bomb(folder, packing, size):
    with tarfile.open(folder / "a.tar", f"w:{packing}") as out:
        one = entry("a.bmp")
        one.size = size
        out.addfile(one, (folder / "zeros").open("rb"))
    return folder / "a.tar"


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_tar_that_unpacks_to_a_bomb(user, root, packing):
    with (user / "zeros").open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(UserError, match=r"unpacks to [\d,]+ times its size.* It may be a bomb"):
        import_dataset("mine", bomb(user, packing, 2**25), root)


def test_a_tar_whose_header_is_a_bomb(user, root):
    """A long name is read into memory at once, so it may not be long."""
    long = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    with pytest.raises(UserError, match=r"not a tar file, or a damaged one \(a header of"):
        import_dataset("mine", tar_of(user, (long, bytes(2**22)), (entry("a.jpg"), b"x")), root)


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tars_cut_short(user, root, suffix, share):
    archive = SOUND[suffix](user)
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    with pytest.raises(UserError) as caught:
        import_dataset("celeba", archive, root)
    assert os.listdir(root / "data") == []
    assert len(str(caught.value).splitlines()) <= 3
