"""What a key adds to ridge. Shapes: M targets, D dimensions, P entries of the context, E cells."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from verify.study import Table

CHUNK = 4096  # targets whose contexts are held at a time
FRAMES_PER_CELL, ITERATIONS = 64, 10  # of the oracle


class Place:
    """Targets of a slice at a lag, their normalised steps, and ridge on the same past."""

    def __init__(self, x: np.ndarray, table: Table, rows: np.ndarray, part: np.ndarray,
                 view: dict[str, Any], lag: int) -> None:  # fmt: skip
        """Normalise steps by train; choose ridge where no fit has looked."""
        self.x, self.table, self.rows, self.view, self.lag = x, table, rows, view, lag
        self.speaker = table["speaker"].to_numpy()[rows]
        self.half = table.groupby("utterance", sort=False).ngroup().to_numpy()[rows] % 2
        self.train, self.eval = (np.flatnonzero(part == one) for one in ("train", "eval"))
        steps, before = x[rows] - x[rows - 1], x[rows[self.train]].astype(float)
        square = np.mean(before**2, axis=0)
        floor = view["std_floor"] ** 2 * np.where(square > 0, square, square.mean() or 1.0)
        sd = np.sqrt(np.maximum(steps[self.train].var(axis=0, dtype=float), floor))
        self.z = (steps - steps[self.train].mean(axis=0, dtype=float)) / sd
        self.mean: Any = 0.0
        self.mean = sum(c.sum(0, dtype=float) for _, c in self.contexts(self.train)) / len(before)
        chunks = [(c.T @ c, c.T @ self.z[some]) for some, c in self.contexts(self.train)]
        self.covariance, self.cross = (sum(one) / len(before) for one in zip(*chunks, strict=True))
        held = next(one for one in ("select", "val", "train") if np.any(part == one))
        penalties = np.array(view["linear_ridges"]) * np.trace(self.covariance) / len(self.mean)
        slopes = [solve(self.covariance, self.cross, one) for one in penalties]
        errors = [(self.left(np.flatnonzero(part == held), one) ** 2).sum() for one in slopes]
        self.slope, self.penalty = (own[int(np.argmin(errors))] for own in (slopes, penalties))

    def contexts(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield some targets and their contexts less the train mean, oldest frame first."""
        window = np.arange(1 - self.view["window_frames"], 1) - self.lag
        for some in np.array_split(chosen, len(chosen) // CHUNK + 1):
            frames = self.x[self.rows[some][:, None] + window]
            yield some, frames.reshape(len(some), -1) - self.mean

    def left(self, chosen: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return what a slope leaves of targets, [m, D]."""
        return np.concatenate([self.z[some] - c @ slope for some, c in self.contexts(chosen)])

    def kept(self, cell: np.ndarray) -> tuple[np.ndarray, int]:
        """Renumber cells with enough train frames, 0 .. E-1; all others are E."""
        count = np.bincount(cell[self.train], minlength=cell.max() + 1)
        is_kept = count >= self.view["minimum_cell_frames"]
        return np.where(is_kept, np.cumsum(is_kept) - 1, is_kept.sum())[cell], int(is_kept.sum())

    def sums(self, joint: np.ndarray, cost: np.ndarray) -> Table:
        """Return squared errors of eval by speaker: about 0, of ridge, and what cells take off."""
        errors = self.z[self.eval], self.left(self.eval, self.slope), joint
        zero, linear, left = ((e**2).sum(axis=1) for e in errors)
        table = {"zero": zero, "linear": linear, "added": linear - left * (1 - cost)}
        found: Table = pd.DataFrame(table)
        return found.groupby(self.speaker[self.eval]).sum()

    def cells(self, head: dict[str, Any], own: dict[str, np.ndarray]) -> np.ndarray:
        """Return each target's cell under a fitted key, [M]."""
        mean: Any = 0.0
        newest, window = self.rows - self.lag, self.view["window_frames"]
        shown, scored = self.x - own["train_mean"], self.table["scored"]
        if head["key_input"] == "increments":
            shown, window = np.diff(self.x, axis=0, prepend=0), window - 1
        if head["key_input"] == "speaker_centred":  # by the speaker's scored frames so far
            frames: Table = pd.DataFrame(shown * scored.to_numpy()[:, None], dtype=float)
            total, count = (t.groupby(self.table["speaker"]).cumsum() for t in (frames, scored))
            weight = np.maximum(head["pseudo_frames"] + count.to_numpy(), 1)
            mean = (total.to_numpy() / weight[:, None])[newest]
        context = [shown[newest - age] - mean for age in reversed(range(window))]
        features: Any = (
            context[-1] if head["family"]["kind"] == "last_frame" else sum(context) / window
        )
        if "components" in own:
            features = sum(c @ w for c, w in zip(context, own["components"], strict=True))
        if "edges" in own:
            return (features[:, None] >= own["edges"]).sum(1) @ own["powers"]
        if "planes" in own:
            return (features @ own["planes"] > own["offsets"]) @ own["powers"]
        parts = sorted(one for one in own if one.startswith("centroids"))
        codes: Any = [
            nearest(features[:, g :: len(parts)], own[one]) for g, one in enumerate(parts)
        ]
        numbered: Any = sum(code * len(own[parts[0]]) ** g for g, code in enumerate(codes))
        return numbered

    def score(self, cell: np.ndarray) -> tuple[Table, float]:
        """Fit cells and context together; return sums by eval speaker, and added nats per frame."""
        code, size = self.kept(cell)
        count, num = np.zeros((2, size + 1)), len(self.train)
        xs, zs = (np.zeros((2, size + 1, n)) for n in (len(self.mean), self.z.shape[1]))
        for some, c in self.contexts(self.train):
            for total, values in ((count, 1), (xs, c), (zs, self.z[some])):
                np.add.at(total, (self.half[some], code[some]), values)
        n, x, z = count.sum(0), xs.sum(0), zs.sum(0)
        root = np.sqrt(np.maximum(n, 1) * num)[:, None]
        within = self.covariance - (x / root).T @ (x / root)
        slope = solve(within, self.cross - (x / root).T @ (z / root), self.penalty)
        intercept = (z - x @ slope) / np.maximum(n, 1)[:, None]
        told = num * (np.sum(slope * self.cross) + self.penalty * np.sum(slope**2))
        error = np.sum(self.z[self.train] ** 2) - told - np.sum(z * intercept)
        error /= num - np.count_nonzero(n) - len(slope)
        both = np.append((count[:, :-1] > 0).all(0), False)  # the means of two halves scatter
        means = (zs - xs @ slope)[:, both] / count[:, both, None]
        spread = ((means[0] - means[1]) ** 2).sum(1) / (1 / count[:, both]).sum(0)
        factor = np.average(spread, weights=n[both]) / error
        own, linear = code[self.eval], self.left(self.eval, self.slope)
        cost = np.where(own < size, factor / (n[own] + factor), 0)
        joint = self.left(self.eval, slope) - intercept[own]
        joint = np.where((own < size)[:, None], joint, linear)
        nats = np.log((linear**2).sum(0) / ((1 - cost)[:, None] * joint**2).sum(0)).sum() / 2
        return self.sums(joint, cost), float(nats)

    def oracle(self, num_cells: int) -> Table:
        """Cluster what ridge leaves; the other eval speakers give the means."""
        left = self.left(np.arange(len(self.rows)), self.slope)
        size = min(len(self.train), FRAMES_PER_CELL * num_cells)
        sample = left[self.train[np.arange(size) * len(self.train) // size]]
        centroids = sample[np.random.default_rng(0).permutation(size)[:num_cells]]
        for _ in range(ITERATIONS):
            groups: Table = pd.DataFrame(sample).groupby(nearest(sample, centroids))
            centroids = groups.mean().to_numpy()
        code, num_kept = self.kept(nearest(left, centroids))
        code, speaker, left = code[self.eval], self.speaker[self.eval], left[self.eval]
        frames: Table = pd.DataFrame(left).assign(count=1)
        whole, own = (frames.groupby(by).transform("sum") for by in (code, [code, speaker]))
        others = np.where(code < num_kept, whole["count"] - own["count"], 0)
        mean = (whole - own).drop(columns="count").to_numpy() / np.maximum(others, 1)[:, None]
        mean[others == 0] = 0
        return self.sums(left - mean, np.where(others > 0, 1 / (others + 1), 0))


def solve(covariance: Any, cross: Any, penalty: Any) -> np.ndarray:
    """Return a ridge regression, [P, D]."""
    return np.linalg.solve(covariance + penalty * np.eye(len(covariance)), cross)


def nearest(x: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each row."""
    return np.argmin((centroids**2).sum(1) - 2 * x @ centroids.T, axis=1)
