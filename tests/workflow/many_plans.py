"""Real dry runs by the hundred: one process has Snakemake loaded and forks a child for each.

python -m tests.workflow.many_plans <questions.json> <answers.json>, started in a checkout with
`PYTHONPATH` set to it and to the repository's root. A question is `{"name", "config" or "module"}`:
a whole configuration to plan with, or a module of the package to edit before planning. The answer
is the exact set of jobs by rule, or the error text.
"""

import functools
import json
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from snakemake import cli

from engram_audio import provenance
from engram_audio.config import parse_config
from tests import studies

RULES_IMPORT = re.compile(r"^from engram_audio[\w.]* import [\w, ]+$", re.M)
JOBS_TABLE = re.compile(r"^job +count\n-+ +-+\n(.*?)^total", re.M | re.S)
EDIT = "\n_edited = 1\n"


def jobs_of(text: str) -> dict[str, int]:
    """Number of jobs by rule in what a dry run printed; empty where nothing is to be done."""
    table = JOBS_TABLE.search(text)
    rows = (line.split() for line in table.group(1).splitlines()) if table else []
    return {row[0]: int(row[1]) for row in rows if row}


def plan(arguments: list[str]) -> tuple[int, str]:
    """Run `snakemake -n` in a child; return its exit code and all it printed."""
    code, text, _ = run_in_child(arguments, {})
    return code, text


def run_in_child(
    arguments: list[str], variables: dict[str, str]
) -> tuple[int, str, dict[str, int]]:
    """Run Snakemake in a child of this process.

    Args:
        arguments: Its command line.
        variables: Environment variables to set.

    Returns:
        Exit code, all that it printed, and the jobs of its table by rule.
    """
    load_once()
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            os.environ.update(variables)
            _become_snakemake(output.fileno(), arguments)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        text = output.read()
    return os.waitstatus_to_exitcode(status), text, jobs_of(text)


@functools.cache
def load_once() -> None:
    """Do what every child would do first: import for the rules, build the models of settings."""
    for path in (provenance.ROOT / "Snakefile", *(provenance.ROOT / "rules").glob("*.smk")):
        exec("\n".join(RULES_IMPORT.findall(path.read_text(encoding="utf-8"))), {})
    parse_config(studies.study())
    cli.get_argument_parser([])


def _become_snakemake(descriptor: int, arguments: list[str]) -> None:
    code = 70
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # not those of a test runner
        code = 0 if cli.main(arguments) is None else 1
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Plan after one edit, and undo the edit."""
    if "module" in question:
        path = provenance.module_path(question["module"])
        assert path is not None
        text = path.read_text(encoding="utf-8")
        path.write_text(text + EDIT, encoding="utf-8")
        provenance._parsed.cache_clear()
        provenance.code_digest.cache_clear()
        try:
            code, output = plan(["-n", "--configfile", question["config_path"]])
        finally:
            path.write_text(text, encoding="utf-8")
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as handle:
            json.dump(question["config"], handle)
            handle.flush()
            code, output = plan(["-n", "--configfile", handle.name])
    if code != 0:
        return {"name": question["name"], "error": output}
    return {"name": question["name"], "jobs": jobs_of(output)}


def main() -> None:
    """Answer all questions, those about modules last."""
    for path in sorted((provenance.ROOT / "engram_audio" / "steps").glob("[a-z]*.py")):
        provenance.code_digest(f"engram_audio.steps.{path.stem}")  # children inherit what is parsed
    questions = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers = [answer(question) for question in questions]
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
