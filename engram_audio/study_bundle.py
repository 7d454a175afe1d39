"""One archive of a study, for an issue or beside a paper.

`python -m engram_audio.study_bundle RESULTS ARCHIVE [--without-page]` collects what explains the
numbers: configuration, tables, verdicts, manifests, versions, digests of data and weights,
licences, the methods in words, errors of failed jobs and the page. Audio, latents and weights stay
where they are. A study that has not finished gives what it has. Equal files give equal bytes.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.digest import DIGEST
from engram_audio.artifacts.manifests import READERS, read_manifest
from engram_audio.artifacts.published import read_csv
from engram_audio.corpus.columns import CORPUS
from engram_audio.errors import InputError
from engram_audio.job_log import error_in
from engram_audio.licences import licence_lines
from engram_audio.maps import map_in
from engram_audio.provenance import package_versions
from engram_audio.report.methods import methods_sentences

ALWAYS = ("*.json", "*.csv", "*.sha256", "tables/*", "questions/*/*", "before_states/**/*")
CONFIG = "config"  # below the results: what each job was asked to do
CODE = "code"  # in there: digests of modules
# Of a manifest; what else a document holds is content.
KEPT = (
    "step", "identity", "settings", "seed", "code_digest", "section_digests", "packages",
    "schema_version", "unreadable",
)  # fmt: skip
MOMENT = (1980, 1, 1, 0, 0, 0)  # of every member: an archive holds no times
ABOUT = """\
configuration.json   every section of the configuration that a job read, by dotted name
methods.txt          what was done, in words, from that configuration and the splits
results/             verdicts, tables with their checksums, decision, calibration, the page
manifests.jsonl      of each artifact: path, step, settings, seed, digests of code and sections
versions.json        packages that made the artifacts, and those installed now
data.json            digests of speech, arrays and weights
licences.txt         terms of data and weights, as far as they are known
errors.txt           the error of each failed job, with its log file
"""


def members(results: Path, logs: Path | None = None, has_page: bool = True) -> dict[str, bytes]:
    """Return the content of an archive by name.

    Args:
        results: Folder of a study's results.
        logs: Folder of its logs, or None.
        has_page: Whether the pages are taken. They hold the sounds that one can listen to.

    Raises:
        InputError: No job of this workflow has been planned there.
    """
    sections = configuration(results)
    manifests = list(_manifests(results))
    texts = {
        "README.txt": ABOUT,
        "configuration.json": _document(sections),
        "methods.txt": "\n".join(methods_sentences(sections, _corpus(results))) + "\n",
        "manifests.jsonl": "".join(json.dumps(one, sort_keys=True) + "\n" for one in manifests),
        "versions.json": _document({"made": _versions(manifests), "now": package_versions()}),
        "data.json": _document(_digests(results)),
        "licences.txt": "\n".join(licence_lines(sections)) + "\n",
        "errors.txt": _errors(logs),
    }
    files = _published(results, has_page)
    return {name: text.encode() for name, text in texts.items()} | files


def configuration(results: Path) -> dict[str, Any]:
    """Return every section that a job was planned with, by dotted name; the newest where it moved.

    Raises:
        InputError: There is no such file.
    """
    paths = [path for path in (results / CONFIG).glob("*/*.json") if path.parent.name != CODE]
    sections: dict[str, Any] = {}
    for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, str(path))):
        sections |= _sections(path)
    if not sections:
        raise InputError(
            f"{results}: no job of this workflow was planned here; name the folder of a study's "
            "results, such as results/demo"
        )
    return dict(sorted(sections.items()))


def _sections(path: Path) -> dict[str, Any]:
    """Return the sections in a job's frozen file; none of one that is damaged."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        return {part["section"]: part["value"] for role in settings.values() for part in role}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _corpus(results: Path) -> list[dict[Any, Any]]:
    """Return what each split held out; nothing of a study that has not told it yet."""
    try:
        return read_csv(results / "tables" / "corpus.csv", CORPUS).to_dict("records")
    except InputError:
        return []


def _manifests(results: Path) -> Iterator[dict[str, Any]]:
    """Yield the manifest of every artifact. One that cannot be read says so."""
    for path in sorted(results.rglob("*")):
        if path.is_file() and path.relative_to(results).parts[0] != CONFIG and _is_ours(path):
            try:
                found = read_manifest(path)
            except InputError as error:
                found = {"unreadable": str(error)}
            if found is not None:
                kept = {name: found[name] for name in KEPT if name in found}
                yield {"artifact": path.relative_to(results).as_posix(), **kept}


def _is_ours(path: Path) -> bool:
    return any(path.name.endswith(suffix) for suffix in READERS)


def _versions(manifests: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, text in (manifest.get("packages") or {}).items():
            found.setdefault(str(name), set()).add(str(text))
    return {name: sorted(texts) for name, texts in sorted(found.items())}


def _digests(results: Path) -> dict[str, Any]:
    """Return what stands for the content of corpora, and for the weights of representations."""
    found = {}
    for path in sorted(results.rglob("source.json")):
        found[path.relative_to(results).as_posix()] = map_in(path).get(DIGEST)
    for path in sorted(results.rglob("summary.json")):
        metadata = map_in(path).get("metadata", {})
        found[path.relative_to(results).as_posix()] = metadata.get("weight_hash")
    return found


def _published(results: Path, has_page: bool) -> dict[str, bytes]:
    patterns = (*ALWAYS, "*.html") if has_page else ALWAYS
    paths = {path for pattern in patterns for path in results.glob(pattern) if path.is_file()}
    return {f"results/{path.relative_to(results).as_posix()}": path.read_bytes() for path in paths}


def _errors(logs: Path | None) -> str:
    paths = sorted(logs.rglob("*.log")) if logs and logs.is_dir() else []
    lines = [f"{path}: {reason}\n" for path in paths if (reason := error_in(path))]
    return "".join(lines) or "no log holds an error\n"


def _document(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_archive(path: Path, content: Mapping[str, bytes]) -> None:
    """Write an archive whose bytes depend on names and contents only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, MOMENT)
            archive.writestr(entry, content[name], zipfile.ZIP_DEFLATED)


def main() -> None:
    """Collect and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of a study's results")
    parser.add_argument("archive", type=Path, help="zip file to write")
    parser.add_argument("--logs", type=Path, help="folder of its logs")
    parser.add_argument("--without-page", action="store_true", help="leave out what one can hear")
    given = parser.parse_args()
    try:
        content = members(given.results, given.logs, not given.without_page)
        write_archive(given.archive, content)
    except InputError as error:
        sys.exit(f"error: {error}")
    size_mb = given.archive.stat().st_size / 1e6
    print(f"{given.archive}: {len(content)} files, {size_mb:.1f} MB")


if __name__ == "__main__":
    main()
