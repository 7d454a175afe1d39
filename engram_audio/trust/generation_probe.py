"""Generators that nobody trained, and tables of gains: what must hold of them exactly.

A frame is told by those before it, and a later one changes nothing. An arm with foreign keys hears
those of another utterance. Wrong codes are those that their name says. A gain of half a nat is half
a nat, with the error that seeds give it. The word follows from the gains by rule.

Shapes: B sequences, T frames, D dimensions, R seeds, S speakers.
"""

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation import evaluation, gains, word
from engram_audio.generation.arms import build_arm
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import AnyInsertion, ArmName
from engram_audio.generation.model_config import InsertionSettings as Insertion
from engram_audio.keys.config import LastFrameKeys
from engram_audio.keys.fitted import FittedKey
from engram_audio.keys.quantizers import KMeans
from engram_audio.latents.block import LatentBlock
from engram_audio.verdicts.judge import MET, Judged, Measured
from engram_audio.verdicts.words import HELPS, NO_BENEFIT

STAGE, WORLD = "generation", "arms"
DIMS, CODES, UTTERANCES, FRAMES, WINDOW = 3, 6, 4, 20, 4
SETTINGS: dict[str, Any] = {
    "width": 16, "mlp_units": 16, "num_blocks": 1, "num_heads": 2, "context_frames": 8,
    "chunk_frames": 12, "burn_in_frames": 4, "short_context_frames": None, "dropout": 0.0,
    "noise": {"kind": "none"}, "key_reads": "noised",
    "head": {"kind": "gaussian_mixture", "num_components": 2, "log_sigma_range": [-7.0, 7.0],
             "output_scale": 0.1},
}  # fmt: skip
MEMORY: dict[str, Any] = {
    "kind": "minimal", "key": "newest.raw.kmeans_6", "ngram_orders": [1], "num_hashes": 1,
    "table_rows": None, "table_learning_rate_factor": 1.0, "places": ["head"], "row_width": 4,
}  # fmt: skip
HALF = 0.5  # nats that the better arm of `_gain_rows` is ahead by
SEED_SD = 0.1


def generation_rows() -> list[CalibrationRow]:
    """Return every comparison; no network is trained."""
    return [*_model_rows(), *_code_rows(), *_gain_rows(), *_word_rows()]


def _exact(quantity: str, truth: float, measured: float, tolerance: float = 1e-6) -> CalibrationRow:
    return compare(WORLD, STAGE, Truth(quantity, 1, truth), measured, 0.0, resolution=tolerance)


def _model_rows() -> list[CalibrationRow]:
    """Change the end of an utterance, or a whole one, and see which frames' nats move."""
    frames = _block().frames
    late, other = frames.copy(), frames.copy()
    late[FRAMES - 3 : FRAMES] += 2
    other[FRAMES : 2 * FRAMES] = other[FRAMES : 2 * FRAMES][::-1]
    moved = np.abs(_nll("SM", late) - _nll("SM", frames))
    # Of four utterances each one reads the keys of the second after it.
    heard = {name: _num_moved(name, frames, other) for name in ("SM", "SMx")}
    told = _told(frames[:FRAMES])
    return [
        _exact(
            "nats of a frame less those told before it came",
            0.0,
            float(_nll("SM", frames)[0, -1]) - told,
            1e-4,
        ),
        _exact("nats that later frames change", 0.0, float(moved[0, :-3].max())),
        _exact("utterances that one's frames reach, own keys", 1.0, heard["SM"]),
        _exact("utterances that one's frames reach, foreign keys", 2.0, heard["SMx"]),
    ]


@torch.no_grad()
def _told(frames: np.ndarray) -> float:
    """Return the nats of the last frame of an utterance, of which the arm got only the others."""
    model, given = _arm("SM"), torch.from_numpy(frames).unsqueeze(0)
    features, state = model.extend(model.start(), given[:, :-1])
    return -float(model.log_prob(features[:, -1], model.last(state), given[:, -1]))


def _num_moved(name: ArmName, frames: np.ndarray, other: np.ndarray) -> float:
    moved = np.abs(_nll(name, other) - _nll(name, frames)).max(axis=1)
    return float((moved > 1e-6).sum())


