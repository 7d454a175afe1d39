"""A study that is whole but small: a user's planted arrays and 24 espeak-ng voices.

It runs in a checkout of its own, a copy of what the workflow needs, so that tests may edit modules,
break files and kill jobs without touching the repository.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests import studies
from tests.unit.trained_codec_material import MEL_VAE, merged

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "Snakefile",
    "workflow_config.yaml",
    "rules",
    "engram_audio",
    "report_templates",
    "envs",
    "slurm",
    "verify",
)
NUM_SPEAKERS, NUM_UTTERANCES, NUM_DIMS = 12, 4, 4
CONFIG = "tiny.yaml"
STEPS = {"num_steps": 20, "warmup_steps": 2, "validation_interval_steps": 10,
         "maximum_validation_frames": 256, "checkpoint_interval_steps": 5}  # fmt: skip
QUICK = {
    "cpu": {**STEPS, "batch_frames": 32},
    "marginal": {**STEPS, "batch_frames": 32},
    "factorizer": {**STEPS, "batch_frames": 64},
    "key": {**STEPS, "batch_frames": 32},
    "key_tuning": {**STEPS, "batch_frames": 32},
    "joint": {**STEPS, "batch_frames": 32, "num_steps": 10, "validation_interval_steps": 5},
    "k_step": {**STEPS, "batch_frames": 32},
    "forecaster": {**STEPS, "batch_frames": 32},
    "generator": {**STEPS, "batch_frames": 32, "num_steps": 10, "validation_interval_steps": 5},
}  # training recipes of the tiny study
SECRET = "hf_neverWriteThisAnywhere"  # in the environment of every run


def checkout(folder: Path) -> Path:
    """Copy what the workflow needs into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    write_arrays(folder)
    write_config(folder, tiny_config())
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Variables under which `folder`, not the installed package, is what runs."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_TOKEN": SECRET,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def write_arrays(folder: Path) -> None:
    """Write planted arrays: phases of a cycle that all speakers share, plus noise."""
    generator = np.random.default_rng([11, 0])
    prototypes = generator.normal(size=(6, NUM_DIMS))
    rows = []
    (folder / "arrays").mkdir()
    for speaker in range(NUM_SPEAKERS):
        for utterance in range(NUM_UTTERANCES):
            phase = generator.integers(6) + np.arange(generator.integers(40, 60))
            frames = prototypes[phase % 6] + 0.5 * generator.normal(size=(len(phase), NUM_DIMS))
            name = f"s{speaker:02d}-u{utterance}"
            np.save(folder / "arrays" / f"{name}.npy", frames.astype(np.float32))
            rows.append({"utterance_id": name, "speaker_id": f"s{speaker:02d}"})
    for name in ("arrays.csv", "arrays_again.csv"):  # the second: another value of `table`
        pd.DataFrame(rows).to_csv(folder / name, index=False)


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the study in `folder`."""
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the configuration of the study in `folder`, as JSON: it is YAML and read faster."""
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def tiny_config() -> dict[str, Any]:
    """The demo's configuration, cut down to what a test can wait for."""
    config = studies.study("demo")
    config.pop("pathvars", None)
    config["views"] |= {
        "window_frames": 2, "slices": ["all", "medial"], "judged_slices": ["all", "medial"],
        "delta_subspaces": [2], "event_subspaces": [2],
    }  # fmt: skip
    for name, changes in QUICK.items():
        config["recipes"][name] |= changes
    config["corpora"]["demo_speech"] |= {
        "num_speakers": 24, "num_utterances_per_speaker": 2, "minimum_duration_s": 1.0,
    }  # fmt: skip
    config["splits"] |= {"seeds": [0], "val_fraction": 0.25}
    config["codecs"]["library"]["mel_pca"] |= {"num_components": 4, "griffin_lim_iterations": 2}
    rows = config["representations"]["library"]
    rows["brought"] = {
        "kind": "arrays",
        "path": "arrays",
        "table": "arrays.csv",
        "frame_rate_hz": 12.5,
        "latent_space": "planted",
        "is_causal": True,
        "num_shards": 1,
        "surrogates": [],
    }
    rows["mel_pca"]["surrogates"] = []
    config["representations"]["analysed"] = ["brought", "mel_pca", "mel_pca_state"]
    config["structure"] |= {
        "lags_frames": [1, 2], "minimum_cell_frames": 5, "ngram_orders": [1],
        "ngram_minimum_counts": [1], "confidence_quantiles": [0.5, 1.0],
    }  # fmt: skip
    sizes = [{"kind": "kmeans", "codebook_sizes": [4]}]
    families = {
        "pca": {"kind": "pca", "inputs": ["raw"], "num_components": 2, "quantizers": sizes},
        "mean_pool": {"kind": "mean_pool", "inputs": ["raw"], "quantizers": sizes},
    }
    newest = {"kind": "last_frame", "inputs": ["raw"], "quantizers": sizes}  # of the memories
    oracle = {"target_oracle": {"kind": "target_oracle", "codebook_sizes": [4]}}
    config["keys"] |= {
        "minimum_cell_frames": 5, "kmeans_restarts": 1, "kmeans_iterations": 5,
        "library": {**families, "last_frame": newest},
    }  # fmt: skip
    config["structure"] |= {"families": [*families, *oracle], "library": oracle}
    config["learned_keys"] |= {"representations": [], "keys": [], "direction_keys": []}
    _shrink_prediction(config)
    _shrink_factorizer(config)
    _shrink_memory(config)
    reconstruction = {"num_utterances": 2, "maximum_duration_s": 2.0}
    nothing = {"representations": [], "ladders": {}, "controls": {}}
    config["comparison"] = {**nothing, "reconstruction": reconstruction}
    _shrink_rollout(config)
    _shrink_generation(config)
    config["calibration"]["worlds"] |= {
        "names": [], "num_train_speakers": 4, "num_eval_speakers": 4,
        "num_utterances_per_speaker": 2, "num_truth_speakers": 4,
        "num_truth_utterances_per_speaker": 1,
    }  # fmt: skip
    config["calibration"]["power"] |= {
        "num_studies": 100, "num_truth_speakers": 100,
    }  # fmt: skip
    config["calibration"]["sabotage"] |= {
        "num_train_speakers": 4, "num_eval_speakers": 4, "num_utterances_per_speaker": 4,
        "codebook_size": 4,
    }  # fmt: skip
    config["calibration"]["worlds"]["keys"] = ["pca.raw.kmeans_4"]
    config["decision"] |= {"representation": "brought", "lag_frames": 1}
    config["decision"]["literal_gate"]["keys"] = ["pca.raw.kmeans_4"]
    config["report"] |= {
        "title": "Tiny study", "num_players": 1, "player_duration_s": 1.0, "is_verified": False,
    }  # fmt: skip
    return config


