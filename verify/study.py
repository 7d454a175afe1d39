"""Read a finished study. Shapes: N frames, D dimensions, U utterances, M targets, S speakers."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import zarr
from safetensors import safe_open
from zarr.storage import ZipStore

SILENT_RMS = 2.0**-15  # at or below it a frame is digital silence


class Study:
    """The folder of results of a study."""

    def __init__(self, folder: Path) -> None:
        """Take over a folder; all its intervals have one level."""
        self.folder = folder
        self.decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        self.asked = self.job(self.decision["manifest"]["settings"])
        self.level = self.asked["statistics"]["confidence"]

    def job(self, name: str) -> dict[str, Any]:
        """Return what a job was asked, `<rule>/<subject>.<digest>`; the digest must fit."""
        text = (self.folder / "config" / f"{name}.json").read_bytes()
        if hashlib.sha256(text).hexdigest()[:16] != name.rpartition(".")[2]:
            raise ValueError(f"config/{name}.json: its text is not the one of the digest")
        found = json.loads(text)
        splits = "splits/" + found["inputs"].get("splits", "").partition("splits/")[2]
        asked = {role: parts[0]["value"] for role, parts in found["settings"].items() if parts}
        return {**asked, "splits": splits}

    def job_of(self, table: str) -> dict[str, Any]:
        """Return what the job that wrote a parquet table was asked."""
        header = pq.read_schema(self.folder / table).metadata[b"engram_audio"]
        return self.job(json.loads(header)["settings"])

    def read(self, name: str) -> pd.DataFrame:
        """Return a parquet or CSV table."""
        path = self.folder / name
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)

    def found(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, in order."""
        return [str(path.relative_to(self.folder)) for path in sorted(self.folder.glob(pattern))]

    def key(self, folder: str, name: str, lag: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the header and the arrays of a fitted key."""
        path = self.folder / folder / f"{name.partition('.')[0]}.safetensors"
        with safe_open(path, "numpy") as tensors:
            heads = json.loads(tensors.metadata()["engram_audio"])["fitted"]["keys"]
            fits = [(one["name"], one["lag_frames"] or lag) for one in heads]
            number = fits.index((name, lag))
            names = [one for one in tensors.keys() if one.startswith(f"{number}/")]  # noqa: SIM118
            arrays = {one.rpartition("/")[2]: tensors.get_tensor(one) for one in names}
        return heads[number], arrays


def rows_of(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Return the rows in which columns have these values."""
    for name, value in wanted.items():
        table = table.loc[table[name] == value]
    return table


class Latents:
    """Frames [N, D], energy [N], which frames count [N], and who speaks in each utterance [U]."""

    def __init__(self, study: Study, representation: str) -> None:
        """Read all shards without frames at a cold start; repeated and silent frames count not."""
        frames, energy, lengths, utterances, speakers, unit = [], [], [], [], [], ""
        for name in study.found(f"latents/{representation}/shard-*.zarr.zip"):
            group: Any = zarr.open_group(ZipStore(study.folder / name, mode="r"), mode="r")
            size, cold = np.diff(group["offsets"][:]), group.attrs["cold_start_frames"]
            kept = np.concatenate([np.arange(n) >= cold for n in size])
            frames.append(group["latents"][:][kept])
            energy.append(group["energy"][:][kept])
            lengths.append(np.maximum(size - cold, 0))
            utterances += group.attrs["utterance_ids"]
            speakers += group.attrs["speaker_ids"]
            unit = group.attrs["units"]["energy"]
        self.frames, self.energy = np.concatenate(frames), np.concatenate(energy)
        self.length, self.utterance = np.concatenate(lengths), np.array(utterances)
        self.owner = np.repeat(np.arange(len(utterances)), self.length)
        self.speaker = np.array(speakers)[self.owner]
        self.position = np.concatenate([np.arange(n) for n in self.length])
        repeated = (np.diff(self.frames, axis=0, prepend=np.float32(np.nan)) == 0).all(axis=1)
        silent = (self.energy <= SILENT_RMS) & (unit == "waveform RMS")
        self.scored = ~(repeated & (self.position > 0)) & ~silent

    def targets(self, view: dict[str, Any], lag: int, name: str) -> np.ndarray:
        """Return the rows of the targets of a slice, [M]."""
        first = view["window_frames"] - 1 + max(view["lags_frames"])
        rows = np.flatnonzero((self.position >= first) & self.scored)
        if name == "all":
            return rows
        if name == "speech":  # the newest frame of the context is loud, for its speaker
            frames = pd.Series(self.energy)[self.scored].groupby(self.speaker[self.scored])
            level = frames.quantile(0.95) * 10 ** (-view["speech_range_db"] / 20)
            return rows[self.energy[rows - lag] > level[self.speaker[rows]].to_numpy()]
        share = (self.position[rows] + 0.5) / self.length[self.owner[rows]]
        cuts = {"initial": 0, "medial": 1, "final": 2}
        return rows[np.digitize(share, view["medial_range"]) == cuts[name]]


def interval(
    function: Callable[[np.ndarray], Any], share: np.ndarray, level: float
) -> tuple[float, float, float]:
    """Return a function of speakers' weights, [S], at weight one, and the ends of its interval.

    Jackknife with Satterthwaite's degrees of freedom; derivatives by complex steps.
    """
    steps = 1 + 1e-30j * np.eye(len(share))
    squares = (np.array([function(w).imag for w in steps]) / 1e-30 / (1 - share)) ** 2
    value, total, most = float(function(np.ones(len(share)))), squares.sum(), len(share) - 1
    df = np.clip(3 * total**2 / (squares**2).sum() - 2, 1, most) if total > 0 else most
    t, step = np.linspace(0, 100, 400_001, retstep=True)
    log_constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    density = np.exp(log_constant - (df + 1) / 2 * np.log1p(t * t / df))
    below = step * (np.cumsum(density) - density / 2 - density[0] / 2)
    half = float(np.interp(level / 2, below, t)) * math.sqrt(total)
    return value, value - half, value + half
