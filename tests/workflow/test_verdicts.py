"""Frames with a known answer go in as user arrays; the known verdict must come out.

Three representations share one recipe, 40 train and 20 eval speakers of 25 utterances of 40 to 80
frames, D = 32, x_t = signal_t + sigma n_t with a signal that cycles through S prototypes:

- `noise`: no signal at all. No PROCEED, although at lag 1 mean reversion predicts half of delta.
  Without heads it stays UNDECIDED.
- `shared`: the same prototypes for every speaker. PROCEED, heads not run.
- `personal`: prototypes drawn for each speaker. The transfer row fails.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import studies
from tests.workflow.conftest import snakemake, write_config

# `tests/statistical/test_decision_worlds.py` asks the same of the functions, in seconds.
pytestmark = pytest.mark.slow
NUM_SPEAKERS, NUM_UTTERANCES, NUM_DIMS = 60, 25, 32
KINDS = {"noise": 0, "shared": 24, "personal": 6}


def write_arrays(folder: Path, kind: str) -> None:
    """Write one .npy per utterance and the table beside them."""
    generator = np.random.default_rng([7, sorted(KINDS).index(kind)])
    num_phases = max(KINDS[kind], 1)
    shared = generator.normal(size=(num_phases, NUM_DIMS))
    rows = []
    (folder / kind).mkdir()
    for speaker in range(NUM_SPEAKERS):
        own = generator.normal(size=(num_phases, NUM_DIMS))
        prototypes = {"noise": 0 * shared, "shared": shared, "personal": own}[kind]
        for utterance in range(NUM_UTTERANCES):
            length = int(generator.integers(40, 81))
            phase = (generator.integers(num_phases) + np.arange(length)) % num_phases
            frames = prototypes[phase] + 0.65 * generator.normal(size=(length, NUM_DIMS))
            name = f"s{speaker:02d}-u{utterance:02d}"
            np.save(folder / kind / f"{name}.npy", frames.astype(np.float32))
            rows.append({"utterance_id": name, "speaker_id": f"s{speaker:02d}"})
    pd.DataFrame(rows).to_csv(folder / f"{kind}.csv", index=False)


@pytest.fixture(scope="module")
def decision(tmp_path_factory, demo_config):
    """Run the workflow on the three representations and return decision.json."""
    folder = tmp_path_factory.mktemp("verdicts")
    for kind in KINDS:
        write_arrays(folder, kind)
    row = {
        "kind": "arrays",
        "frame_rate_hz": 12.5,
        "latent_space": "planted",
        "is_causal": True,
        "num_shards": 1,
        "surrogates": ["shuffled", "phase_randomized", "var"],
    }
    rows = {kind: {**row, "path": kind, "table": f"{kind}.csv"} for kind in KINDS}
    pca = {"inputs": ["raw"], "quantizers": [{"kind": "kmeans", "codebook_sizes": [64]}]}
    nothing = {"representations": []}
    overlay = {
        "splits": {"seeds": [0], "eval_fraction": 1 / 3},
        "representations": {"analysed": list(KINDS), "library": rows},
        "structure": {
            "families": ["pca", "target_oracle"],
            "library": {"target_oracle": {"codebook_sizes": [64]}},
        },
        "keys": {"library": {"pca": pca}},
        "prediction": nothing, "factorizer": nothing, "memory": nothing, "rollout": nothing,
        "comparison": nothing, "learned_keys": nothing, "generation": nothing,
        "calibration": {"worlds": {"names": []}},
        "decision": {"representation": "noise"},
    }  # fmt: skip
    config = {**studies.merged(demo_config, overlay), "pathvars": {}}
    path = write_config(folder, config)
    outcome = snakemake(folder, "results/decision.json", "--cores", "2", "--configfile", path)
    assert outcome.code == 0, outcome.text[-3000:]
    return json.loads((folder / "results" / "decision.json").read_text(encoding="utf-8"))


def verdict_of(decision: dict, kind: str) -> str:
    return decision["representations"][kind]["verdict"]


def outcomes(decision: dict, kind: str, quantity: str) -> set[str]:
    """What the gate's rows of a quantity say, over keys."""
    rows = decision["representations"][kind]["gates"]["operative"]
    return {row["outcome"] for row in rows if row["quantity"] == quantity}


def test_white_noise_never_proceeds(decision):
    """No key adds. STOP asks heads that gain nothing as well, and this study trains none."""
    assert outcomes(decision, "noise", "added_fraction") == {"fail"}
    assert verdict_of(decision, "noise") == "UNDECIDED"
    assert decision["verdict"] == "UNDECIDED", "the study's verdict is its representation's"


def test_white_noise_is_shown_beside_its_mean_reversion(decision):
    rows = decision["representations"]["noise"]["gates"]["informational"]
    assert [row["quantity"] for row in rows] == ["mean_reversion_ridge_r2"]


def test_shared_motifs_proceed(decision):
    assert outcomes(decision, "shared", "added_fraction") == {"pass"}
    assert verdict_of(decision, "shared") == "PROCEED, heads not run"


def test_personal_motifs_fail_with_the_transfer_row_named(decision):
    assert outcomes(decision, "personal", "transfer_loss") == {"fail"}
    assert outcomes(decision, "personal", "added_fraction") == {"fail"}
    assert verdict_of(decision, "personal") == "UNDECIDED"
