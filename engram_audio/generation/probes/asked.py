"""Every probe of one seed's arms on the same eval frames.

Shapes: M targets, N rows of a block.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.fit import Material
from engram_audio.generation.arms import build_arm
from engram_audio.generation.cost_config import ProbeName, ProbesSection
from engram_audio.generation.data import codes_of_rows
from engram_audio.generation.evaluation import LAG_FRAMES
from engram_audio.generation.frame_scores import FrameScores, score_frames
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ARMS, ArmName
from engram_audio.generation.names import FLIP, LAW, MEAN_GATE
from engram_audio.generation.probes import clamp, donors, drift, flip, readouts, visits
from engram_audio.generation.probes.codes import CodeBook, code_book
from engram_audio.generation.probes.flip import LawOfCode
from engram_audio.generation.probes.key_law import fit_key_law, law_of_key
from engram_audio.generation.probes.states import states_of
from engram_audio.generation.probes.sums import COLUMNS, speaker_sums
from engram_audio.generation.word import AS_MUCH_WORK, FOREIGN, MEMORY, ONE_ROW, SMALL
from engram_audio.keys.bank import BankSection
from engram_audio.keys.law_weights import Parts
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.kmeans import evenly
from engram_audio.numerics.seeds import named_generator, named_seed

UNTRAINED = "untrained."
FLIPPED: tuple[ArmName, ...] = (MEMORY, FOREIGN, ONE_ROW)
READ_OUT: tuple[ArmName, ...] = (SMALL, MEMORY, AS_MUCH_WORK)


class Side(NamedTuple):
    """Utterances with their codes and the targets among them.

    Attributes:
        block: Whole utterances.
        codes: Of all rows, [N].
        targets: Rows that are told, [M].
    """

    block: LatentBlock
    codes: Tensor
    targets: np.ndarray

    @property
    def speakers(self) -> np.ndarray:
        """Of the targets, [M]."""
        return self.speakers_of(self.targets)

    def speakers_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the speakers of some rows."""
        utterance = windows.utterance_of_rows(self.block.offsets, rows)
        return np.asarray(self.block.speaker_ids, dtype=str)[utterance]

    def whole_keys(self, num_codes: int) -> np.ndarray:
        """Return the rows before the targets whose key is whole."""
        rows = self.targets - 1
        return rows[self.codes.numpy()[rows] < num_codes]

    def scores(self, model: Generator, batch_utterances: int) -> FrameScores:
        """Return the scores of the targets, a memory's codes looked up once."""
        codes = self.codes if model.arm.reads_codes else None
        return score_frames(model, self.block, self.targets, codes, batch_utterances)


class Ground(NamedTuple):
    """What all arms are asked on.

    Attributes:
        train: Train and choice utterances; the targets are train's.
        choice: The same utterances; the targets are the choice part's.
        held: Eval utterances.
        book: Train's codes.
        frame_sd: SD of the train frames, [D].
        batch_utterances: Utterances at a time.
        section: How many frames and pairs.
    """

    train: Side
    choice: Side
    held: Side
    book: CodeBook
    frame_sd: np.ndarray
    batch_utterances: int
    section: ProbesSection

    @property
    def num_codes(self) -> int:
        """K."""
        return len(self.book.visits)

    def generator(self, name: str) -> np.random.Generator:
        """Return the draws of a probe, the same for every arm and seed."""
        return named_generator(self.section.seed, "probes", name)


def ground_of(
    model: Generator, material: Material, held: LatentBlock, section: ProbesSection,
    batch_utterances: int,
) -> Ground:  # fmt: skip
    """Index what probes ask on; the codes are those of any arm of the job, which has one key."""
    block = material.block
    sides = {}
    for name, own in (("fitted", block), ("held", held)):
        frames = torch.from_numpy(np.ascontiguousarray(own.frames, np.float32))
        sides[name] = codes_of_rows(model.key, frames, own.offsets)
    targets = targets_of(block, material.window_frames, LAG_FRAMES)
    part = np.array([material.part_of[str(name)] for name in block.utterance_ids])
    rows = np.arange(len(block.frames))
    of_rows = part[windows.utterance_of_rows(block.offsets, rows)]
    is_train = of_rows == TRAIN
    train, choice = (targets[of_rows[targets] == p] for p in (TRAIN, material.choice_part))
    sd, codes = material.reference.frame_sd, sides["fitted"]
    book = code_book(codes.numpy()[is_train], block.frames[is_train], sd, model.key.num_codes)
    return Ground(
        Side(block, codes, train), Side(block, codes, choice),
        Side(held, sides["held"], targets_of(held, material.window_frames, LAG_FRAMES)),
        book, sd, batch_utterances, section,
    )  # fmt: skip


