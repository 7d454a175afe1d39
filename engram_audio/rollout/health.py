"""Does a free run look like data? Spread, motion, memory, spectrum, distance, survival.

Every measure compares late frames of the runs (second half of the horizon) with true frames of the
same eval utterances. Distances have a floor: what utterances of the same speakers differ by, since
speakers are no error of a run that starts in their frames.

Shapes: S samples, N starts, H horizon, L lags, D dimensions, R rows, P stretches, T their frames.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.rollout.measures import Health
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Run

TINY = 1e-12  # of the data's own SD, or of its power: what stands still is not divided by
FLOOR_SPLITS = 4  # the floor is their mean: less noisy than one split


class Stretches(NamedTuple):
    """Pieces of paths: frames [P, T, D], and which count [P, T]; those are a run from the first."""

    frames: Tensor
    is_real: Tensor

    def rows(self) -> Tensor:
        """Return the frames that count, [R, D]."""
        return self.frames[self.is_real]


def true_stretches(starts: Starts) -> Stretches:
    """Return the true frames from each start on."""
    return Stretches(starts.future, starts.is_true())


def late_stretches(run: Run) -> Stretches:
    """Return the second half of every run, without the frames after a blow-up."""
    half = run.states.shape[2] // 2
    states, alive = run.states[:, :, half:], run.is_alive[:, :, half:]
    return Stretches(states.flatten(0, 1), alive.flatten(0, 1))


def std_ratios(late: Stretches, true: Stretches, scale: Tensor) -> Tensor:
    """Return SD of the run over SD of the data, one per dimension, [D]; `scale` is the train SD."""
    return late.rows().std(0) / torch.maximum(true.rows().std(0), TINY * scale)


def step_rms(stretches: Stretches, scale: Tensor) -> float:
    """Return the RMS increment, in units of `scale` [D]."""
    both = stretches.is_real[:, 1:] & stretches.is_real[:, :-1]
    steps = (stretches.frames[:, 1:] - stretches.frames[:, :-1])[both] / scale
    return float(steps.square().mean().sqrt())


def autocorrelations(stretches: Stretches, num_lags: int, scale: Tensor) -> Tensor:
    """Return correlations at lags 1..L of each dimension, [L, D].

    Normalised by the frames that a lag pairs, so that short stretches do not shrink it. A dimension
    whose power is rounding beside the train SD `scale` [D] has correlation 0.
    """
    mask = stretches.is_real
    x = stretches.frames - stretches.rows().mean(0)
    rows = []
    for lag in range(1, num_lags + 1):
        both = mask[:, lag:] & mask[:, :-lag]
        now, before = x[:, lag:][both], x[:, :-lag][both]
        power = 0.5 * (now.square().mean(0) + before.square().mean(0))
        rows.append((now * before).mean(0) / torch.maximum(power, TINY * scale.square()))
    return torch.stack(rows)


def log_spectrum(stretches: Stretches, num_frames: int, scale: Tensor) -> Tensor:
    """Return the log power of complete stretches of T frames at T / 2 frequencies, [T / 2, D].

    The mean is taken out and a Hann window put on; the zero frequency is left out. Power below a
    tiny share of the train variance, whose root is `scale` [D], counts as that share.
    """
    complete = stretches.is_real[:, :num_frames].all(1) & (stretches.is_real.shape[1] >= num_frames)
    x = stretches.frames[complete, :num_frames] - stretches.rows().mean(0)
    window = torch.hann_window(num_frames, device=x.device)[:, None]
    power = torch.fft.rfft(x * window, dim=1).abs().square().mean(0)[1:]
    return torch.maximum(power, TINY * scale.square()).log()


def mean_distance(first: Tensor, second: Tensor) -> float:
    """Return the mean distance between rows of two sets, [R, D] each."""
    return float(torch.cdist(first, second).double().mean())


def inner_distance(rows: Tensor) -> float:
    """Return the mean distance between different rows, [R, D]."""
    count = len(rows)
    return float(torch.cdist(rows, rows).double().sum()) / (count * (count - 1))


def energy_distance(first: Tensor, second: Tensor) -> float:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased: about 0, also below, for one law."""
    if len(first) < 2 or len(second) < 2:
        return float("nan")
    return 2 * mean_distance(first, second) - inner_distance(first) - inner_distance(second)


def thinned(rows: Tensor, maximum: int, generator: torch.Generator) -> Tensor:
    """Return at most `maximum` rows, drawn without replacement."""
    if len(rows) <= maximum:
        return rows
    order = torch.randperm(len(rows), generator=generator, device=generator.device)[:maximum]
    return rows[order.to(rows.device)]


