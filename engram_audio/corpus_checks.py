"""Corpora before anything is read: whose folders are written, and how many speakers are known."""

import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from engram_audio.corpus.config import CorpusSection, SplitsSection
from engram_audio.corpus.quota import count_eval_speakers, count_select_speakers
from engram_audio.latents.config import Rows


def check_roots(corpora: Mapping[str, CorpusSection], used: Collection[str]) -> None:
    """Refuse two corpora of one folder, or of one inside the other, where the workflow writes one.

    The one that is written last would be in the folder, and the other's table would name its
    files. Corpora that are only read may share a folder. Links, `..` and the end of a path make no
    difference. A corpus that the study uses is not held against one that it only defines.

    Args:
        corpora: All corpora by name.
        used: Those that something is made of.

    Raises:
        ValueError: Names both keys, the folder and the remedy.
    """
    for (name, corpus), (other, second) in itertools.combinations(corpora.items(), 2):
        if not (corpus.is_written or second.is_written) or (name in used) != (other in used):
            continue
        one, two = _real(corpus.root), _real(second.root)
        if _is_below(one, two) or _is_below(two, one):
            writer = name if corpus.is_written else other
            raise ValueError(
                f"corpora.{other}.root: {second.root!r} and corpora.{name}.root {corpus.root!r} "
                f"share files, and {writer} is written by the workflow; give each a folder of its "
                "own"
            )


def synthesized_roots(corpora: Mapping[str, CorpusSection]) -> list[Path]:
    """Return the folders into which speech is synthesised, file by file."""
    return [Path(row.root) for row in corpora.values() if row.num_voices]


def check_speakers(
    rows: Rows,
    corpora: Mapping[str, CorpusSection],
    splits: SplitsSection,
    folds: Mapping[str, Mapping[str, int]],
) -> None:
    """Refuse a study whose settings fix too few speakers to train, to judge or to hold out.

    What a folder of audio or arrays holds is known when it is indexed.

    Args:
        rows: Used representations.
        corpora: All corpora by name.
        splits: Shares of speakers that are held out.
        folds: Folds of train speakers by the setting that asks for them, of each representation.

    Raises:
        ValueError: Names the key, what was found and the remedy.
    """
    for name in rows:
        num_train = _count_train_speakers(rows, name, corpora, splits.eval_fraction)
        if num_train is None:
            continue
        num_fitted = num_train - count_select_speakers(num_train, splits.select_fraction)
        for key, num_folds in folds.get(name, {}).items():
            if num_fitted < num_folds:
                raise ValueError(
                    f"{key}: {num_fitted} fitted speakers of {name} cannot be held out in "
                    f"{num_folds} folds; lower it"
                )


def _count_train_speakers(
    rows: Rows, name: str, corpora: Mapping[str, CorpusSection], eval_fraction: float
) -> int | None:
    row = rows[name]
    while row.made_of is not None:
        row = rows[row.made_of]
    if row.kind == "world":
        return row.num_train_speakers
    num_voices = corpora[row.made_by[0]].num_voices if row.made_by else None
    return num_voices and num_voices - count_eval_speakers(num_voices, eval_fraction)


def _real(root: str) -> Path:
    return Path(os.path.realpath(root))


def _is_below(folder: Path, top: Path) -> bool:
    """Whether a folder is another one or lies below it, also by another name of the same inode."""
    return any(place == top or _is_same(place, top) for place in (folder, *folder.parents))


def _is_same(one: Path, two: Path) -> bool:
    try:
        return one.samefile(two)
    except (OSError, ValueError):  # a folder that does not exist yet has one name
        return False