def ask(
    models: Mapping[ArmName, Generator], seed: int, ground: Ground, law: LawOfCode | None
) -> pd.DataFrame:
    """Return the sums of every probe that is asked, for all arms of one training seed.

    Args:
        models: Arms by name, in evaluation mode on their device; S and SM are among them.
        seed: Their seed.
        ground: What they are asked on.
        law: The key's own law of eval frames; needed where `flip` is asked.
    """
    askers: dict[ProbeName, Callable[[], list[pd.DataFrame]]] = {
        "clamp": lambda: _clamp(models, ground),
        "flip": lambda: _flip(models, ground, law),
        "donors": lambda: _donors(models[MEMORY], ground),
        "visits": lambda: _visits(models, ground),
        "drift": lambda: _drift(models, seed),
        "readouts": lambda: _readouts(models, seed, ground),
    }
    found = [part for name in ground.section.of_arms for part in askers[name]()]
    return joined(found, seed)


def joined(parts: list[pd.DataFrame], seed: int) -> pd.DataFrame:
    """Return all sums of a seed; an empty table where no probe had anything to ask."""
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, "arm", "seed"])
    return pd.concat(parts, ignore_index=True).assign(seed=seed)


def key_law(ground: Ground, section: BankSection) -> LawOfCode:
    """Fit the key's own law on train and return it for eval frames."""
    sides = (ground.train, ground.choice)
    rows = [evenly(side.whole_keys(ground.num_codes), section.maximum_frames) for side in sides]
    both, frames = np.concatenate(rows), ground.train.block.frames
    of_train, of_choice = np.split(np.arange(len(both)), [len(rows[0])])
    parts = Parts(of_train, of_choice, np.empty(0, np.int64))
    fitted = fit_key_law(
        frames[both + 1] / ground.frame_sd, ground.train.codes.numpy()[both], parts,
        ground.num_codes, section, ground.section.seed,
    )  # fmt: skip
    following = np.roll(ground.held.block.frames, -1, 0) / ground.frame_sd
    return law_of_key(fitted, following)


def start_of(model: Generator, seed: int) -> Generator:
    """Return an arm as it was before its training."""
    spec = model.spec
    weights = torch.Generator().manual_seed(named_seed(seed, "generator", "weights"))
    start = build_arm(
        spec.arm, spec.settings, spec.insertion, spec.base, spec.key, spec.dimensions, weights,
        spec.row_sd,
    )  # fmt: skip
    return start.to(model.mean.device).eval()


def _small(models: Mapping[ArmName, Generator], ground: Ground) -> np.ndarray:
    return ground.held.scores(models[SMALL], ground.batch_utterances).nll.double().numpy()


def _clamp(models: Mapping[ArmName, Generator], ground: Ground) -> list[pd.DataFrame]:
    """Ask the gate of SM; a memory without one has nothing to ask."""
    model, size = models[MEMORY], ground.batch_utterances
    own = ground.held.scores(model, size)
    if not bool(own.gate.isfinite().all()):
        return []
    levels = {clamp.condition_of(level): level for level in clamp.LEVELS}
    levels[MEAN_GATE] = float(ground.choice.scores(model, size).gate.mean())
    constant = {}
    for name, level in levels.items():
        with clamp.clamped(model, level):
            constant[name] = ground.held.scores(model, size)
    found = clamp.clamp_sums(own, constant, _small(models, ground), ground.held.speakers)
    return [found.assign(arm=MEMORY)]


def _flip(
    models: Mapping[ArmName, Generator], ground: Ground, law: LawOfCode | None
) -> list[pd.DataFrame]:
    assert law is not None, "the key's law is fitted where flips are asked"
    held = ground.held
    pairs = flip.choose_pairs(
        held.block, held.targets, held.codes.numpy(), ground.book, ground.section.num_pairs,
        ground.generator(FLIP),
    )  # fmt: skip
    if not len(pairs.first):
        return []
    speakers = held.speakers_of(pairs.first)
    injected = flip.differences(pairs, law)
    found = [flip.flip_sums(injected, None, speakers).assign(arm=LAW)]
    for arm in FLIPPED:
        if arm in models:
            own = flip.differences(pairs, flip.law_of_model(models[arm], held.block, held.codes))
            found.append(flip.flip_sums(own, injected, speakers).assign(arm=arm))
    return found


