"""Two representations of arrays whose jobs a stand-in for Python finishes: for plans of reruns.

Snakemake is loaded once. Each plan and each run is a child of this process.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from tests.workflow.many_plans import run_in_child
from tests.workflow.tiny_study import (
    checkout,
    stand_in_environment,
    tiny_config,
    write_config,
)

STAGES = ("prediction", "factorizer", "memory", "rollout", "generation")


def small_config() -> dict[str, Any]:
    """Two representations of arrays, structure and decision only: 16 jobs."""
    config = tiny_config()
    rows = config["representations"]["library"]
    rows["other"] = {**rows["brought"], "latent_space": "two"}
    rows["brought"]["latent_space"] = "one"
    config["representations"]["analysed"] = ["brought", "other"]
    for stage in STAGES:
        config[stage]["representations"] = []
    return config


class SmallStudy:
    """A folder in which Snakemake plans and runs."""

    def __init__(self, folder: Path) -> None:
        """Take over a folder."""
        self.folder = folder

    def write(self, **changes: Any) -> None:
        """Write the configuration with some top keys replaced."""
        write_config(self.folder, {**small_config(), **changes})

    def snakemake(self, *arguments: str) -> dict[str, int]:
        """Run Snakemake in a child; return the jobs of its table by rule, without `all`."""
        words = ["--snakefile", str(self.folder / "Snakefile"), "--directory", str(self.folder)]
        words += ["--configfile", str(self.folder / "tiny.yaml"), "-c2", *arguments]
        code, text, jobs = run_in_child(words, stand_in_environment(self.folder))
        assert code == 0, text
        return {rule: count for rule, count in jobs.items() if rule != "all"}

    def plan(self, *targets: str) -> dict[str, int]:
        """What a dry run lists."""
        return self.snakemake("-n", *targets)

    def run(self, *targets: str) -> dict[str, int]:
        """What a run does; a dry run before must list the same."""
        planned = self.plan(*targets)
        done = self.snakemake(*targets)
        assert done == planned
        return done

    def forget(self) -> None:
        """Lose Snakemake's own memory."""
        shutil.rmtree(self.folder / ".snakemake", ignore_errors=True)

    def frozen(self, rule: str) -> list[Path]:
        """Frozen files of a rule."""
        return sorted((self.folder / "results" / "config" / rule).glob("*.json"))


def copied(study: SmallStudy, folder: Path) -> SmallStudy:
    """Copy a study with its times, hidden folders left behind."""
    shutil.copytree(study.folder, folder, ignore=shutil.ignore_patterns(".snakemake"))
    return SmallStudy(folder)


def with_hidden_folders(study: SmallStudy, folder: Path) -> SmallStudy:
    """Copy a study whole."""
    shutil.copytree(study.folder, folder)
    return SmallStudy(folder)


def build(folder: Path) -> SmallStudy:
    """Finish the small study with the stand-in."""
    checkout(folder)
    study = SmallStudy(folder)
    study.write()
    study.snakemake()
    return study


assert os.name == "posix", "children are forked"
