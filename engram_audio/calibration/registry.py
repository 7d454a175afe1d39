"""All planted worlds by name: family and parameters."""

import dataclasses
import difflib
from typing import Any, Literal, NamedTuple

from engram_audio.calibration.added import added_truths
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.truths import combine, hidden_key_truths, oracle_truths
from engram_audio.calibration.world import World
from engram_audio.calibration.worlds_chaos import LogisticMaps
from engram_audio.calibration.worlds_filtered import OverlapSymbols, Pulses
from engram_audio.calibration.worlds_gate import Seasonal, Sines, SpeakerAutoregression
from engram_audio.calibration.worlds_gated import BoundaryCycle, SilentCycle
from engram_audio.calibration.worlds_junk import JunkDimensions
from engram_audio.calibration.worlds_linear import (
    Autoregression,
    DampedRotations,
    HiddenRotations,
    MovingAverage,
)
from engram_audio.calibration.worlds_motif import Motifs, NearCopies
from engram_audio.calibration.worlds_ring import LimitCycle
from engram_audio.calibration.worlds_spikes import Spikes
from engram_audio.calibration.worlds_stochvol import StochasticVolatility
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.calibration.worlds_walk import Bimodal, Direction, Drift, Magnitude, ScaleWalk
from engram_audio.errors import InputError

Prediction = Literal["none", "mean_reversion", "linear", "structure"]


class WorldSpec(NamedTuple):
    """One named world.

    Attributes:
        family: Class of the world.
        parameters: What differs from the family's defaults.
        prediction: What the prediction stage must find: nothing, mean reversion at lag 1 only,
            what a linear Gaussian twin also has, or structure beyond that.
        note: One line on why.
    """

    family: type[World]
    parameters: dict[str, Any]
    prediction: Prediction
    note: str


def _linear(note: str, family: type[World] = Autoregression, **parameters: Any) -> WorldSpec:
    return WorldSpec(family, parameters, "linear", note)


