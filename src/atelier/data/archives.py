"""Unpacks a zip that may come from anywhere: every member is judged before a byte is written."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from atelier.data.catalog import refuse
from atelier.data.names import SYSTEM_LITTER
from atelier.errors import UserError

MAX_MEMBERS = 1_000_000
MAX_BYTES = 200 * 2**30
MAX_RATIO = 100
"""Unpacked to packed size of the whole archive; photographs hardly shrink, tables to a tenth."""

RATIO_FREE_BYTES = 16 * 2**20
"""Up to this unpacked size any ratio does no harm."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 0x1
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


def unpack(archive: Path, folder: Path) -> None:
    """Writes the members of a zip below `folder`, which stays empty when one can't be trusted.

    Raises:
        UserErrors: for no zip, encryption, absolute and climbing names, links, two members of one
            name, a bomb (many members, great size or ratio, overlapping members), damage.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not _is_litter(m.filename)]
            refuse(archive, [*_member_faults(archive, members), *_bomb_faults(archive, members)])
            _check_room(archive, members, folder)
            for member in members:
                _write_member(archive, opened, member, folder)
    except FileNotFoundError:
        raise UserError(archive, "no such file") from None
    except DAMAGED as error:
        what = f"not a zip file, or a damaged one ({error})"
        raise UserError(archive, what, "A folder or a zip can be imported.") from None


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.lower() in SYSTEM_LITTER or part == ".DS_Store" for part in parts)


def _member_faults(archive: Path, members: Sequence[zipfile.ZipInfo]) -> list[UserError]:
    faults = []
    seen: dict[str, str] = {}
    for member in members:
        where, folded = f"{archive}/{member.filename}", member.filename.rstrip("/").casefold()
        if fault := _name_fault(member.orig_filename) or _kind_fault(member):
            faults.append(UserError(where, fault, "Nothing was unpacked."))
        elif folded in seen:
            what = f"has the name of another member ({seen[folded]})"
            faults.append(UserError(where, what, "Nothing was unpacked."))
        seen[folded] = member.filename
    files = {m.filename.casefold() for m in members if not m.is_dir()}
    for member in members:
        parents = [str(p).casefold() for p in PurePosixPath(member.filename).parents]
        if files.intersection(parents):
            what = "lies in a folder that is a file too"
            faults.append(UserError(f"{archive}/{member.filename}", what))
    return faults


def _name_fault(name: str) -> str:
    if not name or "\0" in name:
        return "has a name that no file can have"
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "has an absolute name"
    if "\\" in name:
        return "has a backslash in its name"
    if ".." in PurePosixPath(name).parts:
        return "climbs out of the folder"
    return ""


def _kind_fault(member: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if stat.S_ISLNK(kind):
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither file nor folder"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in METHODS:
        return f"is packed by an unknown method (got {member.compress_type})"
    return ""


def _bomb_faults(archive: Path, members: Sequence[zipfile.ZipInfo]) -> list[UserError]:
    """The sizes are those of the directory; a member that holds more fails its checksum later."""
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    size = archive.stat().st_size
    faults = []
    if len(members) > MAX_MEMBERS:
        faults.append(f"holds {len(members):,} members; {MAX_MEMBERS:,} are allowed")
    if unpacked > MAX_BYTES:
        faults.append(f"holds {unpacked / 2**30:,.0f} GiB; {MAX_BYTES / 2**30:,.0f} are allowed")
    if unpacked > max(size * MAX_RATIO, RATIO_FREE_BYTES):
        ratio = f"{unpacked / size:,.0f} times"
        faults.append(f"unpacks to {ratio} its size; {MAX_RATIO} times are allowed")
    if packed > size:
        faults.append("has members that overlap")
    remedy = "It may be a zip bomb; nothing was unpacked."
    return [UserError(archive, fault, remedy) for fault in faults]


def _check_room(archive: Path, members: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    needed = sum(member.file_size for member in members)
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} are free at {folder}"
        raise UserError(archive, what, "Make room, or import a folder.")


def _write_member(
    archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path
) -> None:
    """Reads no more than the declared size, which was counted, and compares the checksum."""
    target = folder / member.filename
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened.open(member) as packed, target.open("xb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 2**20)
    except DAMAGED as error:
        what = f"can't be unpacked ({error})"
        raise UserError(f"{archive}/{member.filename}", what) from None
