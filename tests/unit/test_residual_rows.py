"""Rows that are means of residuals: whose frames they hold, how far they are shrunk."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engram_audio.generation.arm_checks import require_arm, require_model
from engram_audio.generation.arms import fit_contents
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.model import Generator
from engram_audio.generation.residual_rows import ResidualRows, Sums
from engram_audio.generation.sources import sources_of
from engram_audio.generation.task import GeneratorTask
from tests.unit.generator_material import LATENT, NGRAM, arm, data, insertion, settings

CPU = torch.device("cpu")


def table_of(model: Generator) -> ResidualRows:
    (found,) = sources_of(model)
    assert isinstance(found, ResidualRows)
    return found


def read_in_training(own: GeneratorData, number: int) -> Tensor:
    """The rows that the train frames of an utterance read."""
    model = arm("SMd", is_stirred=False)
    fit_contents(model, own, own)
    task = GeneratorTask(model, own, own, CPU)
    model.train()
    batch = own.batch(torch.tensor([number]), CPU)
    codes = task._codes_read(own, batch, torch.rand(1))
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen.append(output)

    hook = table_of(model).register_forward_hook(keep)
    with torch.no_grad():
        model.trace(batch.frames, codes)
    hook.remove()
    return seen[0]


def test_no_frame_reads_a_row_that_holds_its_own_speaker():
    """Frames of the speaker's fold may change as they like: what it reads stays, bit for bit.

    Speakers s0 and s2 are one fold, s1 the other. Utterance 0 is of s0, utterance 3 too.
    """
    plain, changed, other = data(), data(), data()
    for own, utterance in ((changed, 3), (other, 1)):
        rows = slice(int(own.offsets[utterance]), int(own.offsets[utterance + 1]))
        own.frames[rows] = own.frames[rows].flip(0)
    assert torch.equal(read_in_training(plain, 0), read_in_training(changed, 0))
    assert not torch.equal(read_in_training(plain, 0), read_in_training(other, 0))


def test_rows_are_means_of_whitened_residuals_by_code():
    """By hand: all train speakers, before they are shrunk. The last row is of keys not whole."""
    model, own = arm("SMd", is_stirred=False), data()
    fit_contents(model, own, own)
    codes, base = own.codes(model.key), model.head.base
    values: dict[int, list[Tensor]] = {}
    for u in range(6):
        rows = own._rows(torch.tensor(u))
        x = own.frames[rows].unsqueeze(0)
        residual = base.whiten(x[:, 1:] - model.head.predicted(model.recent(x)[:, :-1]))[0]
        for code, value in zip(codes[rows[:-1]].tolist(), residual, strict=True):
            values.setdefault(code, []).append(value)
    centre = torch.stack([one for own_values in values.values() for one in own_values]).mean(0)
    table = table_of(model).table.weight
    for code, own_values in values.items():
        mean = torch.stack(own_values).mean(0)
        moved = (table[code] - centre) / (mean - centre)
        assert torch.allclose(moved, moved.mean().expand(3), atol=1e-3)  # one share for all dims
        assert -1e-6 <= float(moved.mean()) <= 1


def shrunk_error(noise: float, seed: int) -> tuple[float, float, float]:
    """Squared errors of shrunk rows, of plain means, and of nothing, for rows of SD 1."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(200, 4))
    visits = rng.integers(1, 12, 200)
    values = [row + noise * rng.normal(size=(n, 4)) for row, n in zip(true, visits, strict=True)]
    sums = Sums(
        torch.tensor(visits, dtype=torch.float64),
        torch.from_numpy(np.array([own.sum(0) for own in values])),
        torch.from_numpy(np.array([(own**2).sum(0) for own in values])),
    )
    plain = sums.values.numpy() / visits[:, None]
    return tuple(((own - true) ** 2).mean() for own in (sums.shrunk().numpy(), plain, 0 * true))  # type: ignore[return-value]


@pytest.mark.parametrize("noise", [0.1, 2.0, 6.0])
def test_shrinking_beats_means_and_nothing(noise: float):
    """Under no noise rows stay, under much they go to nearly nothing; between they beat both."""
    shrunk, plain, nothing = shrunk_error(noise, 0)
    assert shrunk <= 1.001 * min(plain, nothing)
    if noise == 2.0:
        assert shrunk < 0.8 * min(plain, nothing)


def test_no_row_is_trained_and_a_speaker_of_no_fold_reads_all():
    """Only the reader learns. Held-out frames read the table, and so does a plain pass."""
    model, own = arm("SMd"), data()
    fit_contents(model, own, own)
    assert not table_of(model).table.weight.requires_grad
    before = table_of(model).table.weight.clone()
    task = GeneratorTask(model.train(), own, own, CPU)
    task.loss(torch.tensor([0, 1])).backward()
    assert torch.equal(before, table_of(model).table.weight)
    assert "memory.sources.before_block_2.fold_rows" not in model.state_dict()
    model.eval()
    codes = own.codes(model.key)[:30].unsqueeze(0)
    with torch.no_grad():
        plain = model.features(own.frames[:30].unsqueeze(0))
        assert torch.equal(plain, model.features(own.frames[:30].unsqueeze(0), codes))


def test_rows_of_ngrams_are_means_too():
    """Hashed rows hold the means of what reads them."""
    model, own = arm("SMd", memory=insertion(NGRAM), is_stirred=False), data()
    fit_contents(model, own, own)
    assert table_of(model).width == 4 * 3 and bool(table_of(model).table.weight.any())


def test_what_cannot_be_done_is_refused():
    """A memory without a gated reader, noise on the keys, one speaker."""
    with pytest.raises(ValueError, match=r"arm SMd: .*latent_ngrams has no gated reader"):
        require_arm("SMd", insertion(LATENT))
    noisy = settings(noise={"kind": "uniform"})
    with pytest.raises(ValueError, match=r"arm SMd reads means of clean frames.*drop the arm"):
        require_model("x", "SMd", insertion(), noisy)
    own = data(1)
    with pytest.raises(ValueError, match="at least 2 train speakers; found 1"):
        fit_contents(arm("SMd"), own, own)
