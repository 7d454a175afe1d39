"""What one job was asked to do, frozen: settings, wildcards, inputs and code in one small file.

The driver writes `<results>/config/<rule>/<subject>.<digest>.json` while it plans. The subject is
the job's wildcards, the digest is that of the text. A changed value or edited code is therefore
another file, newer than what the old one made, and Snakemake sees it with and without its own
memory. A step reads nothing else of the configuration and refuses a file that is not what its name
says.
"""

import contextlib
import glob
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.artifacts.atomic import hidden_sibling
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json, code_digest, text_digest

MAXIMUM_SUBJECT = 160  # file systems allow 255 bytes in a name


class Code(NamedTuple):
    """Which code a step runs.

    Attributes:
        modules: The step's module, and modules that it loads by name.
        suffix: Version and digest of a plugin's own code, or "".
    """

    modules: tuple[str, ...]
    suffix: str = ""

    @property
    def digest(self) -> str:
        """Digest of all that these modules reach."""
        return code_digest(*self.modules) + self.suffix


class Job(NamedTuple):
    """A job as a step reads it from its frozen file.

    Attributes:
        rule: The rule whose job this is.
        wildcards: The job's wildcards.
        settings: By role, the sections that the step reads: each a `section` name and a `value`.
        facts: Plain values that the plan works out from the whole configuration, by name.
        data: Digests of a user's files that no rule makes, by name.
        code: Digest of the step's code.
        name: `<rule>/<subject>.<digest>`: what manifests repeat.
        folder: The folder that holds the files of all rules.
        document: All that the file holds.
    """

    rule: str
    wildcards: dict[str, str]
    settings: dict[str, list[dict[str, Any]]]
    facts: dict[str, Any]
    data: dict[str, Any]
    code: str
    name: str
    folder: Path
    document: dict[str, Any]

    def digest_without(self, role: str, fields: Collection[str]) -> str:
        """Return the digest of the job, with some fields of the section in a role left out.

        Of that section the values count and its name does not. Without fields this is the digest
        in the file's name.
        """
        if not fields:
            return text_digest(canonical_json(self.document))
        values = [part["value"] for part in self.settings[role]]
        kept = [{k: v for k, v in value.items() if k not in fields} for value in values]
        settings = {**self.settings, role: kept}
        return text_digest(canonical_json({**self.document, "settings": settings}))


def subject_of(wildcards: Mapping[str, str]) -> str:
    """Return a job's wildcards as part of a file name; `study` where a rule has none."""
    text = ",".join(f"{name}={value}" for name, value in sorted(wildcards.items())) or "study"
    if len(text) <= MAXIMUM_SUBJECT:
        return text
    return f"{text[:MAXIMUM_SUBJECT]}~{text_digest(text)}"


def frozen_text(
    rule: str,
    wildcards: Mapping[str, str],
    settings: Mapping[str, list[dict[str, Any]]],
    code: Code,
    **more: Any,
) -> str:
    """Return the canonical text of a job.

    Args:
        rule: Its rule.
        wildcards: Its wildcards.
        settings: Sections by role, each `{"section": name, "value": plain values}`.
        code: What it runs.
        more: `inputs`, `outputs`, `params`, `command`, `facts` and `data`, as far as there are any.
    """
    content = {"inputs": {}, "outputs": {}, "params": {}, "command": "", "facts": {}, "data": {}}
    code_part = {"modules": list(code.modules), "suffix": code.suffix, "digest": code.digest}
    return canonical_json(
        {"rule": rule, "wildcards": wildcards, "settings": settings, "code": code_part}
        | content
        | more
    )


def place_of(folder: Path, rule: str, wildcards: Mapping[str, str], text: str) -> Path:
    """Return where a text belongs."""
    return folder / rule / f"{subject_of(wildcards)}.{text_digest(text)}.json"


def keep(path: Path, text: str) -> None:
    """Write a frozen file unless it is there.

    A damaged one is mended and keeps its time: what was made from it was made from the text that
    its name promises, because a step refuses any other.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        if path.read_bytes() == text.encode():
            return
        times = path.stat()
    except FileNotFoundError:
        times = None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); mend or delete it") from error
    try:
        _write(path, text, times)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); make room or mend the permissions"
        ) from error


def _write(path: Path, text: str, times: os.stat_result | None) -> None:
    with hidden_sibling(path) as hidden:
        hidden.write_text(text, encoding="utf-8")
        hidden.chmod(0o644)
        if times is not None:
            os.utime(hidden, ns=(times.st_atime_ns, times.st_mtime_ns))
            os.replace(hidden, path)
            return
        try:
            # Of two drivers that plan at once the first wins: a later time would rerun the job.
            with contextlib.suppress(FileExistsError):
                os.link(hidden, path)
        except OSError:
            if path.exists():
                raise
            os.replace(hidden, path)  # a file system without hard links


def forget_others(used: Collection[Path]) -> list[Path]:
    """Remove files of the same rule and subject with another digest; return what was removed."""
    removed = []
    folders = {path.parent for path in used}
    subjects = {(path.parent, subject_in(path)) for path in used}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            if (folder, subject_in(path)) in subjects and path not in used:
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def subject_in(path: Path) -> str:
    """Return the subject that a file name states."""
    return path.name.removesuffix(".json").rpartition(".")[0]


def read_frozen(path: Path) -> Job:
    """Read a frozen file and check it against its name.

    Raises:
        InputError: Missing, damaged, edited by hand, renamed, or made for other code.
    """
    remedy = "edit the configuration, not this file, and run Snakemake again"
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run Snakemake, which writes it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {remedy}") from error
    place = path.absolute()
    if text_digest(text) != path.stem.rpartition(".")[2]:
        raise InputError(f"{path}: is not what its name says, so it was changed; {remedy}")
    content = json.loads(text)
    folder = place.parent.parent
    if place_of(folder, content["rule"], content["wildcards"], text) != place:
        raise InputError(f"{path}: belongs to another job, so it was renamed; {remedy}")
    return Job(
        content["rule"], content["wildcards"], content["settings"], content["facts"],
        content["data"],
        _checked_code(path, content["code"]), f"{path.parent.name}/{path.stem}", folder,
        content,
    )  # fmt: skip


def is_planned(folder: Path, name: str) -> bool:
    """Whether the job that made an artifact is planned as it was then.

    Args:
        folder: The folder of all frozen files.
        name: What the artifact's manifest repeats, `<rule>/<subject>.<digest>`. Of a job that this
            study does not have, nothing is known: its artifact came from elsewhere.
    """
    path = folder / f"{name}.json"
    return path.is_file() or not any(path.parent.glob(f"{glob.escape(subject_in(path))}.*.json"))


def _checked_code(path: Path, code: Mapping[str, Any]) -> str:
    """Return the digest of the code that runs, after comparing it with the one that was planned."""
    running = Code(tuple(code["modules"]), code["suffix"]).digest
    if running != code["digest"]:
        raise InputError(
            f"{path}: was planned for code {code['digest']}, but the package at "
            f"{Path(__file__).parent} is {running}; run Snakemake again, and let PYTHONPATH name "
            "the workflow's own folder"
        )
    return running
