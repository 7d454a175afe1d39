"""What went in, and what was left out and why."""

from typing import Any

import pandas as pd

from engram_audio.report import number
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table

CORPUS_COLUMNS = (
    Column("corpus", "Corpus", is_text=True),
    Column("representation", "Representation", is_text=True),
    Column("split_seed", "Split", help="Seed of the speaker-disjoint split."),
    Column("split", "Part", is_text=True, help="eval holds speakers that nothing was fitted on."),
    Column("num_speakers", "Speakers", form=number.count),
    Column("num_female_speakers", "Female", "speakers", form=number.count),
    Column("num_male_speakers", "Male", "speakers", form=number.count),
    Column("num_utterances", "Utterances", form=number.count),
    Column("hours", "Duration", "h", form=lambda value: number.fixed(value, 2)),
    Column("num_frames", "Frames", form=number.count),
    Column("num_excluded", "Excluded", "files", form=number.count),
)
EXCLUSION_COLUMNS = (
    Column("corpus", "Corpus", is_text=True),
    Column("representation", "Representation", is_text=True),
    Column("path", "File", is_text=True),
    Column("utterance_id", "Utterance", is_text=True),
    Column("speaker_id", "Speaker", is_text=True),
    Column("reason", "Reason", is_text=True),
    Column("detail", "Detail", is_text=True),
    Column("kept", "Kept", is_text=True, help="yes: a note about an utterance that stays."),
)
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
    Column("effective_rank", "Effective rank", "", "Exponential of the spectrum's entropy.",
           form=lambda value: number.fixed(value, 1)),
    Column("is_causal", "Causal", is_text=True, help="Whether a frame sees only the past."),
    Column("cold_start_frames", "Dropped head", "frames", "Frames before the codec settles."),
    Column("weight_hash", "Weights", is_text=True, help="Digest of the weights or the recipe."),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather corpus, exclusions with their counts, and latents."""
    exclusions = with_kept(data.tables["exclusions"])
    left_out = exclusions.loc[exclusions["kept"] != "yes"]
    counts = left_out["reason"].value_counts() if len(left_out) else pd.Series(dtype=int)
    rows = data.settings.maximum_table_rows
    return {
        "corpus": make_table(
            "corpus-table", "Speech and its splits", data.tables["corpus"], CORPUS_COLUMNS,
            maximum_rows=rows, source="tables/corpus.csv",
        ),
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


def with_kept(exclusions: pd.DataFrame) -> pd.DataFrame:
    """Return the exclusions with `kept` in words."""
    if "is_kept" not in exclusions:
        return exclusions.assign(kept="no")
    kept = exclusions["is_kept"].astype(str).str.lower() == "true"
    return exclusions.assign(kept=["yes" if flag else "no" for flag in kept])


def latents_table(data: ReportData) -> TableView:
    """Return one row per representation from the latent summaries."""
    rows = [
        {
            **summary.get("metadata", {}),
            **summary.get("counts", {}),
            **summary,
            "representation": name,
        }
        for name, summary in sorted(data.summaries.items())
    ]
    frame = pd.DataFrame(rows)
    if "weight_hash" in frame:
        frame["weight_hash"] = frame["weight_hash"].astype(str).str.slice(0, 12)
    return make_table(
        "latents-table", "Representations", frame, SUMMARY_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows,
    )  # fmt: skip


SECTION = SectionSpec(
    name="corpus",
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
