"""What a generator's gain is made of and what it costs, on planted worlds with known answers.

Sizes are those of `planted_generation`. Numbers are printed, so that a log shows what was measured.

Shapes: M targets, N rows of a block.
"""

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio import windows
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.generation.cost_config import LadderSection, ShareSection, SizesSection
from engram_audio.generation.data import codes_of_rows
from engram_audio.generation.evaluation import LAG_FRAMES
from engram_audio.generation.frame_scores import FrameScores, score_frames
from engram_audio.generation.ladder import BEYOND, Multiplier, Point, multiplier_of
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.names import COST_SHARE, LAW_SHARE, MEAN_GATE
from engram_audio.generation.probes import clamp, donors, flip, visits
from engram_audio.generation.probes.codes import CodeBook, code_book
from engram_audio.generation.share import Sweep, minimum_of
from engram_audio.generation.variants import Family, Sized, variants_of
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.seeds import named_generator
from engram_audio.numerics.units import LOG_2PI
from tests.statistical.planted_generation import Arena, Scored, arena, trained
from tests.statistical.planted_probes import exact_law, symbols_of, two_gaussians_law
from tests.statistical.test_generation_acceptance import BIGRAMS

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)  # of what has an interval
PROBED = (0, 1)
DELTA = 0.02
BATCH = 32
PAIRS = 400


@functools.cache
def world(name: str) -> Arena:
    return arena(name, num_symbols=256) if name == "table" else arena(name)


@functools.cache
def member(name: str, arm: ArmName, seed: int) -> Scored:
    return trained(world(name), arm, seed)


class Heard(NamedTuple):
    """Eval frames of a world with what probes look up.

    Attributes:
        block: Eval speakers.
        targets: Rows told, [M].
        speakers: Theirs, [M].
        codes: Of all rows, [N].
        book: Train's codes.
    """

    block: LatentBlock
    targets: np.ndarray
    speakers: np.ndarray
    codes: torch.Tensor
    book: CodeBook


def train_block(own: Arena) -> LatentBlock:
    material = own.planted.material
    part_of = material.part_of
    is_train = np.array([part_of[str(n)] == TRAIN for n in material.block.utterance_ids])
    block = material.block
    rows = np.concatenate([
        np.arange(*block.offsets[[number, number + 1]]) for number in np.flatnonzero(is_train)
    ])  # fmt: skip
    lengths = np.diff(block.offsets)[is_train]
    return block._replace(
        frames=block.frames[rows], energy=block.energy[rows],
        offsets=np.concatenate([[0], lengths.cumsum()]),
        utterance_ids=block.utterance_ids[is_train], speaker_ids=block.speaker_ids[is_train],
        is_scored=None,
    )  # fmt: skip


@functools.cache
def heard(name: str) -> Heard:
    return heard_of(world(name), member(name, "SM", 0).model)


def heard_of(own: Arena, model: Generator) -> Heard:
    block, train = own.planted.noisy, train_block(own)
    codes, of_train = (
        codes_of_rows(model.key, torch.from_numpy(one.frames), one.offsets)
        for one in (block, train)
    )
    book = code_book(of_train.numpy(), train.frames, own.dimensions.frame_sd, model.key.num_codes)
    targets = targets_of(block, own.settings.burn_in_frames, LAG_FRAMES)
    utterance = windows.utterance_of_rows(block.offsets, targets)
    speakers = np.asarray(block.speaker_ids, dtype=str)[utterance]
    return Heard(block, targets, speakers, codes, book)


def scores_of(model: Generator, of: Heard) -> FrameScores:
    codes = of.codes if model.arm.reads_codes else None
    return score_frames(model, of.block, of.targets, codes, BATCH)


def ratio(table: pd.DataFrame, **wanted: str) -> float:
    own = table
    for name, value in wanted.items():
        own = own.loc[own[name] == value]
    return float(own["numerator"].to_numpy(float).sum() / own["denominator"].to_numpy(float).sum())


# The flip.


def symbol_of_code(table: SymbolTable, own: Arena) -> np.ndarray:
    """The symbol of each code's centroid."""
    return symbols_of(table, own.key.cells["centroids"])