WORLDS: dict[str, WorldSpec] = {
    "iid": WorldSpec(Autoregression, {}, "mean_reversion", "white noise"),
    "iid_d4": WorldSpec(
        Autoregression, {"num_dims": 4}, "mean_reversion", "keys see the mean reversion"
    ),
    "iid_d32": WorldSpec(Autoregression, {"num_dims": 32}, "mean_reversion", "white noise, D = 32"),
    "iid_d512": WorldSpec(
        Autoregression, {"num_dims": 512}, "mean_reversion", "white noise, D = 512"
    ),
    "rw": WorldSpec(ScaleWalk, {}, "none", "random walk"),
    "rw_shape": WorldSpec(
        ScaleWalk, {"scales": (0.2, 1.4)}, "none", "a heavy-tailed marginal, no context"
    ),
    "ar1_r03": _linear("AR(1), r = 0.3", correlation=0.3),
    "ar1_r05": _linear("AR(1), r = 0.5", correlation=0.5),
    "ar1_r07": _linear("AR(1), r = 0.7", correlation=0.7),
    "ar1_r09": _linear("AR(1), r = 0.9", correlation=0.9),
    "var1": _linear("VAR(1) of damped rotations", DampedRotations),
    "ssm": _linear("four hidden dimensions in noise", HiddenRotations),
    "overlap": _linear("neighbouring frames share samples", MovingAverage),
    "type2": WorldSpec(Motifs, {}, "structure", "motifs shared by all speakers"),
    "type2_edge": WorldSpec(
        Motifs,
        {"key_ratio": 0.4, "jump_probability": 0.02},
        "structure",
        "near the threshold: mean-pooled keys fail, better ones pass",
    ),
    "type1": WorldSpec(
        Motifs,
        {"num_phases": 6, "shared_fraction": 0.0},
        "structure",
        "every speaker has motifs of their own: nothing transfers",
    ),
    "offset": WorldSpec(
        Motifs,
        {"speaker_offset_sd": 3.0},
        "structure",
        "shared motifs under speaker offsets: centred keys see them, raw keys do not",
    ),
    "partly_shared": WorldSpec(
        Motifs, {"shared_fraction": 0.5}, "structure", "half of each motif is the speaker's"
    ),
    "key_corruption": WorldSpec(
        Motifs,
        {"key_flip_probability": 0.2},
        "structure",
        "a known share of keys is wrong",
    ),
    "drift": WorldSpec(Drift, {}, "structure", "absolute keys see nothing of a walk"),
    "bimodal": WorldSpec(Bimodal, {}, "structure", "structure without a mean"),
    "dir": WorldSpec(Direction, {}, "structure", "direction predictable, length not"),
    "mag": WorldSpec(Magnitude, {}, "structure", "length predictable, direction not"),
    "spikes": _linear("innovations x 60, one frame in 1,000", Spikes),
    "heavy_spikes": _linear(
        "innovations x 100, one frame in 100,000",
        Spikes,
        scale=100.0,
        probability=1e-5,
        is_guaranteed=True,
    ),
    "silence": WorldSpec(SilentCycle, {}, "structure", "structure in silence only"),
    "boundary": WorldSpec(BoundaryCycle, {}, "structure", "structure at the edges only"),
    "table": WorldSpec(SymbolTable, {}, "structure", "1,024 entries: a memory's home ground"),
    "table_second_order": WorldSpec(
        SymbolTable, {"num_residues": 4}, "structure", "needs a key of two frames"
    ),
    "ring": WorldSpec(LimitCycle, {}, "structure", "a limit cycle in a thin tube"),
    "logistic": WorldSpec(LogisticMaps, {}, "structure", "chaos on a box"),
    "logistic_rotated": WorldSpec(
        LogisticMaps, {"is_rotated": True}, "structure", "chaos on a rotated box"
    ),
    "junk": WorldSpec(
        # the motif is shared: 1 % of all variance, but most of what so many cells could explain
        JunkDimensions,
        {},
        "structure",
        "8 of 512 dimensions matter; a decoder knows which",
    ),
    "seasonal": _linear("the frame of seven frames ago, and noise", Seasonal),
    "sines": _linear("sines with Gaussian amplitudes", Sines),
    "spiky_var": _linear("innovations x 10, one frame in 50", Spikes, scale=10.0, probability=0.02),
    "ar_speakers": WorldSpec(
        SpeakerAutoregression, {}, "structure", "every speaker has a coefficient of their own"
    ),
    "ar_speakers_signs": WorldSpec(
        SpeakerAutoregression,
        {"smallest": -0.8, "largest": 0.8, "is_signed": True},
        "structure",
        "a speaker's coefficient is .8 or -.8: the context tells which",
    ),
    "pulses": WorldSpec(Pulses, {}, "structure", "a linear filter, a nonlinear prediction"),
    "overlap_symbols": WorldSpec(
        OverlapSymbols, {}, "structure", "four neighbouring frames share a symbol"
    ),
    "stochvol": WorldSpec(StochasticVolatility, {}, "structure", "structure in the spread only"),
    "silent_motifs": WorldSpec(
        SilentCycle, {"low_fraction": 0.8}, "structure", "80 % silence, motifs only there"
    ),
    "near_copies": WorldSpec(
        NearCopies, {}, "structure", "eval speakers repeat utterances of train speakers"
    ),
    "unequal_lognormal": WorldSpec(
        Motifs, {"speaker_sizes": "lognormal"}, "structure", "type2 with log-normal speakers"
    ),
    "unequal_third": WorldSpec(
        Motifs, {"speaker_sizes": "third"}, "structure", "one speaker has a third of type2"
    ),
    "unequal_half": WorldSpec(
        Motifs, {"speaker_sizes": "half"}, "structure", "one speaker has half of type2"
    ),
}
assert tuple(WORLDS) == WORLD_NAMES


def make_world(name: str, seed: int, **parameters: Any) -> World:
    """Return a world by name.

    Args:
        name: One of `WORLD_NAMES`.
        seed: Seed of its prototypes, matrices, tables.
        parameters: Values other than the name's own, for held-out worlds of the same family.

    Raises:
        InputError: No such world, or no such parameter of its family.
    """
    if name not in WORLDS:
        nearest = difflib.get_close_matches(name, WORLD_NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise InputError(f"world {name!r} is not one of {', '.join(WORLD_NAMES)}{hint}")
    spec = WORLDS[name]
    fields = {field.name for field in dataclasses.fields(spec.family) if field.init} - {"seed"}
    unknown = sorted(set(parameters) - fields)
    if unknown:
        raise InputError(
            f"world {name}: no parameter {', '.join(unknown)}; it has {', '.join(sorted(fields))}"
        )
    return spec.family(seed=seed, **{**spec.parameters, **parameters})


def world_truths(
    world: World,
    lags_frames: tuple[int, ...],
    window_frames: int,
    num_speakers: int = 40,
    num_utterances_per_speaker: int = 10,
) -> list[Truth]:
    """Return all that is known about a world, closed forms first, Monte Carlo for the rest.

    Args:
        world: Any world.
        lags_frames: Lags; all share the targets that the largest one admits.
        window_frames: W.
        num_speakers: Fresh speakers of the Monte Carlo part.
        num_utterances_per_speaker: Utterances of each.
    """
    size = (num_speakers, num_utterances_per_speaker)
    measured = oracle_truths(world, lags_frames, window_frames, *size)
    measured += hidden_key_truths(world, lags_frames, window_frames, *size)
    measured += added_truths(world, lags_frames, window_frames, *size)
    return combine(world.exact_truths(lags_frames), measured)
