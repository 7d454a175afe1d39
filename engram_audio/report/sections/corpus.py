"""What went in, and what was left out and why."""

from typing import Any

import pandas as pd

from engram_audio.corpus.columns import CORPUS, EXCLUSIONS
from engram_audio.corpus.split_parts import SELECT
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.verdicts import number
from engram_audio.verdicts.number import as_float

SEXES = ("num_female_speakers", "num_male_speakers")
CORPUS_COLUMNS = (
    *shown(CORPUS, "corpus", "representation", "split_seed", "split"),
    *shown(CORPUS, "num_speakers", *SEXES, "num_utterances", form=number.count),
    *shown(CORPUS, "hours", form=lambda value: number.fixed(value, 2)),
    *shown(CORPUS, "num_frames", "num_excluded", form=number.count),
)  # fmt: skip
EXCLUSION_COLUMNS = (
    *shown(EXCLUSIONS, "corpus", "representation", "path", "utterance_id", "speaker_id", "reason",
           "detail"),
    *shown(EXCLUSIONS, "is_kept", form=number.yes_or_no),
)  # fmt: skip
SUMMARY_COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("latent_space", "Space", is_text=True, help="Where in the codec the vectors live."),
    Column("num_dims", "Dimensions", form=number.count),
    Column("frame_rate_hz", "Frame rate", "Hz", form=lambda value: number.fixed(value, 2)),
    Column("num_utterances", "Utterances", form=number.count),
    Column("num_frames", "Frames", form=number.count),
    Column("repeated_frame_share", "Repeated", "%", 
           "Frames equal to the one before: they decide nothing.",
           form=number.percent),
    Column("silent_frame_share", "Silent", "%",
           "Frames of digital silence: they decide nothing. Empty where the energy is no RMS.",
           form=number.percent),
    Column("near_copy_share", "Near copies", "%",
           "Utterances with a near copy under another speaker. More than 1 % allow no PROCEED.",
           form=number.percent),
    Column("effective_rank", "Effective rank", "", "Exponential of the spectrum's entropy.",
           form=lambda value: number.fixed(value, 1)),
    Column("is_causal", "Causal", is_text=True, help="Whether a frame sees only the past."),
    Column("cold_start_frames", "Dropped head", "frames", "Frames before the codec settles."),
    Column("weight_hash", "Weights", is_text=True, help="Digest of the weights or the recipe.",
           form=lambda digest: number.plain(digest)[:12]),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather corpus, exclusions with their counts, and latents."""
    exclusions = data.tables["exclusions"]
    left_out = exclusions.loc[[not number.yes(value) for value in exclusions["is_kept"]]]
    counts = left_out["reason"].value_counts() if len(left_out) else pd.Series(dtype=int)
    rows = data.settings.maximum_table_rows
    return {
        "corpus": make_table(
            "corpus-table", "Speech and its splits", *known_sexes(data.tables["corpus"]),
            maximum_rows=rows, source="tables/corpus.csv",
        ),
        "choices": choice_sentences(data.tables["corpus"]),
        "num_excluded": len(left_out),
        "num_notes": len(exclusions) - len(left_out),
        "reasons": [
            {"reason": str(reason), "count": int(total)} for reason, total in counts.items()
        ],
        "exclusions": make_table(
            "exclusions-table", "Every file and utterance left out, and notes", exclusions,
            EXCLUSION_COLUMNS,
            maximum_rows=rows // 2, source="tables/exclusions.csv",
        ),
        "latents": latents_table(data),
    }  # fmt: skip


def known_sexes(corpus: pd.DataFrame) -> tuple[pd.DataFrame, list[Column]]:
    """Return the table and its columns without counts of sexes that nobody told.

    A row in which no speaker's sex is known has no count, and a table without any has no column.
    """
    counts = pd.DataFrame({name: [as_float(one) for one in corpus[name]] for name in SEXES})
    counts.index = corpus.index
    is_known = pd.Series(counts.sum(axis=1) > 0)
    shown_columns = [one for one in CORPUS_COLUMNS if one.name not in SEXES or is_known.any()]
    known = counts.where(is_known, axis=0)
    return corpus.assign(**{name: known[name] for name in SEXES}), shown_columns


def choice_sentences(corpus: pd.DataFrame) -> list[str]:
    """Return one sentence for each split: which speakers every choice was made on."""
    splits = corpus.loc[corpus["split_seed"].notna()]
    groups = splits.groupby(["corpus", "split_seed"], sort=False)
    return [_choice_sentence(str(name), int(seed), rows) for (name, seed), rows in groups]  # type: ignore[misc]


def _choice_sentence(name: str, seed: int, rows: pd.DataFrame) -> str:
    speakers = dict(zip(rows["split"], rows["num_speakers"].fillna(0), strict=True))
    start = f"{name}, split {seed}: every choice and every early stop was made on"
    if number_selected := int(speakers.get(SELECT, 0)):
        return f"{start} {number_selected} select speakers, whom nothing was fitted on."
    return (
        f"{start} val, because the train speakers are too few to spare some for select. Val holds "
        "other utterances of fitted speakers, so choices may not carry over to new speakers, and "
        "val scores flatter."
    )


def latents_table(data: ReportData) -> TableView:
    """Return one row per representation from the latent summaries."""
    rows = [
        {
            **summary.get("metadata", {}),
            **summary.get("counts", {}),
            **summary,
            "near_copy_share": summary.get("near_copies", {}).get("utterance_share"),
            "representation": name,
        }
        for name, summary in sorted(data.summaries.items())
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in SUMMARY_COLUMNS])
    return make_table(
        "latents-table", "Representations", frame, SUMMARY_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows,
    )  # fmt: skip


SECTION = SectionSpec(
    name="corpus",
    place=110,
    title="What went in, and what was left out",
    lead=(
        "These tables count the speech behind every number. Nothing is dropped silently: each file "
        "or utterance left out stands here with its reason. Frames that repeat the frame before "
        "them, and frames of digital silence, stay inside contexts. Nothing is fitted to them or "
        "scored on them, and their shares stand beside each representation."
    ),
    needs=("corpus", "exclusions"),
    build=build,
)