def distance_floor(
    starts: Starts, scale: Tensor, maximum: int, generator: torch.Generator
) -> float:
    """Return the mean energy distance of half of every speaker's utterances from the other half.

    NaN where no speaker has two utterances.
    """
    true, found = true_stretches(starts), []
    for _ in range(FLOOR_SPLITS):
        half = torch.from_numpy(halves_of(starts, generator)).to(starts.future.device)
        rows = [true.frames[half == side][true.is_real[half == side]] for side in (0, 1)]
        parts = [thinned(part / scale, maximum, generator) for part in rows]
        found.append(energy_distance(*parts))
    return float(np.mean(found))


def halves_of(starts: Starts, generator: torch.Generator) -> np.ndarray:
    """Return the half, 0 or 1, of each start's utterance, [N]; -1 for a speaker's odd one.

    Drawn within speakers: each has as many utterances in one half as in the other.
    """
    _, first, utterance = np.unique(starts.utterance_ids, return_index=True, return_inverse=True)
    _, speaker = np.unique(starts.speaker_ids[first], return_inverse=True)
    key = torch.rand(len(first), generator=generator, device=generator.device).cpu().numpy()
    order = np.lexsort((key, speaker))
    counts = np.bincount(speaker)
    rank = np.empty(len(first), dtype=np.int64)
    rank[order] = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    half = np.where(rank < counts[speaker] // 2 * 2, rank % 2, -1)
    return half[utterance]


class Survival(NamedTuple):
    """Shares of paths at every horizon, each [H].

    Attributes:
        blown: Has left the data (`Limits`) at or before the horizon.
        frozen: Not blown, and its last steps are too small.
    """

    blown: Tensor
    frozen: Tensor

    @property
    def surviving(self) -> Tensor:
        """Neither."""
        return 1 - self.blown - self.frozen


def frozen_paths(run: Run, scale: Tensor, true_rms: float, fraction: float, count: int) -> Tensor:
    """Return which paths have hardly moved during the last `count` steps, bool, [S, N, H].

    Before `count` steps are done, all steps so far are looked at.
    """
    square = (run.steps() / scale).square().mean(-1)
    total = square.double().cumsum(2)
    lagged = torch.zeros_like(total)
    lagged[:, :, count:] = total[:, :, :-count]
    number = torch.arange(1, total.shape[2] + 1, device=total.device).clamp_max(count)
    rms = ((total - lagged) / number).clamp_min(0).sqrt()
    return (rms < fraction * true_rms) & run.is_alive


def survival(run: Run, is_frozen: Tensor) -> Survival:
    """Return the shares of blown and of frozen paths."""
    return Survival(
        (~run.is_alive).double().mean((0, 1)), (is_frozen & run.is_alive).double().mean((0, 1))
    )


def true_frozen_share(
    starts: Starts, scale: Tensor, true_rms: float, fraction: float, count: int
) -> Tensor:
    """Return the share of true stretches that the detector calls frozen, by horizon, [H]."""
    future, is_true = starts.future.unsqueeze(0), starts.is_true().unsqueeze(0)
    true = Run(future, future - starts.true_steps().unsqueeze(0), is_true, (0.0, 0.0))
    is_frozen = frozen_paths(true, scale, true_rms, fraction, count)
    return is_frozen.double().sum((0, 1)) / is_true.sum((0, 1)).clamp_min(1)


def measure_health(
    run: Run,
    starts: Starts,
    scales: tuple[Tensor, Tensor],
    num_lags: int,
    maximum: int,
    generator: torch.Generator,
) -> Health | None:
    """Compare late frames with true ones; None where nothing is left alive.

    Args:
        run: Free runs.
        starts: With the true frames.
        scales: SD of frames and of steps, each [D].
        num_lags: L.
        maximum: Frames on each side of a distance.
        generator: Draws these.
    """
    frame_sd, step_sd = scales
    late, true = late_stretches(run), true_stretches(starts)
    if int(late.is_real.sum()) < 2:
        return None
    ratios = std_ratios(late, true, frame_sd)
    lags = [autocorrelations(part, num_lags, frame_sd) for part in (late, true)]
    errors = (lags[0] - lags[1]).abs()
    length = min(late.frames.shape[1], int(starts.lengths.max()))
    spectra = [log_spectrum(part, length, frame_sd) for part in (late, true)]
    rows = [thinned(part.rows() / frame_sd, maximum, generator) for part in (late, true)]
    return Health(
        std_ratio=float(ratios.median()),
        std_ratio_lowest=float(ratios.min()),
        std_ratio_highest=float(ratios.max()),
        step_ratio=step_rms(late, step_sd) / max(step_rms(true, step_sd), TINY),
        autocorrelation_error=float(errors[0].mean()),
        autocorrelation_error_all=float(errors.mean()),
        autocorrelation_error_worst=float(errors.max()),
        spectrum_error=float((spectra[0] - spectra[1]).square().mean().sqrt()),
        energy_distance=energy_distance(*rows),
        energy_distance_floor=distance_floor(starts, frame_sd, maximum, generator),
    )
