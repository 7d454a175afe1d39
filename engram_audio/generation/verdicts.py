"""What the generation stage answers: the word of each representation, and what it rests on."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.corpus.split_parts import EVAL, TRAIN
from engram_audio.generation.config import GenerationBarsSection
from engram_audio.generation.cost_verdicts import NO_COSTS, STAGE, Costs
from engram_audio.generation.factorized.verdicts import path_rows
from engram_audio.generation.noise_verdict import noise_rows
from engram_audio.generation.word import (
    AS_MANY_NUMBERS,
    AS_MUCH_WORK,
    CONTROLS,
    MEMORY,
    SMALL,
    Found,
    Word,
    margin,
    word_of,
)
from engram_audio.stats.two_way import MINIMUM_SEEDS
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNDECIDED,
    UNMEASURED,
    Judged,
    Measured,
    above,
    judge,
)
from engram_audio.verdicts.row import VerdictRow, shown
from engram_audio.verdicts.words import OF_GENERATION

OVER = "What does the memory gain over each arm?"
OVER_ENERGY = "What does the memory gain over each arm, by the energy score of draws?"
REPLAY = "Does the memory memorise what it reads again?"
REPEAT = "How far does the same training differ from itself?"
TOLD = "Gains are under the text and the speaker prompt. Free runs are judged without them."
LONGEST = "horizon_frames"
Row = Mapping[Any, Any]


def verdict_rows(
    generation: pd.DataFrame,
    gains: pd.DataFrame,
    health: pd.DataFrame,
    replay: pd.DataFrame,
    bars: GenerationBarsSection,
    representation: str,
    costs: Costs = NO_COSTS,
) -> list[VerdictRow]:
    """Return the word of each representation and the gains behind it, the deciding one first.

    Args:
        generation: `tables/generation.csv`.
        gains: `tables/generation_gains.csv`.
        health: `tables/generation_health.csv`.
        replay: `tables/generation_replay.csv`.
        bars: What the word asks beside gains.
        representation: The deciding one.
        costs: What gains cost and what they are made of, where that was asked.
    """
    rows = []
    for name, generator in _order(generation, representation):
        trained, gained, ran, replayed = (
            choose(table, representation=name, generator=generator)
            for table in (generation, gains, health, replay)
        )
        loss = bars.maximum_health_loss
        own = costs.of(name, generator)
        rows += _of_one(name, generator, trained, gained, ran, replayed, loss, own)
    for name in dict.fromkeys(name for name, _ in _order(generation, representation)):
        own = choose(generation, representation=name)
        rows += noise_rows(name, own, choose(health, representation=name), bars)
    return rows


def _order(generation: pd.DataFrame, representation: str) -> list[tuple[str, str]]:
    """Return representations and generators: the deciding one first, the best on select first.

    The best is the generator whose SM has the lowest NLL on the choice part. Heads without a
    density have none and come last.
    """
    own = choose(generation, arm=MEMORY)
    own = own.loc[own["num_steps"] == own.groupby("generator")["num_steps"].transform("max")]
    scores = own.groupby(["representation", "generator"], sort=True)["nll_chosen_nats"].mean()
    found = [(str(name), str(generator)) for name, generator in scores.index]
    order = scores.fillna(math.inf)
    return sorted(found, key=lambda one: (one[0] != representation, one[0], order[one]))


def _of_one(
    name: str,
    generator: str,
    generation: pd.DataFrame,
    gains: pd.DataFrame,
    health: pd.DataFrame,
    replay: pd.DataFrame,
    maximum_health_loss: float,
    costs: Costs,
) -> list[VerdictRow]:
    judged_gains = choose(gains, num_steps=gains["num_steps"].max())
    if np.isnan(judged_gains["gain_nats"].to_numpy(float)).all():
        return _in_energy(name, generator, judged_gains)
    found = found_of(judged_gains, health, maximum_health_loss)
    found = found._replace(wider=costs.gain_in_wider())
    word = word_of(found)
    over = [
        _over(name, row, found.delta)
        for row in choose(judged_gains, arm=MEMORY, part=EVAL).to_dict("records")
    ]
    memorised = replay_sentence(replay, found.delta)
    answer = _answer(name, word, found, judged_gains)
    if np.isfinite(generation["nll_untold_nats"].to_numpy(float)).any():
        answer = answer._replace(sentence=f"{answer.sentence} {TOLD}")
    if OF_GENERATION[word.word] == NOT_MET:
        answer = answer._replace(sentence=f"{answer.sentence} {memorised}")
    replayed = VerdictRow(STAGE, REPLAY, name, "", shown(), memorised)
    rows = [answer, *over, *costs.rows(name), *path_rows(name, generation, judged_gains, health)]
    rows += [replayed, *_repeats(name, generation)]
    return [row._replace(judged=_named(generator, row.judged)) for row in rows]


def _in_energy(name: str, generator: str, gains: pd.DataFrame) -> list[VerdictRow]:
    """Return the gains of a head without an exact density, which no word is made of."""
    why = shown("a head without an exact density has no nats, and no word is made of it")
    rows = choose(gains, arm=MEMORY, part=EVAL).to_dict("records")
    return [
        VerdictRow(
            STAGE, OVER_ENERGY, name, str(row["against"]), _named(generator, why),
            f"SM over {row['against']}: {number.interval(*_energy(row))} SD of energy score, "
            f"{int(row['num_seeds'])} seeds, {int(row['num_speakers'])} speakers.",
            _energy(row), unit="SD",
        )
        for row in rows
    ]  # fmt: skip


def _energy(row: Row) -> Measured:
    return Measured(*(number.as_float(row[f"gain_energy{end}"]) for end in ("", "_low", "_high")))


def _named(generator: str, judged: Judged) -> Judged:
    """Return a judgement whose reason names the generator."""
    named = f"generator {generator}"
    return Judged(judged.outcome, f"{judged.reason}; {named}" if judged.reason else named)


def found_of(gains: pd.DataFrame, health: pd.DataFrame, maximum_health_loss: float) -> Found:
    """Return what the published tables of one representation say, for `word.word_of`."""
    on_eval = choose(gains, part=EVAL).to_dict("records")
    on_train = choose(gains, part=TRAIN, arm=MEMORY, against=SMALL).to_dict("records")
    by_pair = {(str(row["arm"]), str(row["against"])): row for row in on_eval}
    work = by_pair.get((MEMORY, AS_MANY_NUMBERS), {}).get("work_share", math.nan)
    deltas = [float(row["delta_nats"]) for row in on_eval]
    return Found(
        {pair: _measured(row) for pair, row in by_pair.items()},
        _measured(on_train[0]) if on_train else UNMEASURED,
        health_of(health, maximum_health_loss),
        number.as_float(work),
        deltas[0] if deltas else margin(math.nan),
    )


def health_of(health: pd.DataFrame, maximum_loss: float) -> Judged:
    """Return whether SM's free runs are as much like data as F's, seed by seed.

    The excess of the energy distance may be larger than F's by `maximum_loss` SD. One seed lies
    about health, so every seed must agree.
    """
    own = choose(health, arm=MEMORY)
    own = own.loc[own[LONGEST] == own[LONGEST].max()]
    losses = own["excess_over_f"].to_numpy(float)
    if not len(losses) or not np.isfinite(losses).all():
        return Judged(UNDECIDED, "free runs of SM or F have no number")
    words = (
        f"energy distance over F's by {number.fixed(float(np.median(losses)))} SD (median of "
        f"{len(losses)} seeds, {number.fixed(losses.min())} to {number.fixed(losses.max())})"
    )
    if (losses <= maximum_loss).all():
        return Judged(MET, words)
    return Judged(NOT_MET if (losses > maximum_loss).all() else UNDECIDED, words)


def _answer(name: str, word: Word, found: Found, gains: pd.DataFrame) -> VerdictRow:
    against = word.against or AS_MUCH_WORK
    measured = found.gains.get((MEMORY, against), UNMEASURED)
    reason = _reason(word, choose(gains, arm=MEMORY, against=against, part=EVAL))
    sentence = " ".join([f"{word.word}.", *word.sentences])
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        name,
        word.word,
        Judged(OF_GENERATION[word.word], reason),
        sentence,
        measured,
        above(found.delta),
        "nats/frame",
        is_deciding=True,
    )


def _reason(word: Word, rows: pd.DataFrame) -> str:
    """Return why, and how many seeds would decide where the word leaves it open."""
    if OF_GENERATION[word.word] != UNDECIDED or rows.empty:
        return word.reason
    row = rows.iloc[0]
    count, needed = int(row["num_seeds"]), number.as_float(row["seeds_needed"])
    if count < MINIMUM_SEEDS:
        return f"too few seeds: {count} of {MINIMUM_SEEDS}. {word.reason}"
    if math.isnan(needed):
        return f"{word.reason}; more seeds on these speakers would not decide"
    return f"{word.reason}; {number.count(needed)} seeds on these speakers would decide"


def _over(name: str, row: Row, delta: float) -> VerdictRow:
    """Return the gain over one arm; the word asks only some arms, the others are shown."""
    other, measured = str(row["against"]), _measured(row)
    asked = above(delta)
    judged = judge(measured, asked) if other in CONTROLS else shown("explains, and never vetoes")
    sentence = (
        f"SM over {other}: {number.interval(*measured)} nats/frame, {int(row['num_seeds'])} seeds, "
        f"{int(row['num_speakers'])} speakers."
    )
    return VerdictRow(STAGE, OVER, name, other, judged, sentence, measured, asked, "nats/frame")


def replay_sentence(replay: pd.DataFrame, delta: float) -> str:
    """Return whether training on the same frames again explains what the memory loses on eval.

    Means over seeds, after the most passes. The remedy is to deal codes to rows anew before each
    pass, or to mask rows that train visited seldom; the better one counts.
    """
    rows = choose(replay, num_passes=replay["num_passes"].max())
    plain = {arm: _mean_nll(rows, arm=arm, is_permuted=False) for arm in (SMALL, MEMORY)}
    if not all(math.isfinite(value) for pair in plain.values() for value in pair):
        return "Whether replay explains it is not known: no replay was trained."
    base, own = plain[SMALL], plain[MEMORY]
    loss = own[1] - base[1]
    passes = number.count(rows["num_passes"].iloc[0])
    told = (
        f"After {passes} passes SM is {number.fixed(base[0] - own[0])} nats better than S on train "
        f"and {number.fixed(-loss)} on eval"
    )
    if loss <= delta:
        return f"{told}: no loss for replay to explain."
    if own[0] >= base[0]:
        return f"{told}. It is no better on train: replay does not explain the loss."
    masks = sorted(set(rows["minimum_visits"]) - {0})
    remedies = [_mean_nll(rows, arm=MEMORY, is_permuted=True)[1] - base[1]]
    remedies += [
        _mean_nll(rows, arm=MEMORY, is_permuted=False, minimum_visits=least)[1] - base[1]
        for least in masks
    ]
    left = min((value for value in remedies if math.isfinite(value)), default=math.nan)
    if math.isnan(left):
        return f"{told}. No remedy was tried."
    explains = "explains" if left <= loss / 2 else "does not explain"
    return f"{told}; with a remedy {number.fixed(-left)}. Replay {explains} the loss."


def _mean_nll(rows: pd.DataFrame, **wanted: Any) -> tuple[float, float]:
    """Return the mean NLL on train and on eval over the seeds of some replays."""
    own = choose(rows, **{"minimum_visits": 0, **wanted})
    if own.empty:
        return math.nan, math.nan
    train, held_out = own[["nll_train_nats", "nll_eval_nats"]].to_numpy(float).mean(axis=0)
    return float(train), float(held_out)


def _repeats(name: str, generation: pd.DataFrame) -> list[VerdictRow]:
    rows = generation.loc[np.isfinite(generation["repeat_difference_nats"].to_numpy(float))]
    if rows.empty:
        return []
    largest = float(rows["repeat_difference_nats"].max())
    sentence = f"The same training with the same seed differs by at most {largest:.2g} nats/frame."
    return [VerdictRow(STAGE, REPEAT, name, "", shown("the floor of reproducibility"), sentence)]


def _measured(row: Row) -> Measured:
    return Measured(*(number.as_float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high")))
