"""Archives in the layout of LibriSpeech, good and hostile."""

import gzip
import io
import tarfile
from pathlib import Path

SUBSET = "dev-clean"
LAYOUT = {"SPEAKERS.TXT", f"{SUBSET}/1/2/1-2-0000.flac", f"{SUBSET}/1/2/1-2.trans.txt"}


def archive_of(members: dict[str, bytes], *special: tarfile.TarInfo) -> bytes:
    """A .tar.gz of files, then of special members: the same bytes at any time of day."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as handle:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            handle.addfile(member, io.BytesIO(content))
        for member in special:
            handle.addfile(member)
    return gzip.compress(out.getvalue(), mtime=0)


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
