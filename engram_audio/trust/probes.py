"""What looks for planted bugs: rows with a known value, each sensitive to one kind of mistake.

Shapes: S speakers, K cells.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from engram_audio.calibration.added import hidden_key_added, linear_r2
from engram_audio.calibration.config import SabotageSection
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import simulate
from engram_audio.latents import var
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.slices import LOUD_QUANTILE
from engram_audio.stats import estimate
from engram_audio.stats.estimate import Estimate, Uncertain, t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure import cells, comparisons, estimates
from engram_audio.structure.linear import linear_context
from engram_audio.structure.linear_model import fit_linear_model
from engram_audio.structure.material import Material, memory_bytes, prepare
from engram_audio.structure.oracle import score_oracle
from engram_audio.structure.scoring import ScoringPlan, score_labelings
from engram_audio.structure.targets import EVAL, TRAIN
from engram_audio.trust.bug import FACTORIZER, GENERATION, KEYS, MEMORY, ROLLOUT
from engram_audio.trust.bugs import GATE, KEY, NUMBER, SLICE, STILL, TWIN, WORLD
from engram_audio.trust.gate_probe import gate_rows
from engram_audio.trust.keys_probe import keys_rows
from engram_audio.trust.measurement import (
    Analysis,
    Planted,
    closed_forms,
    measure,
    measure_hidden_key,
    parts_of,
    tables_of,
)

Probe = Callable[[], list[CalibrationRow]]
WORLDS = ("iid", "var1", "type1")  # closed forms, one for each kind of answer
# Hidden key alone, so wide that a speaker's sum of squares (frames x D) passes 65,504, the largest
# number in half precision.
WIDE_DIMS = 256
USELESS_CELLS = 64
TWIN_ORDER = 4  # reaches back to the frames that delta rests on at a period of 3
NUM_STUDIES, STUDY_SPEAKERS = 2000, 8
SPLIT_SEEDS = (0, 1)
EVAL_COLUMNS = ("added", "linear_r2", "ratio", "added_nats_per_frame", "excluded_mass")


def make_probes(section: SabotageSection, analysis: Analysis) -> dict[str, Probe]:
    """Return all probes by name; their worlds are simulated once.

    Args:
        section: Sizes of the worlds.
        analysis: Settings, cut down to one small key.
    """

    def plant(name: str, **parameters: int) -> Planted:
        size = WorldSize(
            section.num_train_speakers, section.num_eval_speakers,
            section.num_utterances_per_speaker,
        )  # fmt: skip
        world = make_world(name, section.seed, **parameters)
        return closed_forms(name, world, simulate(world, size), analysis.section.lags_frames)

    motifs, narrow = plant("type2"), plant("type2", num_dims=4)
    wide = plant("type2", num_dims=WIDE_DIMS)._replace(name=f"type2, D = {WIDE_DIMS}")
    worlds = [plant(name) for name in WORLDS]
    linear = plant("seasonal", period=3)
    return {
        WORLD: lambda: [row for one in worlds for row in measure(one, analysis)],
        STILL: lambda: list(_stillness(motifs, analysis)),
        KEY: lambda: [*_hidden(narrow, analysis), *measure_hidden_key(wide, analysis)],
        SLICE: lambda: list(_slices(motifs, analysis)),
        NUMBER: lambda: list(_statistics()),
        TWIN: lambda: list(_twins(linear)),
        GATE: gate_rows,
        FACTORIZER: _of_factorizer,
        MEMORY: _of_memory,
        ROLLOUT: _of_rollout,
        KEYS: keys_rows,
        GENERATION: _of_generation,
    }


def _of_factorizer() -> list[CalibrationRow]:
    from engram_audio.trust.factorizer_probe import factorizer_rows  # networks

    return factorizer_rows()


def _of_memory() -> list[CalibrationRow]:
    from engram_audio.trust.memory_probe import memory_rows  # networks

    return memory_rows()


def _of_rollout() -> list[CalibrationRow]:
    from engram_audio.trust.rollout_probe import rollout_rows  # networks

    return rollout_rows()


def _of_generation() -> list[CalibrationRow]:
    from engram_audio.trust.generation_probe import generation_rows  # networks

    return generation_rows()


def _exact(world: str, stage: str, quantity: str, truth: float, measured: float, tolerance: float
           ) -> CalibrationRow:  # fmt: skip
    return compare(world, stage, Truth(quantity, 0, truth), measured, 0.0, resolution=tolerance)


def _stillness(planted: Planted, analysis: Analysis) -> Iterator[CalibrationRow]:
    """Numbers of val do not move when eval speakers are others, nor those of eval with val."""
    before = _published(planted, analysis, lambda frames, _: frames)
    for changed, watched in (("eval", "val"), ("val", "eval")):

        def other(frames: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            scale = np.linspace(0.2, 3.0, frames.shape[1])
            return np.where(chosen[:, None], scale * frames + 30, frames)

        after = _published(planted, analysis, other, changed)
        for column in EVAL_COLUMNS:
            yield _exact(
                planted.name, "structure", f"{column} of {watched} with another {changed}",
                before[watched, column], after[watched, column], 1e-4,
            )  # fmt: skip


def _published(
    planted: Planted, analysis: Analysis, change: Callable[[np.ndarray, np.ndarray], np.ndarray],
    part: str = "eval",
) -> dict[tuple[str, str], float]:  # fmt: skip
    """Return columns of the key's rows at the registered lag, by part."""
    part_of = parts_of(planted.draw, 0)
    block = planted.draw.block
    is_part = np.array([part_of[name] == part for name in block.utterance_ids])
    chosen = np.repeat(is_part, np.diff(block.offsets))
    block = block._replace(frames=change(block.frames, chosen).astype(np.float32))
    draw = planted.draw._replace(block=block)
    material = prepare(lambda: iter([block]), part_of, analysis.section)
    table, _ = tables_of(planted._replace(draw=draw), material, part_of, analysis)
    wanted = table["key"].isin(list(analysis.keys)) & (table["subspace"] == "all")
    rows = table.loc[wanted & (table["lag_frames"] == analysis.lag_frames)].set_index("part")
    parts = ("val", "eval")
    return {(p, name): float(rows.loc[p, name]) for p in parts for name in EVAL_COLUMNS}


