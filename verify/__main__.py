"""Recompute what decides a finished study, without its package: `python -m verify results/demo`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from verify.structure import Place
from verify.study import Latents, Study, interval, rows_of

SAME, CLUSTERED = 1e-6, 0.1  # the same arithmetic; other starts and folds of the oracle
LIMITS = {"added_fraction": "minimum_added_fraction", "added_nats": "minimum_added_nats",
          "transfer_loss": "maximum_transfer_loss"}  # fmt: skip
KINDS = ("pca", "mean_pool", "last_frame", "predictive")  # of keys, linear in the context
EVAL = {"part": "eval", "slice": "all"}


class Number(NamedTuple):
    """A number of a file, the same number recomputed, and how far they may lie apart."""

    what: str
    published: float
    own: float
    tolerance: float = SAME


def ended(what: str, row: Any, name: str, own: tuple[float, float, float]) -> Iterator[Number]:
    """Yield a published value and both ends of its interval."""
    for column, value in zip((name, f"{name}_low", f"{name}_high"), own, strict=True):
        yield Number(f"{what}: {column}", row[column], value)


def structure_numbers(study: Study) -> Iterator[Number]:
    """Yield the row of the deciding key: from shards, splits, settings and the fitted key."""
    decision, asked = study.decision, study.asked["section"]
    name, lag = decision["representation"], asked["lag_frames"]
    rows = [row for row in decision["representations"][name]["gates"]["operative"] if row["key"]]
    for row in (row for row in rows if row["name"] in LIMITS):
        what = f"decision.json: {row['key']}, {row['slice']}: threshold of {row['name']}"
        yield Number(what, row["threshold"], asked["operative_gate"][LIMITS[row["name"]]])
    own = {"representation": name, "lag_frames": lag, "part": "eval", "subspace": "all"}
    table = rows_of(study.read("tables/structure.csv"), **own)
    seed = table["split_seed"].iloc[0]
    ranked = table[table["key"].str.count("[.]") > 1].sort_values("added_fraction")[::-1]
    wanted = [row for row in (*decision["deciding_rows"], *rows) if row["key"]]
    keys = ((row["key"], row["slice"]) for row in (*wanted, *ranked.to_dict("records")))
    key, part, fitted = next(  # of a kind that is recomputed: linear in the context
        (key, part, fitted)
        for key, part in keys
        if (fitted := study.key(f"keys/{name}/split-{seed}", key, lag))[0]["family"]["kind"]
        in KINDS
    )
    row = rows_of(table, split_seed=seed, key=key, slice=part).iloc[0]
    folder, family = f"structure/{name}/split-{seed}", key.partition(".")[0]
    job = study.job_of(f"{folder}/{family}/scores.parquet")
    part_of = study.read(job["splits"]).set_index("utterance_id")["split"]
    place = Place(Latents(study, name), part_of, job["section"], lag, part)
    sums, nats = place.score(place.cells(*fitted))
    scores = pd.concat([study.read(one) for one in study.found(f"{folder}/*/scores.parquet")])
    oracle = rows_of(scores[scores["sse_key"].isna()], slice=part, lag_frames=lag, part="eval",
                     subspace="all", codebook_size=row["codebook_size"])  # fmt: skip
    oracle = oracle.sort_values("speaker_id")
    oracle.columns = [one.removeprefix("sse_").replace("cost_joint", "cost") for one in oracle]
    again = place.oracle(int(row["codebook_size"]))
    of_key, of_oracle, others = (
        (one["linear"] - one["joint"] + one["cost"]).to_numpy() for one in (sums, oracle, again)
    )
    zero, what = sums["zero"].to_numpy(), f"tables/structure.csv: {key}, {part}"
    functions = {
        "linear_r2": lambda w: 1 - w @ sums["linear"] / (w @ zero),
        "added": lambda w: w @ of_key / (w @ zero),
        "attainable": lambda w: w @ of_oracle / (w @ zero),
        "added_fraction": lambda w: w @ of_key / (w @ of_oracle),
    }
    for column, function in functions.items():
        yield from ended(what, row, column, interval(function, zero / zero.sum(), study.level))
    yield Number(f"{what}: added_nats_per_frame", row["added_nats_per_frame"], nats)
    value = others.sum() / zero.sum()
    yield Number(f"{what}: attainable, clustered again", row["attainable"], value, CLUSTERED)
    found = interval(functions["added_fraction"], zero / zero.sum(), study.level)
    for own in rows:
        if (own["key"], own["slice"], own["name"]) == (key, part, "added_fraction"):
            given = dict(
                zip(("x", "x_low", "x_high"), (own["value"], *own["interval"]), strict=True)
            )
            yield from ended(f"decision.json: {key}, {part}: added_fraction", given, "x", found)


def gain(scores: pd.DataFrame, null: str, model: str, level: float) -> tuple[float, float, float]:
    """Return by how much a null's mean NLL lies above a model's, from sums by speaker."""
    own = (rows_of(scores, model=one).sort_values("speaker_id") for one in (null, model))
    (first, frames), (second, _) = (
        (one["nll"].to_numpy(), one["num_frames"].to_numpy()) for one in own
    )
    return interval(lambda w: w @ (first - second) / (w @ frames), frames / frames.sum(), level)


def prediction_numbers(study: Study) -> Iterator[Number]:
    """Yield what the best head gains over the ridge mixture, from the scores of single frames."""
    table = rows_of(study.read("tables/prediction.csv"), target="delta", slice="all")
    name, lag = table[["representation", "lag_frames"]].iloc[0]
    table = rows_of(table, representation=name, lag_frames=lag)
    heads = rows_of(table, kind="head", part=table["chosen_on"].iloc[0]).sort_values("nll_mean")
    head, seed = heads[["model", "seed"]].iloc[0]
    files = {"ridge_mixture": f"nulls/seed-{seed}", head: f"lag-{lag}/{head}/seed-{seed}"}
    job = study.job_of(f"prediction/{name}/{files[head]}/frames.parquet")
    latents, splits = Latents(study, name), study.read(job["splits"])
    rows = latents.targets(job["section"], lag, "all")
    utterance = latents.utterance[latents.owner[rows]]
    is_eval = np.isin(utterance, rows_of(splits, split="eval")["utterance_id"])
    step = -(-is_eval.sum() // job["evaluation_section"]["maximum_stored_frames"])
    places = pd.DataFrame({"utterance_id": utterance, "frame": latents.position[rows]})
    places, found = places[is_eval][::step].reset_index(drop=True), []
    for model, file in files.items():
        frames, stored = (
            rows_of(study.read(f"prediction/{name}/{file}/{one}.parquet"), model=model,
                    lag_frames=lag, event="delta", part="eval")
            for one in ("frames", "scores")
        )  # fmt: skip
        same = (frames[["utterance_id", "frame"]].to_numpy() == places.to_numpy()).all(axis=1)
        yield Number(f"{file}/frames.parquet: frames in order", len(places), same.sum())
        sums = frames.groupby("speaker_id")["nll"].agg(nll="sum", num_frames="size").reset_index()
        stored = rows_of(stored, slice="all").set_index("speaker_id")["nll"][sums["speaker_id"]]
        apart = np.abs(stored.to_numpy() - sums["nll"].to_numpy()).max() if step == 1 else 0
        yield Number(f"{file}/scores.parquet: sums by speaker", 0, apart, 1e-4)
        found.append(sums.assign(model=model))
    own = rows_of(table, part="eval", seed=seed).set_index("model")
    over = gain(pd.concat(found), "ridge_mixture", head, study.level)
    published = own.loc["ridge_mixture", "nll_mean"] - own.loc[head, "nll_mean"]
    what = f"tables/prediction.csv: {head} over ridge_mixture, lag {lag}"
    yield Number(what, published, over[0], SAME if step == 1 else 0.05)
    if step == 1 and own.loc[head, "best_null"] == "ridge_mixture":
        yield from ended(what, own.loc[head], "gain_nats", over)


def memory_numbers(study: Study) -> Iterator[Number]:
    """Yield what the chosen memory gains over its controls, from sums by speaker."""
    name, lag, base, memory = study.read("tables/memory_verdict.csv")[
        ["representation", "lag_frames", "predictor", "memory"]].iloc[0]  # fmt: skip
    table = rows_of(study.read("tables/memory.csv"), **EVAL, representation=name, lag_frames=lag,
                    predictor=base, memory=memory)  # fmt: skip
    seed = table["seed"].min()
    table = table[(table["seed"] == seed) & (table["control"] != "knn")]
    own = study.read(f"memory/{name}/lag-{lag}/{base}/{memory}/seed-{seed}/scores.parquet")
    nulls = study.read(f"prediction/{name}/nulls/seed-{seed}/scores.parquet")
    nulls = rows_of(nulls, event="delta", lag_frames=lag)
    scores = rows_of(pd.concat([own, nulls]), **EVAL)
    for _, row in table[table["control_model"].isin(scores["model"])].iterrows():
        what = f"tables/memory.csv: {memory} on {base} over {row['control']}"
        over = gain(scores, row["control_model"], "memory", study.level)
        yield from ended(what, row, "gain_nats", over)


def all_numbers(study: Study) -> Iterator[Number]:
    """Yield the numbers of every stage that the study has."""
    yield from structure_numbers(study)
    if study.found("tables/prediction.csv"):
        yield from prediction_numbers(study)
    if study.found("tables/memory_verdict.csv"):
        yield from memory_numbers(study)


def agrees(one: Number) -> bool:
    """Whether a number is the published one, within its tolerance."""
    return bool(np.isclose(one.own, one.published, rtol=one.tolerance, atol=one.tolerance))


def main() -> None:
    """Print every number beside the published one; write them; fail where two disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of a finished study's results")
    parser.add_argument("--write", type=Path, help="JSON file for what was found")
    given = parser.parse_args()
    found = list(all_numbers(Study(given.results)))
    for one in found:
        word = "agrees " if agrees(one) else "DIFFERS"
        print(f"{word} {one.published:.9g} {one.own:.9g} {one.what}")
    right = sum(map(agrees, found))
    print(f"verified without the package: {right} of {len(found)} numbers agree")
    if given.write:
        rows = [{**one._asdict(), "agrees": agrees(one)} for one in found]
        given.write.write_text(json.dumps(rows, indent=1, default=float), encoding="utf-8")
    sys.exit(right < len(found))


if __name__ == "__main__":
    main()
