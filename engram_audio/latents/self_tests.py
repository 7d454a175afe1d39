"""Checks on the actual checkpoint, run before a shard is encoded (SCIENCE 2)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.corpus.seeds import named_generator
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch

FRAME_RATE_TOLERANCE = 1e-3  # SCIENCE 2: off by more than 0.1 % stops a shard
NUM_PROBES = 3
PROBE_DURATION_S = 6.0  # probes are cut to this, so that a self-test costs seconds


class SelfTest(NamedTuple):
    """One check.

    Attributes:
        name: What was checked.
        value: What was found, or None where there is no number.
        limit: Largest value accepted, or None where the value only informs.
        is_passed: Whether the shard may be encoded.
        detail: One line for people.
    """

    name: str
    value: float | None
    limit: float | None
    is_passed: bool
    detail: str


def choose_probes(num_samples: np.ndarray) -> list[int]:
    """Return up to three clips of different length: shortest, median, longest."""
    order = np.argsort(num_samples, kind="stable")
    return sorted({int(order[i]) for i in np.linspace(0, len(order) - 1, NUM_PROBES).astype(int)})


def cut_probes(waveforms: Sequence[np.ndarray], sample_rate_hz: int) -> list[np.ndarray]:
    """Cut probes to a few seconds, to lengths that differ and are no multiple of a hop."""
    longest = int(PROBE_DURATION_S * sample_rate_hz)
    step = longest // (2 * NUM_PROBES) + 1
    return [
        waveform[: longest - number * step] for number, waveform in enumerate(reversed(waveforms))
    ]


def run_self_tests(
    codec: Codec,
    waveforms: Sequence[np.ndarray],
    guard_frames: int,
    tolerance: float,
    seed: int,
) -> list[SelfTest]:
    """Check weights, rates, frame counts, batching, causality and the decoder's length.

    Args:
        codec: The loaded codec.
        waveforms: A few clips of the shard at the codec's rate.
        guard_frames: As for extraction.
        tolerance: Largest difference accepted for batching and causality, in SD of the latents.
        seed: Seed of the noise that replaces the future in the causality probe.

    Returns:
        All checks in a fixed order. A codec that fails a check on its weights, rates or frame
        counts is not asked to encode further.
    """
    tests = [_weights(codec), _frame_rate(codec)]
    if not all(test.is_passed for test in tests):
        return tests
    try:
        together = encode_batch(codec, waveforms, guard_frames)
    except ValueError as error:
        return [*tests, SelfTest("frame_count", None, None, False, str(error))]
    tests.append(SelfTest("frame_count", 0.0, 0.0, True, "frames = floor(samples / hop)"))
    spread = float(np.sqrt(np.mean(np.concatenate(together).var(axis=0, dtype=np.float64))))
    is_alive = bool(np.isfinite(spread) and spread > 0)
    tests.append(
        SelfTest("variance", spread if is_alive else None, None, is_alive, "SD of the latents")
    )
    if is_alive:
        tests.append(_batch_equals_single(codec, waveforms, together, spread, tolerance))
        tests.append(_causality(codec, waveforms[0], together[0], spread, tolerance, seed))
        tests.append(_decoded_length(codec, together[0]))
    return tests


def require_passed(tests: Sequence[SelfTest], name: str) -> None:
    """Refuse a codec that failed a check.

    Raises:
        InputError: One line with the first failed check.
    """
    for test in tests:
        if not test.is_passed:
            value = "" if test.value is None else f" ({test.value:.3g}, limit {test.limit})"
            raise InputError(
                f"{name}: self-test {test.name} failed{value}: {test.detail}; nothing was encoded"
            )


def _weights(codec: Codec) -> SelfTest:
    fault = codec.weight_fault()
    return SelfTest("weights", None, None, fault is None, fault or "encoder weights are not zero")


def _frame_rate(codec: Codec) -> SelfTest:
    nominal = codec.nominal_frame_rate_hz or codec.frame_rate_hz
    error = abs(codec.frame_rate_hz / nominal - 1)
    detail = f"{codec.frame_rate_hz:.6g} Hz by the hop, {nominal:.6g} Hz stated by the checkpoint"
    return SelfTest(
        "frame_rate", error, FRAME_RATE_TOLERANCE, error <= FRAME_RATE_TOLERANCE, detail
    )


def _batch_equals_single(
    codec: Codec,
    waveforms: Sequence[np.ndarray],
    together: Sequence[np.ndarray],
    spread: float,
    tolerance: float,
) -> SelfTest:
    gaps = [
        float(np.abs(encode_batch(codec, [waveform], 0)[0] - rows).max()) / spread
        for waveform, rows in zip(waveforms, together, strict=True)
        if len(rows)
    ]
    worst = max(gaps)
    detail = "largest |batch - single|, in SD of the latents; raise guard_frames if it fails"
    return SelfTest("batch_equals_single", worst, tolerance, worst <= tolerance, detail)


def _causality(
    codec: Codec,
    waveform: np.ndarray,
    latents: np.ndarray,
    spread: float,
    tolerance: float,
    seed: int,
) -> SelfTest:
    """Replace the second half of a clip by noise as loud as the clip; compare the frames before."""
    keep = len(latents) // 2
    changed = waveform.copy()
    generator = named_generator(seed, "causality")
    loudness = float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2)))
    tail = len(waveform) - keep * codec.hop_samples
    changed[len(waveform) - tail :] = generator.normal(0.0, loudness, tail)
    past = encode_batch(codec, [changed], 0)[0][:keep]
    reference = encode_batch(codec, [waveform], 0)[0][:keep]
    leak = float(np.abs(past - reference).max()) / spread if keep else 0.0
    limit = tolerance if codec.is_causal else None
    detail = "largest change of past latents after the future changed, in SD"
    if not codec.is_causal:
        detail += " (declared not causal: for information)"
    return SelfTest("causality", leak, limit, limit is None or leak <= limit, detail)


def _decoded_length(codec: Codec, latents: np.ndarray) -> SelfTest:
    excess = abs(len(codec.decode(latents)) - len(latents) * codec.hop_samples)
    return SelfTest(
        "decoded_length", float(excess), 0.0, excess == 0, "samples off frames * hop after decoding"
    )