def _hidden(planted: Planted, analysis: Analysis) -> Iterator[CalibrationRow]:
    """The world's own key adds to ridge what second moments say; useless labels add nothing."""
    part_of = parts_of(planted.draw, 0)
    material = prepare(lambda: iter([planted.draw.block]), part_of, analysis.section)
    yield from measure_hidden_key(planted, analysis)
    plan = _plan(material, analysis.lag_frames)
    rows = plan.targets.rows[0]
    phase = planted.draw.hidden["phase"][rows - analysis.lag_frames].astype(np.int64)
    random = np.random.default_rng(0).integers(USELESS_CELLS, size=len(rows))
    window = analysis.section.window_frames
    known = {
        "hidden key": (phase, hidden_key_added(planted.world, analysis.lag_frames, window) or 0.0),
        "useless key": (random, 0.0),
    }
    for label, (codes, truth) in known.items():
        labeling = cells.make_labeling(codes, plan.targets.part, int(codes.max()) + 1, 1)
        scored = next(
            iter(score_labelings(plan, [labeling], [False], memory_bytes(analysis.section)))
        )
        yield _added_row(planted.name, f"added by the {label}", truth, scored.speakers.sums)
    labeling = cells.make_labeling(random, plan.targets.part, USELESS_CELLS, 1)
    sums = score_oracle(plan, labeling).sums
    yield _added_row(planted.name, "attainable by useless cells", 0.0, sums)


def _plan(material: Material, lag: int) -> ScoringPlan:
    data, section = material.places["all", lag], material.section
    linear = fit_linear_model(linear_context(material, "all", lag), section.linear_ridges)
    return ScoringPlan(
        material.source, data.targets, data.normalization, material.num_speakers, section, linear
    )


def _added_row(
    name: str, quantity: str, truth: float, sums: dict[str, np.ndarray]
) -> CalibrationRow:
    linear, joint, cost, zero = (
        sums[key][EVAL, :, 0] for key in ("sse_linear", "sse_joint", "cost_joint", "sse_zero")
    )
    added = uncertain(ratio_of_sums(linear - joint + cost, zero))
    # ridge is fitted too, and misses a little of the exact R^2 that a key may find
    return compare(name, "structure", Truth(quantity, 0, truth), float(added.value),
                   float(added.se), loss_above=0.05 * truth)  # fmt: skip


