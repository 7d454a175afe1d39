"""Expand ladders into codecs that differ in the weight of their KL only.

Its codecs share seed, data order and everything else, so what differs between them is beta's doing.
"""

from collections.abc import Collection, Mapping

from engram_audio.choices import require
from engram_audio.codecs.config import CodecSection, CodecsSettings
from engram_audio.codecs.fitted_config import CodecLadderSection
from engram_audio.section import with_changes


def ladder_codec_name(ladder: str, beta: float) -> str:
    """Return `<ladder>_b<beta>`; names hold no dots and no dashes: 0.01 is 0_01, 1e-05 is 1em05."""
    label = f"{beta:g}".replace(".", "_").replace("-", "m").replace("+", "")
    return f"{ladder}_b{label}"


def expand_ladders(
    codecs: Mapping[str, CodecSection], ladders: Mapping[str, CodecLadderSection]
) -> dict[str, CodecSection]:
    """Return the codecs and every member of every ladder that names a trained one.

    Raises:
        ValueError: A ladder stands on no codec or on one that has no beta, or two
            codecs would have one name.
    """
    expanded = dict(codecs)
    for name, ladder in ladders.items():
        require(f"codecs.ladders.{name}.codec", ladder.codec, codecs)
        codec = codecs[ladder.codec]
        if not codec.TRAINER:
            raise ValueError(
                f"codecs.ladders.{name}.codec: {ladder.codec!r} is a {codec.kind}, which has no "
                "beta; name a mel_vae or a vae"
            )
        for beta in ladder.betas:
            member = ladder_codec_name(name, beta)
            if member in expanded:
                raise ValueError(
                    f"codecs.ladders.{name}.betas: {beta:g} gives a second codec called {member}; "
                    "rename the ladder, or name each beta once"
                )
            expanded[member] = with_changes(codec, f"codecs.ladders.{name}", {"beta": beta})
    return expanded


def named_codecs(settings: CodecsSettings, names: Collection[str]) -> dict[str, CodecSection]:
    """Return the library, and the members of every ladder that one of the names may belong to.

    Raises:
        ValueError: See `expand_ladders`.
    """
    ladders = {
        ladder: row
        for ladder, row in settings.ladders.items()
        if any(name.startswith(f"{ladder}_b") for name in names)
    }
    return expand_ladders(settings.library, ladders)
