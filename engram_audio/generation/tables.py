"""The generation stage's published rows: arms, gains between them, health and keys of free runs.

Gains are paired over seeds, speakers and frames. Choices were made on the choice part; what is
published of eval speakers chose nothing.

Shapes: R seeds, S speakers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import Table, choose
from engram_audio.corpus.split_parts import EVAL, TRAIN
from engram_audio.densities.comparison import described, with_intervals
from engram_audio.generation.columns import (
    GENERATION,
    GENERATION_GAINS,
    GENERATION_HEALTH,
    GENERATION_KEYS,
    GENERATION_LATENCY,
    GENERATION_REPLAY,
)
from engram_audio.generation.gains import gain_of
from engram_audio.generation.names import (
    MARGINAL,
    NO_SEED,
    NO_STEPS,
    NULLS,
    OF_PATH,
    OF_UNTOLD,
    SWAPS,
    over_state,
    split_path,
)
from engram_audio.generation.word import AS_MUCH_WORK, CONTROLS, MEMORY, PAIRS, SMALL, margin
from engram_audio.stats.ratio import ratio_of_sums

OF_MEMBER = (
    "key", "places", "noise", "short_context_frames", "width", "learning_rate", "dropout",
    "num_points", "best_step", "f_gen_flops", "f_train_flops", "num_resident", "num_touched",
    "num_read", "bytes_per_frame",
)  # fmt: skip
OF_REPLAY = ("arm", "seed", "num_passes", "is_permuted", "minimum_visits")
LABELS = ("arm", "seed", "num_steps")
NLL, ENERGY = "nll", "energy"  # scores of a frame: of heads with a density, and of others
UNTOLD_NLL, UNTOLD_ENERGY = OF_UNTOLD
PLAIN, RATE, STATE_RATE = OF_PATH  # more of a frame, of arms over z_dyn alone


class Evaluated(NamedTuple):
    """All evaluated arms of one generator on one representation.

    Attributes:
        representation: Name.
        generator: Name.
        chosen_on: The choice part.
        members: One row per training: arm, seed, num_steps, is_repeat and `OF_MEMBER`.
        scores: One row per training, part and speaker: sums num_frames, nll and energy. A head
            has one of the two, the other is NaN. Arms over z_dyn have `OF_PATH` too.
        health: One row per arm, seed and horizon.
        keys: One row per arm, seed, probe and step or noise.
        replays: One row per replay, mask, part and speaker: sums num_frames and nll.
        latency: One row per arm that was timed.
    """

    representation: str
    generator: str
    chosen_on: str
    members: pd.DataFrame
    scores: pd.DataFrame
    health: pd.DataFrame
    keys: pd.DataFrame
    replays: pd.DataFrame
    latency: pd.DataFrame


class PathScored(NamedTuple):
    """Arms of one generator over one z_dyn; see `Evaluated`.

    Attributes:
        of: Representation and generator whose frames are drawn.
        members: One row per training.
        scores: With the columns `OF_PATH`.
        health: One row per arm, seed and horizon.
    """

    of: tuple[str, str]
    members: pd.DataFrame
    scores: pd.DataFrame
    health: pd.DataFrame


def with_paths(found: Sequence[Evaluated], paths: Sequence[PathScored]) -> list[Evaluated]:
    """Return what was evaluated with the arms over z_dyn beside those over the same frames."""
    return [_with_paths(one, [own for own in paths if own.of == one[:2]]) for one in found]


def _with_paths(one: Evaluated, paths: Sequence[PathScored]) -> Evaluated:
    if not paths:
        return one
    joined = [
        pd.concat([getattr(one, name), *(getattr(own, name) for own in paths)], ignore_index=True)
        for name in ("members", "scores", "health")
    ]
    return one._replace(members=joined[0], scores=joined[1], health=joined[2])


def generation_table(found: Sequence[Evaluated], confidence: float) -> pd.DataFrame:
    """Return one row per representation, generator, arm, seed and number of steps."""
    rows = [_member_row(one, member) for one in found for member in _first_trainings(one.members)]
    if not rows:
        return GENERATION.empty()
    return GENERATION.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _first_trainings(members: pd.DataFrame) -> list[dict[Any, Any]]:
    return choose(members, is_repeat=False).to_dict("records")


def _member_row(one: Evaluated, member: Mapping[Any, Any]) -> dict[str, Any]:
    labels = {name: member[name] for name in LABELS}
    own = choose(one.scores, is_repeat=False, **labels)
    on_eval = choose(own, part=EVAL)
    return {
        "representation": one.representation,
        "generator": one.generator,
        **labels,
        "chosen_on": one.chosen_on,
        **{name: member[name] for name in OF_MEMBER},
        **described("nll_nats", _mean_of(on_eval)),
        "nll_train_nats": _value_of(choose(own, part=TRAIN)),
        "nll_chosen_nats": _value_of(choose(own, part=one.chosen_on)),
        **described("energy_score", _mean_of(on_eval, ENERGY)),
        **described("nll_untold_nats", _mean_of(on_eval, UNTOLD_NLL)),
        **described("energy_untold", _mean_of(on_eval, UNTOLD_ENERGY)),
        **described("plain_bound_nats", _mean_of(on_eval, PLAIN)),
        **described("innovation_bits_per_s", _mean_of(on_eval, RATE)),
        **described("state_bits_per_s", _mean_of(on_eval, STATE_RATE)),
        "num_frames": int(on_eval["num_frames"].to_numpy(float).sum()),
        "num_speakers": int((on_eval["num_frames"].to_numpy(float) > 0).sum()),
        "repeat_difference_nats": _repeat_difference(one, labels, on_eval),
    }


def _mean_of(rows: pd.DataFrame, score: str = NLL) -> Any:
    """Return the mean score of a frame; None where there is no row, or no such score of it."""
    if rows.empty or score not in rows or bool(rows[score].isna().any()):
        return None
    return ratio_of_sums(rows[score].to_numpy(float), rows["num_frames"].to_numpy(float))


def _value_of(rows: pd.DataFrame) -> float:
    found = _mean_of(rows)
    return np.nan if found is None else float(found.value)


def _repeat_difference(one: Evaluated, labels: Mapping[str, Any], on_eval: pd.DataFrame) -> float:
    again = choose(one.scores, is_repeat=True, part=EVAL, **labels)
    return abs(_value_of(again) - _value_of(on_eval))


class Sums(NamedTuple):
    """Sums of a score, and frames, of an arm by seed and speaker, [R, S] each."""

    score: np.ndarray
    num_frames: np.ndarray


class Scores:
    """Sums of one representation by arm; an arm without seeds stands for every seed."""

    def __init__(self, one: Evaluated, part: str, num_steps: int, score: str = NLL) -> None:
        """Index the scores of a part after a number of steps; arms without that score are out."""
        rows = choose(one.scores, part=part, is_repeat=False)
        rows = rows.loc[~rows[score].isna()]
        self._score = score
        rows = rows.loc[rows["num_steps"].isin([num_steps, NO_STEPS])]
        self._speakers = sorted({str(name) for name in rows["speaker_id"]})
        self._rows = dict(list(rows.groupby(["arm", "seed"], sort=False)))
        self.arms = list(dict.fromkeys(rows["arm"]))

    def seeds(self, arm: str) -> list[int]:
        """Return the seeds of an arm, ascending."""
        return sorted(int(seed) for name, seed in self._rows if name == arm)

    def paired(self, arm: str, other: str) -> tuple[Sums, Sums] | None:
        """Return the sums of two arms under the seeds that both have; None where there is none."""
        own, theirs = self.seeds(arm), self.seeds(other)
        shared = [seed for seed in own if seed in theirs or theirs == [NO_SEED]]
        if not shared:
            return None
        return self._sums(arm, shared), self._sums(other, shared)

    def _sums(self, arm: str, seeds: Sequence[int]) -> Sums:
        found = [self._of(arm, seed) for seed in seeds]
        return Sums(*(np.stack(part) for part in zip(*found, strict=True)))

    def _of(self, arm: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows.get((arm, seed), self._rows.get((arm, NO_SEED)))
        assert rows is not None
        own = rows.set_index("speaker_id").reindex(self._speakers, fill_value=0.0)
        return own[self._score].to_numpy(float), own["num_frames"].to_numpy(float)


def gains_table(found: Sequence[Evaluated], confidence: float) -> pd.DataFrame:
    """Return one row per representation, generator, pair of arms, part and number of steps."""
    rows = [
        row
        for one in found
        for num_steps in _step_counts(one)
        for row in _gain_rows(one, num_steps, confidence)
    ]
    return GENERATION_GAINS.arrange(pd.DataFrame(rows)) if rows else GENERATION_GAINS.empty()


def _step_counts(one: Evaluated) -> list[int]:
    return sorted(int(steps) for steps in set(one.members["num_steps"]) if steps != NO_STEPS)


def _gain_rows(one: Evaluated, num_steps: int, confidence: float) -> list[dict[str, Any]]:
    information = information_of(Scores(one, EVAL, num_steps))
    delta = margin(information)
    rows = []
    for part in (EVAL, TRAIN):
        rows += _pair_rows(one, Scores(one, part, num_steps), part, num_steps, delta, confidence)
        energy = Scores(one, part, num_steps, ENERGY)
        rows += [
            _in_energy(row) for row in _pair_rows(one, energy, part, num_steps, 0.0, confidence)
        ]
    return [{"information_nats": information, **row} for row in rows]


def _pair_rows(
    one: Evaluated, scores: Scores, part: str, num_steps: int, delta: float, confidence: float
) -> list[dict[str, Any]]:
    """Return the gains of all pairs of arms by one score."""
    work, rows = _work_of(one.members), []
    for arm, other in pairs_of(scores.arms):
        paired = scores.paired(arm, other)
        if paired is None:
            continue
        own, theirs = paired
        gain = gain_of(own.score, theirs.score, own.num_frames, delta, confidence)
        rows.append({
            "representation": one.representation, "generator": one.generator,
            "arm": arm, "against": other, "part": part,
            "num_steps": num_steps, "gain_nats": gain.gain, "gain_nats_low": gain.low,
            "gain_nats_high": gain.high, "df": gain.df, "sd_seed": gain.components.seed,
            "sd_speaker": gain.components.speaker, "sd_rest": gain.components.rest,
            "num_seeds": gain.num_seeds, "num_speakers": gain.num_speakers,
            "seeds_needed": gain.seeds_needed, "delta_nats": delta,
            "work_share": work.get(arm, np.nan) / work.get(other, np.nan),
            **{f"gain_energy{end}": np.nan for end in ("", "_low", "_high")},
        })  # fmt: skip
    return rows


def _in_energy(row: dict[str, Any]) -> dict[str, Any]:
    """Return the gain of heads without a density: in energy score, nothing of it in nats."""
    ends = ("", "_low", "_high")
    moved = {f"gain_energy{end}": row[f"gain_nats{end}"] for end in ends}
    nothing = dict.fromkeys(
        (*(f"gain_nats{end}" for end in ends), "delta_nats", "information_nats", "sd_seed",
         "sd_speaker", "sd_rest", "seeds_needed"), np.nan,
    )  # fmt: skip
    return {**row, **nothing, **moved}


def pairs_of(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of arms that are compared: those of the word, then over the nulls."""
    nulls = [arm for arm in arms if arm in NULLS]
    swaps = [arm for arm in arms if arm in SWAPS]
    trained = [arm for arm in arms if arm not in (*nulls, *swaps)]
    pairs = [pair for pair in PAIRS if set(pair) <= set(arms)]
    pairs += [(arm, null) for arm in trained for null in nulls]
    pairs += [pair for arm in trained for pair in _pairs_of_path(arm) if set(pair) <= set(arms)]
    return pairs + [
        (swap, other) for swap in swaps for other in (MEMORY, *CONTROLS) if other in arms
    ]