def _slices(planted: Planted, analysis: Analysis) -> Iterator[CalibrationRow]:
    """Targets have variance 1 in every slice; speech holds the frames that its definition says.

    Energies are made up: each frame is loud or quiet by a coin, each speaker has a level, and loud
    frames are louder where the latents are, so that slices differ.
    """
    block = _with_energies(planted.draw.block)
    lag, lags = analysis.lag_frames, analysis.section.lags_frames
    section = analysis.section.model_copy(update={"slices": ("all", "speech", "medial")})
    part_of = parts_of(planted.draw, 0)
    material = prepare(lambda: iter([block]), part_of, section)
    for name in ("all", "speech", "medial"):
        targets, normalization = material.places[name, lag]
        rows = targets.rows[0][targets.part == TRAIN]
        square = float(np.mean(normalization.apply(block.frames, rows) ** 2, dtype=np.float64))
        yield _exact(planted.name, "structure", f"variance of targets in {name}", 1.0, square, 1e-3)
    for own in lags:
        count = len(material.places["speech", own].targets.rows[0])
        expected = _count_speech(block, material.places["all", own].targets.rows[0], own,
                                 section.speech_range_db)  # fmt: skip
        yield _exact(
            planted.name, "structure", f"frames of speech at lag {own}", expected, count, 0.5
        )


def _with_energies(block: LatentBlock) -> LatentBlock:
    """Make frames loud or quiet; latents of loud ones are twice as large."""
    rng = np.random.default_rng(0)
    is_loud = rng.random(len(block.frames)) < 0.6
    _, speaker = np.unique(block.speaker_ids.astype(str), return_inverse=True)
    level = 10.0 ** rng.uniform(-3, 0, size=speaker.max() + 1)
    level = np.repeat(level[speaker], np.diff(block.offsets))
    energy = level * np.where(is_loud, 1.0, 1e-3) * rng.uniform(0.9, 1.1, len(is_loud))
    frames = block.frames * np.where(is_loud, 2.0, 1.0)[:, None]
    return block._replace(frames=frames.astype(np.float32), energy=energy.astype(np.float32))


def _count_speech(block: LatentBlock, rows: np.ndarray, lag: int, range_db: float) -> int:
    names = np.repeat(block.speaker_ids, np.diff(block.offsets)).astype(str)
    count = 0
    for name in np.unique(names):
        own = block.energy[names == name].astype(np.float64)
        floor = np.quantile(own, LOUD_QUANTILE) * 10 ** (-range_db / 20)
        mine = rows[names[rows] == name]
        count += int(np.sum(block.energy[mine - lag] > floor))
    return count


def _statistics() -> Iterator[CalibrationRow]:
    """Intervals against what they must be: leave-one-out, Student's t, coverage, quotients."""
    rng = np.random.default_rng(0)
    top, bottom = rng.gamma(2.0, size=(2, 6)) * np.array([8, 1, 1, 1, 1, 1.0])
    whole = ratio_of_sums(top, bottom)
    alone = [np.delete(top, s).sum() / np.delete(bottom, s).sum() for s in range(len(top))]
    # numerator and share are linear in the sums, so that the difference is exact
    gap = np.abs(estimate.deleted(whole) - (whole.value - np.array(alone))).max()
    yield _exact("", "statistics", "influence against leave-one-out", 0.0, float(gap), 1e-9)
    values = np.array([1.0, -1.0] * 4)
    equal = Estimate(np.array(0.0), values / 8, np.full(8, 1 / 8))
    interval = t_interval(estimate.uncertain(equal), 0.95)
    half = 2.3646243 * np.sqrt(8) / 7  # t(7) times SD / sqrt(S - 1)
    yield _exact("", "statistics", "half-width of 8 equal speakers", half, float(interval.high),
                 1e-4)  # fmt: skip
    third = np.array([10.0, *[1.0] * 20])
    yield _exact("", "statistics", "effective speakers, one with a third", 900 / 120,
                 float(estimate.effective_number(third)), 1e-9)  # fmt: skip
    sums = rng.standard_normal((NUM_STUDIES, STUDY_SPEAKERS)) + 3
    found = estimate.uncertain(ratio_of_sums(sums, np.ones_like(sums)))
    bounds = t_interval(found, 0.95)
    held = float(np.mean((bounds.low <= 3) & (bounds.high >= 3)))
    yield _exact("", "statistics", "coverage of 8 equal speakers", 0.95, held, 0.02)
    same = ratio_of_sums(sums, np.ones_like(sums))
    noise = estimate.uncertain(estimate.paired_difference(same, same))
    yield _exact(
        "", "statistics", "error of a number less itself", 0.0, float(noise.se.max()), 1e-9
    )
    loss = estimates.transfer_loss(_known(0.06), _known(0.1), 0.95)
    yield _exact("", "statistics", "transfer loss of .06 for .1", 0.4, float(loss.value), 1e-9)
    yield _exact("", "statistics", "its upper bound", 0.4230, float(loss.high), 0.001)


