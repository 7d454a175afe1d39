"""The published table of keys by their laws: nats with intervals over eval speakers.

Shapes: S speakers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import EVAL, PARTS, TRAIN, VAL, choice_part
from engram_audio.keys.columns import KEYS
from engram_audio.keys.law_scores import BANK, KEY, ORACLE, PERMUTED, PREDICTOR
from engram_audio.latents.config import SURROGATE_MARK
from engram_audio.stats.estimate import (
    Estimate,
    fieller_quotient,
    function_of,
    paired_difference,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import ratio_of_sums

GROUP = ["key", "kind", "slice"]
SUMMED = ["nats", "num_frames"]
SURROGATE = f"{SURROGATE_MARK}var"


class LawRun(NamedTuple):
    """Scores of one representation at one aim.

    Attributes:
        representation: Name; of a surrogate with its mark.
        split_seed: Seed of the split.
        target: position or delta.
        base: none or linear.
        lag_frames: k.
        scores: Sums by key, slice, part and speaker.
        facts: One row per key and slice.
    """

    representation: str
    split_seed: int
    target: str
    base: str
    lag_frames: int
    scores: pd.DataFrame
    facts: pd.DataFrame

    @property
    def place(self) -> tuple[int, str, str, int]:
        """Where it stands, but for the representation."""
        return self.split_seed, self.target, self.base, self.lag_frames


class _Sums:
    """Nats by key and slice as estimates over the speakers of a part."""

    def __init__(self, run: LawRun) -> None:
        self._frames: dict[tuple[str, str, str], pd.DataFrame] = {
            cast("tuple[str, str, str]", place): rows.set_index("speaker_id").loc[:, SUMMED]
            for place, rows in run.scores.groupby(["key", "slice", "part"])
        }
        self.speakers = {
            part: sorted(set(run.scores.loc[run.scores["part"] == part, "speaker_id"]))
            for part in PARTS
        }

    def estimate(self, key: str, slice_name: str, part: str) -> Estimate | None:
        """Return the mean nats with each speaker's influence; None where nothing was scored."""
        rows = self._frames.get((key, slice_name, part))
        if rows is None:
            return None
        whole = rows.reindex(self.speakers[part], fill_value=0)
        frames = whole["num_frames"].to_numpy(float)
        return ratio_of_sums(whole["nats"].to_numpy(float), frames)

    def frames(self, key: str, slice_name: str) -> int:
        """Return how many eval frames were scored."""
        rows = self._frames.get((key, slice_name, EVAL))
        return 0 if rows is None else int(rows["num_frames"].to_numpy().sum())


def keys_table(runs: Sequence[LawRun], minimum_share: float, confidence: float) -> pd.DataFrame:
    """Return one row per representation, aim, slice and key; surrogates stand beside.

    Args:
        runs: Scores of every representation and aim, surrogates among them.
        minimum_share: Share of the predictor's nats that a small key must keep.
        confidence: Level of two-sided intervals.
    """
    twins = {
        (run.representation.removesuffix(SURROGATE), *run.place): run
        for run in runs
        if run.representation.endswith(SURROGATE)
    }
    rows = [
        row
        for run in runs
        if SURROGATE_MARK not in run.representation
        for row in _rows(
            run, twins.get((run.representation, *run.place)), minimum_share, confidence
        )
    ]
    return KEYS.arrange(pd.DataFrame(rows, columns=KEYS.names()))


