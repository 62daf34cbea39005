"""Downloads the public originals, goes on where a transfer broke off, and imports them."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import FileLock, Timeout
from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from atelier.data.importing import Imported, check_destination, import_dataset
from atelier.display import progress_bar
from atelier.errors import UserError

ATTEMPTS = 5
TIMEOUT_SECONDS = (10, 60)
"""To connect, and between two pieces of a transfer."""

PIECE_BYTES = 2**16
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="


@dataclass(frozen=True)
class Remote:
    """One file of an original; `md5` where its makers or torchvision publish one."""

    url: str
    file: str
    md5: str | None


@dataclass(frozen=True)
class Original:
    """A public dataset. Its licence is its makers'; nothing of it is passed on with this code."""

    files: tuple[Remote, ...]
    licence: str


ORIGINALS = {
    # The images' address is a course's plain copy of the file that CelebA's own page links on
    # Google Drive, where large files meet quotas; the MD5s are those of torchvision's loader.
    "celeba": Original(
        (
            Remote(
                "https://s3-us-west-1.amazonaws.com/udacity-dlnfd/datasets/celeba.zip",
                "img_align_celeba.zip",
                "00d2c5bc6d35e252742224ab0c1e8fcb",
            ),
            Remote(
                f"{DRIVE}0B7EVK8r0v71pblRyaVFSWGxPY0U",
                "list_attr_celeba.txt",
                "75e246fa4810816ffd6ee81facbd244c",
            ),
            Remote(
                f"{DRIVE}0B7EVK8r0v71pY0NSMzRuSXJEVkk",
                "list_eval_partition.txt",
                "d32c9cbf5e040fd4025c592c306e6668",
            ),
        ),
        "CelebA: non-commercial research only, no redistribution "
        "(https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)",
    ),
    "horse2zebra": Original(
        (
            Remote(
                "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
                "horse2zebra.zip",
                None,
            ),
        ),
        "horse2zebra: photographs from ImageNet, for research; their rights are their makers'",
    ),
}

Advance = Callable[[int, int | None], None]
"""Told the bytes that are there, and the total where it is known."""


class _BrokenOffError(Exception):
    """A transfer that may go on at the next attempt."""


def fetch(
    name: str,
    root: Path,
    url: str | None = None,
    replace: bool = False,
    workers: int | None = None,
    wait_seconds: float = 1.0,
) -> Imported:
    """Downloads an original into `.atelier/downloads/` and imports it from there.

    Args:
        url: one zip that holds all of the dataset, instead of the known addresses; unchecked.
        wait_seconds: before the second attempt; doubles with each further one.

    Raises:
        UserError: for an unknown name, an answer that is no such file, a wrong checksum, or a
            transfer that kept breaking off; what has arrived stays for the next call.
    """
    if name not in ORIGINALS:
        remedy = f"Known: {', '.join(ORIGINALS)}; others come by `atelier data import`."
        raise UserError(name, "no known original", remedy)
    check_destination(name, root, replace)
    files = ORIGINALS[name].files if url is None else (Remote(url, f"{name}.zip", None),)
    folder = root / ".atelier" / "downloads" / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(name, "another command is downloading it", "Wait for it.") from None
    with lock:
        for remote in files:
            download(remote, folder / remote.file, wait_seconds)
        source = folder if len(files) > 1 else folder / files[0].file
        imported = import_dataset(name, source, root, replace, workers=workers)
        for remote in files:
            (folder / remote.file).unlink()
    return imported


def download(remote: Remote, target: Path, wait_seconds: float = 1.0) -> None:
    """Fetches one file, with attempts, a progress bar, and a checksum where one is known."""
    if urlsplit(remote.url).scheme not in ("http", "https"):
        raise UserError(remote.url, "not a web address", "http:// and https:// are allowed.")
    if target.exists() and remote.md5 and _md5(target) == remote.md5:
        return
    part = target.with_name(f"{target.name}.part")
    columns = DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with progress_bar(*columns, transient=True) as progress:
        task = progress.add_task(target.name, total=None)

        def advance(there: int, total: int | None) -> None:
            progress.update(task, completed=there, total=total)

        _attempt(remote, part, advance, wait_seconds)
    _verify(remote, part)
    part.rename(target)
    _note(part).unlink(missing_ok=True)


