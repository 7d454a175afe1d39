"""Recompute what decides the study without this package, and note how many numbers agree.

Fails where nothing was verified. Numbers that differ are noted, and are no failure.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engram_audio.artifacts.json_document import write_json
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT
from engram_audio.steps._cli import Output, StepFiles, run
from engram_audio.verdicts.judge import at_least, exact, judge

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    scripts: list[Path]  # they import nothing of this package
    decision: Path
    tables: list[Path]
    verified: Output


def recomputed(results: Path) -> list[dict[str, Any]]:
    """Run `python -m verify` on a folder of results; return its numbers.

    Raises:
        InputError: It stopped before its end.
    """
    with tempfile.TemporaryDirectory(prefix="engram-verify-") as folder:
        found = Path(folder) / "numbers.json"
        command = [sys.executable, "-P", "-m", "verify", str(results), str(found)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        LOG.info("%s", done.stdout)
        if not found.is_file():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise InputError(f"{results}: nothing was verified ({last}); run `python -m verify`")
        return json.loads(found.read_text(encoding="utf-8"))


def main(argv: list[str] | None = None) -> None:
    """Recompute, count what agrees, write it."""
    files = Files.parse(argv)
    numbers = recomputed(files.decision.parent)
    differing = [row["what"] for row in numbers if not row["agrees"]]
    right = len(numbers) - len(differing)
    judged = judge(exact(right / len(numbers)), at_least(1))
    document = {
        "num_numbers": len(numbers), "num_agreeing": right, "differing": differing,
        "outcome": judged.outcome,
        "sentence": f"Verified without the package: {right} of {len(numbers)} numbers agree.",
    }  # fmt: skip
    write_json(files.verified, {**document, "manifest": files.manifest()})


if __name__ == "__main__":
    run(main)