def _shrink_prediction(config: dict[str, Any]) -> None:
    stage = config["prediction"]
    stage |= {
        "representations": ["mel_pca"], "heads": ["gaussian_mixture"], "lags_frames": [1],
        "surrogate_heads": ["gaussian_mixture"],
    }  # fmt: skip
    stage["nulls"] |= {"orders": [1], "ridges": [1.0e-2]}
    head = stage["library"]["gaussian_mixture"]
    head |= {"num_components": 2}
    head["trunk"] |= {"width": 8, "num_layers": 1, "frame_width": 4}
    head["marginal"] |= {"maximum_components": 2, "maximum_frames": 1000}
    stage["evaluation"] |= {
        "maximum_train_frames": 1000, "batch_frames": 256, "num_samples": 4,
        "maximum_sampled_frames": 100, "maximum_stored_frames": 1000, "num_negatives": 3,
        "num_worst_frames": 2, "num_calibration_bins": 4,
        "rollout_horizon_frames": 4, "num_rollout_starts": 4,
    }  # fmt: skip


def _shrink_factorizer(config: dict[str, Any]) -> None:
    """One small variant on the demo codec, its z_dyn analysed beside it."""
    stage = config["factorizer"]
    stage |= {"representations": ["mel_pca"], "variants": ["charged"]}
    variant = stage["library"]["charged"]
    network = {"kind": "gru", "width": 8, "num_layers": 1, "num_heads": 1, "context_frames": 4}
    variant |= {"chunk_frames": 8, "burn_in_frames": 2, "encoder": network}
    variant["state"] |= {"num_dims": 2, "linear_context_frames": 2}
    variant["dynamics"] |= {"network": network}
    variant["innovation"] |= {"num_dims": 2}
    variant["decoder"] |= {"width": 8}
    stage["evaluation"] |= {"num_importance_samples": 2}


