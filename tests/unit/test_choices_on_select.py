"""Every choice is made on select speakers: not on val, whose speakers are fitted, never on eval."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.corpus.split_parts import choice_part
from engram_audio.densities.comparison import Cell, SumTable, choose_baselines, select_less_val
from engram_audio.densities.config import RidgeMixtureSection
from engram_audio.densities.events import SPEAKER_NULL
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import choose_base, fit_marginals, head_task
from engram_audio.densities.nulls import NullMoments, base_for, fit_linear_nulls
from engram_audio.densities.ridge_mixture import fit_ridge_mixture
from engram_audio.densities.task import DensityTask
from engram_audio.latents.block import LatentBlock
from engram_audio.memory.fit import fit_lookup
from engram_audio.memory.folds import linear_candidates
from tests.unit.memory_material import key_of, lookup
from tests.unit.prediction_material import (
    LAGS,
    WINDOW,
    World,
    head_settings,
    make_world,
    recipe,
    white_noise,
)

CPU = torch.device("cpu")
DIMS = 16
NULL = RidgeMixtureSection(
    num_components=2, maximum_components=4, minimum_gain_nats=0.01, maximum_frames=2000
)


def with_offsets(scale: float):
    """Move each speaker's frames by an offset of its own: what is learned of it is of no use."""

    def change(block: LatentBlock) -> LatentBlock:
        frames = block.frames.copy()
        for number, speaker in enumerate(sorted(set(block.speaker_ids))):
            own = np.repeat(block.speaker_ids == speaker, np.diff(block.offsets))
            generator = np.random.default_rng([number, len(block.frames)])
            frames[own] += (scale * generator.standard_normal(DIMS)).astype(np.float32)
        return block._replace(frames=frames)

    return change


def ladder(world: World, chosen_on: str, orders: tuple[int, ...], ridges: tuple[float, ...]):
    material = world.material
    moments = NullMoments(material.reference, WINDOW, LAGS, chosen_on)
    moments.accumulate(lambda: iter([world.train]), world.part_of, WINDOW)
    return fit_linear_nulls(moments, ("delta", "position"), orders, ridges)


def eval_nll(world: World, linear_nulls: Any) -> float:
    """Mean NLL on eval of the linear null that was chosen."""
    data = world.eval_data(2)
    chosen = base_for(linear_nulls, 2, "position", True, True)
    return DensityTask(build_gaussian(chosen.fit.arrays), data, data, CPU).validate()


def test_early_stopping_reads_the_choice_part_alone():
    """The score that stops a training is that of the choice part, whatever train is."""
    world = make_world(white_noise(2), num_train_speakers=2, num_eval_speakers=2)
    data = world.eval_data(2)
    wide = world._replace(eval=world.eval._replace(frames=3 * world.eval.frames)).eval_data(2)
    fit = base_for(world.material.linear_nulls, 2, "position", True, True).fit
    scores = [
        DensityTask(build_gaussian(fit.arrays), train, data, CPU).validate()
        for train in (data, wide)
    ]
    assert scores[0] == scores[1]


def test_speaker_offsets_fool_val_and_not_select():
    """White noise about speaker means, six speakers, 16 dimensions.

    Six offsets span five dimensions. A fit on six speakers learns that space, which holds for val
    and for nobody else. Val picks the null of four frames that knows it best, select the plainest
    one, which is better on new speakers by nats.
    """
    world = make_world(white_noise(DIMS), 12, 8, change=with_offsets(3.0), num_select_speakers=6)
    ridges = (1e-4, 1e-2, 1.0, 10.0)
    by_val, by_select = (ladder(world, part, (1, 4), ridges) for part in ("val", "select"))
    found = [
        base_for(linear_nulls, 2, "position", True, True).fit
        for linear_nulls in (by_val, by_select)
    ]
    assert (found[0].order, found[1].order) == (4, 1)
    assert eval_nll(world, by_val) - eval_nll(world, by_select) > 1.0
    assert found[0].choice_nll < found[1].choice_nll - 1.0  # and val flatters what it chose


