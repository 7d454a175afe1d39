"""What the jobs of every rule ask for, as Snakemake itself reads the rules under a profile.

python -m tests.workflow.loaded_rules <questions.json> <answers.json>: a question is a command line,
an answer `{"code", "text", "rules"}`, without rules that have no jobs of their own. Snakemake is
loaded once and forks a child for each.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from snakemake.api import Workflow  # imported by way of its other module: a circle

from tests.workflow.many_plans import run_in_child

ATTEMPTS = (1, 2, 3)
NEED_INPUT = ("tmpdir", "disk_mb")  # Snakemake's own: a sum over input files


def asked(rule: Any) -> list[dict[str, Any]]:
    """What each attempt of a rule's jobs asks for."""
    return [dict(rule.expand_resources({}, [], attempt, NEED_INPUT)) for attempt in ATTEMPTS]


def answer(arguments: list[str]) -> dict[str, Any]:
    """Read the rules as a command line would."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:

        def write(self: Workflow, only_targets: bool = False) -> None:
            rules = {rule.name: asked(rule) for rule in self.rules if rule.shellcmd}
            Path(file.name).write_text(json.dumps(rules), encoding="utf-8")

        Workflow.list_rules = write  # in this process and its children only
        code, text, _ = run_in_child([*arguments, "--list-rules"], {})
        return {"code": code, "text": text, "rules": json.loads(file.read() or "{}")}


def main() -> None:
    """Answer all questions."""
    questions = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers = {name: answer(arguments) for name, arguments in questions.items()}
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
