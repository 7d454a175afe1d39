"""Names of the package that nothing uses: `python -m tests.dead_code` (part of `make check`).

Vulture reads Python only, so words of rules and templates count as uses here. Tests do not: what
only a test calls is dead as well, or it is named below with a reason.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from vulture import Vulture

from engram_audio.provenance import ROOT

SOURCES = ("Snakefile", "rules/*.smk", "report_templates/**/*.j2")
DECORATORS = ["@model_validator", "@field_validator", "@*.register"]
# Each entry is a reason and the names that it excuses.
EXCUSED = {
    "fields that become columns or numbers of a document through _asdict": """
        num_covered num_ngrams tolerance_above tolerance_below truth_error
    """,
    "values of the configuration that are read from the frozen document": """
        delta_subspaces event_subspaces
    """,
    "written with weights or a resumed training, for whoever opens the file": """
        explained_variance total_variance
    """,
    "set for, or called by, torch, soundfile, Snakemake or another library": """
        inter_op_num_threads intra_op_num_threads
        _module_absolute_name allow_tf32 bfs deterministic output_size seekable
    """,
    "what tests compare the package with": """
        eval_block gaussian_nll imported_modules
    """,
}


def used_by_rules(root: Path = ROOT) -> Iterator[str]:
    """Yield every word of the rules and templates."""
    for pattern in SOURCES:
        for path in root.glob(pattern):
            yield from re.findall(r"\w+", path.read_text(encoding="utf-8"))


def dead_names(folders: Iterable[Path], used: Iterable[str]) -> dict[str, str]:
    """Return the unused names and where each is defined, in alphabetical order."""
    vulture = Vulture(ignore_decorators=DECORATORS)
    vulture.scavenge([str(folder) for folder in folders])
    vulture.used_names.update(used)
    found = vulture.get_unused_code(min_confidence=60)
    return {item.name: f"{item.filename}:{item.first_lineno}" for item in found}


def main() -> None:
    """Print what is dead, and excuses for what is not; fail if there is either."""
    excused = {name for names in EXCUSED.values() for name in names.split()}
    found = dead_names([ROOT / "engram_audio", ROOT / "bench"], used_by_rules())
    lines = [
        f"{place}: nothing uses {name}" for name, place in found.items() if name not in excused
    ]
    lines += [
        f"tests/dead_code.py: {name} is used, excuse it no more" for name in excused - set(found)
    ]
    sys.exit("\n".join(sorted(lines)) or None)


if __name__ == "__main__":
    main()
