"""How free runs of generators are scored, and what tables say of a training."""

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from engram_audio.artifacts.columns import Table
from engram_audio.corpus.split_parts import EVAL, TRAIN
from engram_audio.generation.config import GenerationEvaluationSection, GeneratorSection
from engram_audio.generation.model_config import ARMS
from engram_audio.generation.names import OF_STATE
from engram_audio.generation.storage import INSERTION
from engram_audio.prediction.assess import Stage
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.setup import ScoringSetup, make_scoring_setup
from engram_audio.section import with_changes

BUDGET = {
    "flops_generated": "f_gen_flops", "flops_trained": "f_train_flops",
    "num_resident": "num_resident", "num_touched": "num_touched", "num_read": "num_read",
    "bytes_per_frame": "bytes_per_frame",
}  # fmt: skip


class RunFiles(Protocol):
    """What a step that lets generators run free reads."""

    generator_section: GeneratorSection
    evaluation_section: GenerationEvaluationSection
    rollout_section: RolloutSection


def member_labels(member: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a training."""
    return {name: member[name] for name in ("arm", "seed", "num_steps", "is_repeat")}


def scoring_setup(files: RunFiles, stage: Stage) -> ScoringSetup:
    """Return what free runs are scored with."""
    own = files.evaluation_section
    settings = with_changes(files.rollout_section, "generation.evaluation", {
        "horizon_frames": own.horizon_frames, "forecast_horizon_frames": 1,
        "scored_horizons_frames": own.scored_horizons_frames, "num_starts": own.num_starts,
        "num_samples": max(own.num_samples, 8), "num_long_samples": own.num_samples,
        "injections_frames": (), "seed": own.seed,
        "frozen_frames": min(files.rollout_section.frozen_frames, own.horizon_frames),
        "autocovariance_lags_frames": min(
            files.rollout_section.autocovariance_lags_frames, (own.horizon_frames - 1) // 2
        ),
    })  # fmt: skip
    return make_scoring_setup(settings, stage.reference, stage.sources[TRAIN], stage.device)


def starts_of(files: RunFiles, stage: Stage) -> tuple[Starts, Starts]:
    """Return where runs start, and other starts of the same utterances."""
    own, source, means = files.evaluation_section, stage.sources[EVAL], stage.reference.speakers
    shortest = own.horizon_frames // 2
    starts = collect_starts(
        source, means, files.generator_section.model.context_frames, own.horizon_frames, shortest,
        own.num_starts,
    )  # fmt: skip
    others = other_starts(source, means, starts, shortest)
    return starts.to(stage.device), others.to(stage.device)


def row_of(member: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the tables say of a training."""
    spec = member["generator"]
    insertion = INSERTION.validate_python(spec["insertion"], strict=False)
    reads = ARMS[member["arm"]].reads_codes
    has_memory = ARMS[member["arm"]].source is not None
    known = {
        "key": (insertion.key if insertion.READS_KEY else OF_STATE) if reads else "",
        "places": _places(spec["insertion"]) if has_memory else "",
        "noise": _noise(spec["settings"]["noise"]),
        "short_context_frames": spec["settings"]["short_context_frames"] or 0,
        "width": spec["settings"]["width"],
        **{name: member[name] for name in ("learning_rate", "dropout", "num_points", "best_step")},
        **{column: member["budget"][name] for name, column in BUDGET.items()},
    }  # fmt: skip
    return {**member_labels(member), **known}


def _places(insertion: dict[str, Any]) -> str:
    return ", ".join(insertion.get("places", ["every block"]))


def _noise(noise: dict[str, Any]) -> str:
    return f"{noise['kind']} {noise['share']:g}" if "share" in noise else str(noise["kind"])


def joined(tables: list[pd.DataFrame], declared: Table) -> pd.DataFrame:
    """Return tables as one; where there is none, the columns that it would have had."""
    return pd.concat(tables, ignore_index=True) if tables else declared.empty()
