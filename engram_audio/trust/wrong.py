"""Wrong versions of right functions, for `bugs`: each makes one from the real one.

Shapes: M targets, S speakers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engram_audio.structure.targets import EVAL, TRAIN

Function = Callable[..., Any]


def off_by_one_lag(right: Function) -> Function:
    """Let contexts end one frame later."""

    def wrong(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
        return right(targets, lag_frames - 1, window_frames)

    return wrong


def target_leaked(right: Function) -> Function:
    """Add the target's own step to what the components see."""

    def wrong(
        frames: np.ndarray, targets: np.ndarray, lag_frames: int, components: np.ndarray
    ) -> np.ndarray:
        own = right(frames, targets, lag_frames, components)
        return own + (right(frames, targets, 0, components) - right(frames, targets, 1, components))

    return wrong


def fitted_on(parts: Sequence[int]) -> Callable[[Function], Function]:
    """Return a bug that fits cells on some parts instead of on train."""
    return lambda right: lambda part: np.isin(part, parts)


def shuffled_labels(right: Function) -> Function:
    """Tear labels off their frames."""

    def wrong(cells: np.ndarray, part: np.ndarray, *others: Any) -> Any:
        return right(np.random.default_rng(0).permutation(cells), part, *others)

    return wrong


def float16_sums(right: Function) -> Function:
    """Every sum is kept in half precision, frame by frame."""
    del right

    def wrong(total: np.ndarray, values: np.ndarray, codes: np.ndarray) -> None:
        half = total.astype(np.float16)
        with np.errstate(over="ignore"):
            np.add.at(half, codes, values.astype(np.float16))
        total[:] = half

    return wrong


def instead_of_train(targets: Any, part: int) -> Any:
    """Return targets in which a part takes the place of train."""
    new = targets.part.copy()
    new[targets.part == TRAIN], new[targets.part == part] = part, TRAIN
    return targets._replace(part=new)


def normalised_on_eval(right: Function) -> Function:
    """Fit the statistics of delta on eval."""

    def wrong(source: Any, slices: list[Any], std_floor: float) -> Any:
        return right(source, [instead_of_train(one, EVAL) for one in slices], std_floor)

    return wrong


def normalised_by_all(right: Function) -> Function:
    """Use the statistics of the first slice in all."""

    def wrong(source: Any, slices: list[Any], std_floor: float) -> Any:
        fitted = right(source, slices, std_floor)
        return [fitted[0]] * len(fitted)

    return wrong


def moments_on(part: int) -> Callable[[Function], Function]:
    """Return a bug that takes window moments of another part."""

    def replace(right: Function) -> Function:
        def wrong(context: Any, *others: Any) -> Any:
            targets = instead_of_train(context.targets, part)
            return right(context._replace(targets=targets), *others)

        return wrong

    return replace


def keys_fitted_on(parts: Sequence[str]) -> Callable[[Function], Function]:
    """Return a bug that fits keys on contexts of some parts instead of on train."""

    def replace(right: Function) -> Function:
        def wrong(block: Any, part_of: Mapping[str, str], *others: int) -> np.ndarray:
            moved = {name: "train" if own in parts else "-" for name, own in part_of.items()}
            return right(block, moved, *others)

        return wrong

    return replace


def counted_on_eval(right: Function) -> Function:
    """Let train and eval change places where cells are counted."""

    def wrong(cells: np.ndarray, part: np.ndarray, *others: Any) -> Any:
        new = part.copy()
        new[part == TRAIN], new[part == EVAL] = EVAL, TRAIN
        return right(cells, new, *others)

    return wrong


def scaled(factor: float) -> Callable[[Function], Function]:
    """Return a bug that multiplies what the function returns."""
    return lambda right: lambda *given: factor * right(*given)


def not_centred(right: Function) -> Function:
    """Leave out the contexts of the cells."""

    def wrong(moments: Any, sums: Any) -> Any:
        return right(moments, sums._replace(context=np.zeros_like(sums.context)))

    return wrong


def cells_on_residuals(right: Function) -> Function:
    """Keep ridge's slope and fit cells on what it leaves."""

    def wrong(moments: Any, sums: Any) -> Any:
        from engram_audio.structure.joint import ridge_slope

        slope = ridge_slope(moments)
        counts = np.maximum(sums.counts, 1)[:, None]
        fitted = right(moments, sums)
        return fitted._replace(slope=slope, intercept=(sums.target - sums.context @ slope) / counts)

    return wrong


def small_errors(right: Function) -> Function:
    """Divide standard errors by 3."""

    def wrong(estimate: Any) -> Any:
        found = right(estimate)
        return found._replace(se=found.se / 3)

    return wrong


def no_leverage(right: Function) -> Function:
    """Leave the influence as it is."""
    del right
    return lambda estimate: estimate.influence


def many_degrees(right: Function) -> Function:
    """Return very many degrees of freedom."""
    return lambda squares, num_units: np.full_like(right(squares, num_units), 1e9)


def effective_by_count(right: Function) -> Function:
    """Count speakers whatever their size."""
    del right
    return lambda weight: (weight > 0).sum(axis=-1).astype(np.float64)


def sign_of_transfer(right: Function) -> Function:
    """Turn the sign of the transfer loss."""

    def wrong(*given: Any) -> Any:
        found = right(*given)
        return found._replace(value=-found.value, low=-found.high, high=-found.low)

    return wrong


