"""What a key adds to ridge. Shapes: M targets, D dimensions, P entries of the context, E cells."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from verify.study import Table

CHUNK = 4096  # targets whose contexts are held at a time


class Place:
    """Targets of a slice at a lag, their normalised steps, and ridge on the same past."""

    def __init__(self, view: dict[str, Any], lag: int, x: np.ndarray, table: Table,
                 rows: np.ndarray) -> None:  # fmt: skip
        """Normalise steps by train; choose ridge where no fit has looked."""
        self.x, self.table, self.rows, self.view, self.lag = x, table, rows, view, lag
        self.half = table.groupby("utterance", sort=False).ngroup().to_numpy()[rows] % 2
        part = table["part"].to_numpy(str)[rows]
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

    def cells(self, head: dict[str, Any], own: dict[str, np.ndarray]) -> Any:
        """Return each target's cell under a fitted k-means key, [M]."""
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
        if "components" in own:
            features = sum(c @ w for c, w in zip(context, own["components"], strict=True))
        else:
            is_last = head["family"]["kind"] == "last_frame"
            features = context[-1] if is_last else sum(context) / window
        centroids = own["centroids"]
        return np.argmin((centroids**2).sum(1) - 2 * features @ centroids.T, axis=1)

    def score(self, cell: np.ndarray) -> tuple[Table, float]:
        """Fit cells and context together; return sums by eval speaker, and added nats per frame.

        The sums are squared errors: about 0, of ridge, and what cells take off after their cost.
        """
        filled = np.bincount(cell[self.train], minlength=cell.max() + 1)
        is_kept = filled >= self.view["minimum_cell_frames"]
        size, num = int(is_kept.sum()), len(self.train)
        code = np.where(is_kept, np.cumsum(is_kept) - 1, size)[cell]  # E: all cells that are rare
        shapes = (), (len(self.mean),), (self.z.shape[1],)
        count, xs, zs = (np.zeros((2, size + 1, *shape)) for shape in shapes)
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
        joint = np.where(
            (own < size)[:, None], self.left(self.eval, slope) - intercept[own], linear
        )
        nats = np.log((linear**2).sum(0) / ((1 - cost)[:, None] * joint**2).sum(0)).sum() / 2
        zero, one, two = ((e**2).sum(axis=1) for e in (self.z[self.eval], linear, joint))
        sums: Table = pd.DataFrame({"zero": zero, "linear": one, "added": one - two * (1 - cost)})
        return sums.groupby(self.table["speaker"].to_numpy()[self.rows[self.eval]]).sum(), nats


def solve(covariance: Any, cross: Any, penalty: Any) -> np.ndarray:
    """Return a ridge regression, [P, D]."""
    return np.linalg.solve(covariance + penalty * np.eye(len(covariance)), cross)