def _donors(model: Generator, ground: Ground) -> list[pd.DataFrame]:
    held, size = ground.held, ground.batch_utterances
    rows = evenly(held.whole_keys(ground.num_codes), ground.section.num_frames)
    given = donors.donors_of(ground.book, ground.generator(donors.PROBE))
    at_frames = donors.donor_sums(
        flip.law_of_model(model, held.block, held.codes), rows, held.codes.numpy()[rows], given,
        held.speakers_of(rows),
    )  # fmt: skip
    knocked = {}
    with donors.averaged(model):
        knocked[donors.MEAN_ROW] = held.scores(model, size).nll.double().numpy()
    with clamp.clamped(model, 0.0):
        closed = held.scores(model, size)
    if bool(closed.gate.isfinite().all()):
        knocked[donors.CLOSED] = closed.nll.double().numpy()
    own = held.scores(model, size).nll.double().numpy()
    at_all = donors.knock_out_sums(own, knocked, held.speakers)
    return [part.assign(arm=MEMORY) for part in (at_frames, at_all)]


def _visits(models: Mapping[ArmName, Generator], ground: Ground) -> list[pd.DataFrame]:
    held, train = ground.held, ground.train
    order = max(models[MEMORY].spec.insertion.ngram_orders)
    of_train = visits.ngrams(
        train.codes.numpy(), train.block.offsets, order, ground.num_codes
    )[train.targets - 1]  # fmt: skip
    asked = visits.ngrams(held.codes.numpy(), held.block.offsets, order, ground.num_codes)
    counts = visits.visits_of(asked[held.targets - 1], of_train)
    small = _small(models, ground)
    own = held.scores(models[MEMORY], ground.batch_utterances)
    return [visits.visit_sums(counts, own, small, held.speakers).assign(arm=MEMORY)]


def _drift(models: Mapping[ArmName, Generator], seed: int) -> list[pd.DataFrame]:
    return [
        drift.drift_sums(model, start_of(model, seed)).assign(arm=arm)
        for arm, model in models.items()
        if ARMS[arm].source == "rows" and not ARMS[arm].are_rows_frozen
    ]


def _readouts(models: Mapping[ArmName, Generator], seed: int, ground: Ground) -> list[pd.DataFrame]:
    found = [
        _read_out(models[arm], ground, "").assign(arm=arm) for arm in READ_OUT if arm in models
    ]
    start = start_of(models[SMALL], seed)
    return [*found, _read_out(start, ground, UNTRAINED).assign(arm=SMALL)]


def _read_out(model: Generator, ground: Ground, prefix: str) -> pd.DataFrame:
    parts = [_parts(model, side, ground) for side in (ground.train, ground.choice, ground.held)]
    speakers = ground.held.speakers_of(_read_rows(ground.held, ground))
    found = []
    for name in parts[0]:
        train, choice, held = (part[name] for part in parts)
        nats, hits = readouts.read_code(train, choice, ground.num_codes).gains(held)
        frame = readouts.read_frame(train, choice).gains(held)
        measured = {readouts.CODE: nats, readouts.CODE_HIT: hits, readouts.FRAME: frame}
        found += [
            speaker_sums(readouts.PROBE, prefix + name, measure, speakers, values)
            for measure, values in measured.items()
        ]
    return pd.concat(found, ignore_index=True)


def _read_rows(side: Side, ground: Ground) -> np.ndarray:
    return evenly(side.whole_keys(ground.num_codes), ground.section.num_frames)


def _parts(model: Generator, side: Side, ground: Ground) -> dict[str, readouts.Part]:
    rows = _read_rows(side, ground)
    codes = side.codes if model.arm.reads_codes else None
    found = states_of(model, side.block, rows, codes, ground.batch_utterances)
    own, following = side.codes.numpy()[rows], side.block.frames[rows + 1]
    return {name: readouts.Part(values, own, following) for name, values in found.items()}