def test_a_flip_tells_the_share_that_comes_from_the_table():
    """The exact law by the code first; then SM, foreign keys, one row, and no memory at all."""
    own, of = world("table"), heard("table")
    table = own.planted.world
    assert isinstance(table, SymbolTable)
    pairs = flip.choose_pairs(
        of.block, of.targets, of.codes.numpy(), of.book, PAIRS, named_generator(0, "flip")
    )
    utterance = windows.utterance_of_rows(of.block.offsets, pairs.first)
    speakers = np.asarray(of.block.speaker_ids, dtype=str)[utterance]
    law = flip.differences(pairs, exact_law(table, of.block, symbol_of_code(table, own)))
    print(f"law: own {law.own.mean():.3f}, filler {law.filler.mean():.3f}")
    assert law.net.mean() == pytest.approx(8.07, abs=0.3)
    broad = flip.differences(
        pairs, two_gaussians_law(table, of.block, symbol_of_code(table, own))
    ).net.mean()
    print(f"law of a head with one broad component: {broad:.3f}")
    assert broad == pytest.approx(17.3, abs=0.7)
    shares: dict[str, list[float]] = {}
    for arm in ("SM", "SMx", "SM1", "S"):
        for seed in PROBED:
            model = member("table", arm, seed).model
            found = flip.differences(pairs, flip.law_of_model(model, of.block, of.codes))
            table_of = flip.flip_sums(found, law, speakers)
            shares.setdefault(arm, []).append(ratio(table_of, measure=LAW_SHARE))
            print(f"{arm} seed {seed}: own {found.own.mean():.3f}, filler "
                  f"{found.filler.mean():.3f}, share {shares[arm][-1]:.3f}")  # fmt: skip
    assert shares["SM1"] == shares["S"] == [0.0] * len(PROBED)
    assert np.abs(shares["SMx"]).max() < 0.05
    # A wrong code costs the model what its own family makes of a jump, more than the law does.
    # The bounds are errors of a fit in 8 dimensions, of 17.3 nats. A narrow SD that is 25 % too
    # wide takes .95 * 8 ln 1.25 = 1.7 (.9). A broad component of a tenth of its weight adds
    # .95 ln 10 = 2.2, and one of twice its SD .95 * (8 ln 2 - 3) = 2.4, below the 5.2 of 1.3.
    of_family = np.array(shares["SM"]) * law.net.mean() / broad
    assert of_family.min() > 0.9 and of_family.max() < 1.3


# The gate.


def clamp_table(own: Arena, of: Heard, memory: Generator, small: Generator) -> pd.DataFrame:
    plain, nll = scores_of(memory, of), scores_of(small, of).nll.double().numpy()
    levels = {clamp.condition_of(level): level for level in clamp.LEVELS}
    levels[MEAN_GATE] = float(plain.gate.mean())
    constant = {}
    for name, level in levels.items():
        with clamp.clamped(memory, level):
            constant[name] = scores_of(memory, of)
    found = clamp.clamp_sums(plain, constant, nll, of.speakers)
    gain = float(nll.mean() - plain.nll.double().mean())
    shares = {name: round(ratio(found, condition=name, measure=COST_SHARE), 4)
              for name in constant}  # fmt: skip
    aurocs = [round(ratio(found, measure=name), 3)
              for name in (clamp.OVER_SMALL, clamp.OVER_CLOSED)]  # fmt: skip
    print(f"gain over S {gain:.3f}, mean gate {levels[MEAN_GATE]:.3f}, cost over gain {shares}, "
          f"AUROC over S and over a closed gate {aurocs}")  # fmt: skip
    return found


@pytest.mark.parametrize("seed", PROBED)
def test_an_open_gate_selects_nothing_on_a_table(seed: int):
    of = heard("table")
    memory, small = (member("table", arm, seed).model for arm in ("SM", "S"))
    found = clamp_table(world("table"), of, memory, small)
    assert ratio(found, condition=MEAN_GATE, measure=COST_SHARE) < 0.05
    assert ratio(found, condition=clamp.CLOSED, measure=COST_SHARE) > 1


def half_noise(block: LatentBlock, mean: np.ndarray, sd: np.ndarray, seed: int) -> LatentBlock:
    """The second half of every utterance is white noise of the train mean and SD."""
    frames = block.frames.copy()
    rng = named_generator(seed, "half noise")
    for start, stop in zip(block.offsets[:-1], block.offsets[1:], strict=True):
        middle = (start + stop) // 2
        drawn = rng.normal(size=(stop - middle, frames.shape[1]))
        frames[middle:stop] = mean + sd * drawn
    return block._replace(frames=frames)


