"""Statistics of stretches of frames: of all speakers, and without each of them.

Row 0 of every result holds all speakers, row 1 + s leaves speaker s out. An interval over speakers
(jackknife) then needs no second pass, and any function of such results has one as well.

Shapes: N stretches, T frames, R rows of frames, D dimensions, P speakers, L lags, F frequencies.
"""

from typing import NamedTuple

import torch
from torch import Tensor

TINY = 1e-12  # of the data's own SD, or of its power: what stands still is not divided by
NARROW = 0.01  # of the train SD: a range of quantiles below it is that of a value that stands still
RANGE = (0.05, 0.95)  # quantiles between which the central 90 % lie
GAUSSIAN_RANGE = 3.2897072539029444  # width of the central 90 % of a standard Gaussian
CLIPPED_SD = 4.0
SLOPE = 0.025  # share on either side over which the density at a quantile is read


class Stretches(NamedTuple):
    """Pieces of paths.

    Attributes:
        frames: Shape [N, T, D].
        is_real: Which frames count, [N, T].
        speaker: Number of each stretch's speaker, [N].
        num_speakers: P.
    """

    frames: Tensor
    is_real: Tensor
    speaker: Tensor
    num_speakers: int

    def rows(self) -> "Rows":
        """Return the frames that count."""
        return self.of(self.frames, self.is_real)

    def of(self, values: Tensor, counted: Tensor) -> "Rows":
        """Return values [N, ...] or [N, T', ...] where `counted` [N] or [N, T']."""
        speaker = self.speaker.view(-1, *[1] * (counted.ndim - 1)).expand(counted.shape)
        return Rows(values[counted], speaker[counted], self.num_speakers)


class Rows(NamedTuple):
    """Values [R, ...], the number of each one's speaker [R], and P."""

    values: Tensor
    speaker: Tensor
    num_speakers: int

    def map(self, values: Tensor) -> "Rows":
        """Return other values of the same rows."""
        return self._replace(values=values)

    def sums(self) -> Tensor:
        """Return sums by speaker, [P, ...], in double precision.

        They are added on the CPU, where the order is the same in every run.
        """
        values = self.values.double().cpu()
        total = values.new_zeros((self.num_speakers, *values.shape[1:]))
        return total.index_add_(0, self.speaker.cpu(), values).to(self.values.device)

    def counts(self) -> Tensor:
        """Return how many rows each speaker has, [P]."""
        return torch.bincount(self.speaker, minlength=self.num_speakers).double()

    def membership(self) -> Tensor:
        """Return which speaker each row is of, 1 and 0, [P, R]."""
        numbers = torch.arange(self.num_speakers, device=self.speaker.device)
        return (numbers[:, None] == self.speaker).to(self.values.dtype)

    def means(self) -> Tensor:
        """Return the mean of all speakers and without each, [1 + P, ...]; NaN without rows."""
        sums, counts = with_and_without(self.sums()), with_and_without(self.counts())
        return sums / counts.view(-1, *[1] * (sums.ndim - 1))


def with_and_without(sums: Tensor) -> Tensor:
    """Return the total of [P, ...] and the totals without each, [1 + P, ...]."""
    total = sums.sum(0, keepdim=True)
    return torch.cat([total, total - sums])


def deviations(rows: Rows) -> Tensor:
    """Return the SD of each dimension, [1 + P, D]."""
    values = rows.values.double()
    moved = rows.map(values - values.mean(0))  # about a value near the mean: no digits are lost
    mean, square = moved.means(), moved.map(moved.values.square()).means()
    return (square - mean.square()).clamp_min(0).sqrt()


def central_ranges(rows: Rows) -> Tensor:
    """Return the width between the quantiles .05 and .95 of each dimension, [1 + P, D].

    A quantile without a speaker moves by the change of the share below it over the density there.
    NaN without rows.
    """
    if not len(rows.values):
        return rows.values.new_full((1 + rows.num_speakers, rows.values.shape[1]), float("nan"))
    ordered = rows.values.T.contiguous().sort(1).values
    low, high = (_quantiles(rows, ordered, level) for level in RANGE)
    return high - low


def _quantiles(rows: Rows, ordered: Tensor, level: float) -> Tensor:
    levels = (level - SLOPE, level, level + SLOPE)
    before, at, after = (_quantile(ordered, each).double() for each in levels)
    below = rows.map(rows.values <= at).means()
    moved = at + (below[:1] - below[1:]) * (after - before) / (2 * SLOPE)
    return torch.cat([at[None], moved])


def _quantile(ordered: Tensor, level: float) -> Tensor:
    """Return a quantile of ordered rows [D, R] by linear interpolation, [D], whatever R is."""
    last = ordered.shape[1] - 1
    low = int(level * last)
    high = min(low + 1, last)
    return torch.lerp(ordered[:, low], ordered[:, high], level * last - low)


