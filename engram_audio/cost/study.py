"""What a law asks of the study that a job belongs to: sizes, keys and heads that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from engram_audio.cost.jobs import Job
from engram_audio.cost.sizes import Size, Sizes
from engram_audio.keys.config import KeyFamily, family_of, key_sizes

FAMILY: TypeAdapter[KeyFamily] = TypeAdapter(KeyFamily)
TYPICAL_KEYS = (16, 64, 256)  # cells, of a family whose fit is not planned


@dataclass(frozen=True)
class Piece:
    """One job with the sizes that it works on.

    Attributes:
        job: The job.
        size: Of its representation: of one shard where the job makes a shard.
        seconds: Speech that it reads, in seconds.
        key_cells: Cells of each key of its family that need train frames.
        members: Of the jobs that it does, where it does many.
        key_codes: Codes of the key that its generator's memory reads.
    """

    job: Job
    size: Size
    seconds: float
    key_cells: tuple[int, ...]
    members: "tuple[Piece, ...]" = ()
    key_codes: int = 0

    def section(self, role: str = "section") -> Mapping[str, Any]:
        """Return the section of a role; empty where the job reads none."""
        return self.job.section(role)


class Study:
    """All planned jobs, each with its sizes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Note what jobs ask of each other."""
        self.sizes = Sizes(jobs)
        self._families = {
            (_is_of_worlds(job), job.wildcards["family"]): family
            for job in jobs
            if "family" in job.wildcards and (family := job.section("family_section"))
        }

    def piece(self, job: Job) -> Piece:
        """Return a job with its sizes; what nothing tells counts as nothing."""
        size = self.sizes.of_job(job) or Size(0.0, 0)
        corpus = job.wildcards.get("corpus") or self._corpus(job)
        seconds = self.sizes.seconds(corpus)
        if "shard" in job.wildcards:
            size = size._replace(frames=size.frames / size.shards)
            seconds /= size.shards
        members = tuple(map(self.piece, job.members))
        codes = self._key_codes(job)
        return Piece(job, size, seconds, self._key_cells(job), members, codes)

    def _corpus(self, job: Job) -> str:
        row = job.section("representation_section") or job.section("section")
        return str(row.get("corpus", ""))

    def _key_cells(self, job: Job) -> tuple[int, ...]:
        sizes = job.section("oracle_section").get("codebook_sizes")
        if sizes:
            return tuple(sizes)
        place = (_is_of_worlds(job), job.wildcards.get("family", ""))
        if "family" not in job.wildcards:
            return ()
        family = job.section("family_section") or self._families.get(place, {})
        return key_cells(family) or TYPICAL_KEYS

    def _key_codes(self, job: Job) -> int:
        """Return K of the key that a generator's memory reads; typical where no fit tells it."""
        insertion = job.section("generator_section").get("insertion")
        if insertion is None:
            return 0
        name = family_of(insertion["key"])
        for is_of_worlds in (False, True):  # on a world the memory reads the calibration's key
            if family := self._families.get((is_of_worlds, name)):
                sizes = key_sizes({name: FAMILY.validate_python(family, strict=False)})
                if insertion["key"] in sizes:
                    return sizes[insertion["key"]].num_codes
        return max(TYPICAL_KEYS)


def _is_of_worlds(job: Job) -> bool:
    """Whether a job is of the calibration, whose families have other keys."""
    return "calibration" in job.rule


def key_cells(family: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the cells of each key of a family; one for a key that fits none."""
    sizes = [
        size
        for quantizer in family.get("quantizers", ())
        for size in quantizer.get("codebook_sizes", (1,))
    ]
    return tuple(sizes) * len(family.get("inputs", ()))
