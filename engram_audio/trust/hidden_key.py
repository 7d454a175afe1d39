"""The world's own hidden key through the structure stage's own scoring.

No quantiser stands between: what is off here is off in targets, normalisation, cells or sums.

Shapes: N frames of the stream.
"""

from collections.abc import Sequence

import numpy as np

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import World
from engram_audio.stats.estimate import uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure import cells
from engram_audio.structure.material import Material, memory_bytes
from engram_audio.structure.scoring import ScoringPlan, score_labelings
from engram_audio.structure.targets import EVAL, SliceTargets
from engram_audio.views import SliceName

STAGE = "hidden key"


def hidden_key_rows(
    name: str, world: World, key: np.ndarray, truths: Sequence[Truth], material: Material
) -> list[CalibrationRow]:
    """Score the hidden key at every lag, refitted in every slice with a known answer.

    Args:
        name: Name of the world.
        world: The world.
        key: Hidden key of each frame of the stream, 0 .. K-1, shape [N].
        truths: What is known about the world.
        material: The prepared representation.
    """
    quantity = world.stated_ratio
    known = {(truth.quantity, truth.lag_frames): truth for truth in truths}
    rows = []
    for slice_name, lag in material.places:
        wanted = quantity if slice_name == "all" else f"{quantity}@{slice_name}"
        truth = known.get((wanted, lag))
        if truth is not None:
            rows.append(_score(name, world, key, truth, material, slice_name))
    return rows


def _score(
    name: str, world: World, key: np.ndarray, truth: Truth, material: Material, where: SliceName
) -> CalibrationRow:
    targets, normalization = material.places[where, truth.lag_frames]
    labels = key[_stream_rows(material, targets) - truth.lag_frames]
    section = material.section
    labeling = cells.make_labeling(
        labels.astype(np.int64), targets.part, int(key.max()) + 1, section.minimum_cell_frames
    )
    plan = ScoringPlan(material.source, targets, normalization, material.num_speakers, section)
    scored = next(iter(score_labelings(plan, [labeling], [False], memory_bytes(section))))
    residual, total = (scored.speakers.sums[name][EVAL, :, 0] for name in ("sse_key", "sse_zero"))
    ratio = uncertain(ratio_of_sums(residual, total))
    excess = cells.null_ratio_excess(labeling, EVAL)
    # cell means cost ratio * e; what a speaker's own prototypes leave in them is averaged over the
    # train speakers: (1 - q) share / S, twice because S speakers are a sample
    num_speakers = int(np.count_nonzero(np.bincount(targets.speaker[targets.part == 0])))
    own = 2 * world.own_share / num_speakers
    return compare(
        name, STAGE, truth, float(ratio.value) / (1 + excess), float(ratio.se),
        loss_below=excess, loss_above=excess + own,
    )  # fmt: skip


def _stream_rows(material: Material, targets: SliceTargets) -> np.ndarray:
    """Return each target's row in the whole stream, shape [M]."""
    starts = np.cumsum([0, *(int(offsets[-1]) for offsets in material.frame_index.offsets)])
    return np.concatenate([own + start for own, start in zip(targets.rows, starts, strict=False)])