def _pairs_of_path(arm: str) -> list[tuple[str, str]]:
    """Return what an arm over z_dyn is compared with: itself over frames, SM with S and F."""
    own, state = split_path(arm)
    if not state:
        return []
    others = (SMALL, AS_MUCH_WORK) if own == MEMORY else ()
    return [(arm, own), *((arm, over_state(other, state)) for other in others)]


def information_of(scores: Scores) -> float:
    """Return what F knows about the frame: its mean gain over the marginal; NaN without either."""
    if AS_MUCH_WORK not in scores.arms or MARGINAL not in scores.arms:
        return np.nan
    paired = scores.paired(AS_MUCH_WORK, MARGINAL)
    assert paired is not None
    own, theirs = paired
    return float(ratio_of_sums(theirs.score - own.score, own.num_frames).value.mean())


def _work_of(members: pd.DataFrame) -> dict[str, float]:
    return {
        str(arm): float(flops)
        for arm, flops in zip(members["arm"], members["f_gen_flops"], strict=True)
    }


def health_table(found: Sequence[Evaluated]) -> pd.DataFrame:
    """Return one row per representation, generator, arm, seed and horizon of free runs."""
    tables = [
        _over_f(one.health).assign(representation=one.representation, generator=one.generator)
        for one in found
        if not one.health.empty
    ]
    if not tables:
        return GENERATION_HEALTH.empty()
    return GENERATION_HEALTH.arrange(pd.concat(tables, ignore_index=True))


