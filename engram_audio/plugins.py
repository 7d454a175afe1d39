"""What decides a rerun beside a step's own code: the module of a kind, or a plugin's code."""

from engram_audio.kinds import Kind
from engram_audio.provenance import foreign_digest


def code_of(section: Kind) -> tuple[tuple[str, ...], str]:
    """Return which modules a step loads by name for a section, and what stands for a plugin's code.

    For a plugin it is its version and the digest of its package: an edit runs its jobs again.
    """
    entry = section.entry()
    if entry is None:
        return (section.MODULE,), ""
    version = entry.dist.version if entry.dist else "unknown"
    return (), f"-{version}-{foreign_digest(entry.module.split('.')[0])}"