def _attempt(remote: Remote, part: Path, advance: Advance, wait_seconds: float) -> None:
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(wait_seconds * 2 ** (attempt - 1))
        try:
            _transfer(remote, part, advance)
            return
        except (_BrokenOffError, requests.ConnectionError, requests.Timeout) as error:
            reason = _brief(error)
        except requests.exceptions.ChunkedEncodingError as error:
            reason = f"broke off: {_brief(error)}"
        except requests.RequestException as error:
            raise UserError(remote.url, f"no such address ({_brief(error)})") from None
    what = f"the transfer failed {ATTEMPTS} times ({reason})"
    raise UserError(remote.url, what, "Run again to go on, or name a mirror with --url.")


def _transfer(remote: Remote, part: Path, advance: Advance) -> None:
    """One request: for the rest of the file, if the server still has the same, else for all."""
    there = part.stat().st_size if part.exists() else 0
    validator = _validator(remote, part)
    headers = {"Accept-Encoding": "identity"}
    if there and validator:
        headers |= {"Range": f"bytes={there}-", "If-Range": validator}
    with requests.get(
        remote.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS
    ) as response:
        _refuse_status(remote, response)
        if response.status_code == 416:
            # Everything is there already, or more than the server has: the checksum or the
            # archive would tell too late, so begin anew.
            part.unlink()
            raise _BrokenOffError("the part did not fit the file")
        goes_on = response.status_code == 206 and _range_start(response) == there
        if response.status_code == 206 and not goes_on:
            part.unlink(missing_ok=True)
            raise _BrokenOffError("the server sent another range than asked for")
        there = there if goes_on else 0
        length = response.headers.get("Content-Length")
        total = there + int(length) if length and length.isdigit() else None
        _remember(remote, part, response)
        with part.open("ab" if goes_on else "wb") as file:
            for piece in response.iter_content(PIECE_BYTES):
                file.write(piece)
                there += len(piece)
                advance(there, total)
    if total is not None and there != total:
        raise _BrokenOffError(f"broke off at {there:,} of {total:,} bytes")


def _refuse_status(remote: Remote, response: requests.Response) -> None:
    if response.status_code >= 500 or response.status_code == 429:
        raise _BrokenOffError(f"the server answered {response.status_code}")
    if response.status_code >= 400 and response.status_code != 416:
        what = f"the server answered {response.status_code} {response.reason}"
        raise UserError(remote.url, what, "Name a mirror with --url, or use `atelier data import`.")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        what = "the server sent a web page, not the file (moved, or its quota is spent)"
        raise UserError(remote.url, what, "Name a mirror with --url, or use `atelier data import`.")


def _range_start(response: requests.Response) -> int | None:
    """`Content-Range: bytes 100-199/200` -> 100."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdigit() else None


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remember(remote: Remote, part: Path, response: requests.Response) -> None:
    """A part can go on only if the server's file is the same: a weak ETag doesn't promise that."""
    etag = response.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None
    validator = strong or response.headers.get("Last-Modified")
    _note(part).write_text(json.dumps({"url": remote.url, "validator": validator}), "utf-8")


def _validator(remote: Remote, part: Path) -> str | None:
    try:
        note = json.loads(_note(part).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return note["validator"] if note.get("url") == remote.url else None


def _verify(remote: Remote, part: Path) -> None:
    if remote.md5 and (got := _md5(part)) != remote.md5:
        part.unlink()
        what = f"the checksum is wrong (got {got}, not {remote.md5})"
        raise UserError(remote.url, what, "Removed it. Run again, or name a mirror with --url.")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _brief(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 120 else text[:117] + "..."