@functools.cache
def half_world() -> Arena:
    """The table whose utterances end in white noise; key, base and sizes are the table's."""
    own = world("table")
    planted, at = own.planted, own.dimensions
    material = planted.material
    block = half_noise(material.block, at.frame_mean, at.frame_sd, 1)
    return own._replace(planted=planted._replace(
        material=material._replace(block=block),
        noisy=half_noise(planted.noisy, at.frame_mean, at.frame_sd, 2),
    ))  # fmt: skip


def place_in_half(block: LatentBlock, targets: np.ndarray) -> np.ndarray:
    """Frames of each target after the middle of its utterance, [M]; the first noise frame is 0."""
    utterance = windows.utterance_of_rows(block.offsets, targets)
    return targets - (block.offsets[utterance] + block.offsets[utterance + 1]) // 2


def noise_law(own: Arena, frames: np.ndarray) -> np.ndarray:
    """Log density of frames [M, D] under the white noise of the second halves, [M]."""
    at = own.dimensions
    squares = (((frames - at.frame_mean) / at.frame_sd) ** 2).sum(1)
    return -0.5 * squares - np.log(at.frame_sd).sum() - 0.5 * len(at.frame_sd) * LOG_2PI


def test_a_gate_that_alone_selects_costs_its_entropy():
    """The exact law first: p = g p(x | code) + (1 - g) noise, with g 1 or 0 as the half has it.

    Its mean in its place costs the entropy of the gate: .68 nats per frame, as much as 5 % of a
    gain of 13.6. The first noise frame, which no past tells, is left out.
    """
    own, table = half_world(), world("table").planted.world
    assert isinstance(table, SymbolTable)
    block = own.planted.noisy
    targets = targets_of(block, own.settings.burn_in_frames, LAG_FRAMES)
    place = place_in_half(block, targets)
    targets, place = targets[place != 0], place[place != 0]
    gate = (place < 0).astype(float)
    codes = symbols_of(table, block.frames)
    of_code = exact_law(table, block)(targets - 1, codes[targets - 1])
    noise = noise_law(own, block.frames[targets].astype(np.float64))

    def nll(open_share: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return -np.logaddexp(np.log(open_share) + of_code, np.log(1 - open_share) + noise)

    mean = gate.mean()
    cost = (nll(np.full(len(gate), mean)) - nll(gate)).mean()
    entropy = -mean * np.log(mean) - (1 - mean) * np.log(1 - mean)
    print(f"mean gate {mean:.3f}: costs {cost:.4f} nats, its entropy is {entropy:.4f}")
    # A frame of the table is 8 ln(1 / .15) = 15 nats below the noise, so the halves hardly overlap.
    assert cost == pytest.approx(entropy, abs=0.01)


@pytest.mark.parametrize("seed", PROBED)
def test_a_gate_need_not_select_what_the_head_selects(seed: int):
    """SM's gate stays open in noise, and its mean costs nothing: the blocks behind it select.

    A model that cannot tell the halves apart puts half of its law on each: ln 2 per frame. SM's
    law in noise is nearer to the exact one than half of that, so a right gate has little to add.
    """
    own = half_world()
    memory, small = (trained(own, arm, seed).model for arm in ("SM", "S"))
    of = heard_of(own, memory)
    found = clamp_table(own, of, memory, small)
    nll = scores_of(memory, of).nll.double().numpy()
    place = place_in_half(of.block, of.targets)
    noise = noise_law(own, of.block.frames[of.targets].astype(np.float64))
    left = float((nll + noise)[place >= 2].mean())  # from the second on its context is noise alone
    print(f"seed {seed}: {left:.3f} nats above the exact law of the noise")
    assert ratio(found, condition=MEAN_GATE, measure=COST_SHARE) < 0.05
    assert -0.05 < left < np.log(2) / 2


# Visits and donors.


def test_gains_rise_with_visits_of_the_bigram():
    """The order of two frames is what the memory reads; a pair seen often is told better."""
    own = arena("table_second_order", BIGRAMS, num_symbols=256)
    memory, small = (trained(own, arm, 0).model for arm in ("SM", "S"))
    of, train = heard_of(own, memory), train_block(own)
    count = memory.key.num_codes
    of_train = codes_of_rows(memory.key, torch.from_numpy(train.frames), train.offsets).numpy()
    seen = visits.ngrams(of_train, train.offsets, 2, count)
    asked = visits.ngrams(of.codes.numpy(), of.block.offsets, 2, count)[of.targets - 1]
    nll = scores_of(small, of).nll.double().numpy()
    found = visits.visit_sums(
        visits.visits_of(asked, seen), scores_of(memory, of), nll, of.speakers
    )
    gains = []
    for name in visits.bucket_names():
        share = ratio(found, condition=name, measure=visits.SHARE)
        if share > 0.001:
            gains.append(ratio(found, condition=name, measure=visits.GAIN))
            write = ratio(found, condition=name, measure=visits.WRITE)
            print(f"{name} visits: share {share:.3f}, gain {gains[-1]:.3f}, write {write:.3f}")
    assert len(gains) >= 3 and gains == sorted(gains)


def test_donor_rows_cost_on_a_table_and_the_mean_row_less_than_a_wrong_one():
    of, model = heard("table"), member("table", "SM", 0).model
    rows = of.targets[:: max(len(of.targets) // 2000, 1)] - 1
    codes = of.codes.numpy()[rows]
    speakers = of.speakers[:: max(len(of.targets) // 2000, 1)]
    given = donors.donors_of(of.book, named_generator(0, "donors"))
    law = flip.law_of_model(model, of.block, of.codes)
    found = donors.donor_sums(law, rows, codes, given, speakers)
    own = scores_of(model, of).nll.double().numpy()
    knocked = {}
    with donors.averaged(model):
        knocked[donors.MEAN_ROW] = scores_of(model, of).nll.double().numpy()
    with clamp.clamped(model, 0.0):
        knocked[donors.CLOSED] = scores_of(model, of).nll.double().numpy()
    found = pd.concat([found, donors.knock_out_sums(own, knocked, of.speakers)])
    costs = {name: ratio(found, condition=name) for name in set(found["condition"])}
    print({name: round(cost, 3) for name, cost in costs.items()})
    assert costs[donors.RANDOM] > 5 and costs[donors.MEAN_ROW] > 2
    assert costs[donors.NEAREST] < costs[donors.RANDOM], "the nearest code may be of one symbol"


# Cost at fixed quality.


def sizes(**asked: LadderSection | ShareSection) -> SizesSection:
    return SizesSection(**{"ladder": None, "share_sweep": None, "wider": None, **asked})


def family(own: Arena) -> Family:
    return Family(own.settings, own.insertion, own.key, own.dimensions, own.base)


def sized_run(own: Arena, arm: ArmName, sized: Sized, seed: int) -> Scored:
    changed = own._replace(insertion=sized.insertion, sizes={**own.sizes, arm: sized.settings})
    return trained(changed, arm, seed)


def sums_by_speaker(own: Arena, models: list[Generator]) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the NLL on eval and frames behind them, [R, S]."""
    of = heard_of(own, models[0]) if models[0].arm.reads_codes else None
    block = own.planted.noisy
    targets = targets_of(block, own.settings.burn_in_frames, LAG_FRAMES)
    utterance = windows.utterance_of_rows(block.offsets, targets)
    _, speaker = np.unique(np.asarray(block.speaker_ids, str)[utterance], return_inverse=True)
    codes = None if of is None else of.codes
    nll = [score_frames(m, block, targets, codes, BATCH).nll.double().numpy() for m in models]
    sums = np.stack([np.bincount(speaker, weights=own_nll) for own_nll in nll])
    return sums, np.broadcast_to(np.bincount(speaker), sums.shape).astype(float)


def multiplier(name: str, factors: tuple[float, ...]) -> Multiplier:
    own = world(name)
    points, counts = [], np.empty(0)
    asked = variants_of(
        family(own), sizes(ladder=LadderSection(work_factors=factors, num_samples=2))
    )
    for arm in ("S", "F"):
        found = [member(name, arm, seed) for seed in SEEDS]
        sums, counts = sums_by_speaker(own, [one.model for one in found])
        points.append(Point(found[0].budget.flops_generated, sums))
        print(f"{arm}: work {points[-1].budget}, NLL {(sums.sum() / counts.sum()):.3f}")
    for variant, sized in asked.items():
        found = [sized_run(own, "S", sized, seed) for seed in SEEDS]
        sums, counts = sums_by_speaker(own, [one.model for one in found])
        points.append(Point(found[0].budget.flops_generated, sums))
        print(f"{variant.label}: work {points[-1].budget}, NLL {(sums.sum() / counts.sum()):.3f}")
    found = [member(name, "SM", seed) for seed in SEEDS]
    sums, counts = sums_by_speaker(own, [one.model for one in found])
    work = found[0].budget.flops_generated
    print(f"SM: work {work}, NLL {(sums.sum() / counts.sum()):.3f}")
    result = multiplier_of(sums, work, points, counts, DELTA, 0.95)
    print(f"{name}: {result}")
    return result


def test_a_table_is_worth_more_than_three_times_the_work():
    found = multiplier("table", (2.0, 3.3))
    assert found.reach == BEYOND and found.low > 3


def test_a_linear_world_is_worth_no_work():
    """S itself comes within the margin of SM, at less work than SM's."""
    found = multiplier("var1", (2.0,))
    assert found.within_margin < 1 and not found.low > 1.1


def test_a_share_of_rows_beats_none_on_a_table_at_equal_numbers():
    own = world("table")
    shares = (0.2, 0.5)
    section = ShareSection(shares=shares, held=("num_resident",))
    sums, choice, counts = [], [], np.empty(0)
    for variant, sized in variants_of(family(own), sizes(share_sweep=section)).items():
        found = [sized_run(own, variant.arm, sized, seed) for seed in SEEDS]
        of_share, counts = sums_by_speaker(own, [one.model for one in found])
        sums.append(of_share)
        choice.append(float(np.mean([one.nll for one in found])))  # the test chooses nothing else
        print(f"share {variant.value}: numbers {found[0].budget.num_resident}, work "
              f"{found[0].budget.flops_generated}, width {sized.settings.width}, NLL "
              f"{of_share.sum() / counts.sum():.3f}")  # fmt: skip
    result = minimum_of(Sweep((0.0, *shares), np.array(choice), np.stack(sums), counts), 0.95)
    print(result)
    assert result.best > 0 and result.depth.low > 0


def test_a_share_of_rows_is_not_resolved_where_nothing_is_to_be_looked_up():
    own = world("var1")
    section = ShareSection(shares=(0.3,), held=("num_resident",))
    sums, counts = [], np.empty(0)
    for variant, sized in variants_of(family(own), sizes(share_sweep=section)).items():
        found = [sized_run(own, variant.arm, sized, seed) for seed in SEEDS]
        of_share, counts = sums_by_speaker(own, [one.model for one in found])
        sums.append(of_share)
        print(f"share {variant.value}: NLL {of_share.sum() / counts.sum():.4f}")
    choice = np.array([own_sums.sum() for own_sums in sums])
    result = minimum_of(Sweep((0.0, 0.3), choice, np.stack(sums), counts), 0.95)
    print(result)
    assert not result.depth.gain > DELTA and result.word != "U-SHAPED"


def test_probes_are_null_on_a_linear_world():
    of = heard("var1")
    pairs = flip.choose_pairs(
        of.block, of.targets, of.codes.numpy(), of.book, PAIRS, named_generator(0, "flip")
    )
    for seed in PROBED:
        memory, small = (member("var1", arm, seed).model for arm in ("SM", "S"))
        found = flip.differences(pairs, flip.law_of_model(memory, of.block, of.codes))
        nll, plain = scores_of(small, of).nll.double().numpy(), scores_of(memory, of)
        with clamp.clamped(memory, 0.0):
            closed = float((scores_of(memory, of).nll - plain.nll).double().mean())
        with donors.averaged(memory):
            mean_row = float((scores_of(memory, of).nll - plain.nll).double().mean())
        gain = float(nll.mean() - plain.nll.double().mean())
        print(f"seed {seed}: flip {found.net.mean():.4f}, closed gate costs {closed:.4f}, mean row "
              f"{mean_row:.4f}, gain over S {gain:.4f}")  # fmt: skip
        assert abs(found.net.mean()) < 0.05 and abs(gain) < DELTA
        assert abs(closed) < 0.05 and abs(mean_row) < 0.05
