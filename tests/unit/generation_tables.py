"""Scores of planted gains as the evaluation step writes them, for tests of tables and verdicts."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import EVAL, SELECT, TRAIN
from engram_audio.generation.config import GenerationBarsSection
from engram_audio.generation.evaluation import HEALTH
from engram_audio.generation.names import LINEAR_MIXTURE, MARGINAL, NO_SEED, NO_STEPS
from engram_audio.generation.tables import OF_MEMBER, Evaluated

NULLS = {MARGINAL: 40.0, LINEAR_MIXTURE: 30.0}
FLOPS = {"S": 50e3, "SM": 70e3, "F": 71e3, "P": 200e3}
NUM_STEPS, NUM_SPEAKERS, NUM_FRAMES = 100, 12, 400


def evaluated(
    levels: Mapping[str, float],
    num_seeds: int = 3,
    sd_seed: float = 0.003,
    sd_rest: float = 0.003,
    train_levels: Mapping[str, float] | None = None,
    losses: Mapping[str, float] | None = None,
    name: str = "mel_pca",
    noise: str = "none",
    generator_name: str = "one_frame",
) -> Evaluated:
    """Return scores of arms with known mean NLL.

    Args:
        levels: Mean NLL of each arm, nats per frame.
        num_seeds: Seeds of each arm.
        sd_seed: SD between the seeds of an arm.
        sd_rest: SD between a seed's speakers, beside what all arms share.
        train_levels: Mean NLL on train, where it is another.
        losses: Energy distance of each arm's runs above its floor.
        name: Representation.
        noise: Noise in training.
        generator_name: The generator.
    """
    generator = np.random.default_rng(7)
    speakers = generator.normal(size=NUM_SPEAKERS)  # shared by all arms: pairing removes it
    rows, members, health = [], [], []
    trained = [(arm, seed, NUM_STEPS) for arm in levels for seed in range(num_seeds)]
    for arm, seed, steps in [*trained, *((null, NO_SEED, NO_STEPS) for null in NULLS)]:
        shift = 0.0 if seed == NO_SEED else sd_seed * generator.normal()
        members.append({"arm": arm, "seed": seed, "num_steps": steps, "is_repeat": False,
                        **dict.fromkeys(OF_MEMBER, 1.0), "key": "", "places": "",
                        "noise": noise, "width": 32,
                        "f_gen_flops": FLOPS.get(arm, 70e3)})  # fmt: skip
        for part in (TRAIN, SELECT, EVAL):
            known = {**levels, **NULLS, **((train_levels or {}) if part == TRAIN else {})}
            for number, shared in enumerate(speakers):
                nll = known[arm] + shift + shared + sd_rest * generator.normal()
                rows.append({"arm": arm, "seed": seed, "num_steps": steps, "is_repeat": False,
                             "part": part, "speaker_id": f"{part}-{number}",
                             "num_frames": float(NUM_FRAMES), "nll": NUM_FRAMES * nll,
                             "energy": np.nan})  # fmt: skip
        if seed != NO_SEED:
            health += [
                _health(arm, seed, horizon, (losses or {}).get(arm, 0.01)) for horizon in (1, 16)
            ]
    return Evaluated(
        name,
        generator_name,
        SELECT,
        pd.DataFrame(members),
        pd.DataFrame(rows),
        pd.DataFrame(health),
        pd.DataFrame(
            [
                _keys(arm, probe)
                for arm in ("SM", "SMx")
                if arm in levels
                for probe in ("run", "true", "corrupt")
            ]
        ),
        _replays(),
        pd.DataFrame([{"arm": "SM", "latency_ms": 1.2, "latency_ms_p10": 1.1,
                       "latency_ms_p90": 1.5, "num_frames": 200, "machine": "a processor"}]),
    )  # fmt: skip


def generation_bars(maximum_health_loss: float) -> GenerationBarsSection:
    """Return what the word and the question of noise ask of free runs."""
    return GenerationBarsSection(
        maximum_health_loss=maximum_health_loss, maximum_excess_distance=0.05,
        maximum_excess_off_support=0.02,
    )  # fmt: skip


def _replays() -> pd.DataFrame:
    """More passes: SM gets better on train and worse on eval, unless its codes are dealt anew."""
    rows = []
    kinds = (("S", False, 29.0, 29.0), ("SM", False, 27.0, 29.4), ("SM", True, 28.9, 29.02))
    for arm, is_permuted, on_train, on_eval in kinds:
        for passes in (1, 8):
            for part, level in (("train", on_train), ("eval", on_eval)):
                nll = 29.0 + (level - 29.0) * passes / 8
                rows += [{"arm": arm, "seed": 0, "num_passes": passes, "is_permuted": is_permuted,
                          "minimum_visits": 0, "part": part, "speaker_id": f"s{number}",
                          "num_frames": NUM_FRAMES, "nll": NUM_FRAMES * (nll + 0.01 * number)}
                         for number in range(4)]  # fmt: skip
    return pd.DataFrame(rows)


def _keys(arm: str, probe: str) -> dict[str, object]:
    gate = 0.9 if arm == "SM" else 0.1
    return {
        "arm": arm, "seed": 0, "probe": probe, "step_frames": 4, "sigma": 0.1, "flip_rate": 0.1,
        **dict.fromkeys(("gate_q05", "gate_q25", "gate_q50", "gate_q75", "gate_q95"), gate),
        "write_ratio": 0.3, "nll_own_nats": 29.0, "nll_oracle_nats": 28.8,
        "nll_foreign_nats": 30.0,
    }  # fmt: skip


def _health(arm: str, seed: int, horizon: int, excess: float) -> dict[str, object]:
    return {
        "arm": arm, "seed": seed, "horizon_frames": horizon, "num_starts": 32,
        "energy_score": 1.5, "energy_skill": 0.4, **dict.fromkeys(HEALTH, 0.5),
        "energy_distance": 0.02 + excess, "energy_distance_true": 0.02,
    }  # fmt: skip
