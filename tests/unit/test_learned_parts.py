"""Which part each number of a learned key comes from: fits from train, choices from select."""

from typing import cast

import numpy as np
import pytest
import torch
from torch.nn import functional

from engram_audio.keys import clustering
from engram_audio.keys.fitted import FittedKey
from engram_audio.keys.law_networks import LawPredictor, Perceptron
from engram_audio.keys.law_targets import Aim, Whitening, fit_whitening
from engram_audio.keys.law_training import LawTask
from engram_audio.keys.learned_fit import LearnedFamily, _CodesTask, train_predictor
from engram_audio.latents.block import LatentBlock
from tests.unit.law_material import cycle, learned, material, material_of, recipe, targets_of
from tests.unit.law_material import training as training_of

KINDS = ({"kind": "laws", "codebook_sizes": (4,)}, {"kind": "product_laws", "num_codes": (2, 3)},
         {"kind": "distilled", "teacher": "laws_4", "recipe": "key"})  # fmt: skip
SHORT = training_of()._replace(recipes={"key": recipe(num_steps=20, validation_interval_steps=10)})
LINEAR = Aim("delta", "linear", 1)


def with_other_frames(part: str) -> tuple[LatentBlock, dict[str, str]]:
    """The cycle, in which one part says something else."""
    block, part_of = cycle()
    is_other = np.array([part_of[str(name)] == part for name in block.utterance_ids])
    rows = np.repeat(is_other, np.diff(block.offsets))
    other = 2 + np.random.default_rng(9).standard_normal(block.frames.shape) ** 3
    return block._replace(frames=np.where(rows[:, None], other, block.frames).astype("f4")), part_of


def short_family(block: LatentBlock, part_of: dict[str, str]) -> LearnedFamily:
    return learned(*KINDS, own=material_of(block, part_of), how=SHORT)


def numbers(keys: tuple[FittedKey, ...]) -> list[np.ndarray]:
    return [np.asarray(one) for key in keys for one in (*key.features.values(),
                                                        *key.cells.values())]  # fmt: skip


def whitening(block: LatentBlock, part_of: dict[str, str]) -> Whitening:
    return fit_whitening(targets_of(block, part_of), part_of, LINEAR, (1e-6, 1e-2), 2, 0.01)


def test_eval_frames_change_no_number_of_a_key():
    """Scales, networks, cells and the agreement of a distilled key."""
    before, after = short_family(*cycle()), short_family(*with_other_frames("eval"))
    assert len(before.fitted.keys) == len(KINDS)
    for one, other in zip(numbers(before.fitted.keys), numbers(after.fitted.keys), strict=True):
        np.testing.assert_array_equal(one, other)
    assert before.agreement == after.agreement