def _rows(
    run: LawRun, twin: LawRun | None, minimum_share: float, confidence: float
) -> Iterator[dict[str, Any]]:
    sums, other = _Sums(run), None if twin is None else _Sums(twin)
    chosen_on = choice_part(run.scores["part"])
    facts = {(row["key"], row["slice"]): row for row in run.facts.to_dict("records")}
    for key, kind, name in run.scores[GROUP].drop_duplicates().itertuples(index=False):
        own = sums.estimate(key, name, EVAL)
        if own is None:
            continue
        fact = facts.get((key, name), {})
        num_codes = fact.get("num_codes", np.nan)
        predictor = sums.estimate(PREDICTOR, name, EVAL)
        oracle = sums.estimate(f"target_oracle.{num_codes:.0f}", name, EVAL)
        surrogate = None if other is None else other.estimate(key, name, EVAL)
        entropy = fact.get("entropy_nats", np.nan)
        values = fact.get("num_values", np.nan)
        parts = {part: sums.estimate(key, name, part) for part in (chosen_on, VAL, TRAIN)}
        yield {
            "representation": run.representation, "split_seed": run.split_seed,
            "target": run.target, "lag_frames": run.lag_frames, "base": run.base, "slice": name,
            "key": key, "kind": kind, "method": method_of(key, kind),
            "inputs": fact.get("inputs", ""), "state_frames": fact.get("state_frames", np.nan),
            "seed": fact.get("seed", np.nan), "num_codes": num_codes,
            "ln_num_codes": np.log(num_codes), "entropy_nats": entropy,
            "codes_used": fact.get("codes_used", np.nan),
            "prior_strength": fact.get("prior_strength", np.nan), "chosen_on": chosen_on,
            **described("nats", own, confidence),
            "nats_choice": _value(parts[chosen_on]), "nats_val": _value(parts[VAL]),
            "nats_train": _value(parts[TRAIN]),
            **_transfer(own, parts[VAL], confidence),
            "share_of_predictor": _share(own, predictor) if fact else np.nan,
            "share_of_oracle": _share(own, oracle),
            "share_of_entropy": float(own.value) / entropy if entropy > 0 else np.nan,
            **described("kept_nats", _kept(own, predictor, kind, minimum_share), confidence),
            "surrogate_nats": _value(surrogate),
            **described("over_surrogate_nats", _over(own, surrogate), confidence),
            "speaker_information_nats": fact.get("speaker_information_nats", np.nan),
            "flip_rate": fact.get("flip_rate", np.nan),
            "agreement": fact.get("agreement", np.nan),
            "num_values": values, "flops": 2 * values,
            "num_frames": sums.frames(key, name), "num_speakers": int(own.num_units),
        }  # fmt: skip


def method_of(key: str, kind: str) -> str:
    """Return a key's name without its size, so that the sizes of a method make one line."""
    if kind in (PREDICTOR, BANK):
        return kind
    if kind in (PERMUTED, ORACLE):
        return key.rpartition(".")[0]
    return key.rpartition("_")[0]


def _value(estimate: Estimate | None) -> float:
    return np.nan if estimate is None else float(estimate.value)


def described(name: str, estimate: Estimate | None, confidence: float) -> dict[str, float]:
    """Return a value with the ends of its interval, by column; NaN where there is none."""
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    low, high = t_interval(uncertain(estimate), confidence)
    return {name: float(estimate.value), f"{name}_low": float(low), f"{name}_high": float(high)}


def _share(own: Estimate, whole: Estimate | None) -> float:
    return np.nan if whole is None or not whole.value > 0 else float(own.value / whole.value)


def _kept(
    own: Estimate, predictor: Estimate | None, kind: str, minimum_share: float
) -> Estimate | None:
    if predictor is None or kind != KEY:
        return None
    value = own.value - minimum_share * predictor.value
    return function_of(value, [(1.0, own), (-minimum_share, predictor)])


def _over(own: Estimate, surrogate: Estimate | None) -> Estimate | None:
    """Return nats less those of the surrogate, whose utterances are of the same speakers."""
    if surrogate is None or own.share.shape != surrogate.share.shape:
        return None
    return paired_difference(own, surrogate)


def _transfer(own: Estimate, val: Estimate | None, confidence: float) -> dict[str, float]:
    names = ("transfer_loss", "transfer_loss_low", "transfer_loss_high")
    if val is None or not t_interval(uncertain(val), confidence).low > 0:
        return dict.fromkeys(names, np.nan)
    low, high = fieller_quotient(uncertain(own), uncertain(val), confidence)
    quotient = float(own.value / val.value)
    return dict(zip(names, (1 - quotient, 1 - float(high), 1 - float(low)), strict=True))
