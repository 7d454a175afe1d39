"""Downloads resume, digests are checked, archives are looked through before they are unpacked."""

import hashlib
import http.server
import io
import itertools
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram_audio.artifacts.download import download
from engram_audio.artifacts.librispeech_archive import extract_subset, has_subset
from engram_audio.corpus import config
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json
from engram_audio.steps import download_librispeech
from tests.frozen_argv import run_step

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SUBSET = "dev-clean"


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


def archive_of(members: dict[str, bytes], *special: tarfile.TarInfo) -> bytes:
    """A .tar.gz of files, then of special members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as handle:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            handle.addfile(member, io.BytesIO(content))
        for member in special:
            handle.addfile(member)
    return out.getvalue()


GOOD = {
    "LibriSpeech/SPEAKERS.TXT": b"1 | F | dev-clean | 1 | A\n",
    "LibriSpeech/LICENSE.TXT": b"CC",
    f"LibriSpeech/{SUBSET}/1/2/1-2-0000.flac": b"audio",
    f"LibriSpeech/{SUBSET}/1/2/1-2.trans.txt": b"1-2-0000 A\n",
}


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def device(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_archive_becomes_the_layout(tmp_path: Path):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(archive_of(GOOD))
    root = tmp_path / "root"
    root.mkdir()
    found = extract_subset(archive, root, SUBSET)
    assert (found.num_files, found.num_bytes) == (3, sum(map(len, GOOD.values())) - 2)
    assert names(root) == {
        "SPEAKERS.TXT", f"{SUBSET}/1/2/1-2-0000.flac", f"{SUBSET}/1/2/1-2.trans.txt",
    }  # fmt: skip
    assert has_subset(root, SUBSET)


def test_an_own_speakers_file_stays(tmp_path: Path):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(archive_of(GOOD))
    (tmp_path / "SPEAKERS.TXT").write_text("mine")
    extract_subset(archive, tmp_path, SUBSET)
    assert (tmp_path / "SPEAKERS.TXT").read_text() == "mine"


HOSTILE = {
    "absolute": archive_of({**GOOD, "/tmp/evil": b"x"}),
    "climbing": archive_of({**GOOD, "LibriSpeech/../../evil": b"x"}),
    "symbolic link": archive_of(GOOD, link("LibriSpeech/x", "/etc/passwd", tarfile.SYMTYPE)),
    "hard link": archive_of(GOOD, link("LibriSpeech/x", "../../evil", tarfile.LNKTYPE)),
    "device": archive_of(GOOD, device("LibriSpeech/null")),
    "elsewhere": archive_of({**GOOD, "evil/x": b"x"}),
    "backslash": archive_of({**GOOD, "LibriSpeech\\..\\evil": b"x"}),
    "bomb": archive_of({**GOOD, f"LibriSpeech/{SUBSET}/zeros": bytes(5_000_000)}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_leaves_nothing_behind(tmp_path: Path, kind: str):
    """One bad member, even the last, and not one file is written."""
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(HOSTILE[kind])
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True)
    with pytest.raises(InputError, match="nothing was extracted") as caught:
        extract_subset(archive, root, SUBSET)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"x.tar.gz"} and list(root.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"no archive", archive_of(GOOD)[:-40], archive_of({"LibriSpeech/x": b"x"})]
)
def test_a_useless_archive_leaves_no_subset(tmp_path: Path, content: bytes):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.tar\.gz: "):
        extract_subset(archive, tmp_path, SUBSET)
    assert not (tmp_path / SUBSET).exists()


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


def test_the_step_refuses_another_digest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The published digest holds for a mirror too."""
    server.files[f"/{SUBSET}.tar.gz"] = archive_of(GOOD)
    monkeypatch.setenv("ENGRAM_LIBRISPEECH_URL", server.url)
    with pytest.raises(InputError, match="published is 42e2234b"):
        downloaded(tmp_path, tmp_path / "LibriSpeech")
    assert not has_subset(tmp_path / "LibriSpeech", SUBSET)


def test_published_digests_are_different_md5s():
    values = list(config.LIBRISPEECH_MD5.values())
    assert len(values) == 7 and all(len(v) == 32 and int(v, 16) >= 0 for v in values)
    assert all(a != b for a, b in itertools.combinations(values, 2))
