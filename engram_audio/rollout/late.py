"""Does a free run look like data? Support, spread, motion, memory, spectrum, distance.

Late frames are the second half of the horizon. There are two sets of true ones: those that followed
the runs' own starts, and those of the same utterances from other starts, as many and as long. Every
statistic compares the run with both, and the two with each other. The difference is the excess:
about 0 for the law of the data, whatever that law is.

Shapes: S samples, N starts, H horizon, T late frames, D dimensions, P speakers, M = 1 + P: all
speakers and without each.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.rollout.health import Detector, detector_of, true_run
from engram_audio.rollout.measures import DETAILS, STATISTICS
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Run
from engram_audio.rollout.stretches import (
    NARROW,
    TINY,
    Rows,
    Stretches,
    autocorrelations,
    central_ranges,
    clipping,
    deviations,
    energy_distance,
    log_spectrum,
    pair_distances,
    step_lengths,
)
from engram_audio.rollout.support import HELD_OUT, nearest_distances, support_radius

Statistics = dict[str, Tensor]  # each [M]


class Measured(NamedTuple):
    """The statistics of a run and of true stretches.

    Attributes:
        run: By statistic, of all speakers and without each, [M].
        true: The same of true stretches.
        details: Of the run alone, numbers.
        speakers: Names, in order, [P].
        share: Each speaker's share of the true late frames, [P]; NaN where there are none.
        num_stretches: True stretches that reach the second half of the horizon.
    """

    run: dict[str, np.ndarray]
    true: dict[str, np.ndarray]
    details: dict[str, float]
    speakers: np.ndarray
    share: np.ndarray
    num_stretches: int


class _Summary(NamedTuple):
    """What one set of stretches is compared by, [M, ...]; `inner` are pair distances, [P, P]."""

    deviation: Tensor
    central_range: Tensor
    step: Tensor
    lags: Tensor
    spectrum: Tensor
    rows: Rows
    inner: Tensor


class _Late(NamedTuple):
    """Late frames of paths from some starts.

    Attributes:
        samples: A summary of each sample's stretches.
        distance: Of drawn frames to the nearest train frame.
        gone: Share of late frames after leaving the data, [M].
        frozen: Share of late frames of paths that stand still, [M].
    """

    samples: list[_Summary]
    distance: Rows
    gone: Tensor
    frozen: Tensor


class _Scene(NamedTuple):
    """What all sets of late frames are measured with.

    Attributes:
        setup: Train statistics and frames.
        detector: When a path stands still.
        speaker: Number of each start's speaker, [N].
        share: Each speaker's share of the true late frames, [P].
        spectrum_frames: Frames of a stretch whose spectrum is taken.
        ends: At which correlated frames are cut, each [D].
    """

    setup: ScoringSetup
    detector: Detector
    speaker: Tensor
    share: Tensor
    spectrum_frames: int
    ends: tuple[Tensor, Tensor]


def measure_health(
    run: Run, starts: Starts, others: Starts, setup: ScoringSetup, generator: torch.Generator
) -> Measured:
    """Compare a run with two sets of true stretches, and these with each other.

    Args:
        run: Free runs from the starts.
        starts: With the true frames.
        others: Another start of each start's utterance (`paths.other_starts`).
        setup: Train statistics and frames.
        generator: Draws the frames that distances are read from.
    """
    kept = np.flatnonzero((others.lengths > 0).cpu().numpy())
    starts, others, run = starts.rows(kept), others.rows(kept), run.of_starts(kept)
    names, code = np.unique(starts.speaker_ids, return_inverse=True)
    is_late = [_late_part(each.is_true()) for each in (starts, others)]
    count = int(is_late[0].any(1).sum())
    if not all(bool(each.any()) for each in is_late):
        nothing = {name: np.full(1 + len(names), np.nan) for name in STATISTICS}
        details: dict[str, float] = {name: np.nan for name in DETAILS}
        return Measured(nothing, nothing, details, names, np.full(len(names), np.nan), count)
    speaker = torch.from_numpy(code).to(starts.future.device)
    maximum = setup.settings.maximum_energy_frames
    drawn = [_thinned(each, maximum, generator) for each in is_late]
    scene = _scene(starts, speaker, is_late[0], drawn[0], setup)
    first, second = (
        _late(true_run(each, setup.limits), late, some, scene)
        for each, late, some in zip((starts, others), is_late, drawn, strict=True)
    )
    own = _late(run, is_late[0], drawn[0], scene)
    found = _mean([_compared(own, first, scene), _compared(own, second, scene)])
    true = _mean([_compared(first, second, scene), _compared(second, first, scene)])
    details = {name: float(found[name][0]) for name in DETAILS}
    share = scene.share.cpu().numpy()
    return Measured(_arrays(found), _arrays(true), details, names, share, count)


def _scene(
    starts: Starts, speaker: Tensor, is_late: Tensor, drawn: Tensor, setup: ScoringSetup
) -> _Scene:
    count = torch.bincount(speaker, is_late.double().sum(1))
    share, lengths = count / count.sum(), is_late.sum(1)
    length = int(lengths[lengths > 0].float().median())
    late = starts.future[:, -is_late.shape[1] :]
    ends = clipping(Stretches(late, drawn, speaker, len(share)).rows(), setup.limits.sd)
    return _Scene(setup, detector_of(starts, setup), speaker, share, length, ends)


def _mean(found: list[Statistics]) -> Statistics:
    return {name: torch.stack([each[name] for each in found]).mean(0) for name in found[0]}


def _arrays(found: Statistics) -> dict[str, np.ndarray]:
    return {name: found[name].cpu().numpy() for name in STATISTICS}


def _late_part(frames: Tensor) -> Tensor:
    """Return the second half of the horizons, of [..., H]."""
    return frames[..., frames.shape[-1] // 2 :]


def _thinned(chosen: Tensor, maximum: int, generator: torch.Generator) -> Tensor:
    """Return at most `maximum` of the chosen, drawn without replacement, bool of the same shape."""
    places = torch.nonzero(chosen.flatten())[:, 0]
    if len(places) <= maximum:
        return chosen
    order = torch.randperm(len(places), generator=generator, device=generator.device)[:maximum]
    kept = torch.zeros_like(chosen.flatten())
    kept[places[order.to(places.device)]] = True
    return kept.view(chosen.shape)


def _late(run: Run, is_late: Tensor, drawn: Tensor, scene: _Scene) -> _Late:
    """Return the late frames that have a true one beside them, [N, T]."""
    half = run.states.shape[2] // 2
    alive, frozen = (_late_part(each) for each in (run.is_alive, scene.detector.finds(run)))
    num_speakers = len(scene.share)
    paths = [
        Stretches(states[:, half:], each & is_late, scene.speaker, num_speakers)
        for states, each in zip(run.states, alive, strict=True)
    ]
    shares = (paths[0].of(event.double().mean(0), is_late).means() for event in (~alive, frozen))
    samples = [_summary(path, drawn, scene) for path in paths]
    return _Late(samples, _support_distances(paths, drawn, scene), *shares)


def _summary(path: Stretches, drawn: Tensor, scene: _Scene) -> _Summary:
    setup = scene.setup
    frame_sd, lags = setup.limits.sd, setup.settings.autocovariance_lags_frames
    rows = path._replace(is_real=path.is_real & drawn).rows()
    scaled = rows.map(rows.values / frame_sd)
    return _Summary(
        deviations(path.rows()),
        central_ranges(path.rows()),
        step_lengths(path, setup.delta_sd),
        autocorrelations(path, lags, scene.ends, frame_sd),
        log_spectrum(path, scene.spectrum_frames, frame_sd),
        scaled,
        pair_distances(scaled, scaled),
    )


def _support_distances(paths: list[Stretches], drawn: Tensor, scene: _Scene) -> Rows:
    """Return distances of drawn frames to the nearest train frame; each start of one sample."""
    setup = scene.setup
    turn = torch.arange(len(drawn), device=drawn.device) % len(paths)
    parts = [
        path._replace(is_real=path.is_real & drawn & (turn == number)[:, None]).rows()
        for number, path in enumerate(paths)
    ]
    frames = torch.cat([part.values for part in parts])
    speaker = torch.cat([part.speaker for part in parts])
    sd, maximum = setup.limits.sd, setup.settings.maximum_energy_frames**2
    distance = nearest_distances(frames / sd, setup.support / sd, maximum)
    return Rows(distance, speaker, len(scene.share))


def _compared(own: _Late, truth: _Late, scene: _Scene) -> Statistics:
    """Return every statistic of late frames beside one set of true ones; means over samples."""
    far = own.distance.map(own.distance.values > support_radius(truth.distance.values))
    return {
        "diverged_late": own.gone,
        "frozen_late": own.frozen,
        "off_support_share": far.means() - (1 - HELD_OUT),
        **_mean([_shape(sample, truth.samples[0], scene) for sample in own.samples]),
    }


def _shape(own: _Summary, truth: _Summary, scene: _Scene) -> Statistics:
    """Return how one sample's law of frames and of motion compares with the data's."""
    sd = scene.setup.limits.sd
    ratios = own.deviation / torch.maximum(truth.deviation, TINY * sd)
    widths = [torch.maximum(part.central_range, NARROW * sd) for part in (own, truth)]
    errors = (own.lags - truth.lags).abs()
    gap = pair_distances(own.rows, truth.rows) - 0.5 * (own.inner + truth.inner)
    return {
        "spread_ratio": (widths[0] / widths[1]).log().mean(1).exp(),
        "std_ratio": ratios.median(1).values,
        "std_ratio_lowest": ratios.amin(1),
        "std_ratio_highest": ratios.amax(1),
        "step_ratio": own.step / truth.step.clamp_min(TINY),
        "autocorrelation_error": errors[:, 0].mean(1),
        "autocorrelation_error_all": errors.mean((1, 2)),
        "autocorrelation_error_worst": errors.amax((1, 2)),
        "spectrum_error": (own.spectrum - truth.spectrum).square().mean((1, 2)).sqrt(),
        "energy_distance": energy_distance(gap, scene.share),
    }
