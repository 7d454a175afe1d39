"""Speaker-disjoint train, select and eval, and val within the fitted speakers (SCIENCE 1)."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from engram_audio.corpus.identities import require_distinct
from engram_audio.corpus.quota import (
    MINIMUM_SPEAKERS,
    count_eval_speakers,
    count_select_speakers,
    round_half_up,
)
from engram_audio.corpus.split_parts import EVAL, PARTS, SELECT, TRAIN, VAL
from engram_audio.corpus.utterances import seconds_by_speaker
from engram_audio.errors import InputError
from engram_audio.numerics.seeds import named_generator

SPLIT_COLUMNS = ("utterance_id", "speaker_id", "split")
HINT_COLUMN = "split_hint"  # corpora that know their eval speakers (planted worlds) bring it


def make_splits(
    utterances: pd.DataFrame,
    eval_fraction: float,
    val_fraction: float,
    select_fraction: float,
    seed: int,
) -> pd.DataFrame:
    """Split utterances; the result depends on the set of rows and the seed, not on row order.

    Eval speakers are drawn by sex in proportion, and within a sex one from each of as many blocks
    of similar minutes as there are eval speakers to draw. Where the table has a `split_hint` of
    train or eval, that fixes the eval speakers. Select speakers are drawn among the others in the
    same way; there are none where the others are too few. Val is drawn from each fitted speaker's
    utterances on its own: `val_fraction` of them rounded, at least one where there are two.

    Args:
        utterances: Columns utterance_id, speaker_id, sex, duration_s, optionally split_hint.
        eval_fraction: Share of the speakers.
        val_fraction: Share of each fitted speaker's utterances.
        select_fraction: Share of the train speakers, see `count_select_speakers`.
        seed: Split seed.

    Returns:
        Columns utterance_id, speaker_id, split, sorted by speaker and utterance.

    Raises:
        InputError: Fewer than two speakers would be left in train or in eval, an utterance id
            occurs twice, two speaker ids are spellings of one, or a speaker's rows contradict each
            other in sex or hint.
    """
    speaker_of = _speaker_of_utterance(utterances)
    held_out = _hinted_speakers(utterances)
    if held_out is None:
        held_out = _draw_eval(utterances, eval_fraction, seed)
    chosen_on = _draw_select(utterances, held_out, select_fraction, seed)
    identities: dict[str, list[str]] = {}
    for identity, speaker in sorted(speaker_of.items()):
        identities.setdefault(speaker, []).append(identity)
    rows = []
    for speaker, names in sorted(identities.items()):
        if speaker in held_out | chosen_on:
            part = EVAL if speaker in held_out else SELECT
            rows += [(name, speaker, part) for name in names]
            continue
        val = _draw_val(len(names), val_fraction, named_generator(seed, VAL, speaker))
        rows += [
            (name, speaker, VAL if index in val else TRAIN) for index, name in enumerate(names)
        ]
    return pd.DataFrame(rows, columns=list(SPLIT_COLUMNS))


def require_val(splits: pd.DataFrame, name: str) -> None:
    """Refuse splits without val: transfer from known to new speakers has no known side.

    Args:
        splits: Of `make_splits`.
        name: Of the corpus, for the message.

    Raises:
        InputError: No utterance is held out as val.
    """
    if VAL not in set(splits["split"]):
        raise InputError(
            f"splits.val_fraction: no fitted speaker of {name} has two utterances, so that none "
            "can be held out as val; bring at least two utterances of a speaker"
        )


def _speaker_of_utterance(utterances: pd.DataFrame) -> dict[str, str]:
    pairs = zip(utterances["utterance_id"], utterances["speaker_id"], strict=True)
    speaker_of: dict[str, str] = {}
    for identity, speaker in pairs:
        if str(identity) in speaker_of:
            raise InputError(f"utterances: the id {identity!r} occurs twice; make ids unique")
        speaker_of[str(identity)] = str(speaker)
    remedy = "one person would be in train and in eval; give every person one id"
    require_distinct("utterances", "speaker", speaker_of.values(), remedy)
    return speaker_of


def _by_speaker(utterances: pd.DataFrame, column: str) -> dict[str, str]:
    """Return the one value that all rows of a speaker agree on."""
    values: dict[str, str] = {}
    for speaker, value in zip(utterances["speaker_id"], utterances[column], strict=True):
        if values.setdefault(str(speaker), str(value)) != str(value):
            raise InputError(
                f"utterances: speaker {speaker!r} has more than one {column}; keep one"
            )
    return dict(sorted(values.items()))


def _hinted_speakers(utterances: pd.DataFrame) -> set[str] | None:
    if HINT_COLUMN not in utterances.columns or all(utterances[HINT_COLUMN].isna().tolist()):
        return None
    hints = _by_speaker(utterances, HINT_COLUMN)
    for hint in hints.values():
        if hint not in ("train", "eval"):
            raise InputError(
                f"utterances: {HINT_COLUMN} {hint!r} is not one of train, eval; give every "
                "utterance one of them, or leave the column out"
            )
    for split, count in sorted(Counter({"train": 0, "eval": 0, **Counter(hints.values())}).items()):
        if count < MINIMUM_SPEAKERS:
            raise InputError(
                f"utterances: {HINT_COLUMN} gives {count} {split} speaker(s); at least "
                f"{MINIMUM_SPEAKERS} are needed"
            )
    return {speaker for speaker, hint in hints.items() if hint == "eval"}


def _draw_eval(utterances: pd.DataFrame, eval_fraction: float, seed: int) -> set[str]:
    sexes = _by_speaker(utterances, "sex")
    try:
        num_eval = count_eval_speakers(len(sexes), eval_fraction)
    except ValueError as error:
        raise InputError(str(error)) from None
    return _draw_speakers(utterances, sexes, num_eval, EVAL, seed)


def _draw_select(
    utterances: pd.DataFrame, held_out: Collection[str], select_fraction: float, seed: int
) -> set[str]:
    sexes = _by_speaker(utterances, "sex")
    train = {name: sex for name, sex in sexes.items() if name not in held_out}
    num_select = count_select_speakers(len(train), select_fraction)
    return _draw_speakers(utterances, train, num_select, SELECT, seed)


def _draw_speakers(
    utterances: pd.DataFrame, sexes: Mapping[str, str], count: int, part: str, seed: int
) -> set[str]:
    """Draw speakers out of those of `sexes`, by sex in proportion and evenly over minutes."""
    seconds = seconds_by_speaker(utterances)
    drawn: set[str] = set()
    for sex, quota in share_out(count, Counter(sexes.values())).items():
        speakers = [name for name in sexes if sexes[name] == sex]
        speakers.sort(key=lambda name: (seconds[name], name))
        generator = named_generator(seed, part, sex)
        drawn.update(_draw_one_of_each_block(speakers, quota, generator))
    return drawn


def share_out(total: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Share `total` among groups in proportion to their sizes, each within one of its exact share.

    The largest remainders are rounded up; of equal ones, the first by name.
    """
    whole = sum(sizes.values())
    # integers: equal remainders compare equal
    shares = {name: total * size // whole for name, size in sorted(sizes.items())}
    left = total - sum(shares.values())
    by_remainder = sorted(shares, key=lambda name: (-(total * sizes[name] % whole), name))
    for name in by_remainder[:left]:
        shares[name] += 1
    return shares


def _draw_one_of_each_block(
    speakers: Sequence[str], quota: int, generator: np.random.Generator
) -> list[str]:
    """Cut a sorted list into `quota` blocks of nearly equal size and draw one of each."""
    edges = [block * len(speakers) // quota for block in range(quota + 1)] if quota else []
    return [
        speakers[int(generator.integers(start, stop))] for start, stop in itertools.pairwise(edges)
    ]


def _draw_val(count: int, val_fraction: float, generator: np.random.Generator) -> set[int]:
    """Draw positions out of `count`: none of one, else at least one and never all."""
    if count < 2:
        return set()
    num_val = min(max(1, round_half_up(val_fraction * count)), count - 1)
    return {int(index) for index in generator.choice(count, size=num_val, replace=False)}


def describe_splits(splits: pd.DataFrame) -> str:
    """Return one line: speakers and utterances of each split."""
    parts = []
    for split in PARTS:
        rows = splits[splits["split"] == split]
        parts.append(f"{split} {len(set(rows['speaker_id']))} speakers, {len(rows)} utterances")
    return "; ".join(parts)
