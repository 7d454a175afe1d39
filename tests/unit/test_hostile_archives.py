"""Archives are looked through before they are unpacked, and cost what they may, at most."""

import gzip
import itertools
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from engram_audio.artifacts import tar_members
from engram_audio.artifacts.librispeech_archive import extract_subset, has_subset
from engram_audio.errors import InputError
from tests.unit.archive_material import GOOD, LAYOUT, SUBSET, archive_of, device, link, names


def test_an_archive_becomes_the_layout(tmp_path: Path):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(archive_of(GOOD))
    root = tmp_path / "root"
    root.mkdir()
    found = extract_subset(archive, root, SUBSET)
    assert (found.num_files, found.num_bytes) == (3, sum(map(len, GOOD.values())) - 2)
    assert names(root) == LAYOUT
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


def header(name: str, kind: bytes, size: int) -> bytes:
    """The 512 bytes that begin a member; a size of any sign and length."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, abs(size)
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = (size & (1 << 96) - 1).to_bytes(12, "big")
        total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
        block[148:156] = b"%06o\0 " % total
    return bytes(block)


def pax(records: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    body = b""
    for key, value in records.items():
        tail = f" {key}={value}\n".encode()
        length = next(n for n in itertools.count() if n == len(str(n)) + len(tail))
        body += str(length).encode() + tail
    return header("pax", kind, len(body)) + body + bytes(-len(body) % 512)


def packed(*blocks: bytes) -> bytes:
    """A good member, then raw blocks, then the end mark."""
    good = gzip.decompress(archive_of({"LibriSpeech/A.TXT": b"a" * 100}))[:1024]
    return gzip.compress(good + b"".join(blocks) + bytes(1024), compresslevel=1, mtime=0)


MEBIBYTE = bytes(1 << 20)
NAME = f"LibriSpeech/{SUBSET}/1/2/1-2-0000.flac"
FILE = header(NAME, tarfile.REGTYPE, 0)
BOMBS = {
    "pax header": packed(header("x", tarfile.XHDTYPE, 64 << 20), MEBIBYTE * 64, FILE),
    "pax claim": packed(header("x", tarfile.XHDTYPE, 1 << 40), FILE),
    "global header": packed(header("x", tarfile.XGLTYPE, 64 << 20), MEBIBYTE * 64, FILE),
    "long name": packed(header("x", tarfile.GNUTYPE_LONGNAME, 64 << 20), b"a" * (64 << 20), FILE),
    "long link": packed(header("x", tarfile.GNUTYPE_LONGLINK, 64 << 20), MEBIBYTE * 64, FILE),
    "nested headers": packed(pax({"comment": "a"}) * 4000, FILE),
    "global keys": packed(*(pax({f"k{n}": "v"}, tarfile.XGLTYPE) + FILE for n in range(100))),
    "huge file": packed(header(NAME, tarfile.REGTYPE, 1 << 50)),
    "huge pax size": packed(pax({"size": str(1 << 60)}), FILE),
    "negative size": packed(header(NAME, tarfile.REGTYPE, -1024)),
    "negative pax size": packed(pax({"size": "-2048"}), FILE),
    "sparse": packed(pax({"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}), FILE),
    "sparse 1.0": packed(
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99"}),
        header(NAME, tarfile.REGTYPE, 512), b"1\n0\n1\n".ljust(512, b"\0"),
    ),
    "sparse map": packed(
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99"}),
        header(NAME, tarfile.REGTYPE, 1 << 30), b"9999999\n" + b"1\n" * (1 << 20),
    ),
    "twice": archive_of({**GOOD, f"./LibriSpeech//{SUBSET}/./1/2/1-2-0000.flac": b"other"}),
    "file in a file": archive_of({**GOOD, f"{NAME}/x": b"x"}),
    "file over a folder": archive_of({**GOOD, f"LibriSpeech/{SUBSET}/1": b"x"}),
    "long bad name": archive_of({**GOOD, "evil/" + "x" * 5000: b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_costs_little_and_is_one_line(tmp_path: Path, kind: str):
    """Memory is bounded by the reader, not by what a header claims; no file is written."""
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(BOMBS[kind])
    root = tmp_path / "root"
    root.mkdir()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"nothing was extracted|does not unpack") as caught:
            extract_subset(archive, root, SUBSET)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500 + len(str(archive)) and "\n" not in str(caught.value)
    assert list(root.iterdir()) == []


def test_members_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Empty files cost no bytes of the budget, but each is a file on the disk."""
    monkeypatch.setattr(tar_members, "MAXIMUM_MEMBERS", 10)
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(archive_of({f"LibriSpeech/{SUBSET}/{n}": b"" for n in range(11)}))
    with pytest.raises(InputError, match="more than 10 members"):
        extract_subset(archive, tmp_path, SUBSET)


def damaged(kind: str) -> bytes:
    """A good archive with one fault that gzip does not see, or with a fault in gzip's stream."""
    plain = bytearray(gzip.decompress(archive_of(GOOD)))
    if kind == "header":  # the third member's: what lies before it is good
        plain[2048 + 10] ^= 1
    elif kind == "cut between members":
        del plain[3072:]
    elif kind == "cut in a header":
        del plain[3172:]
    content = bytearray(gzip.compress(bytes(plain), mtime=0))
    if kind == "stream":
        content[len(content) // 2 : -8] = b"\xff" * (len(content) - 8 - len(content) // 2)
    return bytes(content)


@pytest.mark.parametrize("kind", ["header", "cut between members", "cut in a header", "stream"])
def test_a_damaged_archive_is_not_taken_for_a_shorter_one(tmp_path: Path, kind: str):
    """The module tarfile takes a header that it cannot read for the end."""
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(damaged(kind))
    with pytest.raises(InputError, match=r"x\.tar\.gz: does not unpack") as caught:
        extract_subset(archive, tmp_path, SUBSET)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"x.tar.gz"}
