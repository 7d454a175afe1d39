"""Input functions of the codec and latent rules."""

from engram_audio import plugins
from engram_audio.artifacts.pinned import pinned_digests
from engram_audio.codecs.adapters import adapter_module, trainer_module


def codec_section(wildcards) -> str:
    """The section of the representation's codec."""
    return f"codecs.library.{STUDY.codec_of(wildcards.representation)}"


def codec_weights(wildcards) -> list[str]:
    """The weights of the representation's codec."""
    return STUDY.codec_files(STUDY.codec_of(wildcards.representation))


@functools.cache
def pinned_weights(codec: str) -> dict[str, dict[str, str]]:
    """Digests of weights that a user's path names: pinned when they are first planned with."""
    record = Path(workflow.pathvars.apply(f"<results>/config/pinned/{codec}.json"))
    return {"weights": pinned_digests(record, STUDY.codec_files_of_user(codec))}


def representation_weights(wildcards) -> dict[str, dict[str, str]]:
    """The same of the representation's codec."""
    return pinned_weights(STUDY.codec_of(wildcards.representation))


def codec_code(codec: str) -> tuple[tuple[str, ...], str]:
    """The adapter that a step loads for a codec, and what stands for a plugin's own code."""
    settings = STUDY.config.codecs.library[codec]
    return (adapter_module(settings.kind),), plugins.code_suffix(settings)


def representation_code(wildcards) -> tuple[tuple[str, ...], str]:
    """The code of the representation's codec."""
    return codec_code(STUDY.codec_of(wildcards.representation))


def utterance_table(wildcards) -> str:
    """The utterances of the representation's corpus."""
    return f"<results>/corpus/{STUDY.corpus_of(wildcards.representation)}/utterances.parquet"


def shard_table(wildcards) -> str:
    """Which utterance of the representation's corpus is in which shard."""
    return f"<results>/corpus/{STUDY.corpus_of(wildcards.representation)}/shards.parquet"


def first_splits(wildcards) -> str:
    """The first splits that a representation is analysed on."""
    corpus = STUDY.corpus_of(wildcards.representation)
    seed = STUDY.split_seeds(wildcards.representation)[0]
    return f"<results>/splits/{corpus}/seed-{seed}/splits.parquet"


def codec_fit_splits(wildcards) -> str:
    """The splits whose train part fits the codec."""
    settings = STUDY.fitted_codec(wildcards.codec)
    return f"<results>/splits/{settings.corpus}/seed-{settings.split_seed}/splits.parquet"


def codec_fit_utterances(wildcards) -> str:
    """The utterances of the corpus that fits the codec."""
    return f"<results>/corpus/{STUDY.fitted_codec(wildcards.codec).corpus}/utterances.parquet"


def trainer_code(wildcards) -> tuple[tuple[str, ...], str]:
    """The task that trains a codec."""
    return (trainer_module(STUDY.config.codecs.library[wildcards.codec].kind),), ""


def array_table(wildcards) -> str:
    """The table of a user's arrays."""
    return STUDY.config.representations.library[wildcards.representation].table
