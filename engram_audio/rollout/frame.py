"""What the structure of every method hangs on, before anything of its own is trained."""

from collections.abc import Sequence
from typing import NamedTuple

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import LinearNull, base_for
from engram_audio.densities.reference import InputScales


class Frame(NamedTuple):
    """What the structure of every method hangs on.

    Attributes:
        scales: Train statistics of frames and steps.
        linear_nulls: Linear nulls.
        window_frames: W.
    """

    scales: InputScales
    linear_nulls: Sequence[LinearNull]
    window_frames: int


def frame_of(material: Material) -> Frame:
    """Return the frame of a material."""
    return Frame(material.reference.input_scales, material.linear_nulls, material.window_frames)


def linear_arrays(linear_nulls: Sequence[LinearNull]) -> BaseArrays:
    """Return the best linear null of a step on the choice part, with its full covariance."""
    return base_for(linear_nulls, 1, "delta", True, True).fit.arrays


def linear_density(linear_nulls: Sequence[LinearNull]) -> ConditionalDensity:
    """Return the linear-Gaussian density of a step."""
    return build_gaussian(linear_arrays(linear_nulls))
