"""Recompute what decides a finished study: `python -m verify results/demo [numbers.json]`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from verify.structure import Place
from verify.study import Study, Table, interval, rows_of, targets

SAME, CLUSTERED = 1e-6, 0.1  # the same arithmetic; other starts and folds of the oracle
LIMITS = {"added_fraction": "minimum_added_fraction", "added_nats": "minimum_added_nats",
          "transfer_loss": "maximum_transfer_loss"}  # fmt: skip
KINDS = ("pca", "mean_pool", "last_frame", "predictive")  # of keys, linear in the context


class Number(NamedTuple):
    """A number of a file, the same number recomputed, and how far they may lie apart."""

    what: str
    published: float
    own: float
    tolerance: float = SAME


def agrees(one: Number) -> bool:
    """Whether a number is the published one, within its tolerance."""
    return bool(np.isclose(one.own, one.published, rtol=one.tolerance, atol=one.tolerance))


def ended(what: str, published: list[float], own: list[float]) -> Iterator[Number]:
    """Yield a value and both ends of its interval."""
    for end, *pair in zip(("", ", low", ", high"), published, own, strict=True):
        yield Number(what + end, *pair)


def cells(row: Any, name: str) -> list[float]:
    """Return a published value and both ends of its interval."""
    return [row[name], row[f"{name}_low"], row[f"{name}_high"]]


def structure_numbers(study: Study) -> Iterator[Number]:
    """Yield the row of the deciding key: from shards, splits, settings and the fitted key."""
    asked, name = study.asked["section"], study.decision["representation"]
    lag, own = asked["lag_frames"], study.decision["representations"][name]
    rows = [row for row in own["gates"]["operative"] if row["key"]]
    for row in (row for row in rows if row["name"] in LIMITS):
        what = f"decision.json: {row['key']}, {row['slice']}: threshold of {row['name']}"
        yield Number(what, row["threshold"], asked["operative_gate"][LIMITS[row["name"]]])
    table = study.read("tables/structure.csv", representation=name, lag_frames=lag, part="eval",
                       subspace="all").sort_values("added_fraction")[::-1]  # fmt: skip
    seed = table["split_seed"].min() if not rows else rows[0]["split_seed"]
    ranked = table[table["key"].str.count("[.]") > 1].to_dict("records")
    wanted = [row for row in (*study.decision["deciding_rows"], *rows, *ranked) if row["key"]]
    fits = ((row, study.key(f"keys/{name}/split-{seed}", row["key"], lag)) for row in wanted)
    where, fitted = next((row, fit) for row, fit in fits if fit[0]["family"]["kind"] in KINDS)
    key, part = where["key"], where["slice"]
    row = rows_of(table, split_seed=seed, key=key, slice=part).iloc[0]
    folder = f"structure/{name}/split-{seed}"
    job = study.job_of(f"{folder}/{key.partition('.')[0]}/scores.parquet")
    part_of = study.read(job["splits"]).set_index("utterance_id")["split"]
    x, frames = study.latents(name)
    chosen = targets(frames, job["section"], lag, part)
    parts = frames["utterance"].map(part_of).to_numpy(str)[chosen]
    place = Place(x, frames, chosen, parts, job["section"], lag)
    sums, nats = place.score(place.cells(*fitted))
    scores: Table = pd.concat(
        [study.read(one) for one in study.found(f"{folder}/*/scores.parquet")]
    )
    oracle = rows_of(scores[scores["sse_key"].isna()], slice=part, lag_frames=lag, part="eval",
                     subspace="all", codebook_size=row["codebook_size"])  # fmt: skip
    oracle = oracle.sort_values("speaker_id")
    attained = (oracle["sse_linear"] - oracle["sse_joint"] + oracle["cost_joint"]).to_numpy()
    zero, linear, added = (sums[column].to_numpy() for column in ("zero", "linear", "added"))
    functions = {
        "linear_r2": lambda w: 1 - w @ linear / (w @ zero),
        "added": lambda w: w @ added / (w @ zero),
        "attainable": lambda w: w @ attained / (w @ zero),
        "added_fraction": lambda w: w @ added / (w @ attained),
    }
    what, found = f"tables/structure.csv: {key}, {part}", list[float]()
    for column, function in functions.items():
        found = interval(function, zero / zero.sum(), study.level)
        yield from ended(f"{what}: {column}", cells(row, column), found)
    yield Number(f"{what}: added_nats_per_frame", row["added_nats_per_frame"], nats)
    again = place.oracle(int(row["codebook_size"]))["added"].sum() / zero.sum()
    yield Number(f"{what}: attainable, clustered again", row["attainable"], again, CLUSTERED)
    for own in rows:
        place_of = own["key"], own["slice"], own["name"]
        if place_of == (key, part, "added_fraction") and own["interval"]:
            given = [own["value"], *own["interval"]]
            yield from ended(f"decision.json: {key}, {part}: added_fraction", given, found)


def gain(scores: Table, null: str, model: str, level: float) -> list[float]:
    """Return by how much a null's mean NLL lies above a model's, from sums by speaker."""
    wide = scores.pivot(index="speaker_id", columns="model", values=["nll", "num_frames"])
    less = (wide["nll"][null] - wide["nll"][model]).to_numpy(float)
    frames = wide["num_frames"][model].to_numpy(float)
    return interval(lambda w: w @ less / (w @ frames), frames / frames.sum(), level)


def prediction_numbers(study: Study) -> Iterator[Number]:
    """Yield what the best head gains over the ridge mixture, from the scores of single frames."""
    table = study.read("tables/prediction.csv", target="delta", slice="all")
    name, lag = table[["representation", "lag_frames"]].iloc[0]
    table = rows_of(table, representation=name, lag_frames=lag)
    heads = rows_of(table, kind="head", part=table["chosen_on"].iloc[0]).sort_values("nll_mean")
    head, seed = heads[["model", "seed"]].iloc[0]
    files = {"ridge_mixture": f"nulls/seed-{seed}", head: f"lag-{lag}/{head}/seed-{seed}"}
    job = study.job_of(f"prediction/{name}/{files[head]}/frames.parquet")
    part_of = study.read(job["splits"]).set_index("utterance_id")["split"]
    frames = study.latents(name)[1]
    frames = frames.iloc[targets(frames, job["section"], lag, "all")]
    frames = frames[frames["utterance"].map(part_of) == "eval"][["utterance", "position"]]
    step = -(-len(frames) // job["evaluation_section"]["maximum_stored_frames"])
    cell, found = {"lag_frames": lag, "event": "delta", "part": "eval"}, []
    for model, file in files.items():
        path, cell["model"] = f"prediction/{name}/{file}", model
        own = study.read(f"{path}/frames.parquet", **cell)
        named = zip(own["utterance_id"], own["frame"], strict=True)
        pairs = zip(named, frames[::step].itertuples(index=False), strict=False)
        same = sum(tuple(one) == tuple(other) for one, other in pairs)
        yield Number(f"{path}/frames.parquet: frames in order", len(frames[::step]), same)
        sums = own.groupby("speaker_id")["nll"].agg(nll="sum", num_frames="size").reset_index()
        stored = study.read(f"{path}/scores.parquet", **cell, slice="all").set_index("speaker_id")
        stored = stored["nll"].reindex(sums["speaker_id"]).to_numpy()
        apart = np.abs(stored - sums["nll"].to_numpy()).max()
        yield Number(f"{path}/scores.parquet: sums by speaker", 0, apart if step == 1 else 0, 1e-4)
        found.append(sums.assign(model=model))
    row = rows_of(table, part="eval", seed=seed).set_index("model")
    over = gain(pd.concat(found), "ridge_mixture", head, study.level)
    published = row["nll_mean"]["ridge_mixture"] - row["nll_mean"][head]
    what = f"tables/prediction.csv: {head} over ridge_mixture, lag {lag}"
    yield Number(f"{what}: nll_mean", published, over[0], SAME if step == 1 else 0.05)
    if step == 1 and row["best_null"][head] == "ridge_mixture":
        yield from ended(f"{what}: gain_nats", cells(row.loc[head], "gain_nats"), over)


def memory_numbers(study: Study) -> Iterator[Number]:
    """Yield what the chosen memory gains over its controls, from sums by speaker."""
    names = ["representation", "lag_frames", "predictor", "memory"]
    chosen = study.read("tables/memory_verdict.csv")[names].iloc[0].to_dict()
    table = study.read("tables/memory.csv", **chosen, part="eval", slice="all")
    table = table[(table["seed"] == table["seed"].min()) & (table["control"] != "knn")]
    (name, lag, base, memory), seed = chosen.values(), table["seed"].min()
    own = study.read(f"memory/{name}/lag-{lag}/{base}/{memory}/seed-{seed}/scores.parquet")
    nulls = study.read(f"prediction/{name}/nulls/seed-{seed}/scores.parquet", event="delta",
                       lag_frames=lag)  # fmt: skip
    scores = rows_of(pd.concat([own, nulls]), part="eval", slice="all")
    for _, row in table[table["control_model"].isin(scores["model"])].iterrows():
        over = gain(scores, row["control_model"], "memory", study.level)
        what = f"tables/memory.csv: {memory} on {base} over {row['control']}: gain_nats"
        yield from ended(what, cells(row, "gain_nats"), over)


def all_numbers(study: Study) -> Iterator[Number]:
    """Yield the numbers of every stage that the study has."""
    yield from structure_numbers(study)
    yield from prediction_numbers(study) if study.found("tables/prediction.csv") else ()
    yield from memory_numbers(study) if study.found("tables/memory_verdict.csv") else ()


def main(results: str, written: str = "") -> bool:
    """Print every number beside the published one, write them, return whether all agree."""
    found = list(all_numbers(Study(Path(results))))
    for one in found:
        print("agrees " if agrees(one) else "DIFFERS", *(f"{n:.9g}" for n in one[1:3]), one.what)
    right = sum(map(agrees, found))
    print(f"verified without the package: {right} of {len(found)} numbers agree")
    if written:
        rows = [{**one._asdict(), "agrees": agrees(one)} for one in found]
        Path(written).write_text(json.dumps(rows, indent=1, default=float), encoding="utf-8")
    return right == len(found)


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]) if 1 < len(sys.argv) < 4 else __doc__)
