"""The published tables of codecs side by side; `columns.py` says what their columns mean.

All information is per second, with rate, dimension and context beside. It is what the past tells
beyond a frame's own law, so it depends on what a frame is: stacking moves dependence into the
frame. Rows of one rate may be set side by side, rows of different rates may not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.codecs.base import POSTERIOR_KL
from engram_audio.comparison.columns import CODECS, FRONTIER, LADDER
from engram_audio.comparison.config import ComparedSection
from engram_audio.comparison.information import (
    UNMEASURED,
    Information,
    Share,
    complement,
    information_share,
)
from engram_audio.comparison.reconstruction import SCORES
from engram_audio.densities.comparison import described, with_intervals
from engram_audio.numerics.pareto import beaten
from engram_audio.numerics.units import LN2
from engram_audio.stats.estimate import Estimate
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure.candidates import (
    Candidate,
    Records,
    candidates_of,
    chosen,
    records_of,
)
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.gates import Place, gate_rows


class Row(NamedTuple):
    """One representation.

    Attributes:
        name: Its name.
        codec: The codec at its root, or "".
        family: Kind of that codec (mimi, lyra); the root's name where there is no codec.
        summary: Its latent summary.
        measured: Its information, or None.
        scores: Reconstruction scores of utterances, or None where it is not decoded.
        absent_metrics: Metrics whose library was not installed.
        static: Its information by the heads that its shuffled surrogate has, or None.
        permuted_block_s: Length of the blocks that its audio was permuted in, or None.
    """

    name: str
    codec: str
    family: str
    summary: Mapping[str, Any]
    measured: Information | None
    scores: pd.DataFrame | None
    absent_metrics: Sequence[str]
    static: Information | None = None
    permuted_block_s: float | None = None

    @property
    def rate_hz(self) -> float:
        """Frames per second."""
        return float(self.summary["metadata"]["frame_rate_hz"])


def codec_table(
    rows: Mapping[str, Row],
    compared: ComparedSection,
    structure: pd.DataFrame,
    section: DecisionSection,
    window_frames: int,
    confidence: float,
) -> pd.DataFrame:
    """Return one row per compared representation.

    Args:
        rows: By name: compared representations, their twins and shuffled surrogates.
        compared: The section.
        structure: `tables/structure.csv`.
        section: Registered lag and thresholds.
        window_frames: W, the context of every predictor.
        confidence: Of intervals.
    """
    found, records = [], records_of(structure)
    for name in compared.representations:
        row = rows[name]
        facts = {
            **_facts(row),
            "context_s": window_frames / row.rate_hz,
            **_reconstruction(row),
            **_information(row),
            **_added(records, row, section, confidence),
            **_overlap(rows, name, compared, confidence),
        }
        found.append(facts)
    return CODECS.arrange(with_intervals(pd.DataFrame(found), confidence))


def _facts(row: Row) -> dict[str, Any]:
    metadata, summary = row.summary["metadata"], row.summary
    rate = summary.get("rate") or {}
    resampling = summary.get("resampling") or {}
    channel = summary.get("channel") or {}
    tests = summary.get("self_tests", [])
    return {
        "representation": row.name,
        "codec": row.codec,
        "family": row.family,
        "latent_space": metadata["latent_space"],
        "frame_rate_hz": row.rate_hz,
        "num_dims": metadata["num_dims"],
        "is_causal": metadata["is_causal"],
        "resampled": resampling.get("mode", ""),
        "frames_per_group": resampling.get("frames_per_group", np.nan),
        "within_group_share": resampling.get("within_group_share", np.nan),
        "noise_to_signal": channel.get("noise_to_signal", np.nan),
        "bits_per_s": rate.get("bits_per_s", np.nan),
        "rate_kind": rate.get("kind", ""),
        "num_self_tests": len(tests),
        "num_self_tests_passed": sum(bool(test["is_passed"]) for test in tests),
        "self_tests": "; ".join(_test_words(test) for test in tests),
    }


def _test_words(test: Mapping[str, Any]) -> str:
    value = "" if test["value"] is None else f" {test['value']:.3g}"
    return f"{test['name']}{value} {'ok' if test['is_passed'] else 'failed'}"


def _reconstruction(row: Row) -> dict[str, Any]:
    scores = row.scores
    found: dict[str, Any] = {
        "num_decoded": 0 if scores is None else len(scores),
        "num_decoded_speakers": 0 if scores is None else scores["speaker_id"].nunique(),
    }
    for name in SCORES:
        found |= described(name, None if scores is None else speaker_mean(scores, name))
    return found | {"absent_metrics": " ".join(row.absent_metrics)}


def speaker_mean(scores: pd.DataFrame, name: str) -> Estimate | None:
    """Return the mean of a score over utterances, its error clustered by speaker."""
    known = scores.loc[np.isfinite(scores[name].to_numpy(float))]
    if known.empty:
        return None
    groups = known.groupby("speaker_id")[name]
    return ratio_of_sums(groups.sum().to_numpy(float), groups.size().to_numpy(float))


def _information(row: Row) -> dict[str, Any]:
    measured, rate = row.measured, row.rate_hz
    information = None if measured is None else measured.information
    gain = None if measured is None else measured.gain
    names = (
        {
            "chosen_on": "", "predictor": "", "marginal": "", "marginal_has_stopped": False,
            "head": "", "best_null": "", "num_frames": 0,
        }
        if measured is None
        else {
            "chosen_on": measured.chosen_on, "predictor": measured.predictor,
            "marginal": measured.marginal,
            "marginal_has_stopped": measured.marginal_has_stopped, "head": measured.head,
            "best_null": measured.null, "num_frames": measured.num_frames,
        }
    )  # fmt: skip
    return {
        **names,
        **described("information_nats_per_s", information, rate),
        **described("information_bits_per_s", information, rate / LN2),
        **described("gain_nats_per_s", gain, rate),
        **described("gain_bits_per_s", gain, rate / LN2),
    }


def _added(
    records: Records, row: Row, section: DecisionSection, confidence: float
) -> dict[str, Any]:
    """Return what the representation's own chosen key adds on all frames, first split.

    Empty where the gate would call the number meaningless: too few frames in its cells, or controls
    that are off.
    """
    place, one = _chosen_place(records, row.name, section)
    found: dict[str, Any] = {
        "added_key": "" if one is None else one.key,
        "added_lag_s": section.lag_frames / row.rate_hz,
        "added_excluded_mass": np.nan,
        "added_invalid_reason": "no key can be judged",
    }
    known: Mapping[str, Any] = {}
    if place is not None:
        share, *_ = gate_rows(place, section.operative_gate, 0.0, confidence)
        found["added_excluded_mass"] = float(place.eval.get("excluded_mass", np.nan))
        found["added_invalid_reason"] = share.reason
        known = {} if share.outcome == "invalid" else place.eval
    for end in ("", "_low", "_high"):
        value = known.get(f"added_fraction{end}")
        found[f"added_fraction{end}"] = np.nan if value is None else float(value)
    return found


def _chosen_place(
    records: Records, name: str, section: DecisionSection
) -> tuple[Place | None, Candidate | None]:
    seeds = records.seeds(name)
    one = chosen(candidates_of(records, name, seeds[0], section)) if seeds else None
    if one is None:
        return None, None
    return records.place(name, seeds[0], one.key, section.lag_frames, "all"), one


def _overlap(
    rows: Mapping[str, Row], name: str, compared: ComparedSection, confidence: float
) -> dict[str, Any]:
    """Return shares of the information: permuted twin, lost by truncation, without any order.

    Blocks of one frame, all else is no measure of overlap: longer ones leave dynamics inside.
    """
    own = rows[name]
    controls = compared.controls.get(name)

    def share(twin: str | None, whole: Information | None) -> Share:
        other = None if twin is None or twin not in rows else rows[twin].measured
        return information_share(other, whole, confidence)

    truncated = share(None if controls is None else controls.truncated, own.measured)
    permuted = None if controls is None else controls.permuted
    block = _block_frames(rows, permuted)
    shares = {
        "overlap_share": share(permuted if abs(block - 1) < ROUNDING else None, own.measured),
        "truncation_loss": UNMEASURED if np.isnan(truncated.value) else complement(truncated),
        "static_share": share(f"{name}--shuffled", own.static),
    }
    found: dict[str, Any] = {"permuted_block_frames": block}
    for label, item in shares.items():
        found |= {label: item.value, f"{label}_low": item.low, f"{label}_high": item.high}
    return found


ROUNDING = 0.05  # of a frame: extraction has refused what is no whole frame to the sample


def _block_frames(rows: Mapping[str, Row], twin: str | None) -> float:
    """Return the blocks of a permuted twin in frames of the codec that encoded them."""
    row = None if twin is None else rows.get(twin)
    if row is None or row.permuted_block_s is None:
        return np.nan
    resampling = row.summary.get("resampling") or {}
    return row.permuted_block_s * row.rate_hz * resampling.get("frames_per_group", 1)


def frontier_table(codecs: pd.DataFrame, ladders: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the points of every ladder, coarse to fine, with the front of each.

    `is_pareto`: no other point of the ladder has both less distortion and more information; empty
    where a point lacks one of them, and where frame rates differ. `information_share_of_bits`:
    information over the rate, where one bounds it; it cannot exceed 1 unless the density model
    breaks down.
    """
    columns = [name for column in LADDER for name in column.names(())]
    place = {name: number for number, name in enumerate(codecs["representation"])}
    parts = []
    for ladder, names in ladders.items():
        part = codecs.iloc[[place[name] for name in names]][columns].reset_index(drop=True)
        part.insert(0, "ladder", ladder)
        part.insert(1, "step", np.arange(len(part)))
        for end in ("", "_low", "_high"):
            share = part[f"information_bits_per_s{end}"] / part["bits_per_s"]
            part[f"information_share_of_bits{end}"] = share.where(part["rate_kind"] != POSTERIOR_KL)
        information = part["information_bits_per_s"].to_numpy(float)
        if part["frame_rate_hz"].nunique() > 1:
            information = np.full(len(part), np.nan)
        part["is_pareto"] = pareto_front(part["log_mel_l1"].to_numpy(float), information)
        parts.append(part)
    if not parts:
        return FRONTIER.empty()
    return FRONTIER.arrange(pd.concat(parts, ignore_index=True))


def pareto_front(distortion: np.ndarray, information: np.ndarray) -> list[bool | None]:
    """Return which points no other beats in both; None where a point lacks a number."""
    costs = np.stack([distortion, -information], axis=1)
    known = np.all(np.isfinite(costs), axis=1)
    costs[~known] = np.nan
    pairs = zip(beaten(costs).tolist(), known.tolist(), strict=True)
    return [not is_beaten if is_known else None for is_beaten, is_known in pairs]
