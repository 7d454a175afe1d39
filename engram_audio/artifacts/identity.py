"""What an artifact is of, by its own manifest: representation, lag, head, seed and the like.

The step that made it wrote its job's wildcards there. Where the file lies says nothing, so a file
that was moved or renamed gives the same tables.
"""

from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

from engram_audio.artifacts.manifests import read_manifest
from engram_audio.errors import InputError

IdentityT = TypeVar("IdentityT", bound=tuple)


class Corpus(NamedTuple):
    """Tables of a corpus."""

    corpus: str


class Split(NamedTuple):
    """Splits of a corpus."""

    corpus: str
    split_seed: int


class Represented(NamedTuple):
    """What is of a whole representation."""

    representation: str


class Analysis(NamedTuple):
    """One representation on one split."""

    representation: str
    split_seed: int


class KeyLaws(NamedTuple):
    """Scores of keys by their laws at one target, base and lag."""

    representation: str
    split_seed: int
    target: str
    base: str
    lag: int


class Scored(NamedTuple):
    """Scores of a head at a lag, or of all nulls at all lags."""

    representation: str
    seed: int
    head: str = ""
    lag: int = 0


class FactorizerRun(NamedTuple):
    """A trained factoriser."""

    representation: str
    factorizer: str
    seed: int


class MemoryRun(NamedTuple):
    """A memory on its base."""

    representation: str
    lag: int
    base: str
    memory: str
    seed: int


class CurveRun(NamedTuple):
    """A curve of nats against size, on a base."""

    representation: str
    lag: int
    base: str
    seed: int


class RolloutRun(NamedTuple):
    """A rollout method."""

    representation: str
    method: str
    seed: int


class GenerationRun(NamedTuple):
    """All arms and seeds of a generator."""

    representation: str
    generator: str


class Players(NamedTuple):
    """Sound to hear: round trips, or what another stage makes of them."""

    representation: str
    factorizer: str = ""
    method: str = ""
    generator: str = ""

    @property
    def label(self) -> str:
        """The name of the group that the page shows."""
        if self.method:
            return f"{self.representation}.rollout.{self.method}"
        if self.generator:
            return f"{self.representation}.generation.{self.generator}"
        return f"{self.representation}.{self.factorizer}".removesuffix(".")


def read_identity(path: Path, kind: type[IdentityT]) -> IdentityT:
    """Return what an artifact is of.

    Args:
        path: The artifact.
        kind: A NamedTuple whose fields, `str` or `int`, the manifest names.

    Raises:
        InputError: The manifest lacks one of them.
    """
    identity = (read_manifest(path) or {}).get("identity", {})
    values: dict[str, Any] = {}
    for name, of_type in get_type_hints(kind).items():
        if name in identity:
            values[name] = of_type(identity[name])
        elif name not in getattr(kind, "_field_defaults", {}):
            raise InputError(
                f"{path}: its manifest does not name its {name}; delete it and run Snakemake again"
            )
    return kind(**values)


def read_representation(path: Path) -> str:
    """Return the representation that an artifact is of."""
    return read_identity(path, Represented).representation
