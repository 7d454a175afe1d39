"""Small worlds whose exact law of the next frame is known, run free through the evaluation.

Nothing is trained. An arm is the world's own law, or one that is wrong in a stated way.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.densities.reference import measure_reference
from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.ceiling import Run
from engram_audio.rollout.evaluation import evaluate_method
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.setup import ScoringSetup, make_scoring_setup
from engram_audio.rollout.tables import rollout_table
from engram_audio.rollout.verdicts import judge_method
from engram_audio.verdicts.judge import Judged
from tests.report_verdicts import BARS_SECTION
from tests.unit.rollout_material import CPU, method, rollout_section

WINDOW, NUM_DIMS = 4, 4
SIZES = {
    "horizon_frames": 32, "forecast_horizon_frames": 8, "scored_horizons_frames": [1, 8, 32],
    "num_starts": 600, "num_samples": 256, "num_long_samples": 4, "injections_frames": [],
    "autocovariance_lags_frames": 4, "maximum_energy_frames": 3000, "support_frames": 4000,
    "batch_paths": 1 << 14,
}  # fmt: skip


class Noise(NamedTuple):
    """What a step adds: draws of a shape, and their variance."""

    draw: Callable[[tuple[int, ...], torch.Generator], Tensor]
    variance: float


def gaussian(sd: float) -> Noise:
    return Noise(lambda shape, draws: sd * torch.randn(shape, generator=draws), sd**2)


def heavy(sd: float) -> Noise:
    """Student's t with three degrees of freedom: no fourth moment."""

    def draw(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
        square = torch.randn((3, *shape), generator=draws).square().mean(0)
        return sd * torch.randn(shape, generator=draws) / square.sqrt()

    return Noise(draw, 3 * sd**2)


def two_points(sd: float) -> Noise:
    def draw(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
        return torch.where(torch.rand(shape, generator=draws) < 0.5, sd, -sd)

    return Noise(draw, sd**2)


class Law(Density):
    """A step of a world: what follows a context, by noise of the world's own kind."""

    target = "position"
    has_moments = True  # type: ignore[assignment]

    def __init__(self, centre: Callable[[Batch], Tensor], noise: Noise) -> None:
        super().__init__()
        self.centre, self.noise = centre, noise

    def mean(self, batch: Batch) -> Tensor:
        return self.centre(batch)

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        centre = self.centre(batch)
        return centre + self.noise.draw((num_samples, *centre.shape), generator)

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        centre = self.centre(batch)
        return centre, torch.full_like(centre, self.noise.variance)

    def log_prob(self, batch: Batch) -> Tensor:
        return torch.zeros(len(batch.current))  # asked by the first experiment's score alone


class World(NamedTuple):
    """A world of utterances.

    Attributes:
        law: x_t given its context; the batch's `speaker_mean` is the utterance's own mean.
        offsets: SD of utterance means, and of speaker means.
    """

    law: Law
    offsets: tuple[float, float] = (0.0, 0.0)


def around_mean(correlation: float) -> Callable[[Batch], Tensor]:
    return lambda batch: (
        batch.speaker_mean + correlation * (batch.context[:, -1] - batch.speaker_mean)
    )


WORLDS = {
    "var1": World(Law(around_mean(0.8), gaussian(0.6))),
    "white": World(Law(around_mean(0.0), gaussian(1.0))),
    "two_points": World(Law(around_mean(0.5), two_points(1.0))),
    "heavy": World(Law(around_mean(0.6), heavy(1.0))),
    "heavy_white": World(Law(around_mean(0.0), heavy(1.0))),
    "utterance_offsets": World(Law(around_mean(0.0), gaussian(1.0)), (1.0, 0.0)),
    "speaker_offsets": World(Law(around_mean(0.0), gaussian(1.0)), (0.5, 1.0)),
}


def block_of(
    world: World, prefix: str, speakers: int, seed: int, utterances: int = 12
) -> tuple[LatentBlock, np.ndarray]:
    """Return utterances of 90 to 140 frames and the mean of each, drawn by the world's own law."""
    draws = torch.Generator().manual_seed(seed)
    count, longest = speakers * utterances, 140
    within, between = world.offsets
    of_speaker = between * torch.randn((speakers, NUM_DIMS), generator=draws)
    means = of_speaker.repeat_interleave(utterances, 0)
    means = means + within * torch.randn((count, NUM_DIMS), generator=draws)
    path = [means.clone() for _ in range(WINDOW)]
    for _ in range(longest + 40):
        context = torch.stack(path[-WINDOW:], 1)
        batch = Batch(context, path[-1], path[-1], means)
        path.append(world.law.sample(batch, 1, draws)[0])
    frames = torch.stack(path[-longest:], 1).numpy()
    lengths = np.random.default_rng(seed).integers(90, longest + 1, count)
    names = [f"{prefix}{number // utterances:02d}" for number in range(count)]
    block = LatentBlock(
        frames=np.concatenate([row[:n] for row, n in zip(frames, lengths, strict=True)]),
        energy=np.ones(lengths.sum(), dtype=np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        utterance_ids=np.array([f"{name}-{n:03d}" for n, name in enumerate(names)], dtype=object),
        speaker_ids=np.array(names, dtype=object),
    )
    return block, means.numpy()


class Scene(NamedTuple):
    """What arms of one world run from."""

    starts: Starts
    others: Starts
    setup: ScoringSetup


def scene_of(world: World, seed: int = 0, speakers: int = 24, **changes: object) -> Scene:
    """Starts on eval speakers whose `speaker_mean` is the mean of the utterance itself."""
    settings = rollout_section(**{**SIZES, **changes})
    train, _ = block_of(world, "t", speakers, 2 * seed)
    held, means = block_of(world, "e", speakers, 2 * seed + 1)
    part_of = {
        str(name): part
        for block, part in ((train, "train"), (held, "eval"))
        for name in block.utterance_ids
    }
    reference = measure_reference(lambda: iter([train, held]), part_of, WINDOW, 1)

    def source():
        return iter([held])

    horizon, shortest = settings.horizon_frames, settings.forecast_horizon_frames
    starts = collect_starts(
        source, reference.speakers, WINDOW, horizon, shortest, settings.num_starts
    )
    others = other_starts(source, reference.speakers, starts, shortest)
    row = {str(name): number for number, name in enumerate(held.utterance_ids)}
    own = torch.from_numpy(means[[row[name] for name in starts.utterance_ids]])
    setup = make_scoring_setup(settings, reference, lambda: iter([train]), CPU)
    return Scene(starts._replace(speaker_mean=own), others._replace(speaker_mean=own), setup)


def judged(scene: Scene, arm: Density) -> tuple[Judged, dict[str, float]]:
    """Return what the bars say of an arm, alone in its study, and its row of the whole run."""
    found = evaluate_method(arm, None, scene.starts, scene.others, scene.setup)
    scores = pd.concat([found.scores.assign(part=part) for part in ("val", "eval")])
    run = Run("w", "arm", "", 0, method("one_step"), scores, found.health, found.differences)
    table = rollout_table([run], scene.setup.settings, 0.95)
    late = table.loc[(table["mode"] == "sampled") & (table["span"] == "at")]
    row = late.loc[late["horizon_frames"] == scene.setup.settings.horizon_frames].iloc[0]
    upto = table.loc[(table["mode"] == "sampled") & (table["span"] == "up_to")].iloc[0]
    tails = {name: upto[name] for name in ("below_range", "above_range", "coverage_90")}
    return judge_method(upto.to_dict(), row.to_dict(), BARS_SECTION), {**row.to_dict(), **tails}