def _known(value: float) -> Uncertain:
    return Uncertain(np.array(value), np.array(0.001), np.array(50.0))


def _twins(planted: Planted) -> Iterator[CalibrationRow]:
    """The VAR twin of a linear world has its linear R^2 at lag 2."""
    block = planted.draw.of_split("train")
    twin = var.simulate_var(var.fit_var(lambda: [block], TWIN_ORDER), block, 0)
    truth = linear_r2(planted.world, 2, TWIN_ORDER - 1) or 0.0
    yield _exact(planted.name, "twins", "linear R^2 of the VAR twin", truth, _r2(twin), 0.03)
    moved = np.abs(_coefficients(planted, 1.0) - _coefficients(planted, 0.0)).max()
    yield _exact(
        planted.name, "twins", "coefficients with other eval speakers", 0.0, float(moved), 1e-9
    )
    found = [_seed_of_surrogate(seed) for seed in SPLIT_SEEDS]
    right = float(np.mean([own == seed for own, seed in zip(found, SPLIT_SEEDS, strict=True)]))
    yield _exact(planted.name, "twins", "surrogates of the own split", 1.0, right, 0.0)


def _coefficients(planted: Planted, mixing: float) -> np.ndarray:
    """Return the twin's coefficients where each frame of eval speakers holds some of the last."""
    part_of = parts_of(planted.draw, 0)
    block = planted.draw.block
    is_eval = np.array([part_of[str(name)] == "eval" for name in block.utterance_ids])
    share = np.where(np.repeat(is_eval, np.diff(block.offsets)), mixing, 0.0)[:, None]
    frames = block.frames + share * np.roll(block.frames, 1, axis=0)
    draw = planted.draw._replace(block=block._replace(frames=frames.astype(np.float32)))

    def blocks(names: set[str]) -> Iterator[LatentBlock]:
        chosen = np.isin(block.utterance_ids.astype(str), list(names))
        yield draw._replace(split_hint=np.where(chosen, "in", "out")).of_split("in")

    return var.fit_on_train(blocks, part_of, TWIN_ORDER).coefficients


def _seed_of_surrogate(seed: int) -> int:
    """Return the split seed of the surrogate that stands beside a representation."""
    names = ("made up", "made up--var")
    analysed = {
        (name, own): comparisons.Analysed(pd.DataFrame({"split_seed": [own]}), {})
        for name in names
        for own in SPLIT_SEEDS
    }
    found = comparisons.surrogates_of((names[0], seed), analysed)
    return int(found["var"].keys["split_seed"].iloc[0])


def _r2(block: LatentBlock) -> float:
    """Return R^2 of delta at lag 2 by least squares on the same frames."""
    rows = np.concatenate(
        [
            np.arange(a + TWIN_ORDER, b)
            for a, b in zip(block.offsets[:-1], block.offsets[1:], strict=True)
        ]
    )
    frames = block.frames.astype(np.float64)
    delta = frames[rows] - frames[rows - 1]
    context = np.concatenate([frames[rows - age] for age in range(2, TWIN_ORDER + 1)], axis=1)
    left = delta - context @ np.linalg.lstsq(context, delta, rcond=None)[0]
    return float(np.mean(1 - left.var(axis=0) / delta.var(axis=0)))
