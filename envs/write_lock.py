"""Write envs/lock.txt: what is installed here, with digests, for `pip --require-hashes`.

`make lock` runs it in the environment that the tests have passed with. torch stays out: its file
depends on the index that it comes from (CPU or CUDA), and a CUDA build brings libraries of its own.
The digests are those of the index that pip asks, of files for this Python and this machine.
"""

import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

LEFT_OUT = {"engram_audio", "torch", "pip", "setuptools", "wheel"}
LOCK = Path(__file__).with_name("lock.txt")


def installed() -> dict[str, str]:
    """Return versions by name, as the index spells it."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    names = sorted(name for name in found if name.lower() not in LEFT_OUT)
    return {name: found[name] for name in names}


def digests(versions: dict[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each package's file, as pip would install it here."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps",
             "--quiet", "--disable-pip-version-check", "--report", str(report),
             *(f"{name}=={version}" for name, version in versions.items())],
            check=True,
        )  # fmt: skip
        rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        row["metadata"]["name"]: row["download_info"]["archive_info"]["hashes"]["sha256"]
        for row in rows
    }


def machine() -> str:
    """Return what the digests are good for."""
    major, minor = sys.version_info[:2]
    return f"CPython {major}.{minor}, {platform.system()} {platform.machine()}"


def main() -> None:
    """Write the file."""
    versions = installed()
    found = {name.lower().replace("_", "-"): digest for name, digest in digests(versions).items()}
    lines = [f"# {machine()}. Written by `make lock`: what the tests pass with, without torch."]
    for name, version in versions.items():
        digest = found[name.lower().replace("_", "-")]
        lines.append(f"{name}=={version} --hash=sha256:{digest}")
    LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
