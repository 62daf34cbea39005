"""Unpacks an archive from anywhere: every member is judged before a byte is written."""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from atelier.data.catalog import refuse
from atelier.data.names import SYSTEM_LITTER
from atelier.errors import UserError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_MEMBERS = 1_000_000
MAX_BYTES = 200 * 2**30
MAX_RATIO = 100
"""Unpacked to packed size of the whole archive; photographs hardly shrink, tables to a tenth."""

RATIO_FREE_BYTES = 16 * 2**20
"""Up to this unpacked size any ratio does no harm."""

BOMB = "It may be a bomb; nothing was unpacked."
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 0x1
PACKED_TARS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
"""How each kind of packed tar begins, and what opens it."""
TAR_MARK = slice(257, 262)
PIECE_BYTES = 2**20

DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True)
class _Member:
    """What an archive says of one file or folder in it; `name` has / between folders."""

    name: str
    size: int
    is_folder: bool
    fault: str
    """What its own entry says against it, if anything does."""
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether its name says that it can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """An archive's name as that of a folder with the same content."""
    longest = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(longest)]


def unpack(archive: Path, folder: Path) -> None:
    """Writes the members of a zip or tar below `folder`, which stays empty when one isn't trusted.

    Names may have \\ between folders, as some zips made on Windows do. Owners, rights and times are
    not taken over.

    Raises:
        UserErrors: for no archive, encryption, absolute and climbing names, links, two members of
            one name, a bomb (many members, great size or ratio, overlapping members), damage.
    """
    kind = "zip"
    try:
        if stream := _tar_stream(archive):
            kind = "tar"
            with stream, _members_of_tar(archive, stream) as members:
                _write(archive, members, folder)
        else:
            with zipfile.ZipFile(archive) as opened:
                _write(archive, _members_of_zip(archive, opened), folder)
    except FileNotFoundError:
        raise UserError(archive, "no such file") from None
    except DAMAGED as error:
        what = f"not a {kind} file, or a damaged one ({error})"
        raise UserError(archive, what, "A folder, a zip or a tar can be imported.") from None


def _write(archive: Path, members: Sequence[_Member], folder: Path) -> None:
    _check_room(archive, members, folder)
    for member in members:
        _write_member(archive, member, folder)


def _members_of_zip(archive: Path, opened: zipfile.ZipFile) -> list[_Member]:
    """Those that matter, all of them sound."""
    entries = [entry for entry in opened.infolist() if not _is_litter(_slashed(entry.filename))]
    members = [_zipped(opened, entry) for entry in entries]
    unpacked = sum(member.size for member in members)
    faults = [*_member_faults(archive, members), *_bomb_faults(archive, len(members), unpacked)]
    if sum(entry.compress_size for entry in entries) > archive.stat().st_size:
        faults.append(UserError(archive, "has members that overlap", BOMB))
    refuse(archive, faults)
    return members