def _nll(name: ArmName, frames: np.ndarray) -> np.ndarray:
    """Return the nats of all targets of an arm, [utterances, targets of each]."""
    block = _block()._replace(frames=frames)
    scope = evaluation.Scope(WINDOW, UTTERANCES, torch.device("cpu"))
    [found] = evaluation.frame_nll(_arm(name), lambda: iter([block]), scope)
    return found.double().numpy().reshape(UTTERANCES, -1)


def _block() -> LatentBlock:
    names = np.array([f"u{number}" for number in range(UTTERANCES)], object)
    frames = np.random.default_rng(1).standard_normal((UTTERANCES * FRAMES, DIMS))
    offsets = np.arange(0, UTTERANCES * FRAMES + 1, FRAMES)
    ones = np.ones(UTTERANCES * FRAMES, np.float32)
    return LatentBlock(frames.astype(np.float32), ones, offsets, names, names)


def _arm(name: ArmName) -> Generator:
    """Build an arm without training; noise on all weights, since readers start at 0."""
    base = BaseArrays("position", np.zeros(DIMS), np.zeros(DIMS), np.zeros((DIMS, DIMS)),
                      np.zeros(DIMS), np.eye(DIMS))  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    insertion: AnyInsertion = TypeAdapter(Insertion).validate_python(MEMORY, strict=False)
    sizes = Dimensions(np.zeros(DIMS), np.ones(DIMS), np.zeros(DIMS))
    settings = GeneratorSettings.model_validate(SETTINGS, strict=False)
    model = build_arm(name, settings, insertion, base, _key(), sizes, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def _key() -> FittedKey:
    """Return cells of the newest frame."""
    quantizer = KMeans(kind="kmeans", codebook_sizes=(CODES,))
    family = LastFrameKeys(kind="last_frame", inputs=("raw",), quantizers=(quantizer,))
    centroids = np.random.default_rng(2).standard_normal((CODES, DIMS)).astype(np.float32)
    return FittedKey(
        MEMORY["key"], 0, family, "raw", quantizer, CODES, CODES, 1, 0.0,
        np.zeros(DIMS, np.float32), {}, {"centroids": centroids, "mean_square": np.array(1.0)},
    )  # fmt: skip


def _code_rows() -> list[CalibrationRow]:
    """Wrong codes: those of the frame before, and one for all frames."""
    codes, offsets = torch.arange(UTTERANCES * FRAMES) % CODES, np.arange(UTTERANCES) * FRAMES
    ends = np.append(offsets, len(codes))
    late, one = (
        evaluation.swapped(codes, ends, CODES, f"SM:{kind}") for kind in ("previous", "constant")
    )
    has_past = np.setdiff1d(np.arange(len(codes)), offsets)
    share = (late[has_past] == codes[has_past - 1]).double().mean()
    return [
        _exact("frames that read the code before, asked for", 1.0, float(share)),
        _exact("first frames that read no code then", 1.0, float((late[offsets] == CODES).all())),
        _exact("codes that one code for all frames has", 1.0, len(one.unique())),
    ]


def _gain_rows() -> list[CalibrationRow]:
    """Three seeds that differ by .1 nats: the interval has two degrees of freedom."""
    frames = np.full((3, 12), 50.0)
    other = frames * np.random.default_rng(3).normal(size=12)
    ahead = HALF + SEED_SD * np.array([[-1.0], [0.0], [1.0]])
    found = gains.gain_of(other - frames * ahead, other, frames, word.LEAST_NATS, 0.95)
    half = 4.30265273 * SEED_SD / 3**0.5  # t(2) SD / sqrt(R)
    return [
        _exact("gain of an arm that is .5 nats ahead", HALF, found.gain),
        _exact("half-width of its interval", half, found.high - found.gain),
        _exact("margin where F knows 5 nats", 0.05, word.margin(5.0)),
    ]


def _word_rows() -> list[CalibrationRow]:
    """Ahead of all arms helps. Ahead of all but the plain one of equal work is no benefit."""
    ahead, equal = Measured(HALF, 0.4, 0.6), Measured(0.0, -0.005, 0.005)
    of_all = {(word.MEMORY, name): ahead for name in (word.SMALL, *word.CONTROLS)}
    found = word.Found(of_all, ahead, Judged(MET, ""), 1.0, word.LEAST_NATS)
    plain = found._replace(gains={**of_all, (word.MEMORY, word.AS_MUCH_WORK): equal})
    return [
        _exact(f"the word is {expected}", 1.0, float(word.word_of(own).word == expected))
        for own, expected in ((found, HELPS), (plain, NO_BENEFIT))
    ]