def sums(nll: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Sums of three speakers a part; `nll` is the mean by part and null."""
    return pd.DataFrame(
        [
            {
                "model": model, "lag_frames": 1, "event": "position", "part": part, "slice": "all",
                "speaker_id": f"{part}-{speaker}", "num_frames": 100, "nll": 100 * value,
            }
            for part, means in nll.items()
            for model, value in means.items()
            for speaker in range(3)
        ]
    )  # fmt: skip


VAL = {"ridge": 1.0, "gaussian_marginal_position": 2.0, "ar1": 1.5, "speaker_ar1": 0.1}
SELECT = {"ridge": 5.0, "gaussian_marginal_position": 3.0, "ar1": 2.5, "speaker_ar1": 0.2}


@pytest.mark.parametrize(
    ("parts", "best"), [({"val": VAL}, "ridge"), ({"val": VAL, "select": SELECT}, "ar1")]
)
def test_the_best_null_is_selects_and_knows_the_past_only(parts: dict[str, Any], best: str):
    """`speaker_ar1` is best everywhere, reads other utterances, and is never the best null."""
    for spread in (0.0, 100.0):  # eval says the opposite, loudly
        evaluated = {name: spread - value for name, value in VAL.items()}
        found = choose_baselines(SumTable(sums({**parts, "eval": evaluated})), [], 1, "position")
        assert found is not None and found.best == best


def test_what_val_hides_is_the_difference_to_select():
    table = SumTable(sums({"val": VAL, "select": SELECT, "eval": VAL}))
    assert table.choice_part == "select"
    assert select_less_val(table, "ridge", Cell(1, "position", "eval", "all")) == pytest.approx(4.0)
    without = SumTable(sums({"val": VAL, "eval": VAL}))
    assert without.choice_part == "val"
    assert np.isnan(select_less_val(without, "ridge", Cell(1, "position", "eval", "all")))


def small_world(num_select_speakers: int = 3) -> World:
    return make_world(
        white_noise(2), 9, 3, 4, change=lambda block: block, num_select_speakers=num_select_speakers
    )


def with_noise_at(world: World, part: str) -> World:
    """The world with a part's frames replaced: its reference and nulls are measured anew."""

    def change(block: LatentBlock) -> LatentBlock:
        own = np.array([world.part_of[str(name)] == part for name in block.utterance_ids])
        rows = np.repeat(own, np.diff(block.offsets))
        frames = block.frames.copy()
        frames[rows] = 50 * np.random.default_rng(7).standard_normal((int(rows.sum()), 2))
        return block._replace(frames=frames, energy=np.where(rows, 9.0, block.energy))

    return make_world(white_noise(2), 9, 3, 4, change=change, num_select_speakers=3)


def choices_of(world: World) -> list[np.ndarray]:
    """Numbers of everything that is fitted or chosen before eval is scored."""
    material, settings = world.material, head_settings(whitening="chosen", num_components=2)
    linear_nulls = [
        null for null in material.linear_nulls if null.name != SPEAKER_NULL
    ]  # it reads all it can
    found = [np.array([null.fit.choice_nll for null in linear_nulls])]
    found += [null.fit.arrays.weight for null in linear_nulls]
    found.append(choose_base(settings, material, 2, "position", True, 0).scale)
    mixture = fit_ridge_mixture(NULL, material, 2, "position", 0)
    found += [mixture.mixture.means, np.array(mixture.choice_nll)]
    for fit, _ in fit_marginals(settings, recipe(num_steps=2), material, 0).values():
        found.append(np.array(fit.growth))
    task, _ = head_task(settings, material, 1, "delta", 0, 512, CPU)
    task.model.eval()
    with torch.no_grad():
        found.append(np.array(task.validate()))
    candidates = linear_candidates(material, 1, "delta", 2)
    own = lookup(minimum_count=1)
    memory = fit_lookup(own, key_of(material), material, 1, candidates, 0, CPU)
    found += [np.array([record["choice_nll"] for record in memory.tried]), np.array(memory.is_off)]
    return found


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def plain() -> list[np.ndarray]:
    return choices_of(small_world())


def test_eval_speakers_influence_no_choice(plain: list[np.ndarray]):
    """Noise in place of eval changes no bit of any fit, choice or score that decides."""
    assert same(plain, choices_of(with_noise_at(small_world(), "eval")))


def test_val_influences_no_choice_where_there_is_select(plain: list[np.ndarray]):
    """Val is for transfer: with select speakers nothing else looks at it."""
    assert same(plain, choices_of(with_noise_at(small_world(), "val")))


def test_select_decides_and_is_fitted_by_nothing(plain: list[np.ndarray]):
    """Other select speakers change scores, and no weight that is fitted in closed form."""
    changed = choices_of(with_noise_at(small_world(), "select"))
    assert not np.array_equal(plain[0], changed[0])
    for place in (13, 17):  # `ar1` at lag 2 of either event: nothing about it is chosen
        assert plain[place].any() and np.array_equal(plain[place], changed[place])


def test_without_select_choices_fall_back_on_val():
    world = small_world(0)
    assert world.material.choice_part == choice_part(world.part_of.values()) == "val"
    assert small_world().material.choice_part == "select"
