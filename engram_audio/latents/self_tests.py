"""Checks on the actual checkpoint, run before a shard is encoded (SCIENCE 2)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.long_clip import (
    LongClip,
    chunk_gap,
    cold_frames,
    latent_gap,
    long_clip,
    streamed_gap,
)
from engram_audio.latents.own_clip import compare_pieces
from engram_audio.latents.round_trip import log_mel_distance, spectrogram
from engram_audio.numerics.seeds import named_generator

FRAME_RATE_TOLERANCE = 1e-3  # SCIENCE 2: off by more than 0.1 % stops a shard
NUM_PROBES = 5  # five decodings are all matched by chance in less than 1 % of cases
OWN_CLIP_RATIO = 1.0  # at 1 another clip is as near as the clip that was encoded
DEAD_SD = 1e-3  # a dimension whose SD is below this share of the overall SD does not move
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
    """Return up to five clips of different length, from the shortest to the longest."""
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
    """Check weights, rates, frame counts, batching, causality, long clips and the decoder.

    Args:
        codec: The loaded codec.
        waveforms: A few clips of the shard at the codec's rate.
        guard_frames: As for extraction.
        tolerance: Largest difference accepted for batching, causality and pieces of a long clip,
            in SD of the latents.
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
        tests.append(_dead_dims(codec, together, spread))
        tests.append(_batch_equals_single(codec, waveforms, together, spread, tolerance))
        tests.append(_as_the_model(codec, waveforms[0], spread, tolerance))
        tests.append(_causality(codec, waveforms[0], together[0], spread, tolerance, seed))
        clip = long_clip(codec, waveforms, spread)
        tests += [_cold_start(codec, clip), _long_clip(codec, clip, tolerance)]
        tests += _decoding(codec, waveforms, together[0])
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
        latent_gap(codec, encode_batch(codec, [waveform], 0)[0], rows, spread)
        for waveform, rows in zip(waveforms, together, strict=True)
        if len(rows)
    ]
    worst = max(gaps)
    detail = "largest |batch - single|, in SD of the latents; raise guard_frames if it fails"
    return SelfTest("batch_equals_single", worst, tolerance, worst <= tolerance, detail)


def _as_the_model(codec: Codec, waveform: np.ndarray, spread: float, tolerance: float) -> SelfTest:
    """The model's own call on a whole clip, where encoding goes another way for speed."""
    whole = waveform[: len(waveform) // codec.hop_samples * codec.hop_samples]
    plain = codec.encode_plainly(whole)
    if plain is None:
        return SelfTest("as_the_model", None, None, True, "encoding is the model's own call")
    gap = latent_gap(codec, encode_batch(codec, [whole], 0)[0], plain, spread)
    detail = "largest |encoded - the model's own call|, in SD of the latents"
    return SelfTest("as_the_model", gap, tolerance, gap <= tolerance, detail)


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
    leak = latent_gap(codec, past, reference, spread) if keep else 0.0
    limit = tolerance if codec.is_causal else None
    detail = "largest change of past latents after the future changed, in SD"
    if not codec.is_causal:
        detail += " (declared not causal: for information)"
    return SelfTest("causality", leak, limit, limit is None or leak <= limit, detail)


def _dead_dims(codec: Codec, together: Sequence[np.ndarray], spread: float) -> SelfTest:
    deviations = np.concatenate(together).std(axis=0, dtype=np.float64)
    count = float(np.sum(deviations < DEAD_SD * spread))
    limit = None if codec.may_have_dead_dims else 0.0
    detail = f"dimensions of {codec.num_dims} that hardly move (a codec whose encoder is missing?)"
    return SelfTest("dead_dims", count, limit, limit is None or count <= limit, detail)


def _cold_start(codec: Codec, clip: LongClip) -> SelfTest:
    """Frames that a start in mid-clip disturbs; bounded where nothing but the cold start reaches.

    Attention and recurrent state remember longer than the convolutions that a cold start stands
    for; then the number informs.
    """
    count = float(cold_frames(codec, clip))
    is_bounded = codec.context_frames == codec.cold_start_frames
    limit = float(codec.cold_start_frames) if is_bounded else None
    detail = f"frames that a fresh start disturbs; {codec.cold_start_frames} are dropped"
    return SelfTest("cold_start", count, limit, limit is None or count <= limit, detail)


def _long_clip(codec: Codec, clip: LongClip, tolerance: float) -> SelfTest:
    """Pieces of a long clip against the whole: a window that the back end ignores shows here."""
    gap, how = streamed_gap(codec, clip), "streamed"
    if gap is None:
        gap, how = chunk_gap(codec, clip), f"with {codec.context_frames} frames before it"
    seconds = len(clip.latents) / codec.frame_rate_hz
    if gap is None:
        detail = f"a {seconds:.0f} s clip cannot be cut: the encoder's state has no bound"
        return SelfTest("long_clip", None, None, True, detail)
    detail = f"largest |piece - whole| of a {seconds:.0f} s clip, {how}, in SD"
    return SelfTest("long_clip", gap, tolerance, gap <= tolerance, detail)


def _decoding(codec: Codec, waveforms: Sequence[np.ndarray], latents: np.ndarray) -> list[SelfTest]:
    """Length of the decoded first clip, its distance from the original, and whose sound it is."""
    waveform = waveforms[0]
    try:
        decoded = codec.decode(latents)
    except NotImplementedError:
        detail = "the codec does not decode: what its latents hold was not heard"
        return [SelfTest("round_trip", None, None, True, detail)]
    expected = len(latents) * codec.hop_samples
    excess = abs(len(decoded) - expected)
    detail = "samples off frames * hop after decoding"
    tests = [SelfTest("decoded_length", float(excess), 0.0, excess == 0, detail)]
    if excess:
        return tests
    if not np.isfinite(decoded).all():
        return [*tests, SelfTest("round_trip", None, None, False, "decoded samples are not finite")]
    distance = log_mel_distance(
        spectrogram(codec, waveform[:expected]), spectrogram(codec, decoded)
    )
    detail = "mean |log-mel difference| after decoding, natural-log units"
    tests.append(SelfTest("round_trip", distance, None, True, detail))
    return [*tests, _own_clip(codec, waveforms)]


def _own_clip(codec: Codec, waveforms: Sequence[np.ndarray]) -> SelfTest:
    """Each decoding is nearer to its own clip than anything else is: random weights fail."""
    found = compare_pieces(codec, waveforms)
    if found is None:
        detail = "the clips hold too little sound to tell one from another"
        return SelfTest("own_clip", None, None, True, detail)
    detail = (
        f"log-mel distance of a piece to its own decoding over that to another clip, the largest "
        f"of {found.num_pieces} pieces (decodings that know nothing pass with a chance of at most "
        f"{found.chance:.2g}); were the weights ever trained?"
    )
    if codec.may_lose_sound:
        detail += " (health.action is report: for information)"
        return SelfTest("own_clip", found.ratio, None, True, detail)
    return SelfTest("own_clip", found.ratio, OWN_CLIP_RATIO, found.ratio < OWN_CLIP_RATIO, detail)
