"""The summary's numbers on latents with known answers."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.round_trip import choose_examples
from engram_audio.latents.summary import gather_extraction, summarize
from engram_audio.stats.rank import effective_rank


def block(frames: np.ndarray, sizes: list[int]) -> LatentBlock:
    return LatentBlock(
        frames=frames.astype(np.float32),
        energy=np.ones(len(frames), np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=np.array([f"u{i}" for i in range(len(sizes))], dtype=object),
        speaker_ids=np.array([f"s{i % 3}" for i in range(len(sizes))], dtype=object),
    )


def test_moments_are_those_of_numpy_whatever_the_blocks():
    frames = np.random.default_rng(0).normal(3.0, [1.0, 5.0], (300, 2))
    whole = summarize([block(frames, [100, 50, 150])])
    split = summarize([block(frames[:150], [100, 50]), block(frames[150:], [150])])
    np.testing.assert_allclose(whole["mean"], frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(whole["std"], frames.std(axis=0), rtol=1e-6)
    for name in ("mean", "std"):
        np.testing.assert_allclose(whole[name], split[name], rtol=1e-9)
    np.testing.assert_allclose(
        whole["lag_one"]["per_dim"], split["lag_one"]["per_dim"], rtol=1e-9, atol=1e-12
    )
    assert (whole["num_frames"], whole["num_utterances"]) == (300, 3)
    assert (whole["shortest_frames"], whole["longest_frames"]) == (50, 150)


def test_lag_one_correlation_of_white_noise_and_of_an_ar_process():
    """Sampling SD is 1 / sqrt(40 000) = 0.005; 5 SD are allowed."""
    generator = np.random.default_rng(1)
    white = generator.normal(size=(40_000, 1))
    red = np.zeros_like(white)
    for t in range(1, len(white)):
        red[t] = 0.8 * red[t - 1] + 0.6 * white[t]
    found = summarize([block(np.hstack([white, red]), [40_000])])["lag_one"]
    np.testing.assert_allclose(found["per_dim"], [0.0, 0.8], atol=0.025)
    assert found["median"] == pytest.approx(0.4, abs=0.025)


def test_speaker_level_counts_in_one_correlation_and_not_in_the_other():
    """White noise around a level per utterance: r = level variance / total, and 0 within."""
    generator = np.random.default_rng(2)
    frames = np.concatenate([generator.normal(5.0 * (u % 2), 1, (2000, 1)) for u in range(20)])
    found = summarize([block(frames, [2000] * 20)])
    assert found["lag_one"]["median"] == pytest.approx(6.25 / 7.25, abs=0.03)
    assert found["lag_one_within_utterance"]["median"] == pytest.approx(0.0, abs=0.03)


def test_effective_rank_counts_equal_directions():
    assert effective_rank(np.diag([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3.0)
    assert effective_rank(np.diag([1.0, 0.0])) == pytest.approx(1.0)
    assert effective_rank(np.zeros((3, 3))) == 0.0


def test_constant_dimensions_are_counted_and_nothing_is_refused():
    frames = np.random.default_rng(0).normal(size=(50, 2))
    frames[:, 1] = 4.0
    assert summarize([block(frames, [50])])["num_constant_dims"] == 1
    with pytest.raises(InputError, match="no frame"):
        summarize([])


def test_shards_report_the_worst_self_test_and_every_exclusion():
    def manifest(value: float, name: str) -> dict:
        test = {"name": "causality", "value": value, "limit": 1.0, "is_passed": True, "detail": ""}
        row = {"utterance_id": name, "speaker_id": "s", "reason": "unreadable", "detail": ""}
        return {"extraction": {"self_tests": [test], "excluded": [row], "num_resampled": 2}}

    found = gather_extraction([manifest(0.1, "b"), manifest(0.3, "a")])
    assert found["self_tests"][0]["value"] == 0.3
    assert [row["utterance_id"] for row in found["excluded"]] == ["a", "b"]
    assert found["num_resampled"] == 4


def test_examples_are_of_spread_speakers_and_just_long_enough():
    table = pd.DataFrame(
        [(f"{s}-{d}", f"s{s}", float(d)) for s in range(9) for d in (3, 7, 9)],
        columns=["utterance_id", "speaker_id", "duration_s"],
    )
    chosen = choose_examples(table, 3, 6.0)
    assert chosen["utterance_id"].tolist() == ["0-7", "4-7", "8-7"]
    assert choose_examples(table, 2, 20.0)["utterance_id"].tolist() == ["0-9", "8-9"]
    assert len(choose_examples(table, 40, 6.0)) == 9
    assert len(choose_examples(table, 0, 6.0)) == 0