def _shrink_memory(config: dict[str, Any]) -> None:
    """A lookup on a linear null and one on a head, and an Engram memory, on the demo codec."""
    stage = config["memory"]
    stage |= {
        "representations": ["mel_pca"], "memories": ["robust", "engram"],
        "bases": ["linear", "gaussian_mixture"],
    }  # fmt: skip
    key = "last_frame.raw.kmeans_4"
    robust, engram = (stage["library"][name] for name in stage["memories"])
    robust |= {
        "key": key, "minimum_count": 2, "frames_per_slot": 8, "shrinkages_frames": [10.0],
        "spread_shrinkages_frames": [10.0],
    }  # fmt: skip
    engram |= {"key": key, "ngram_orders": [2], "num_hashes": 1, "table_rows": 17, "row_dims": 2}
    engram |= {"kernel_frames": 2}
    stage["controls"] |= {
        "maximum_width": 16, "curve_widths": [8], "datastore_frames": 100, "datastore_neighbors": 4,
        "datastore_queries": 100, "batch_frames": 256,
    }  # fmt: skip


def add_learned_keys(config: dict[str, Any]) -> None:
    """Score keys of the user's arrays by their laws, learned ones of every method among them."""
    kinds = [
        {"kind": "laws", "codebook_sizes": [4]},
        {"kind": "tuned", "codebook_sizes": [4], "recipe": "key_tuning", "first_beta": 5.0,
         "last_beta": 30.0, "speaker_weight": 0.1},
        {"kind": "vq", "codebook_sizes": [4], "recipe": "key", "num_dims": 2},
        {"kind": "fsq", "levels": [2, 3], "recipe": "key"},
        {"kind": "product_laws", "num_codes": [2, 3]},
        {"kind": "residual_laws", "num_codes": [3, 2]},
        {"kind": "bits", "num_routes": 2, "num_bits": 1, "recipe": "key"},
        {"kind": "distilled", "teacher": "laws_4", "recipe": "key"},
    ]  # fmt: skip
    config["keys"]["library"]["learned"] = {
        "kind": "learned", "inputs": ["raw"], "target": "delta", "base": "linear",
        "lag_frames": 1, "quantizers": kinds,
    }  # fmt: skip
    names = ("laws_4", "tuned_4", "vq_4", "fsq_2x3", "product_laws_2x3", "residual_laws_3x2",
             "bits_2x1", "distilled_laws_4")  # fmt: skip
    config["learned_keys"] |= {
        "representations": ["brought"], "surrogates": [], "bases": ["none", "linear"],
        "keys": ["pca.raw.kmeans_4", *(f"learned.raw.{name}" for name in names)],
        "lags_frames": [1], "num_folds": 2, "maximum_frames": 1000, "oracle_sizes": [4],
        "direction_keys": ["pca.raw.kmeans_4"],
        "bank": {**config["learned_keys"]["bank"], "num_components": [4, 8]},
        "predictor": {**config["learned_keys"]["predictor"], "width": 8, "num_layers": 1,
                      "cluster_frames": 200},
    }  # fmt: skip


def add_row(config: dict[str, Any], name: str, row: dict[str, Any]) -> None:
    """Define a representation and analyse it."""
    config["representations"]["library"][name] = row
    config["representations"]["analysed"].append(name)


def add_comparison(config: dict[str, Any]) -> None:
    """Compare the demo codec with itself: at half the rate, with noise, and its overlap twins."""
    own = config["representations"]["library"]["mel_pca"]
    matched = {"kind": "resampled", "frames_per_group": 2, "mode": "average_residual"}
    rows = {
        "mel_pca_permuted": {**own, "permute_blocks_s": 0.08},
        "mel_pca_truncated": {**own, "context_s": 0.08},
        "mel_pca_noisy": {"kind": "noisy", "source": "mel_pca", "noise_to_signal": 1.0, "seed": 0},
        "mel_pca_matched": {**matched, "source": "mel_pca"},
        "mel_pca_matched_permuted": {**matched, "source": "mel_pca_permuted"},
    }
    for name, row in rows.items():
        add_row(config, name, {**row, "surrogates": []})
    config["prediction"]["representations"] = ["mel_pca", *rows]
    config["comparison"] |= {
        "representations": ["mel_pca", "mel_pca_matched", "mel_pca_noisy"],
        "ladders": {"noise": ["mel_pca_noisy", "mel_pca"]},
        "controls": {
            "mel_pca": {"permuted": "mel_pca_permuted", "truncated": "mel_pca_truncated"},
            "mel_pca_matched": {"permuted": "mel_pca_matched_permuted", "truncated": None},
        },
    }  # fmt: skip


