"""Small planted worlds through scoring, tables and gate: the known verdicts must come out.

Frames x_t = prototype of the phase + sigma n_t in D = 16 dimensions, phases in cyclic order.
40 train and 16 eval speakers of 12 utterances of 50 to 70 frames (17 000 train targets).
"""

import numpy as np
import pandas as pd
import pytest

from engram_audio.keys.config import PcaKeys
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.surrogates import randomize_phases, shuffle_frames
from engram_audio.latents.var import fit_var, simulate_var
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import (
    DecisionSection,
    StructureSection,
    TargetOracleKeys,
)
from engram_audio.structure.decision import Decided, decide_all
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import prepare
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import analyse, structure_rows
from tests import studies
from tests.unit.key_material import scored

NUM_DIMS, NUM_TRAIN, NUM_EVAL, NUM_UTTERANCES = 16, 40, 16, 12
CELLS = 48
KEY = f"pca.raw.kmeans_{CELLS}"
STATISTICS = StatisticsSection(confidence=0.95)
FAMILIES = {
    "pca": PcaKeys.model_validate_json(
        '{"kind": "pca", "inputs": ["raw"], "num_components": 8, "quantizers":'
        f'[{{"kind": "kmeans", "codebook_sizes": [{CELLS}]}}]}}'
    ),
    "target_oracle": TargetOracleKeys(kind="target_oracle", codebook_sizes=(CELLS,)),
}
STRUCTURE = StructureSection(
    window_frames=6, lags_frames=(1, 2), slices=("all", "medial"),
    medial_range=(0.17, 0.83), speech_range_db=35.0, minimum_cell_frames=60, std_floor=1e-6,
    principal_subspaces=(), variance_shrinkage_frames=20.0,
    linear_ridges=(1e-6, 1e-2), block_frames=65536, fit_memory_gib=0.5,
    confidence_quantiles=(0.5, 1.0), ngram_orders=(1,),
    ngram_minimum_counts=(1,), seed=0,
)  # fmt: skip
DECISION = DecisionSection.model_validate(
    {**studies.study()["decision"], "representation": "noise", "slices": ["all", "medial"]},
    strict=False,
)
GAINS = {"noise": 0.0, "shared": 0.5, "personal": 0.0}  # of a head that knows what speakers share


def _world(kind: str) -> tuple[LatentBlock, dict[str, str]]:
    """Return frames and the part of each utterance: noise, shared or personal prototypes."""
    rng = np.random.default_rng([3, ["noise", "shared", "personal"].index(kind)])
    num_phases = {"noise": 1, "shared": 12, "personal": 6}[kind]
    shared = rng.normal(size=(num_phases, NUM_DIMS))
    frames, names, speakers, parts = [], [], [], {}
    for speaker in range(NUM_TRAIN + NUM_EVAL):
        own = rng.normal(size=(num_phases, NUM_DIMS))
        prototypes = {"noise": 0 * shared, "shared": shared, "personal": own}[kind]
        for utterance in range(NUM_UTTERANCES):
            length = int(rng.integers(50, 71))
            phase = (rng.integers(num_phases) + np.arange(length)) % num_phases
            frames.append(prototypes[phase] + 0.65 * rng.normal(size=(length, NUM_DIMS)))
            names.append(f"s{speaker:02d}-u{utterance:02d}")
            speakers.append(f"s{speaker:02d}")
            held_out = "val" if utterance < 2 else "train"
            parts[names[-1]] = "eval" if speaker >= NUM_TRAIN else held_out
    rows = np.concatenate(frames).astype(np.float32)
    block = LatentBlock(
        frames=rows,
        energy=np.sqrt(np.mean(rows**2, axis=1)),
        offsets=np.cumsum([0, *map(len, frames)]).astype(np.int64),
        utterance_ids=np.array(names, dtype=object),
        speaker_ids=np.array(speakers, dtype=object),
    )
    return block, parts


def _scored(block: LatentBlock, parts: dict[str, str]):
    material = prepare(lambda: iter([block]), parts, STRUCTURE)
    tables = [scored(name, family, material) for name, family in FAMILIES.items()]
    scores = pd.concat([table.scores for table in tables], ignore_index=True)
    keys = pd.concat([table.keys for table in tables], ignore_index=True)
    return analyse(scores, keys), linear_rows(score_linear(material), STATISTICS.confidence)


def linear_twin(block: LatentBlock, seed: int) -> LatentBlock:
    """The linear process with the frames' own correlation over four lags."""
    return simulate_var(fit_var(lambda: [block], 4), block, seed)


@pytest.fixture(scope="module")
def decided() -> dict[str, Decided]:
    structure, linear = [], []
    for kind in ("noise", "shared", "personal"):
        block, parts = _world(kind)
        base, base_linear = _scored(block, parts)
        # personal motifs stop without surrogates too
        twins = {
            "shuffled": shuffle_frames, "phase_randomized": randomize_phases, "var": linear_twin,
        }  # fmt: skip
        twins = {} if kind == "personal" else twins
        surrogates = {name: _scored(make(block, 0), parts)[0] for name, make in twins.items()}
        table = structure_rows(base, surrogates, base_linear, 12.5, STATISTICS.confidence)
        structure.append(table.assign(representation=kind, split_seed=0))
        linear.append(base_linear.assign(representation=kind, split_seed=0))
    heads = {
        kind: {name: HeadsGain(Measured(gain, gain, gain)) for name in DECISION.slices}
        for kind, gain in GAINS.items()
    }
    sources = dict.fromkeys(GAINS, Source(overlap_frames=1))
    return decide_all(
        pd.concat(structure), pd.concat(linear), DECISION, STATISTICS.confidence,
        Evidence(heads, sources),
    )  # fmt: skip


def test_white_noise_stops(decided):
    """Nothing to add and nothing that a head could know."""
    assert decided["noise"].verdict == "STOP", decided["noise"].sentence
    assert decided["noise"].first.ruled_out


def test_white_noise_is_shown_beside_its_mean_reversion(decided):
    """Ridge R^2 of delta is 1/2 at lag 1."""
    rows = {row.quantity: row for row in decided["noise"].informational}
    ridge = rows["mean_reversion_ridge_r2"]
    # 16 * 6 weights per output from 17 000 frames cost 96 / 17000 = .006 of R^2; speakers add .004
    assert ridge.measured.value == pytest.approx(0.5, abs=0.02)
    assert ridge.threshold == pytest.approx(0.5, abs=0.005)


def test_shared_motifs_proceed(decided):
    assert decided["shared"].verdict == "PROCEED", decided["shared"].sentence


def test_personal_motifs_never_proceed(decided):
    """What a key learns of train speakers' own motifs tells nothing of others."""
    assert decided["personal"].verdict != "PROCEED", decided["personal"].sentence


@pytest.mark.parametrize("kind", ["noise", "shared"])
def test_controls_add_nothing(decided, kind: str):
    """A useless key adds 0 once its cost of fitting is taken off."""
    controls = [row for row in decided[kind].first.rows if row.name.startswith("control_")]
    assert len(controls) == 2 * len(DECISION.slices)
    for row in controls:
        assert row.outcome == "pass", row.sentence
