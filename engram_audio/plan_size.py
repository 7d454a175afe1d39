"""How large a plan is: a job that analyses a representation has an input for each of its shards."""

from collections import Counter
from typing import Protocol

from engram_audio.config import WorkflowConfig
from engram_audio.errors import InputError
from engram_audio.memory.config import LookupMemory

# Snakemake plans about 10,000 inputs a second, also of empty rules (`bench/dag.py`).
MAXIMUM_INPUTS = 300_000


class PlannedStudy(Protocol):
    """What the size of a plan follows from; see `engram_audio.study.Study`."""

    config: WorkflowConfig

    def representations(self) -> list[str]:
        """Everything that is analysed, surrogates included."""
        ...

    def split_seeds(self, representation: str) -> list[int]:
        """Split seeds that a representation is analysed on."""
        ...

    def num_shards(self, representation: str) -> int:
        """How many shards a representation has."""
        ...

    def predicted(self) -> list[str]:
        """Representations of the prediction stage."""
        ...

    def prediction_heads(self, representation: str) -> list[str]:
        """Heads trained on a representation."""
        ...


def count_readers(study: PlannedStudy) -> Counter[str]:
    """Return how many jobs read all shards of each representation, at least.

    Keys and the linear baseline read them once for each split seed. What is trained reads them to
    train and to evaluate. The numbers are multiplied, not listed: lists of lists may be long.
    """
    config, readers = study.config, Counter[str]()
    for name in study.representations():
        readers[name] += len(study.split_seeds(name)) * (len(config.structure.library) + 1)
    prediction = config.prediction
    for name in study.predicted():
        heads = len(study.prediction_heads(name))
        readers[name] += 2 * heads * len(prediction.lags_frames) * len(prediction.seeds)
    for name in config.factorizer.representations:
        readers[name] += 2 * len(config.factorizer.library) * len(config.factorizer.seeds)
    for name in config.memory.representations:
        readers[name] += 2 * _memories(config) * len(config.memory.seeds)
    for name in config.rollout.representations:
        readers[name] += 2 * len(config.rollout.library) * len(config.rollout.seeds)
    return readers


def _memories(config: WorkflowConfig) -> int:
    """Memories at all lags: a lookup stands on every base, an Engram memory on its own."""
    lookups = sum(isinstance(row, LookupMemory) for row in config.memory.library.values())
    bases = lookups * len(config.memory.bases) + len(config.memory.library) - lookups
    return bases * len(config.memory.lags_frames)


def require_plannable(study: PlannedStudy) -> None:
    """Refuse a study whose plan alone takes minutes.

    Raises:
        InputError: Says how many inputs there are, and which representation has most of them.
    """
    inputs = Counter(
        {name: count * study.num_shards(name) for name, count in count_readers(study).items()}
    )
    total = inputs.total()
    if total > MAXIMUM_INPUTS:
        name = max(inputs, key=lambda name: inputs[name])
        raise InputError(
            f"num_shards: the study's jobs have {total} inputs, at most {MAXIMUM_INPUTS} are "
            f"planned within half a minute; {name} has {study.num_shards(name)} shards, take fewer "
            "shards or analyse less"
        )