def add_trained_codec(config: dict[str, Any]) -> None:
    """Train a mel VAE on the voices and compare it; forty steps make no codec worth a gate."""
    changes = {"corpus": "demo_speech", "health": {"action": "report"}}
    config["codecs"]["library"]["mel_vae"] = merged(MEL_VAE, changes)
    row = {**config["representations"]["library"]["mel_pca"], "codec": "mel_vae"}
    add_row(config, "mel_vae", row)
    config["prediction"]["representations"].append("mel_vae")
    config["comparison"]["representations"].append("mel_vae")


def _shrink_rollout(config: dict[str, Any]) -> None:
    """A guarded head, the first experiment's loss and a forecaster, on the demo codec."""
    stage = config["rollout"]
    stage |= {
        "representations": ["mel_pca"], "player_methods": ["one_step_nearest"],
        "methods": ["one_step_nearest", "earlier_pure", "belief", "memory_robust", "refit"],
        "horizon_frames": 4, "forecast_horizon_frames": 2, "scored_horizons_frames": [1, 2, 4],
        "num_starts": 12, "num_samples": 8, "num_long_samples": 2, "injections_frames": [2],
        "frozen_frames": 2, "autocovariance_lags_frames": 1, "maximum_energy_frames": 100,
        "support_frames": 100,
        "batch_paths": 256,
    }  # fmt: skip
    methods = stage["library"]
    methods["one_step_nearest"]["guard"] |= {"num_frames": 64, "num_attempts": 2}
    methods["earlier_pure"] |= {"horizon_frames": 2}
    methods["belief"] |= {"horizon_frames": 2, "width": 8}
    methods["memory_robust"] |= {"base": "memory:gaussian_mixture:robust"}
    methods["refit"] = {"kind": "refit", "method": "earlier_pure", "memory": "robust"}


def _shrink_generation(config: dict[str, Any]) -> None:
    """Four arms of one seed, on the demo codec."""
    stage = config["generation"]
    stage |= {"representations": ["mel_pca"], "seeds": [0]}
    stage["evaluation"] |= {
        "num_starts": 8, "num_samples": 2, "horizon_frames": 4, "scored_horizons_frames": [1, 4],
        "free_arms": ["SM", "F"],
    }  # fmt: skip
    generator = stage["library"]["one_frame"]
    generator["arms"] = ["S", "SM", "F", "SMx"]
    generator["model"] |= {
        "width": 8, "mlp_units": 8, "num_heads": 2, "context_frames": 4, "chunk_frames": 6,
        "burn_in_frames": 2, "head": {**generator["model"]["head"], "num_components": 2},
    }  # fmt: skip
    generator["insertion"] |= {"key": "last_frame.raw.kmeans_4", "row_width": 4}


def wide_config() -> dict[str, Any]:
    """The tiny study with one of everything: for plans, not for running."""
    config = tiny_config()
    config["corpora"]["librispeech"] |= {"num_shards": 2}
    config["calibration"]["worlds"]["names"] = ["iid"]
    add_comparison(config)
    config["prediction"]["representations"].append("brought")
    rows = config["representations"]["library"]
    rows["brought"]["surrogates"] = ["shuffled", "phase_randomized", "var"]
    add_row(config, "mimi", {**rows["mimi"], "surrogates": ["shuffled"]})
    world = {
        "kind": "world",
        "world": "type2",
        "num_train_speakers": 4,
        "num_eval_speakers": 4,
        "num_utterances_per_speaker": 2,
        "seed": 0,
        "surrogates": [],
    }
    add_row(config, "planted", world)
    add_learned_keys(config)
    rows["mel_pca_state"]["is_sampled"] = True
    config["generation"]["factorized"] |= {"states": ["mel_pca_state"], "arms": ["SM", "F"]}
    return config


# Stands in for `python` where only Snakemake's bookkeeping is of interest: it writes, with its own
# name inside, every file that a step's command line names and that is not there. It answers for the
# real one when a run asks at its start what jobs can import.
STAND_IN = (
    f"""#!/bin/sh
[ "$1" = -c ] && exec '{sys.executable}' "$@"
"""
    + """
for word in "$@"; do
  case "$word" in
    */*) [ -e "$word" ] || { mkdir -p "$(dirname "$word")"; printf %s "$word" >"$word"; } ;;
  esac
done
"""
)


def stand_in_environment(folder: Path) -> dict[str, str]:
    """Variables under which rules find the stand-in instead of Python."""
    script = folder / "stand_in" / "python"
    script.parent.mkdir(exist_ok=True)
    script.write_text(STAND_IN, encoding="utf-8")
    script.chmod(0o755)
    variables = environment(folder)
    return {**variables, "PATH": f"{script.parent}{os.pathsep}{variables['PATH']}"}