def step_lengths(stretches: Stretches, scale: Tensor) -> Tensor:
    """Return the mean length of an increment per root of D, in units of `scale` [D], [1 + P].

    Lengths, not squares: where steps have heavy tails a few would decide.
    """
    both = stretches.is_real[:, 1:] & stretches.is_real[:, :-1]
    steps = (stretches.frames[:, 1:] - stretches.frames[:, :-1]) / scale
    return stretches.of(steps.square().mean(-1).sqrt(), both).means()


def clipping(rows: Rows, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends, each [D], at which frames with heavy tails are cut.

    They lie four SDs about the median, the SD being that of a Gaussian with the same central 90 %.
    """
    middle = rows.values.median(0).values
    sd = central_ranges(rows)[0].to(middle) / GAUSSIAN_RANGE
    width = CLIPPED_SD * torch.maximum(sd, NARROW * scale)
    return middle - width, middle + width


def autocorrelations(
    stretches: Stretches, num_lags: int, ends: tuple[Tensor, Tensor], scale: Tensor
) -> Tensor:
    """Return correlations at lags 1..L of each dimension, [1 + P, L, D].

    Normalised by the frames that a lag pairs, so that short stretches do not shrink it. Frames are
    cut at `ends`: where tails are heavy a few products would decide. A dimension whose power is
    rounding beside the train SD `scale` [D] has correlation 0.
    """
    stretches = stretches._replace(frames=stretches.frames.clamp(*ends))
    mask = stretches.is_real
    x = stretches.frames - stretches.frames[mask].double().mean(0)
    found = []
    for lag in range(1, num_lags + 1):
        both = mask[:, lag:] & mask[:, :-lag]
        now, before = x[:, lag:], x[:, :-lag]
        product = stretches.of(now * before, both).means()
        power = stretches.of(0.5 * (now.square() + before.square()), both).means()
        found.append(product / torch.maximum(power, TINY * scale.square()))
    return torch.stack(found, 1)


def log_spectrum(stretches: Stretches, num_frames: int, scale: Tensor) -> Tensor:
    """Return the mean log power of complete stretches at T / 2 frequencies, [1 + P, T / 2, D].

    The mean is taken out and a Hann window put on; the zero frequency is left out. Logs are
    averaged, not powers: where frames have heavy tails one stretch would decide. Power below a tiny
    share of the train variance, whose root is `scale` [D], counts as that share.

    Args:
        stretches: Of which those count whose first T frames do.
        num_frames: T.
        scale: SD of each dimension.
    """
    complete = stretches.is_real[:, :num_frames].all(1)
    x = stretches.frames[:, :num_frames] - stretches.frames[stretches.is_real].mean(0)
    window = torch.hann_window(num_frames, device=x.device)[:, None]
    power = torch.fft.rfft(x * window, dim=1).abs().square()[:, 1:]
    return stretches.of(torch.maximum(power, TINY * scale.square()).log(), complete).means()


def pair_distances(first: Rows, second: Rows) -> Tensor:
    """Return mean distances between rows of two speakers, per root of D, [P, P]; NaN without."""
    distance = torch.cdist(first.values, second.values)
    total = first.membership().double() @ (distance @ second.membership().T).double()
    count = first.counts()[:, None] * second.counts()
    return total / count / first.values.shape[-1] ** 0.5


def energy_distance(gap: Tensor, weight: Tensor) -> Tensor:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'| per root of D, [1 + P]; 0 for one law, also below.

    Pairs are of different speakers, in all three terms alike. Frames of one speaker or utterance
    are near each other in the data; a run that starts there need not know why. Pairs inside a
    speaker would count that as a distance of the law of frames.

    Args:
        gap: |X - Y| less the mean of |X - X'| and |Y - Y'|, of two speakers, [P, P].
        weight: Of each speaker, [P]; one without rows on either side gets none.
    """
    is_there = torch.isfinite(gap.diagonal())
    weight = torch.where(is_there, weight, 0.0)
    pairs = weight[:, None] * weight * (1 - torch.eye(len(weight), device=weight.device))
    both = pairs * torch.nan_to_num(gap + gap.T)
    total, norm = (_without_rows(part) for part in (both, pairs))
    return torch.where(norm > 0, total / norm, torch.nan)


def _without_rows(pairs: Tensor) -> Tensor:
    """Return the sum of [P, P] and the sums without each speaker's row and column, [1 + P]."""
    total = pairs.sum()
    return torch.cat([total[None], total - pairs.sum(0) - pairs.sum(1)])
