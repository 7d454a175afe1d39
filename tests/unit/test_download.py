"""Downloads resume, digests are checked, archives are looked through before they are unpacked."""

import errno
import hashlib
import http.server
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from engram_audio.artifacts import librispeech_archive
from engram_audio.artifacts.download import download
from engram_audio.artifacts.librispeech_archive import extract_subset, has_subset
from engram_audio.corpus import config
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json
from engram_audio.steps import download_librispeech
from tests.frozen_argv import run_step
from tests.unit.archive_material import GOOD, LAYOUT, SUBSET, archive_of, names

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; breaks off after `cut` bytes of a body while `cuts` lasts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts = 0
        self.cut = 300_000
        self.has_ranges = True
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start and self.server.has_ranges:
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[: self.server.cut])
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def fetch(server: Server, target: Path, digest: str = md5(CONTENT)) -> None:
    download(f"{server.url}/file", target, digest, pause_s=0.001)


def test_a_file_arrives_whole(server: Server, tmp_path: Path):
    server.files["/file"] = CONTENT
    seen: list[tuple[int, int | None]] = []
    download(f"{server.url}/file", tmp_path / "x", md5(CONTENT), lambda *at: seen.append(at))
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_broken_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path):
    """Two breaks: three requests, each asks for what the ones before did not bring."""
    server.files["/file"] = CONTENT
    server.cuts = 2
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=600000-"]


