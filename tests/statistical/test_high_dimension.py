"""The gate in many dimensions: a planted key is no STOP, and white noise is 0 or INVALID.

28,000 train frames in D = 256 with 256 cells: what fitting the cell means costs once hid a shared
key, and the first gate said STOP. D = 1024 leaves few frames for each cell.
"""

import pandas as pd
import pytest

from engram_audio.latents.block import BlockSource
from engram_audio.section import validated
from engram_audio.structure.config import ScoredFamily
from engram_audio.structure.decision import Decided, decide_all
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import prepare
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import analyse, structure_rows
from tests.statistical import planted
from tests.statistical.planted import Layout, section
from tests.statistical.test_decision_worlds import DECISION, STATISTICS
from tests.unit.key_material import scored

CELLS = 256
FAMILIES = {
    "last_frame": {"kind": "last_frame", "inputs": ["raw"],
                   "quantizers": [{"kind": "kmeans", "codebook_sizes": [CELLS]}]},
    "target_oracle": {"kind": "target_oracle", "codebook_sizes": [CELLS]},
}  # fmt: skip


def decided(source: BlockSource, part_of: dict[str, str], gain: float) -> tuple[Decided, pd.Series]:
    """Return the verdict, where a head gains this much, and the key's row on eval."""
    settings = section(
        lags_frames=(2,), window_frames=4, linear_ridges=(1e-4, 1e-2, 1.0), slices=("all",),
        principal_subspaces=(), minimum_cell_frames=10,
    )  # fmt: skip
    material = prepare(source, part_of, settings)
    tables = [
        scored(name, validated(ScoredFamily, family, name), material)
        for name, family in FAMILIES.items()
    ]
    scores = pd.concat([table.scores for table in tables], ignore_index=True)
    keys = pd.concat([table.keys for table in tables], ignore_index=True)
    linear = linear_rows(score_linear(material), STATISTICS.confidence)
    rows = structure_rows(analyse(scores, keys), {}, linear, 12.5, STATISTICS.confidence)
    names = {"representation": "planted", "split_seed": 0}
    wanted = DECISION.model_copy(update={"representation": "planted", "slices": ("all",)})
    heads = {"planted": {"all": HeadsGain(Measured(gain, gain, gain))}}
    evidence = Evidence(heads, {"planted": Source(overlap_frames=1)})
    found = decide_all(
        rows.assign(**names), linear.assign(**names), wanted, STATISTICS.confidence, evidence
    )
    is_key = (rows["key"] == f"last_frame.raw.kmeans_{CELLS}") & (rows["part"] == "eval")
    return found["planted"], rows[is_key & (rows["subspace"] == "all")].iloc[0]


@pytest.mark.slow
def test_a_planted_key_in_256_dimensions_is_no_stop():
    """24 shared motifs, 28,000 train frames: 256 cells cost a quarter of what the key adds.

    The rule of SCIENCE 3 calls a key whose correction is that large INVALID. What it adds is seen
    none the less, and nobody is told that there is nothing.
    """
    utterance = planted.shared_motifs(num_dims=256, ratio=0.8)
    world = planted.make_world(utterance, Layout(40, 16, 12))
    one, row = decided(world.source(), world.part_of, gain=5.0)
    assert one.verdict == "INVALID", one.sentence
    assert "too few frames for so many cells" in one.sentence
    assert row["num_train_frames"] == pytest.approx(28_000, rel=0.15)
    assert row["cost_of_fitting"] > 0.2 * row["added"]
    assert row["added_fraction_low"] > 0.05


@pytest.mark.slow
def test_white_noise_in_1024_dimensions_is_nothing_or_invalid():
    world = planted.make_world(planted.white_noise(1024), Layout(24, 12, 8))
    one, row = decided(world.source(), world.part_of, gain=0.0)
    assert one.verdict in ("STOP", "INVALID"), one.sentence
    assert not row["added"] > 3 * row["added_se"] or one.verdict == "INVALID"
