"""Downloads against a local server: resume, retries, checksums, and pages instead of files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from data.samples import tree_digest, write_faces, write_pairs, zipped

from atelier.data import fetching
from atelier.data.fetching import Original, Remote, download, fetch
from atelier.errors import UserError

CONTENT = bytes(range(256)) * 4000


@dataclass
class Site:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each next answer breaks off."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers, instead of the file."""
    page: bool = False
    ranges: bool = True
    wrong_range: bool = False
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range")
        site.asked.append(wanted)
        content = site.files.get(self.path.strip("/"))
        if site.statuses or content is None:
            self.answer(site.statuses.pop(0) if site.statuses else 404, b"", {})
        elif site.page:
            self.answer(200, b"<html>quota</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif wanted and site.ranges and self.headers.get("If-Range") == site.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            said = start + 7 if site.wrong_range else start
            where = f"bytes {said}-{len(content) - 1}/{len(content)}"
            self.answer(206, content[start:], {"Content-Range": where})
        else:
            self.answer(200, content, {})

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"ETag": self.site.etag, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.site.cut_after.pop(0) if self.site.cut_after and content else len(content)
        self.wfile.write(content[:cut])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site()
    handler = type("SiteHandler", (Handler,), {"site": here})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    here.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """The last piece of a broken transfer is lost, so that breaks are told to the byte."""
    monkeypatch.setattr(fetching, "PIECE_BYTES", 1000)


@pytest.fixture
def remote(site):
    site.files["a.bin"] = CONTENT
    return Remote(f"{site.address}/a.bin", "a.bin", hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.bin"


def arrived(remote, target):
    download(remote, target, wait_seconds=0.001)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_a_file_arrives(site, remote, target):
    arrived(remote, target)
    assert site.asked == [None]


def test_what_is_there_and_right_is_not_fetched_again(site, remote, target):
    arrived(remote, target)
    arrived(remote, target)
    assert site.asked == [None]


def test_a_transfer_goes_on_where_it_broke_off(site, remote, target):
    site.cut_after = [300_000, 200_000]
    arrived(remote, target)
    assert site.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on(site, remote, target):
    site.cut_after = [100_000] + [1] * (fetching.ATTEMPTS - 1)
    with pytest.raises(UserError, match=r"failed 5 times \(broke off.*Run again to go on"):
        download(remote, target, wait_seconds=0.001)
    assert not target.exists()
    site.asked.clear()
    arrived(remote, target)
    assert site.asked == ["bytes=100000-"]


def test_a_changed_file_begins_anew(site, remote, target):
    part = target.with_name("a.bin.part")
    part.write_bytes(b"old" * 1000)
    note = {"url": remote.url, "validator": '"older"'}
    part.with_name("a.bin.part.json").write_text(json.dumps(note))
    arrived(remote, target)
    assert site.asked == ["bytes=3000-"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_a_part_is_not_trusted(site, remote, target, etag):
    site.etag = etag
    site.cut_after = [300_000]
    arrived(remote, target)
    assert site.asked == [None, None]


def test_a_server_without_ranges_sends_all_again(site, remote, target):
    site.ranges = False
    site.cut_after = [300_000]
    arrived(remote, target)
    assert site.asked == [None, "bytes=300000-"]


def test_a_wrong_range_is_not_appended(site, remote, target):
    site.wrong_range = True
    site.cut_after = [300_000]
    arrived(remote, target)
    assert site.asked == [None, "bytes=300000-", None]


def test_a_part_longer_than_the_file_begins_anew(site, remote, target):
    part = target.with_name("a.bin.part")
    part.write_bytes(CONTENT + b"more")
    note = {"url": remote.url, "validator": site.etag}
    part.with_name("a.bin.part.json").write_text(json.dumps(note))
    arrived(remote, target)
    assert site.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_of_another_address_begins_anew(site, remote, target):
    part = target.with_name("a.bin.part")
    part.write_bytes(b"x" * 1000)
    note = {"url": "http://elsewhere/", "validator": site.etag}
    part.with_name("a.bin.part.json").write_text(json.dumps(note))
    arrived(remote, target)
    assert site.asked == [None]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(site, remote, target, status):
    site.statuses = [status, status]
    arrived(remote, target)
    assert len(site.asked) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(site, remote, target, status):
    site.statuses = [status]
    with pytest.raises(UserError, match=rf"answered {status}.*--url"):
        download(remote, target, wait_seconds=0.001)
    assert len(site.asked) == 1


def test_a_page_is_no_file(site, remote, target):
    site.page = True
    with pytest.raises(UserError, match=r"a web page, not the file.*--url"):
        download(remote, target, wait_seconds=0.001)
    assert not target.exists()


def test_a_wrong_checksum_is_removed(site, remote, target):
    site.files["a.bin"] = CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match=rf"checksum is wrong \(got .*not {remote.md5}"):
        download(remote, target, wait_seconds=0.001)
    assert not target.exists()
    assert not target.with_name("a.bin.part").exists()


@pytest.mark.parametrize("url", ["ftp://host/a", "file:///etc/passwd", "a.zip", "http://"])
def test_only_web_addresses(target, url):
    with pytest.raises(UserError, match=r"no such address|not a web address"):
        download(Remote(url, "a", None), target, wait_seconds=0.001)


def test_nobody_listens(target):
    with pytest.raises(UserError, match="failed 5 times"):
        download(Remote("http://127.0.0.1:1/a", "a", None), target, wait_seconds=0.001)


def test_horse2zebra_is_fetched_and_imported(tmp_path, site):
    source = write_pairs(tmp_path / "source" / "horse2zebra")
    archive = zipped(tmp_path / "source", tmp_path / "a.zip")
    site.files["h2z.zip"] = archive.read_bytes()
    root = tmp_path / "root"
    imported = fetch("horse2zebra", root, url=f"{site.address}/h2z.zip", wait_seconds=0.001)
    assert len(imported.catalog.splits["training"].names) == 16
    assert tree_digest(root / "data" / "horse2zebra") == tree_digest(source)
    assert not list((root / ".atelier" / "downloads").rglob("*.zip*"))


def test_celeba_is_fetched_in_three_files(tmp_path, site, monkeypatch):
    source = write_faces(tmp_path / "source")
    images = zipped(source / "img_align_celeba", tmp_path / "img_align_celeba.zip")
    contents = {images.name: images.read_bytes()}
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        contents[name] = (source / name).read_bytes()
    site.files |= contents
    files = tuple(
        Remote(f"{site.address}/{name}", name, hashlib.md5(content).hexdigest())
        for name, content in contents.items()
    )
    monkeypatch.setitem(fetching.ORIGINALS, "celeba", Original(files, "ours"))
    imported = fetch("celeba", tmp_path / "root", wait_seconds=0.001)
    assert [len(split.names) for split in imported.catalog.splits.values()] == [8, 2, 2]
    assert len(site.asked) == 3


def test_imported_data_are_in_the_way_before_a_byte_is_fetched(tmp_path, site):
    write_pairs(tmp_path / "data" / "horse2zebra")
    with pytest.raises(UserError, match="--replace"):
        fetch("horse2zebra", tmp_path, url=f"{site.address}/a.zip")
    assert site.asked == []


def test_an_unknown_original(tmp_path):
    with pytest.raises(UserError, match=r"no known original\. Known: celeba, horse2zebra"):
        fetch("imagenet", tmp_path)


def test_every_original_is_addressed_over_https_and_has_a_licence():
    for original in fetching.ORIGINALS.values():
        assert original.licence
        for remote in original.files:
            assert remote.url.startswith("https://")