def parts_swapped(right: Function) -> Function:
    """Let eval and val change places."""
    return lambda on_eval, on_val, confidence: right(on_val, on_eval, confidence)


def independent(right: Function) -> Function:
    """The error of a difference as if both were measured on other speakers."""

    def wrong(first: Any, second: Any) -> Any:
        found = right(first, second)
        return found._replace(influence=np.hypot(first.influence, second.influence))

    return wrong


def energy_at(shift: int) -> Callable[[Function], Function]:
    """Return a bug that judges speech by a frame that many frames later than it should."""

    def replace(right: Function) -> Function:
        def wrong(offsets: Any, energy: Any, targets: Any, lag_frames: int, levels: Any) -> Any:
            return right(offsets, energy, targets, max(lag_frames - shift, 0), levels)

        return wrong

    return replace


def one_level(right: Function) -> Function:
    """All speakers have the level of the loudest."""

    def wrong(loud: Any, speaker_ids: Any, range_db: float) -> np.ndarray:
        found = right(loud, speaker_ids, range_db)
        return np.full_like(found, max(loud.values()) * 10 ** (-range_db / 20))

    return wrong


def folds_of_one(right: Function) -> Function:
    """Every speaker's own frames make the means that it is scored with."""

    def wrong(plan: Any, labeling: Any, folds: Any) -> Any:
        # every fold holds all frames, so that leaving one out leaves the same means
        found = right(plan, labeling, folds)
        return tuple(
            np.broadcast_to(one.sum(axis=1, keepdims=True), one.shape).copy() for one in found
        )

    return wrong


def white_twin(right: Function) -> Function:
    """Set all coefficients to 0."""

    def wrong(*given: Any) -> Any:
        model = right(*given)
        return model._replace(coefficients=np.zeros_like(model.coefficients))

    return wrong


def low_order(right: Function) -> Function:
    """Keep the first lag only."""

    def wrong(blocks: Any, order: int) -> Any:
        model = right(blocks, order)
        kept = model.coefficients.copy()
        kept[kept.shape[1] :] = 0
        return model._replace(coefficients=kept)

    return wrong


def twin_fitted_on(*parts: str) -> Callable[[Function], Function]:
    """Return a bug that fits a VAR on utterances of some parts instead of on train."""

    def replace(right: Function) -> Function:
        def wrong(blocks: Any, part_of: Mapping[str, str], order: int) -> Any:
            moved = {name: "train" if own in parts else "-" for name, own in part_of.items()}
            return right(blocks, moved, order)

        return wrong

    return replace


def surrogate_of_another_split(right: Function) -> Function:
    """Look for surrogates on the first split whatever the own is."""

    def wrong(analysis: tuple[str, int], analysed: Mapping[tuple[str, int], Any]) -> Any:
        first = min(seed for _, seed in analysed)
        return right((analysis[0], first), analysed)

    return wrong


def without_target(right: Function) -> Function:
    """A target outside the context: the newest frames are dropped from every window."""

    def wrong(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
        return right(targets, lag_frames + 1, window_frames)

    return wrong


def ignoring(*names: str) -> Callable[[Function], Function]:
    """Return a bug that leaves out rows of these names, or that begin with them."""

    def replace(right: Function) -> Function:
        def wrong(*given: Any, **named: Any) -> Any:
            return [row for row in right(*given, **named) if not row.name.startswith(names)]

        return wrong

    return replace


def always(value: Any) -> Callable[[Function], Function]:
    """Return a bug that answers the same whatever it is asked."""
    return lambda right: lambda *given, **named: value


def plain_level(right: Function) -> Function:
    """Do not share the level over the slices."""

    def wrong(records: Any, name: str, seed: int, candidates: Any, section: Any, delta: float,
              confidence: float) -> Any:  # fmt: skip
        own = 1 - (1 - confidence) * len(section.slices)
        return right(records, name, seed, candidates, section, delta, own)

    return wrong


def chosen_on_eval(right: Function) -> Function:
    """Choose the key where it is tested."""
    del right
    return lambda *given: "eval"


def worst_chosen(right: Function) -> Function:
    """Choose the key that adds least."""
    return lambda candidates: right([one._replace(score=-one.score) for one in candidates])


def first_candidate(right: Function) -> Function:
    """Ask only one candidate before a STOP."""

    def wrong(records: Any, name: str, seed: int, candidates: Any, *others: Any) -> Any:
        return right(records, name, seed, candidates[:1], *others)

    return wrong


def point_estimates(right: Function) -> Function:
    """Judge values and not intervals."""

    def wrong(row: Any, name: str, confidence: float) -> Any:
        found = right(row, name, confidence)
        return found._replace(low=found.value, high=found.value)

    return wrong


def one_slice(right: Function) -> Function:
    """Judge the heads as if there were one slice."""
    return lambda *given: right(*given[:-1], 1)


def heads_reversed(right: Function) -> Function:
    """Take what heads lose for what they gain."""

    def wrong(place: Any, heads: Any, *others: Any) -> Any:
        gain = heads.gain
        turned = gain._replace(value=-gain.value, low=-gain.high, high=-gain.low)
        return right(place, heads._replace(gain=turned), *others)

    return wrong
