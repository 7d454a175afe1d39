"""What each rule of a study declares, as Snakemake reads it.

python -m tests.workflow.rule_table <configuration>... prints one JSON document. By configuration
and rule it holds names of inputs, outputs, wildcards and parameters, the command, roles and facts.
"""

import json
import sys
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.resources import Resources
from snakemake.settings.types import (
    ConfigSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
    StorageSettings,
)

# Rules of jobs with many members are there too.
MANY_IN_ONE_JOB = Resources.parse(
    ["gpu_batch_runtime=24h"], allow_expressions=True, defaults="bare"
)
ROOT = Path(__file__).resolve().parents[2]


def rules_of(configuration: Path) -> dict[str, dict[str, Any]]:
    """Return the rules that run something, by name."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        opened = api.workflow(
            resource_settings=ResourceSettings(cores=1, default_resources=MANY_IN_ONE_JOB),
            config_settings=ConfigSettings(configfiles=[configuration]),
            storage_settings=StorageSettings(),
            snakefile=ROOT / "Snakefile",
        )
        workflow = opened._workflow
        needs = workflow.globals["PLANNER"].needs
        found = {rule.name: rule for rule in workflow.rules if rule.shellcmd}
        return {name: _declared(rule, needs[name]) for name, rule in found.items()}


def _declared(rule: Any, needs: Any) -> dict[str, Any]:
    return {
        "step": needs.step,
        "inputs": _names(rule.input),
        "outputs": _names(rule.output),
        "wildcards": sorted(rule.wildcard_names),
        "params": sorted(rule.params.keys()),
        "roles": sorted(needs.sections),
        "facts": sorted(needs.facts),
        "command": rule.shellcmd,
    }


def _names(items: Any) -> list[str]:
    """Return the names of files; a file without a name is `None`."""
    return sorted({str(name) for name, _ in items._allitems()})


if __name__ == "__main__":
    print(json.dumps({name: rules_of(Path(name)) for name in sys.argv[1:]}))