def test_a_killed_download_is_resumed_by_the_next_run(server: Server, tmp_path: Path):
    server.files["/file"] = CONTENT
    (tmp_path / "x.part").write_bytes(CONTENT[:500_000])
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=500000-"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path):
    server.files["/file"] = CONTENT
    server.has_ranges = False
    (tmp_path / "x.part").write_bytes(b"something else")
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_full_or_too_long_part_ends_well(server: Server, tmp_path: Path, part: bytes):
    server.files["/file"] = CONTENT
    (tmp_path / "x.part").write_bytes(part)
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_wrong_digest_keeps_nothing(server: Server, tmp_path: Path):
    server.files["/file"] = CONTENT
    with pytest.raises(InputError, match="MD5 .* published is " + "0" * 32):
        fetch(server, tmp_path / "x", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_not_repeated_and_silence_is_not_endless(server: Server, tmp_path: Path):
    with pytest.raises(InputError, match="HTTP 404"):
        fetch(server, tmp_path / "x")
    assert len(server.requests) == 1
    server.files["/file"] = CONTENT
    server.cuts, server.cut = 1000, 0
    with pytest.raises(InputError, match="cannot be downloaded") as caught:
        fetch(server, tmp_path / "x")
    assert len(server.requests) < 10 and "\n" not in str(caught.value)


def downloaded(tmp_path: Path, root: Path) -> dict[str, object]:
    section = tmp_path / "corpora.x.json"
    settings = {
        "kind": "librispeech", "root": str(root), "subsets": [SUBSET], "download": True,
        "minimum_duration_s": 3.0, "num_shards": 1,
    }  # fmt: skip
    section.write_text(canonical_json(settings))
    receipt = tmp_path / "out" / "receipt.json"
    run_step(
        download_librispeech,
        ["--section", str(section), "--subset", SUBSET, "--receipt", str(receipt)],
    )
    return json.loads(receipt.read_text())


def test_the_step_downloads_once_and_recognises_what_is_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = archive_of(GOOD)
    server.files[f"/mirror/{SUBSET}.tar.gz"] = content
    monkeypatch.setenv("ENGRAM_LIBRISPEECH_URL", f"{server.url}/mirror/")
    monkeypatch.setitem(config.LIBRISPEECH_MD5, SUBSET, md5(content))
    root = tmp_path / "LibriSpeech"
    first = downloaded(tmp_path, root)
    assert first["num_files"] == 3 and str(first["url"]).startswith(server.url)
    assert has_subset(root, SUBSET) and not list(root.glob("*.tar.gz*"))
    again = downloaded(tmp_path, root)
    assert again["url"] is None and len(server.requests) == 1


@pytest.fixture
def corpus(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root, and a mirror that has the published archive."""
    content = archive_of(GOOD)
    server.files[f"/{SUBSET}.tar.gz"] = content
    monkeypatch.setenv("ENGRAM_LIBRISPEECH_URL", server.url)
    monkeypatch.setitem(config.LIBRISPEECH_MD5, SUBSET, md5(content))
    root = tmp_path / "LibriSpeech"
    root.mkdir()
    return root


def test_an_archive_placed_by_hand_is_verified_and_kept(server: Server, corpus: Path):
    """The receipt says that it was found, and which bytes were verified."""
    content = archive_of(GOOD)
    archive = corpus / f"{SUBSET}.tar.gz"
    archive.write_bytes(content)
    receipt = downloaded(corpus.parent, corpus)
    assert server.requests == [] and has_subset(corpus, SUBSET)
    assert archive.read_bytes() == content
    assert (receipt["origin"], receipt["url"]) == ("found", None)
    assert (receipt["archive_md5"], receipt["archive_bytes"]) == (md5(content), len(content))


def test_a_link_to_an_archive_is_followed_and_stays(corpus: Path):
    stored = corpus.parent / "stored"
    stored.write_bytes(archive_of(GOOD))
    archive = corpus / f"{SUBSET}.tar.gz"
    archive.symlink_to(stored)
    assert downloaded(corpus.parent, corpus)["origin"] == "found"
    assert archive.is_symlink() and stored.exists()


FOREIGN = {
    "cut": (archive_of(GOOD)[:-40], "cut short, damaged or another"),
    "empty": (b"", "cut short, damaged or another"),
    "more": (archive_of(GOOD) + b"x", "cut short, damaged or another"),
    "page": (b"<html>404</html>", "cut short, damaged or another"),
    "test-other": (archive_of({"LibriSpeech/x": b"x"}), "the archive of test-other"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_file_under_that_name_is_refused_and_kept(
    corpus: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    content, what = FOREIGN[kind]
    monkeypatch.setitem(config.LIBRISPEECH_MD5, "test-other", md5(FOREIGN["test-other"][0]))
    archive = corpus / f"{SUBSET}.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(InputError, match=f"found there.*{what}.*replace the file") as caught:
        downloaded(corpus.parent, corpus)
    assert "server" not in str(caught.value) and "\n" not in str(caught.value)
    assert archive.read_bytes() == content and not (corpus / SUBSET).exists()


def place(archive: Path, kind: str) -> None:
    if kind == "folder":
        archive.mkdir()
    elif kind == "fifo":
        os.mkfifo(archive)
    else:
        archive.symlink_to({"loop": archive, "dangling": "gone", "zero": "/dev/zero"}[kind])


@pytest.mark.parametrize("kind", ["folder", "fifo", "loop", "dangling", "zero"])
def test_what_is_no_file_under_that_name_is_one_line(server: Server, corpus: Path, kind: str):
    archive = corpus / f"{SUBSET}.tar.gz"
    place(archive, kind)
    with pytest.raises(InputError, match=r"dev-clean\.tar\.gz: cannot be read .*move it away"):
        downloaded(corpus.parent, corpus)
    assert os.path.lexists(archive) and server.requests == []


def test_an_archive_that_may_not_be_read_is_one_line(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the tests run as root, who may read all."""
    (corpus / f"{SUBSET}.tar.gz").write_bytes(archive_of(GOOD))

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(librispeech_archive, "open_regular", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); mend that"):
        downloaded(corpus.parent, corpus)


def test_of_a_folder_unpacked_by_hand_nothing_is_claimed(server: Server, corpus: Path):
    """Even where the right archive lies beside it: the folder may hold anything."""
    (corpus / SUBSET / "1" / "2").mkdir(parents=True)
    (corpus / SUBSET / "1" / "2" / "1-2-0000.flac").write_bytes(b"mine")
    (corpus / f"{SUBSET}.tar.gz").write_bytes(archive_of(GOOD))
    receipt = downloaded(corpus.parent, corpus)
    assert receipt["origin"] == "folder" and server.requests == []
    assert {receipt[name] for name in download_librispeech.RECEIPT[1:]} == {None}
    assert (corpus / f"{SUBSET}.tar.gz").exists()


@pytest.mark.parametrize("inside", [None, "x.flac"])
def test_a_folder_without_audio_is_refused_before_the_download(
    server: Server, corpus: Path, inside: str | None
):
    """A folder called x.flac is no audio."""
    (corpus / SUBSET / (inside or "")).mkdir(parents=True)
    with pytest.raises(InputError, match="there already, without audio"):
        downloaded(corpus.parent, corpus)
    assert server.requests == []


def test_a_run_after_a_kill_before_the_receipt_tidies_and_claims_nothing(corpus: Path):
    """Killed between the renaming of the folder and the receipt: what was ours goes."""
    own = corpus / f"{SUBSET}.downloaded.tar.gz"
    own.write_bytes(archive_of(GOOD))
    extract_subset(own, corpus, SUBSET)
    receipt = downloaded(corpus.parent, corpus)
    assert receipt["origin"] == "folder" and receipt["archive_md5"] is None
    assert not own.exists() and has_subset(corpus, SUBSET)


def test_a_run_after_a_kill_while_unpacking_downloads_nothing_again(server: Server, corpus: Path):
    (corpus / f"{SUBSET}.downloaded.tar.gz").write_bytes(archive_of(GOOD))
    (corpus / f".extracting-{SUBSET}" / SUBSET).mkdir(parents=True)
    assert downloaded(corpus.parent, corpus)["origin"] == "downloaded"
    assert server.requests == [] and has_subset(corpus, SUBSET)
    assert names(corpus) == {".dev-clean.lock", *LAYOUT}


@pytest.mark.parametrize("name", [f"{SUBSET}.tar.gz", f"{SUBSET}.downloaded.tar.gz"])
def test_a_full_disk_keeps_the_archive_and_gives_the_room_back(
    corpus: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    """The remedy is room, never another archive; the next run unpacks what is there."""
    (corpus / name).write_bytes(archive_of(GOOD))
    write = librispeech_archive._write

    def full(target: Path, blocks: Iterator[bytes]) -> None:
        write(target, blocks)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(librispeech_archive, "_write", full)
    with pytest.raises(InputError, match=f"make room.*{name} is kept") as caught:
        downloaded(corpus.parent, corpus)
    assert "delete" not in str(caught.value) and names(corpus) == {".dev-clean.lock", name}
    monkeypatch.undo()
    monkeypatch.setitem(config.LIBRISPEECH_MD5, SUBSET, md5(archive_of(GOOD)))
    downloaded(corpus.parent, corpus)
    assert has_subset(corpus, SUBSET)


def test_a_full_disk_while_downloading_says_so_at_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Trying again five times does not make room."""
    server.files["/file"] = CONTENT

    class Full(io.FileIO):
        def write(self, data: object, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("engram_audio.artifacts.download.FileIO", Full)
    with pytest.raises(InputError, match=r"No space left.*make room"):
        fetch(server, tmp_path / "x")
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_made_is_one_line(corpus: Path):
    (corpus / "file").write_bytes(b"")
    with pytest.raises(InputError, match="dev-clean cannot be put there"):
        downloaded(corpus.parent, corpus / "file")


def test_the_step_refuses_another_digest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The published digest holds for a mirror too."""
    server.files[f"/{SUBSET}.tar.gz"] = archive_of(GOOD)
    monkeypatch.setenv("ENGRAM_LIBRISPEECH_URL", server.url)
    with pytest.raises(InputError, match="published is 42e2234b"):
        downloaded(tmp_path, tmp_path / "LibriSpeech")
    assert not has_subset(tmp_path / "LibriSpeech", SUBSET)


# The second copy: md5sum.txt at https://www.openslr.org/resources/12, read by a person.
PUBLISHED = """
42e2234ba48799c1f50f24a7926300a1  dev-clean.tar.gz
c8d0bcc9cca99d4f8b62fcc847357931  dev-other.tar.gz
32fa31d27d2e1cad72775fee3f4849a9  test-clean.tar.gz
fb5a50374b501bb3bac4815ee91d3135  test-other.tar.gz
2a93770f6d5c6c964bc36631d331a522  train-clean-100.tar.gz
c0e676e450a7ff2f54aeade5171606fa  train-clean-360.tar.gz
d1a0fd59409feb2c614ce4d30c387708  train-other-500.tar.gz
"""


def test_the_digests_are_the_published_ones():
    rows = (line.split() for line in PUBLISHED.strip().splitlines())
    published = {name.removesuffix(".tar.gz"): digest for digest, name in rows}
    assert published == config.LIBRISPEECH_MD5
    assert set(published) == set(get_args(config.LibriSpeechSubset))
