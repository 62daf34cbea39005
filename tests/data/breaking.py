"""BothDirections to break a sound dataset or archive, for the tables of broken inputs."""

import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from data.samples import encoded, picture

Harm = Callable[[Path], object]


def edit(name: str, old: str, new: str) -> Harm:
    def harm(source: Path) -> None:
        text = (source / name).read_text()
        assert old in text
        (source / name).write_text(text.replace(old, new, 1))

    return harm


def put(name: str, content: bytes) -> Harm:
    return lambda source: (source / name).write_bytes(content)


def drop(*names: str) -> Harm:
    return lambda source: [(source / name).unlink() for name in names]


def lost(*folders: str) -> Harm:
    return lambda source: [shutil.rmtree(source / folder) for folder in folders]


def damaged(kind: str, how: str) -> bytes:
    content = encoded(picture(9), kind)
    match how:
        case "empty":
            return b""
        case "head only":
            return content[:9]
        case "text":
            return b"<html>404 Not Found</html>\n"
        case "zeros":
            return bytes(len(content))
        case _:
            return content[: len(content) * int(how.rstrip(" %")) // 100]


def png_of(width: int, height: int) -> bytes:
    """A few bytes that declare a picture of any size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", b""), (b"IEND", b""))
    )


def packed(*members: tuple[str | zipfile.ZipInfo, bytes]) -> Harm:
    """A sound zip of pairs with more members."""

    def harm(archive: Path) -> None:
        with zipfile.ZipFile(archive, "a") as out:
            for name, content in members:
                out.writestr(name, content)

    return harm


def special(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


def patched(local: int, central: int, value: int) -> Harm:
    """Sets a byte in the first member's own header and in its entry of the directory."""

    def harm(archive: Path) -> None:
        content = bytearray(archive.read_bytes())
        for start, offset in ((0, local), (content.index(b"PK\x01\x02"), central)):
            content[start + offset] = value
        archive.write_bytes(content)

    return harm


def cut(share: float) -> Harm:
    return lambda a: a.write_bytes(a.read_bytes()[: int(a.stat().st_size * share)])


def flipped(marker: bytes) -> Harm:
    """Damages what follows a marker in the archive."""

    def harm(archive: Path) -> None:
        content = bytearray(archive.read_bytes())
        content[content.index(marker) + len(marker) + 200] ^= 0xFF
        archive.write_bytes(content)

    return harm