def _over_f(health: pd.DataFrame) -> pd.DataFrame:
    excess = health["energy_distance"] - health["energy_distance_true"]
    of_f = health.loc[health["arm"] == AS_MUCH_WORK, ["seed", "horizon_frames"]].assign(f=excess)
    both = health.assign(own=excess).merge(of_f, on=["seed", "horizon_frames"], how="left")
    both["excess_over_f"] = both["own"] - both["f"]
    return both.drop(columns=["own", "f"])


def keys_table(found: Sequence[Evaluated]) -> pd.DataFrame:
    """Return one row per representation, generator, arm, seed, probe and step or noise."""
    return _joined(found, [one.keys for one in found], GENERATION_KEYS)


def latency_table(found: Sequence[Evaluated]) -> pd.DataFrame:
    """Return one row per representation, generator and arm that was timed."""
    return _joined(found, [one.latency for one in found], GENERATION_LATENCY)


def _joined(
    found: Sequence[Evaluated], parts: Sequence[pd.DataFrame], declared: Table
) -> pd.DataFrame:
    """Return a part of every generator with its names, as a declared table."""
    tables = [
        part.assign(representation=one.representation, generator=one.generator)
        for one, part in zip(found, parts, strict=True)
        if not part.empty
    ]
    if not tables:
        return declared.empty()
    return declared.arrange(pd.concat(tables, ignore_index=True))


def replay_table(found: Sequence[Evaluated], confidence: float) -> pd.DataFrame:
    """Return one row per replay and mask of every generator."""
    rows = [
        {
            "representation": one.representation,
            "generator": one.generator,
            **{name: own[name].iloc[0] for name in OF_REPLAY},
            "nll_train_nats": _value_of(choose(own, part=TRAIN)),
            **described("nll_eval_nats", _mean_of(choose(own, part=EVAL))),
        }
        for one in found
        if not one.replays.empty
        for _, own in one.replays.groupby(list(OF_REPLAY), sort=False)
    ]
    if not rows:
        return GENERATION_REPLAY.empty()
    return GENERATION_REPLAY.arrange(with_intervals(pd.DataFrame(rows), confidence))
