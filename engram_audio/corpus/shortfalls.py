"""Whether the utterances of a corpus can answer what a study asks of them.

Shapes: U utterances of a part.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio import windows
from engram_audio.corpus.demands import CHOICE, AnyDemand, FramesDemand, SpeakersDemand
from engram_audio.corpus.split_parts import choice_part
from engram_audio.numerics.slices import slice_masks


class PartFacts(NamedTuple):
    """What a part of the splits holds.

    Attributes:
        num_speakers: Speakers.
        durations_s: Seconds of each utterance, [U].
    """

    num_speakers: int
    durations_s: np.ndarray


def part_facts(utterances: pd.DataFrame, splits: pd.DataFrame) -> dict[str, PartFacts]:
    """Return what each part of one split holds.

    Args:
        utterances: Columns utterance_id, duration_s.
        splits: Of `corpus.splits.make_splits`.
    """
    joined = splits.merge(utterances[["utterance_id", "duration_s"]], on="utterance_id")
    return {
        str(part): PartFacts(len(set(rows["speaker_id"])), rows["duration_s"].to_numpy(float))
        for part, rows in joined.groupby("split")
    }


def shortfalls(
    demands: Iterable[AnyDemand],
    parts: Mapping[int, Mapping[str, PartFacts]],
    num_dims: int | None = None,
    is_fatal: bool = True,
) -> Iterator[str]:
    """Yield one line for each demand that is not met: key, what was found, what is asked, remedy.

    Of demands of one key on one part the first that fails speaks for the others.

    Args:
        demands: Of the plan.
        parts: What the parts hold, by split seed and part.
        num_dims: Dimensions of the latents, where the demand does not say.
        is_fatal: Whether the demands that the study cannot do without are looked at, or the others.
    """
    reported: set[tuple[str, str]] = set()
    nothing = PartFacts(0, np.zeros(0))
    for demand in (demand for demand in demands if demand.is_fatal == is_fatal):
        for seed in demand.split_seeds:
            part = choice_part(parts[seed]) if demand.part == CHOICE else demand.part
            problem = _problem(demand, part, parts[seed].get(part, nothing), num_dims)
            if problem and (demand.key, part) not in reported:
                reported.add((demand.key, part))
                yield f"{demand.key}: {problem} on split seed {seed}; {demand.remedy}"


def _problem(demand: AnyDemand, part: str, facts: PartFacts, num_dims: int | None) -> str:
    if isinstance(demand, SpeakersDemand):
        return _lacking_speakers(demand, part, facts)
    return _lacking_frames(demand, part, facts, demand.num_dims or num_dims)


def _lacking_speakers(demand: SpeakersDemand, part: str, facts: PartFacts) -> str:
    if facts.num_speakers >= demand.minimum:
        return ""
    return (
        f"{demand.subject} has {facts.num_speakers} {part} speaker(s), and "
        f"{demand.minimum} are needed {demand.purpose}"
    )


def _lacking_frames(demand: FramesDemand, part: str, facts: PartFacts, num_dims: int | None) -> str:
    lengths = num_frames(facts.durations_s, demand)
    found = count_targets(lengths, demand)
    needed = demand.minimum + demand.minimum_per_dim * (num_dims or 0)
    if found >= needed:
        return ""
    longest = int(lengths.max(initial=0))
    if found == 0 and demand.slice == "all":
        return (
            f"no {part} utterance of {demand.subject} has {demand.reach_frames + 1} frames "
            f"(the longest has {longest}), which are needed {demand.purpose}"
        )
    place = "" if demand.slice == "all" else f" of slice {demand.slice}"
    return (
        f"{demand.subject} has at most {found} {part} frames{place} with "
        f"{demand.reach_frames} before them, and {needed} are needed {demand.purpose}"
    )


def num_frames(durations_s: np.ndarray, demand: FramesDemand) -> np.ndarray:
    """Return the frames of utterances, int64, [U]; a partial last frame is dropped."""
    frames = np.floor(durations_s * demand.frame_rate_hz + 1e-6).astype(np.int64)
    return frames // demand.frames_per_group


def count_targets(lengths: np.ndarray, demand: FramesDemand) -> int:
    """Return how many frames count at most: some may be digital silence.

    Args:
        lengths: Frames of each utterance, int64, [U].
        demand: What is asked.
    """
    if demand.slice == "all":
        return int(np.maximum(lengths - demand.reach_frames, 0).sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    targets = windows.target_rows(offsets, demand.reach_frames, 1)
    is_speech = np.ones(len(targets), dtype=bool)
    (mask,) = slice_masks(offsets, targets, [demand.slice], demand.medial_range, is_speech)
    return int(mask.sum())
