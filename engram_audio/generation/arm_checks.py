"""What an arm makes of the memory of the settings, and what it cannot be made of."""

from engram_audio.choices import require
from engram_audio.generation.backbone_config import (
    HEAD,
    OUTPUT,
    SHORT,
    GeneratorSettings,
    place_before,
)
from engram_audio.generation.model_config import (
    ARMS,
    AdditiveInsertion,
    AnyInsertion,
    ArmName,
    CodedInsertion,
    OutputInsertion,
    ValueInsertion,
)


def insertion_of(arm: ArmName, insertion: AnyInsertion) -> AnyInsertion:
    """Return the insertion of an arm: that of the settings, or its rows in another form.

    Raises:
        ValueError: The arm changes what this kind of memory does not have.
    """
    _require_kind_for(arm, insertion)
    own = ARMS[arm]
    if own.is_unigram:
        return insertion.model_copy(update={"ngram_orders": (1,)})
    if own.kind is None or own.kind == insertion.kind:
        return insertion
    kinds = {"additive": AdditiveInsertion, "value": ValueInsertion, "output": OutputInsertion}
    shared = {name: getattr(insertion, name) for name in CodedInsertion.model_fields}
    return kinds[own.kind](kind=own.kind, **shared)


def require_arm(arm: ArmName, insertion: AnyInsertion) -> None:
    """Refuse an arm that changes nothing of a memory as it is written, or what it does not have.

    Raises:
        ValueError: Names arm and kind, and what to do.
    """
    _require_kind_for(arm, insertion)
    if ARMS[arm].is_unigram and max(insertion.ngram_orders) == 1:
        raise ValueError(
            f"arm {arm}: a memory of kind {insertion.kind} has no n-grams that could be left out; "
            "name more ngram_orders, or drop the arm"
        )


def require_model(
    where: str, arm: ArmName, insertion: AnyInsertion, settings: GeneratorSettings
) -> None:
    """Refuse an arm that the generator's head or its noise cannot have.

    Raises:
        ValueError: Names the key, what was found and what to do.
    """
    own = ARMS[arm]
    is_output = own.source is not None and OUTPUT in (own.kind, insertion.kind)
    if is_output and not settings.head.HAS_DENSITY:
        raise ValueError(
            f"{where}: a memory of kind output mixes exact densities; found the head "
            f"{settings.head.kind}, which has none; take gaussian_mixture or drop arm {arm}"
        )
    is_noised = settings.noise.kind != "none" and settings.key_reads == "noised"
    if own.source == "residual_rows" and is_noised:
        raise ValueError(
            f"{where}: arm {arm} reads means of clean frames by fold; found noise of kind "
            f"{settings.noise.kind}; take the kind none or drop the arm"
        )


def require_guided(
    where: str, arm: ArmName, insertion: AnyInsertion, settings: GeneratorSettings
) -> None:
    """Refuse guidance of an arm that has no law to go away from, or none on the way.

    Raises:
        ValueError: Names the key, what was found and what to do.
    """
    own = ARMS[arm]
    lacks = {
        "has no model.condition.text, whose law without it guidance goes away from":
            settings.condition is None or settings.condition.text is None,
        f"has the head {settings.head.kind}, for which no guided law is defined":
            not settings.head.HAS_GUIDANCE,
        "mixes two laws in output space, for which no guided law is defined":
            own.source is not None and OUTPUT in (own.kind, insertion.kind),
    }  # fmt: skip
    for reason, is_so in lacks.items():
        if is_so:
            raise ValueError(f"{where}: arm {arm} {reason}; write 1.0, or drop the arm")


def _require_kind_for(arm: ArmName, insertion: AnyInsertion) -> None:
    """Refuse an arm that has no meaning for a kind of memory.

    Raises:
        ValueError: Names arm and kind, and what to do.
    """
    own = ARMS[arm]
    lacks = {
        "has no gate that could be constant; take the kind minimal or engram":
            own.is_gate_constant and not insertion.HAS_GATE,
        "reads no key, whose rows could stand elsewhere or come late; take a kind that does":
            (own.is_late or own.kind is not None) and not insertion.READS_KEY,
        "has no router that could be random; take the kind latent_ngrams":
            own.is_router_fixed and insertion.READS_KEY,
        "has no gated reader of means of residuals; take the kind minimal or engram":
            own.source == "residual_rows" and not insertion.HAS_GATE,
    }  # fmt: skip
    for reason, is_so in lacks.items():
        if is_so:
            raise ValueError(
                f"arm {arm}: a memory of kind {insertion.kind} {reason}, or drop the arm"
            )


def allowed_places(settings: GeneratorSettings) -> list[str]:
    """Return the places that a generator has."""
    short = [] if settings.short_context_frames is None else [SHORT]
    return [*(place_before(number) for number in range(settings.num_blocks)), *short, HEAD]


def check_insertion(where: str, insertion: AnyInsertion, settings: GeneratorSettings) -> None:
    """Refuse places that a generator does not have.

    Raises:
        ValueError: Names the key, the place and those that there are.
    """
    for place in insertion.places_in(settings):
        require(f"{where}.places", place, [*allowed_places(settings), OUTPUT])