def _zipped(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    name = _slashed(entry.filename)
    # Zip's reader cuts a name off at a NUL.
    fault = _name_fault(_slashed(entry.orig_filename)) or _kind_fault(entry)
    is_folder = name.endswith("/")
    return _Member(name, entry.file_size, is_folder, fault, lambda: opened.open(entry))


@contextmanager
def _members_of_tar(archive: Path, stream: io.BufferedIOBase) -> Iterator[list[_Member]]:
    """The same; of an archive that turns out to be a bomb no more is read than tells it."""
    with tarfile.open(fileobj=_Bounded(stream), mode="r:") as opened:
        members: list[_Member] = []
        unpacked = 0
        bomb: list[UserError] = []
        for count, entry in enumerate(opened, start=1):
            unpacked += entry.size
            if bomb := _bomb_faults(archive, count, unpacked):
                break
            if not _is_litter(_slashed(entry.name)):
                members.append(_tarred(opened, entry))
        refuse(archive, [*_member_faults(archive, members), *bomb])
        yield members


def _tarred(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    fault = _name_fault(_slashed(entry.name))
    if not fault and (entry.issym() or entry.islnk()):
        fault = "is a link"
    elif not fault and (entry.issparse() or not (entry.isreg() or entry.isdir())):
        fault = "is neither file nor folder"
    name = str(PurePosixPath(_slashed(entry.name)))  # ./a is a
    return _Member(name, entry.size, entry.isdir(), fault, lambda: opened.extractfile(entry))


class _Bounded(io.BufferedIOBase):
    """A stream of which little is read at once: a tar's header may say that gigabytes follow."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= 2 * PIECE_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _tar_stream(archive: Path) -> io.BufferedIOBase | None:
    """What a tar holds once it is unpacked; None for all else."""
    with archive.open("rb") as file:
        head = file.read(TAR_MARK.stop)
    for start, opener in PACKED_TARS:
        if head.startswith(start):
            return opener(archive)
    is_tar = head[TAR_MARK] == b"ustar" or archive.suffix.lower() == ".tar"
    return archive.open("rb") if is_tar else None


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.lower() in SYSTEM_LITTER or part == ".DS_Store" for part in parts)


def _member_faults(archive: Path, members: Sequence[_Member]) -> list[UserError]:
    faults = []
    seen: dict[str, str] = {}
    for member in members:
        where, folded = f"{archive}/{member.name}", member.name.rstrip("/").casefold()
        if member.fault:
            faults.append(UserError(where, member.fault, "Nothing was unpacked."))
        elif folded in seen:
            what = f"has the name of another member ({seen[folded]})"
            faults.append(UserError(where, what, "Nothing was unpacked."))
        seen[folded] = member.name
    files = {m.name.casefold() for m in members if not m.is_folder}
    for member in members:
        parents = [str(p).casefold() for p in PurePosixPath(member.name).parents]
        if files.intersection(parents):
            what = "lies in a folder that is a file too"
            faults.append(UserError(f"{archive}/{member.name}", what))
    return faults


def _name_fault(name: str) -> str:
    if not name or "\0" in name:
        return "has a name that no file can have"
    if name.startswith("/") or name[1:2] == ":":
        return "has an absolute name"
    if ".." in PurePosixPath(name).parts:
        return "climbs out of the folder"
    return ""


def _kind_fault(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if stat.S_ISLNK(kind):
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither file nor folder"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in METHODS:
        return f"is packed by an unknown method (got {entry.compress_type})"
    return ""


def _bomb_faults(archive: Path, count: int, unpacked: int) -> list[UserError]:
    """The sizes are those that are declared; a member that holds more is found out later."""
    size = archive.stat().st_size
    faults = []
    if count > MAX_MEMBERS:
        faults.append(f"holds {count:,} members; {MAX_MEMBERS:,} are allowed")
    if unpacked > MAX_BYTES:
        faults.append(f"holds {unpacked / 2**30:,.0f} GiB; {MAX_BYTES / 2**30:,.0f} are allowed")
    if unpacked > max(size * MAX_RATIO, RATIO_FREE_BYTES):
        ratio = f"{unpacked / size:,.0f} times"
        faults.append(f"unpacks to {ratio} its size; {MAX_RATIO} times are allowed")
    return [UserError(archive, fault, BOMB) for fault in faults]


def _check_room(archive: Path, members: Sequence[_Member], folder: Path) -> None:
    needed = sum(member.size for member in members)
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} are free at {folder}"
        raise UserError(archive, what, "Make room, or import a folder.")


def _write_member(archive: Path, member: _Member, folder: Path) -> None:
    """Reads no more than the declared size, which was counted; a zip compares the checksum."""
    target = folder / member.name
    if member.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        packed = member.open()
        assert packed is not None
        with packed, target.open("xb") as unpacked:
            shutil.copyfileobj(packed, unpacked, PIECE_BYTES)
    except DAMAGED as error:
        what = f"can't be unpacked ({error})"
        raise UserError(f"{archive}/{member.name}", what) from None
