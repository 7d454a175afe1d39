"""What decides a rerun beside a step's own code: the module of a kind, or a plugin's code."""

from importlib.metadata import EntryPoint

from engram_audio.keys.config import KeyFamily
from engram_audio.keys.inputs import input_entries
from engram_audio.kinds import Kind
from engram_audio.provenance import foreign_digest


def code_of(section: Kind) -> tuple[tuple[str, ...], str]:
    """Return which modules a step loads by name for a section, and what stands for a plugin's code.

    For a plugin it is its version and the digest of its package: an edit runs its jobs again.
    """
    entry = section.entry()
    return ((section.MODULE,), "") if entry is None else ((), _suffix(entry))


def code_of_keys(family: KeyFamily) -> str:
    """Return what stands for the code of other packages that fits the keys of a family."""
    entries = [family.entry()] if family.kind == "plugin" else []
    entries += [row.entry() for row in family.quantizers if row.kind == "plugin"]
    others = input_entries()
    entries += [others[name] for name in family.inputs if name in others]
    return "".join(_suffix(entry) for entry in entries)


def _suffix(entry: EntryPoint) -> str:
    version = entry.dist.version if entry.dist else "unknown"
    return f"-{version}-{foreign_digest(entry.module.split('.')[0])}"
