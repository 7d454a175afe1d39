"""What the gate is told of planted worlds beside their tables: the gain that no head need learn."""

from collections.abc import Iterable, Mapping

from engram_audio.calibration.answers import ANSWERS
from engram_audio.calibration.config import OVERLAPPING_WORLDS, WORLD_PREFIX
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured


def evidence_of_worlds(names: Iterable[str], slices: Iterable[str]) -> Evidence:
    """Return the known gains of worlds by judged slice, and how far their frames overlap.

    Args:
        names: Names of worlds.
        slices: Judged slices.
    """
    heads: dict[str, Mapping[str, HeadsGain]] = {}
    sources = {}
    places = list(slices)
    for name in names:
        heads[WORLD_PREFIX + name] = {place: _gain(name, place) for place in places}
        sources[WORLD_PREFIX + name] = Source(overlap_frames=OVERLAPPING_WORLDS.get(name, 1))
    return Evidence(heads, sources)


def _gain(name: str, place: str) -> HeadsGain:
    answer = ANSWERS[name]
    nats = 0.0 if place == answer.null_slice else answer.gain_nats
    words = "the exact law" if answer.gain == "law" else "the known law, stated,"
    return HeadsGain(Measured(nats, nats, nats), words=words)
