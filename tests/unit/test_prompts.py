"""Speaker prompts: whose first frames they are, whatever blocks the utterances come in."""

import itertools

import numpy as np
import pytest
import torch

from engram_audio.generation.evaluation import Scope, frame_nll
from engram_audio.generation.prompts import FIXED_SHARE, Prompts, prompts_of
from engram_audio.latents.block import LatentBlock, some_utterances
from tests.unit.condition_material import block, texts, told_settings
from tests.unit.generator_material import arm

CPU = torch.device("cpu")
COUNT = 5


def in_pieces(of: LatentBlock, num_pieces: int) -> list[LatentBlock]:
    """The same utterances in several blocks."""
    ends = np.linspace(0, len(of.utterance_ids), num_pieces + 1).astype(int).tolist()
    return [some_utterances(of, *pair) for pair in itertools.pairwise(ends)]


@pytest.mark.parametrize("num_pieces", [2, 3, 6])
def test_told_frames_score_the_same_in_one_block_and_in_many(num_pieces: int):
    """A block that holds one utterance of a speaker prompts it with another block's."""
    own = told_settings()
    model, of = arm("S", own), block(6)

    def scores(blocks: list[LatentBlock]) -> torch.Tensor:
        scope = Scope(1, 6, CPU, texts(of), prompts_of(own.condition, blocks))
        return torch.cat(list(frame_nll(model, lambda: iter(blocks), scope)))

    assert torch.allclose(scores(in_pieces(of, num_pieces)), scores([of]), atol=1e-5)


def test_a_scope_without_prompts_is_refused():
    with pytest.raises(ValueError, match="needs the prompts of the part"):
        list(frame_nll(arm("S", told_settings()), lambda: iter([block()]), Scope(1, 2, CPU)))


def test_a_fixed_prompt_is_not_the_next_utterance():
    """Of many it stands about the fixed share along the list, wherever the told one stands."""
    of, num = block(40, 1), 40
    order = sorted(str(name) for name in of.utterance_ids)
    speakers = [str(name) for name in of.speaker_ids]
    found, _ = Prompts.of_stream([of], COUNT).of(order, speakers, None)
    for place in range(num):
        donor = order[(place + 1 + int(FIXED_SHARE * (num - 1))) % num]
        start = of.offsets[of.utterance_ids.tolist().index(donor)]
        assert torch.equal(found[place], torch.from_numpy(of.frames[start : start + COUNT]))


def test_a_short_utterance_is_prompted_and_prompts_none():
    """Utterances of 30 and more frames; the first one is shorter than the prompt."""
    of = block(4, 1)
    prompts = Prompts.of_stream(in_pieces(of, 2), 31)
    for draw in np.linspace(0, 0.9999, 9):
        shares = torch.full((4,), float(draw))
        found, is_prompt = prompts.of(of.utterance_ids.tolist(), of.speaker_ids.tolist(), shares)
        assert is_prompt.all()
        assert not (found[:, 0] == torch.from_numpy(of.frames[0])).all(1).any()


def test_prompts_of_a_part_are_of_its_utterances():
    """The same ones from the block in memory and from a stream of the part alone."""
    of, used = block(8, 2), np.array([0, 1, 2, 4, 5])
    pieces = [some_utterances(of, number, number + 1) for number in used.tolist()]
    streamed = Prompts.of_stream(pieces, COUNT)
    held = Prompts.of_block(of, torch.from_numpy(of.frames), used, COUNT)
    for draws in (None, torch.linspace(0, 0.99, len(used))):
        names, speakers = of.utterance_ids[used].tolist(), of.speaker_ids[used].tolist()
        for one, other in zip(
            streamed.of(names, speakers, draws), held.of(names, speakers, draws), strict=True
        ):
            assert torch.equal(one, other)


def test_the_share_of_frames_with_a_prompt_is_counted():
    """Three utterances of two speakers: the second speaker's one has none."""
    of = block(3, 2)
    sizes = np.diff(of.offsets)
    share = Prompts.of_stream([of], COUNT).prompted_share
    assert share == pytest.approx((sizes[0] + sizes[2]) / sizes.sum())
    assert prompts_of(None, [of]) is None
