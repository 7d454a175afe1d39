"""All planted worlds through structure and injected oracle in memory: every known answer.

The demo runs a few of them as files; this is the full set of `studies/full_calibration.yaml` at the
demo's size (40 train and 80 eval speakers of 16 utterances of 40 to 80 frames). Each row's
tolerance is three combined standard errors over speakers plus the computed loss of fitting
(`calibration.published`), so it follows the size by itself.
"""

import numpy as np
import pandas as pd
import pytest

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.calibration.tables import FRAME_RATE_HZ
from engram_audio.calibration.world import Draw, simulate
from engram_audio.calibration.worlds_linear import Autoregression, LinearGaussian
from engram_audio.config import WorkflowConfig, parse_config
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.var import fit_var, simulate_var
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import Material, prepare
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import analyse, structure_rows
from engram_audio.trust.hidden_key import hidden_key_rows
from engram_audio.trust.measurement import all_truths, parts_of
from engram_audio.trust.oracle_rows import oracle_rows
from tests import studies
from tests.unit.key_material import scored


def full_calibration() -> WorkflowConfig:
    """The demo's configuration with the changes of `studies/full_calibration.yaml`."""
    return parse_config(studies.study("demo", "full_calibration"))


CONFIG = full_calibration()
SECTION, WORLDS_SECTION = studies.worlds_structure(CONFIG), CONFIG.calibration.worlds
DECISION = studies.section_of(CONFIG, DecisionSection)
SIZE = WorldSize(
    WORLDS_SECTION.num_train_speakers, WORLDS_SECTION.num_eval_speakers,
    WORLDS_SECTION.num_utterances_per_speaker,
)  # fmt: skip
FEW = WorldSize(24, 12, 8)  # where contexts have 4,096 entries
SIZES: dict[str, WorldSize] = {"iid_d512": FEW, "junk": FEW}


def _analysed(material: Material):
    found = [
        scored(name, family, material) for name, family in studies.worlds_families(CONFIG).items()
    ]
    scores = pd.concat([tables.scores for tables in found], ignore_index=True)
    keys = pd.concat([tables.keys for tables in found], ignore_index=True)
    return analyse(scores, keys), linear_rows(score_linear(material), CONFIG.statistics.confidence)


def _prepared(block: LatentBlock, part_of: dict[str, str]) -> Material:
    return prepare(lambda: iter([block]), part_of, SECTION)


def _linear_twin(draw: Draw, part_of: dict[str, str]) -> LatentBlock:
    """The VAR surrogate, fitted on train utterances as the workflow fits it."""
    parts = np.array([part_of[str(name)] for name in draw.block.utterance_ids], dtype=object)
    train = draw._replace(split_hint=parts).of_split("train")
    settings = CONFIG.representations.surrogates
    return simulate_var(fit_var(lambda: [train], settings.var_order), draw.block, settings.seed)


def calibrate(name: str, size: WorldSize = SIZE) -> list[CalibrationRow]:
    """Return every comparison that a world allows."""
    world = make_world(name, WORLDS_SECTION.seed)
    draw = simulate(world, size)
    part_of = parts_of(draw, 0)
    planted = all_truths(
        name, world, draw, SECTION, WORLDS_SECTION.num_truth_speakers,
        WORLDS_SECTION.num_truth_utterances_per_speaker,
    )  # fmt: skip
    material = _prepared(draw.block, part_of)
    base, linear = _analysed(material)
    twins = {}
    if isinstance(world, Autoregression | LinearGaussian):  # nothing is known of other twins
        twins["var"], _ = _analysed(_prepared(_linear_twin(draw, part_of), part_of))
    table = structure_rows(base, twins, linear, FRAME_RATE_HZ, CONFIG.statistics.confidence)
    published = Published(
        table,
        linear,
        CONFIG.calibration.worlds.keys,
        CONFIG.decision.lag_frames,
        SECTION.window_frames,
    )
    rows = published_rows(name, world, planted.truths, published)
    key, oracle = world.stated_key(draw.hidden), world.oracle()
    if key is not None:
        rows += hidden_key_rows(name, world, key, planted.truths, material)
    if oracle is not None:
        evaluation = studies.section_of(CONFIG, PredictionEvaluationSection)
        rows += oracle_rows(name, oracle, planted.truths, material, part_of, evaluation)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLD_NAMES)
def test_every_world_reads_its_known_answers(name: str):
    """Every row within its tolerance (worlds.md A1 to A4); `test_world_words.py` has the words."""
    failing = [row for row in calibrate(name, SIZES.get(name, SIZE)) if not row.passes]
    assert not failing, pd.DataFrame(failing).to_string()
