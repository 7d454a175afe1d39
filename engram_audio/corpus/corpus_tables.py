"""The published tables of what went in and what was left out."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.corpus.columns import CORPUS, EXCLUSIONS
from engram_audio.corpus.split_parts import PARTS


def corpus_rows(
    corpus: str,
    utterances: pd.DataFrame,
    exclusions: pd.DataFrame,
    splits: Mapping[int, pd.DataFrame],
) -> list[dict[str, Any]]:
    """Return one row for the corpus and one for each part of each split.

    Args:
        corpus: Its name.
        utterances: Columns utterance_id, speaker_id, sex, duration_s.
        exclusions: Its exclusions; notes about utterances that stay (`is_kept`) do not count.
        splits: Tables of utterance_id and split by seed.
    """
    num_notes = np.count_nonzero(exclusions["is_kept"]) if "is_kept" in exclusions else 0
    num_excluded = len(exclusions) - num_notes
    whole = {"split": "all", **_counts(utterances), "num_excluded": num_excluded}
    rows = [{"corpus": corpus, **whole}]
    for seed, table in splits.items():
        part_of = dict(zip(table["utterance_id"], table["split"], strict=True))
        part = np.array([part_of.get(name) for name in utterances["utterance_id"]], dtype=object)
        rows += [
            {
                "corpus": corpus,
                "split_seed": seed,
                "split": name,
                **_counts(utterances.loc[part == name]),
            }
            for name in PARTS
        ]
    return rows


def _counts(utterances: pd.DataFrame) -> dict[str, Any]:
    sex = utterances.drop_duplicates("speaker_id")["sex"].to_numpy()
    duration_s = math.fsum(utterances["duration_s"])
    return {
        "num_speakers": utterances["speaker_id"].nunique(),
        "num_female_speakers": int(np.count_nonzero(sex == "F")),
        "num_male_speakers": int(np.count_nonzero(sex == "M")),
        "num_utterances": len(utterances),
        "duration_s": duration_s,
        "hours": duration_s / 3600,
    }


def representation_row(
    representation: str, corpus: str, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the row of one representation: its frames, rate, dimension, idle frames."""
    metadata = summary["metadata"]
    return {
        "corpus": corpus,
        "representation": representation,
        "split": "all",
        "num_speakers": summary["num_speakers"],
        "num_utterances": summary["num_utterances"],
        "num_frames": summary["num_frames"],
        "frame_rate_hz": metadata["frame_rate_hz"],
        "num_dims": metadata["num_dims"],
        "repeated_frame_share": summary["repeated_frame_share"],
        "silent_frame_share": summary["silent_frame_share"],
        "near_copy_share": summary["near_copies"]["utterance_share"],
        "num_excluded": len(summary["excluded"]),
    }


def exclusion_rows(
    corpora: Mapping[str, pd.DataFrame],
    representations: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> pd.DataFrame:
    """Return every file and utterance that was left out, with the reason.

    Args:
        corpora: Exclusion table by corpus.
        representations: Corpus and latent summary by representation.
    """
    frames = [table.assign(corpus=name) for name, table in corpora.items()]
    for name, (corpus, summary) in representations.items():
        rows = pd.DataFrame(list(summary["excluded"]))
        frames.append(rows.assign(corpus=corpus, representation=name))
    table = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    table = table.reindex(columns=EXCLUSIONS.names())
    table["is_kept"] = table["is_kept"].map(lambda value: bool(value) if pd.notna(value) else False)
    return table


def corpus_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows with all columns in their order; what does not apply stays empty."""
    table = pd.DataFrame(rows).reindex(columns=CORPUS.names())
    counts = [name for name in table.columns if name.startswith("num_")] + ["split_seed"]
    return table.astype(dict.fromkeys(counts, "Int64"))
