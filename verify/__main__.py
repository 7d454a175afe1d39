"""Recompute what decides a finished study: `python -m verify results/demo [numbers.json]`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from verify.structure import Place
from verify.study import Study, Table, interval, rows_of

KINDS = ("pca", "mean_pool", "last_frame", "predictive")  # features linear in the context
Number = tuple[str, float, float]  # what it is, as published, and recomputed


def agrees(number: Number) -> bool:
    """Whether a number is the published one."""
    return bool(np.isclose(*number[1:], rtol=1e-6, atol=1e-6))


def ended(what: str, published: list[float], own: list[float]) -> Iterator[Number]:
    """Yield a value and both ends of its interval."""
    yield from zip((what, f"{what}, low", f"{what}, high"), published, own, strict=True)


def structure_numbers(study: Study) -> Iterator[Number]:
    """Yield the row of the deciding key: from shards, splits, settings and the fitted key.

    Where that key is none of k-means on a linear feature, the best of those takes its place.
    """
    asked, name = study.asked["section"], study.decision["representation"]
    gates, lag = study.decision["representations"][name]["gates"]["operative"], asked["lag_frames"]
    limits = {one.partition("_")[2]: limit for one, limit in asked["operative_gate"].items()}
    for row in (row for row in gates if row["name"] in limits):
        what = f"decision.json: {row['key']}, {row['slice']}: threshold of {row['name']}"
        yield what, row["threshold"], limits[row["name"]]
    table = study.read("tables/structure.csv", representation=name, lag_frames=lag, part="eval",
                       subspace="all").sort_values("added_fraction")[::-1]  # fmt: skip
    rest = rows_of(table, slice="all").to_dict("records")
    rows = pd.DataFrame([*study.decision["deciding_rows"], *gates, *rest])
    is_context = [".kmeans_" in str(key) and "target_" not in key for key in rows["key"]]
    places = rows.loc[is_context, ["split_seed", "key", "slice"]].to_numpy()
    fits = ((one, study.key(f"keys/{name}/split-{one[0]}", one[1], lag)) for one in places)
    (seed, key, piece), fitted = next(fit for fit in fits if fit[1][0]["family"]["kind"] in KINDS)
    row = rows_of(table, split_seed=seed, key=key, slice=piece).iloc[0]
    folder = f"{name}/split-{seed}"
    file = f"structure/{folder}/{key.partition('.')[0]}/scores.parquet"
    job, *seen = study.targets(file, lag, piece)
    place = Place(job["section"], lag, *seen)
    sums, nats = place.score(place.cells(*fitted))
    cell = {"slice": piece, "lag_frames": lag, "part": "eval", "subspace": "all"}
    files = sorted((study.folder / "structure" / folder).glob("*/scores.parquet"))
    scores = pd.concat([study.read(str(one.relative_to(study.folder)), **cell) for one in files])
    best = rows_of(scores[scores["sse_key"].isna()], codebook_size=row["codebook_size"])
    best = best.set_index("speaker_id")[["sse_linear", "sse_joint", "cost_joint"]]
    left, joint, cost = best.reindex(sums.index, fill_value=0.0).to_numpy().T
    most = left - joint + cost
    zero, linear, added = sums.to_numpy().T
    functions = {
        "linear_r2": lambda w: 1 - w @ linear / (w @ zero),
        "added": lambda w: w @ added / (w @ zero),
        "attainable": lambda w: w @ most / (w @ zero),
        "added_fraction": lambda w: w @ added / (w @ most),
    }
    where = f"{key}, {piece}"
    for column, function in functions.items():
        found = interval(function, zero / zero.sum(), study.level)
        published = [row[column + end] for end in ("", "_low", "_high")]
        yield from ended(f"tables/structure.csv: {where}: {column}", published, found)
        for gate in gates:
            if [gate[one] for one in ("key", "slice", "name")] == [key, piece, column]:
                given = [gate["value"], *gate["interval"]]
                yield from ended(f"decision.json: {where}: {column}", given, found)
    yield f"tables/structure.csv: {where}: added nats", row["added_nats_per_frame"], nats


def gain(scores: Table, null: str, model: str, level: float) -> list[float]:
    """Return by how much a null's mean NLL lies above a model's, from sums by speaker."""
    wide = scores.pivot(index="speaker_id", columns="model", values=["nll", "num_frames"])
    less = (wide["nll"][null] - wide["nll"][model]).to_numpy(float)
    frames = wide["num_frames"][model].to_numpy(float)
    return interval(lambda w: w @ less / (w @ frames), frames / frames.sum(), level)


def prediction_numbers(study: Study) -> Iterator[Number]:
    """Yield what the best head gains over the ridge mixture, from the scores of single frames.

    Of the deciding representation and lag, or of the first ones where none was trained there.
    """
    table = study.read("tables/prediction.csv", target="delta", slice="all")
    wanted = study.decision["representation"], study.asked["section"]["lag_frames"]
    is_other = (table["representation"] != wanted[0]) | (table["lag_frames"] != wanted[1])
    table = table.loc[is_other.sort_values(kind="stable").index]
    name, lag, chosen_on = table[["representation", "lag_frames", "chosen_on"]].iloc[0]
    table = rows_of(table, representation=name, lag_frames=lag)
    heads = rows_of(table, kind="head", part=chosen_on).sort_values("nll_mean")
    head, seed = heads[["model", "seed"]].iloc[0]
    cell, found = {"lag_frames": lag, "event": "delta", "part": "eval"}, list[Table]()
    for model, at in {"ridge_mixture": "nulls", head: f"lag-{lag}/{head}"}.items():
        file, cell["model"] = f"prediction/{name}/{at}/seed-{seed}/frames.parquet", model
        job, _, frames, rows = study.targets(file, lag, "all")
        frames = rows_of(frames.iloc[rows], part="eval")[["utterance", "position"]]
        step = -(-len(frames) // job["evaluation_section"]["maximum_stored_frames"])
        own = study.read(file, **cell)
        named = own[["utterance_id", "frame"]].to_numpy()
        same = sum(map(np.array_equal, named, frames[::step].to_numpy()))
        yield f"{file}: frames in order", len(frames[::step]), same
        found.append(study.read(file.replace("frames.", "scores."), **cell, slice="all"))
        means = found[-1].set_index("speaker_id").eval("nll / num_frames")
        apart = np.abs(means - own.groupby("speaker_id")["nll"].mean()).to_numpy().max()
        if step == 1:  # every frame is stored
            yield f"{file}: means by speaker, from scores.parquet", 0, apart
    row = rows_of(table, part="eval", seed=seed).set_index("model")
    over = gain(pd.concat(found), "ridge_mixture", head, study.level)
    what = f"tables/prediction.csv: {head} over ridge_mixture, lag {lag}"
    yield f"{what}: nll_mean", row["nll_mean"]["ridge_mixture"] - row["nll_mean"][head], over[0]
    if row["best_null"][head] == "ridge_mixture":
        published = row.loc[head, ["gain_nats", "gain_nats_low", "gain_nats_high"]]
        yield from ended(f"{what}: gain_nats", published, over)


def memory_numbers(study: Study) -> Iterator[Number]:
    """Yield what the chosen memory gains over its controls, from sums by speaker."""
    names = ["representation", "lag_frames", "predictor", "memory"]
    chosen = study.read("tables/memory_verdict.csv")[names].iloc[0].to_dict()
    table = study.read("tables/memory.csv", **chosen, part="eval", slice="all")
    (name, lag, base, memory), seed = chosen.values(), table["seed"].min()
    own = study.read(f"memory/{name}/lag-{lag}/{base}/{memory}/seed-{seed}/scores.parquet")
    nulls = study.read(f"prediction/{name}/nulls/seed-{seed}/scores.parquet", event="delta",
                       lag_frames=lag)  # fmt: skip
    scores = rows_of(pd.concat([own, nulls]), part="eval", slice="all")
    table = rows_of(table[table["control"] != "knn"], seed=seed)
    for _, row in table[table["control_model"].isin(scores["model"])].iterrows():
        published = row[["gain_nats", "gain_nats_low", "gain_nats_high"]]
        what = f"tables/memory.csv: {memory} on {base} over {row['control']}: gain_nats"
        yield from ended(what, published, gain(scores, row["control_model"], "memory", study.level))


def all_numbers(study: Study) -> Iterator[Number]:
    """Yield the numbers of every stage that the study has."""
    yield from structure_numbers(study)
    if (study.folder / "tables/prediction.csv").is_file():
        yield from prediction_numbers(study)
    if (study.folder / "tables/memory_verdict.csv").is_file():
        yield from memory_numbers(study)


def main(results: str, written: str = "") -> bool:
    """Print every number beside the published one, write them, return whether all agree."""
    found = list(all_numbers(Study(Path(results))))
    for what, published, own in found:
        word = "agrees " if agrees((what, published, own)) else "DIFFERS"
        print(f"{word} {published:.9g} {own:.9g} {what}")
    right = sum(map(agrees, found))
    print(f"verified without the package: {right} of {len(found)} numbers agree")
    if written:
        rows = [{"what": one[0], "agrees": agrees(one)} for one in found]
        Path(written).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return right == len(found)


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]) if 1 < len(sys.argv) < 4 else __doc__)
