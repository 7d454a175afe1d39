"""One job for all models of a kind: which jobs of a study are done as one, and what it holds.

A profile that names `gpu_batch_runtime` under `default-resources` asks for it. Then the jobs of a
rule in `BATCHED` that share some wildcards are members of one job. Its rule has no wildcards, and
Snakemake prefers it to the rule of a single member, which stays for what no target of the study
asks for. Each member keeps its frozen file and its own outputs, so its bytes do not depend on how
it was made.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from snakemake.iocontainers import Wildcards
from snakemake.output_index import OutputIndex

from engram_audio.planning import declared_pairs, places

# Rules whose members are one job, and the wildcards that members of a job share: as few as leave a
# job of the base study within a day (`make cost ARGS="--profile slurm"`). What follows from
# a factoriser's state is long, so each factoriser is a job: another one's change leaves it alone.
# Learned keys are no members for the same reason.
BATCHED: dict[str, tuple[str, ...]] = {
    "tune_density": ("representation",),
    "train_density": ("representation",),
    "evaluate_density": ("representation", "seed"),
    "train_fold_density": ("representation",),
    "fit_memory": ("representation", "seed"),
    "tune_memory": ("representation",),
    "train_memory": ("representation",),
    "tune_matched": ("representation",),
    "train_matched": ("representation",),
    "tune_curve": ("representation",),
    "train_curve": ("representation",),
    "evaluate_memory": ("representation", "base", "seed"),
    "train_factorizer": ("representation", "factorizer"),
    "evaluate_factorizer": ("representation",),
    "train_rollout": ("representation",),
    "refit_memory": ("representation",),
    "evaluate_rollout": ("representation", "seed"),
}


class Member(NamedTuple):
    """One job of a batched rule.

    Attributes:
        wildcards: Its wildcards.
        inputs: Its input files by name, without the frozen one.
        outputs: Its output files by name.
    """

    wildcards: Wildcards
    inputs: dict[str, list[str]]
    outputs: dict[str, str]


class Batch(NamedTuple):
    """Members that are one job.

    Attributes:
        name: Its rule's name, which is part of its files' names.
        rule: The rule of a member.
        members: In the order of their outputs.
        frozen: Returns the frozen file of a member.
    """

    name: str
    rule: str
    members: list[Member]
    frozen: Callable[[Wildcards], str]

    @property
    def outputs(self) -> list[str]:
        """Outputs of all members."""
        return [path for member in self.members for path in member.outputs.values()]

    @property
    def inputs(self) -> list[str]:
        """Inputs of all members, each once. The job's frozen file names their frozen ones."""
        made = (path for one in self.members for paths in one.inputs.values() for path in paths)
        return list(dict.fromkeys(made))

    def jobs(self) -> list[dict[str, Any]]:
        """What the step reads of each member: its frozen file, its inputs and its outputs."""
        return [
            {"settings": self.frozen(one.wildcards), "inputs": one.inputs, "outputs": one.outputs}
            for one in self.members
        ]


class Walk:
    """Finds the members that a target needs, by the rules that lead from it to them."""

    def __init__(
        self, rules: Iterable[Any], own_name: Callable[[str], str], expand: Callable[[str], str]
    ) -> None:
        """Prepare.

        Args:
            rules: All of Snakemake's rules.
            own_name: Returns the name of a rule here; as part of another workflow it has another.
            expand: Fills in pathvars.
        """
        self._batched = {own_name(rule): rule for rule in BATCHED}
        self._expand = functools.cache(expand)  # members share most of their patterns
        lead = [one for one in rules if one.name in self._batched or not one.has_wildcards()]
        self._index = OutputIndex(lead)
        self._targets: set[str] = set()
        self._found: dict[str, dict[tuple[str, ...], Member]] = {}

    def batches(self, target: Any, frozen: Callable[[str], Any]) -> list[Batch]:
        """Return all batches that a target needs.

        Args:
            target: A rule without wildcards.
            frozen: Returns, for a rule's name, the input function of its frozen files.
        """
        self._enter(target, Wildcards(fromdict={}))
        return [
            Batch(_name(rule, key), rule, members, frozen(rule))
            for rule in self._found
            for key, members in self._grouped(rule).items()
        ]

    def _grouped(self, rule: str) -> dict[tuple[str, ...], list[Member]]:
        groups: dict[tuple[str, ...], list[Member]] = {}
        for place in sorted(self._found[rule]):
            member = self._found[rule][place]
            key = tuple(str(member.wildcards.get(name)) for name in BATCHED[rule])
            groups.setdefault(key, []).append(member)
        return groups

    def _enter(self, rule: Any, wildcards: Wildcards) -> Member:
        plain = dict(wildcards.items())
        inputs: dict[str, list[str]] = {}
        for name, value in declared_pairs(rule.input, wildcards):
            paths = [self._path(path, plain) for path in _listed(value)]
            inputs.setdefault(str(name), []).extend(paths)
            for path in paths:
                self._look(path)
        return Member(wildcards, inputs, places(rule.output, plain))

    def _look(self, path: str) -> None:
        """Take the member that makes a file, and what leads on from there."""
        if path in self._targets:
            return
        self._targets.add(path)
        for rule in self._index.match_producers(path):
            member = self._enter(rule, Wildcards(fromdict=rule.get_wildcards(path)))
            outputs = tuple(member.outputs.values())
            self._targets.update(outputs)
            if rule.name in self._batched:
                self._found.setdefault(self._batched[rule.name], {})[outputs] = member

    def _path(self, text: str, wildcards: Mapping[str, str]) -> str:
        return self._expand(text).format(**wildcards)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _name(rule: str, key: tuple[str, ...]) -> str:
    return "_".join([rule, "of", *(value.replace("-", "_") for value in key)])
