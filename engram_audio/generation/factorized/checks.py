"""Checks of whose z_dyn is generated, against what is factorised and generated."""

from collections.abc import Mapping

from engram_audio.choices import require_listed
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.generation.config import GenerationSettings
from engram_audio.generation.model_config import ARMS, ArmName
from engram_audio.generation.word import AS_MUCH_WORK, MEMORY
from engram_audio.latents.config import RepresentationSection

NEEDED = (MEMORY, AS_MUCH_WORK)


def check_factorized(
    stage: GenerationSettings,
    rows: Mapping[str, RepresentationSection],
    factorizers: Mapping[str, FactorizerSection],
) -> None:
    """Check whose z_dyn is generated against what is generated, and with which arms.

    Args:
        stage: The stage, with what runs only.
        rows: Used representations by name.
        factorizers: Trained variants by name.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    own, key = stage.factorized, "generation.factorized"
    for name in own.states:
        row = rows.get(name)
        if row is None or row.kind != "state":
            states = tuple(other for other, one in rows.items() if one.kind == "state")
            require_listed(f"{key}.states", name, "representations.analysed", states)
            continue
        if name in stage.representations:
            raise ValueError(
                f"{key}.states: {name} is in generation.representations too, where its arms would "
                "score steps of z_dyn; take it out of one"
            )
        where, listed = f"representations.library.{name}", "generation.representations"
        require_listed(f"{where}.source", row.source, listed, stage.representations)
        if factorizers[row.factorizer].state.rate == "charged" and not row.is_sampled:
            raise ValueError(
                f"{where}.is_sampled: is false, but {key}.states names {name}, whose z_dyn is "
                "charged; its means vary too little to be drawn from, so set it to true"
            )
    if own.states:
        _check_path_arms(key, own.arms, stage)


def _check_path_arms(key: str, arms: tuple[ArmName, ...], stage: GenerationSettings) -> None:
    absent = [name for name in NEEDED if name not in arms]
    if absent:
        raise ValueError(
            f"{key}.arms: lacks {' and '.join(absent)}, without which no gain of a memory over "
            f"z_dyn is told; add {'it' if len(absent) == 1 else 'them'}"
        )
    for name, row in stage.library.items():
        for arm in arms:
            require_listed(f"{key}.arms", arm, f"generation.library.{name}.arms", row.arms)
        if not row.model.head.HAS_DENSITY:
            raise ValueError(
                f"{key}.states: are scored in nats by an exact density; found "
                f"{row.model.head.kind} in generation.library.{name}.model.head; leave it empty"
            )
    for arm in arms:
        if ARMS[arm].is_foreign:
            raise ValueError(
                f"{key}.arms: {arm} reads the keys of another utterance, which the frames of one "
                "alone do not tell; take it out"
            )
