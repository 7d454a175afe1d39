"""Every codec of the study in one table, at native and at matched rates, and the frontier."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from engram_audio.report import figures_codecs, number
from engram_audio.report.codec_verdict import answer, questions
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import (
    Column,
    TableView,
    make_table,
    plain_number,
    with_ends,
)

COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("codec", "Codec", is_text=True),
    plain_number("frame_rate_hz", "Rate", "Hz", "Frames per second."),
    Column("num_dims", "D", "dims"),
    plain_number("context_s", "Context", "s", "What a predictor sees."),
    Column("causal", "Causal", is_text=True, help="Whether a frame sees no later audio."),
    Column("bits_per_s", "Bits", "bits/s", "Of the quantised latents, the most that a noisy "
           "channel passes, or a VAE's KL on val; none: continuous.", form=number.count),
    Column("bits_are", "which are", is_text=True),
    with_ends("log_mel_l1", "Log-mel distance", "nat", "Of decoded speech, at 16 kHz."),
    with_ends("stoi", "STOI", "", "Intelligibility of decoded speech, at most 1."),
    with_ends("pesq", "PESQ", "", "Wideband, at most 4.64."),
    with_ends("information_bits_per_s", "Information", "bits/s", "What the past tells of a frame "
              "over the best law without context, per second."),
    with_ends("gain_bits_per_s", "Beyond the best null", "bits/s", "Best head less the best null, "
              "both chosen on val."),
    with_ends("explained_fraction", "Registered key explains", "", "Explained fraction over its "
              "own oracle, eval."),
    with_ends("explained_advantage", "beyond its surrogates", "", "Less the best surrogate's."),
    plain_number("explained_lag_s", "at lag", "s", "The registered lag is in frames."),
    Column("explained_invalid", "not judged", is_text=True, help="Why the key's numbers would "
           "mean nothing here."),
    with_ends("overlap_share", "Overlap share", "", "Information left on audio of permuted blocks: "
              "receptive field, speaker and level."),
    with_ends("truncation_loss", "Lost by truncation", "", "Share of the information that goes "
              "when a frame sees its last seconds only."),
    with_ends("static_share", "Without order", "", "Information left on shuffled frames: speaker "
              "and level, no dynamics."),
    Column("within_group_share", "Within groups", "of variance", "Of the source's variance: what "
           "averaging drops, what the other modes keep.", form=number.percent),
    Column("tests", "Self-tests", is_text=True, help="Passed on the checkpoint before encoding."),
)  # fmt: skip
FRONTIER_COLUMNS = (
    Column("ladder", "Ladder", is_text=True),
    Column("representation", "Point", is_text=True),
    plain_number("frame_rate_hz", "Rate", "Hz", "Frames per second."),
    Column("num_dims", "D", "dims"),
    Column("bits_per_s", "Bits", "bits/s", form=number.count),
    Column("bits_are", "which are", is_text=True),
    with_ends("log_mel_l1", "Log-mel distance", "nat", "Of decoded speech, at 16 kHz."),
    with_ends("stoi", "STOI", "", "Intelligibility of decoded speech."),
    with_ends("pesq", "PESQ", "", "Wideband."),
    with_ends("information_nats_per_s", "Information", "nats/s", "Over the best marginal."),
    with_ends("information_bits_per_s", "in bits", "bits/s", "The same."),
    with_ends("information_share_of_bits", "of its bits", "", "Information over a bound, if any."),
    Column("front", "On the front", is_text=True, help="No other point of the ladder has less "
           "distortion and more information."),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather the answers, the table of codecs, the frontier."""
    codecs = data.tables["codecs"]
    name = str(data.registered["representation"])
    return {
        "answers": [answer(codecs, name, question) for question in questions(data.registered)],
        "table": _codecs(data, codecs),
        "figure": figures_codecs.frontier_figure(data),
        "frontier": _frontier(data),
        "absent": _absent(codecs),
        "frame_rates": sorted({number.plain(float(rate)) for rate in codecs["frame_rate_hz"]}),
    }


def _codecs(data: ReportData, codecs: pd.DataFrame) -> TableView:
    tests = zip(codecs["num_self_tests_passed"], codecs["num_self_tests"], strict=True)
    rows = codecs.assign(
        causal=["yes" if bool(value) else "no" for value in codecs["is_causal"]],
        tests=[f"{int(passed)} of {int(run)}" if run else number.MISSING for passed, run in tests],
        bits_are=_words(codecs["bits_are"]),
        codec=_words(codecs["codec"]),
    )
    return make_table(
        "codecs-compared", "Codecs side by side, eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/codecs.csv",
    )  # fmt: skip


def _words(column: Iterable[Any]) -> list[str]:
    return ["" if pd.isna(word) else str(word).replace("_", " ") for word in column]


def _frontier(data: ReportData) -> TableView | None:
    table = data.tables["frontier"]
    if table.empty:
        return None
    front = ["yes" if str(value) == "True" else "" for value in table["is_pareto"]]
    rows = table.assign(front=front, bits_are=_words(table["bits_are"]))
    return make_table(
        "codecs-frontier", "Ladders, from coarse to fine", rows, FRONTIER_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/frontier.csv",
    )  # fmt: skip


def _absent(codecs: pd.DataFrame) -> list[str]:
    """Return the metrics that were not installed somewhere."""
    words = {word for cell in _words(codecs["absent_metrics"]) for word in cell.split()}
    return sorted(word.upper() for word in words)


SECTION = SectionSpec(
    name="codecs",
    title="Every codec, side by side",
    lead=(
        "The same instruments on every representation: how well it decodes, what its past tells, "
        "what its own nulls leave, and how much of that is shared audio between frames. "
        "Information is per second and holds within one frame rate: rows of other rates are not "
        "compared by it."
    ),
    needs=("codecs", "frontier"),
    build=build,
)
