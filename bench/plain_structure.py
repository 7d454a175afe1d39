"""The plain recipe for coarse keys, as most people would write it; a baseline, never imported.

Windows are materialised, PCA and k-means are scikit-learn's, means and errors are loops over
clusters and speakers. It scores what the stage scores on one lag and one slice: mean-pool k-means
64 and PCA 8 k-means 256 with train means, permuted and swapped labels.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from engram_audio.artifacts.latents import LatentStore

WINDOW, LAG, MAX_LAG, MINIMUM = 8, 1, 1, 100


def peak_mib() -> float:
    """Return the peak resident memory of this process, MiB (getrusage would add its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def materialise(store: LatentStore) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return windows [M, W * D], delta [M, D], utterance and speaker of each target."""
    contexts, steps, utterances, speakers = [], [], [], []
    block = store.load()
    for number, name in enumerate(block.utterance_ids):
        frames = block.frames[block.offsets[number] : block.offsets[number + 1]]
        for t in range(WINDOW - 1 + MAX_LAG, len(frames)):
            contexts.append(frames[t - LAG - WINDOW + 1 : t - LAG + 1].reshape(-1))
            steps.append(frames[t] - frames[t - 1])
            utterances.append(name)
            speakers.append(block.speaker_ids[number])
    return np.stack(contexts), np.stack(steps), np.array(utterances), np.array(speakers)


def score(z: np.ndarray, labels: np.ndarray, part: np.ndarray, speakers: np.ndarray) -> float:
    """Return the eval ratio with train means of effective cells, by loops."""
    residual, total = 0.0, 0.0
    for cell in np.unique(labels):
        train = (labels == cell) & (part == "train")
        if train.sum() < MINIMUM:
            continue
        mean, variance = z[train].mean(axis=0), z[train].var(axis=0)
        assert np.isfinite(variance).all()
        for speaker in np.unique(speakers[part == "eval"]):
            own = (labels == cell) & (part == "eval") & (speakers == speaker)
            residual += float(((z[own] - mean) ** 2).sum(dtype=np.float64))
            total += float((z[own] ** 2).sum(dtype=np.float64))
    return residual / total


def controls(labels: np.ndarray, part: np.ndarray, utterances: np.ndarray) -> dict[str, np.ndarray]:
    """Return labels as they are, permuted, and swapped between utterances."""
    rng = np.random.default_rng(0)
    permuted, swapped = labels.copy(), labels.copy()
    for name in ("train", "val", "eval"):
        rows = np.flatnonzero(part == name)
        permuted[rows] = rng.permutation(labels[rows])
        names = rng.permutation(np.unique(utterances[rows]))
        for own, other in zip(names, np.roll(names, 1), strict=True):
            mine = np.flatnonzero(utterances == own)
            theirs = labels[utterances == other]
            shift = int(rng.integers(len(theirs)))
            swapped[mine] = np.resize(np.roll(theirs, shift), len(mine))
    return {"none": labels, "permuted": permuted, "swapped": swapped}


def run(shards: list[Path], part_of: dict[str, str]) -> dict[str, float]:
    """Return the eval ratio of each key and control."""
    contexts, steps, utterances, speakers = materialise(LatentStore(shards))
    part = np.array([part_of[name] for name in utterances])
    train = part == "train"
    z = (steps - steps[train].mean(axis=0)) / np.maximum(steps[train].std(axis=0), 1e-6)
    pca = PCA(8, svd_solver="covariance_eigh").fit(contexts[train])
    features = {
        ("pca", 256): pca.transform(contexts),
        ("mean_pool", 64): contexts.reshape(len(contexts), WINDOW, -1).mean(axis=1),
    }
    ratios = {}
    for (name, num_cells), values in features.items():
        model: KMeans = KMeans(num_cells, n_init=10, random_state=0).fit(values[train])  # type: ignore[arg-type]
        for control, labels in controls(
            np.asarray(model.predict(values)), part, utterances
        ).items():
            ratios[f"{name}.raw.kmeans_{num_cells}.{control}"] = score(z, labels, part, speakers)
    return ratios


def main() -> None:
    """Run on shards and print one JSON line with ratios, time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--parts", type=Path, required=True)
    arguments = parser.parse_args()
    imported = peak_mib()
    start, cpu = time.perf_counter(), time.process_time()
    ratios = run(arguments.shards, json.loads(arguments.parts.read_text()))
    print(
        json.dumps(
            {
                "wall_s": time.perf_counter() - start,
                "cpu_s": time.process_time() - cpu,
                "peak_mib": peak_mib(),
                "imported_mib": imported,
                "ratios": ratios,
            }
        )
    )


if __name__ == "__main__":
    main()