@pytest.mark.parametrize("part", ["eval", "val"])
def test_frames_of_no_other_part_change_what_laws_are_about(part: str):
    """Centres, linear bases and scales come from train, and the ridge from select."""
    for one, other in zip(whitening(*cycle()), whitening(*with_other_frames(part)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("part", ["select", "val"])
def test_choices_are_made_on_select_and_on_val_without_it(part: str):
    block, part_of = cycle()
    if part == "val":
        part_of = {name: "train" if own == "select" else own for name, own in part_of.items()}
    assert targets_of(block, part_of).choice_part == part


def test_the_ridge_beside_a_law_is_chosen_by_select():
    """White noise and many regressors: train likes the weakest ridge, other speakers the largest.

    A fit of 40 regressors on 80 frames halves the squares of its own frames and doubles others'.
    """
    names = ["s0", "s1", "s2", "s3", "s4"]
    frames = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
    block = LatentBlock(frames, np.ones(150, np.float32), np.arange(0, 151, 30),
                        np.array(names, object), np.array(names, object))  # fmt: skip
    part_of = {**dict.fromkeys(names[:4], "train"), "s4": "select"}
    found = fit_whitening(targets_of(block, part_of, 10), part_of, Aim("position", "linear", 1),
                          (1e-6, 1e3), 2, 0.01)  # fmt: skip
    assert found.ridge == 1e3


def test_a_predictor_is_validated_on_select():
    own = material()
    torch.manual_seed(0)
    network = Perceptron(len(own.scale), 4, 1, 0.0, own.bank.num_components).eval()
    items = own.targets.of_part("select")
    with torch.no_grad():
        weights = network(torch.from_numpy(own.features(items))).log_softmax(1).numpy()
        found = LawTask(LawPredictor(network), own, 10_000).validate()
    scores = own.bank.log_densities(own.y[items])
    assert found == pytest.approx(-np.logaddexp.reduce(weights + scores, 1).mean(), rel=1e-5)


def test_a_distilled_key_is_validated_and_compared_on_select():
    """After a few steps train and select agree with the teacher to another degree."""
    own = material()
    found = learned(KINDS[0], KINDS[2], own=own,
                    how=SHORT._replace(recipes={"key": recipe(num_steps=2)}))  # fmt: skip
    teacher, student = found.fitted.keys
    shares = {}
    for part in ("train", "select"):
        contexts = own.targets.contexts(own.targets.of_part(part))
        shares[part] = float((teacher.codes(contexts) == student.codes(contexts)).mean())
    assert shares["train"] != shares["select"]
    assert found.agreement[student.name] == pytest.approx(shares["select"])
    layer = Perceptron(len(own.scale), 0, 0, 0.0, teacher.num_codes).eval()
    items = own.targets.of_part("select")
    with torch.no_grad():
        codes = torch.from_numpy(teacher.codes(own.targets.contexts(items)).astype(np.int64))
        logits = layer(torch.from_numpy(own.features(items)))
        score = _CodesTask(layer, own, teacher, 10_000).validate()
    assert score == pytest.approx(float(functional.cross_entropy(logits, codes)), rel=1e-5)


def test_tuned_cells_start_from_the_predictor():
    """A training that moves nothing ends with the predictor's own weights."""
    idle = SHORT._replace(recipes={"key": recipe(num_steps=1, learning_rate=1e-12)})
    own = material()
    predictor, _ = train_predictor(own, idle)
    kind = {"kind": "tuned", "codebook_sizes": (4,), "recipe": "key", "first_beta": 5.0,
            "last_beta": 30.0, "speaker_weight": 0.1}  # fmt: skip
    (key,) = learned(kind, own=own, how=idle).fitted.keys
    for name, values in predictor.items():
        np.testing.assert_allclose(key.cells[name], values, atol=1e-9)


def test_codes_of_straight_through_keys_are_unit_vectors():
    """The nearest code by angle is then the one of the largest product."""
    kind = {"kind": "vq", "codebook_sizes": (4,), "recipe": "key", "num_dims": 2}
    (key,) = learned(kind, how=SHORT).fitted.keys
    np.testing.assert_allclose(np.linalg.norm(key.cells["codebook"], axis=1), 1, rtol=1e-5)


def test_the_start_that_loses_the_least_wins(monkeypatch: pytest.MonkeyPatch):
    """Of three random starts and a merged one, wherever it stands."""
    laws = np.full((40, 3), 1 / 3, np.float32)
    for best in range(4):
        lost = [3.0, 4.0, 5.0, 6.0]
        lost[best] = 1.0
        ends = iter([(np.full((2, 3), number, np.float32), own) for number, own in enumerate(lost)])
        start = np.ones((2, 3), np.float32)
        monkeypatch.setattr(clustering, "_start", lambda *_, start=start: start)
        monkeypatch.setattr(clustering, "_merged_start", lambda *_, start=start: start)
        monkeypatch.setattr(clustering, "_refined", lambda *_, ends=ends: next(ends))
        found = clustering.cluster_laws(laws, 2, 3, 1, cast(np.random.Generator, None))
        assert (found == best).all()
