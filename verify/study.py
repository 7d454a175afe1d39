"""Read a finished study, and form intervals. Shapes: N frames, D dimensions, S speakers."""

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

Table = Any  # a pandas data frame: its stubs know too little of what is selected here
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

    def read(self, name: str, **wanted: Any) -> Table:
        """Return the rows of a parquet or CSV table in which columns have these values."""
        reader = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        return rows_of(reader(self.folder / name), **wanted)

    def found(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, in order."""
        return [str(path.relative_to(self.folder)) for path in sorted(self.folder.glob(pattern))]

    def key(self, folder: str, name: str, lag: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the header and the arrays of a fitted key."""
        path = self.folder / folder / f"{name.partition('.')[0]}.safetensors"
        with safe_open(path, "numpy") as tensors:
            heads = json.loads(tensors.metadata()["engram_audio"])["fitted"]["keys"]
            n = [(one["name"], one["lag_frames"] or lag) for one in heads].index((name, lag))
            names = [one for one in tensors.keys() if one.startswith(f"{n}/")]  # noqa: SIM118
            return heads[n], {one.rpartition("/")[2]: tensors.get_tensor(one) for one in names}

    def latents(self, representation: str) -> tuple[np.ndarray, Table]:
        """Return frames without cold starts, [N, D], and whose they are and which count, [N]."""
        tables: list[Table] = []
        frames, unit = [], ""
        for name in self.found(f"latents/{representation}/shard-*.zarr.zip"):
            group: Any = zarr.open_group(ZipStore(self.folder / name, mode="r"), mode="r")
            size, about = np.diff(group["offsets"][:]), group.attrs
            position = np.concatenate([np.arange(n) for n in size]) - about["cold_start_frames"]
            names = {n: np.repeat(about[f"{n}_ids"], size) for n in ("utterance", "speaker")}
            table = pd.DataFrame({**names, "position": position, "energy": group["energy"][:]})
            frames.append(group["latents"][:][position >= 0])
            tables.append(table[position >= 0])
            unit = about["units"]["energy"]
        x, table = np.concatenate(frames), pd.concat(tables, ignore_index=True)
        table["length"] = table.groupby("utterance")["position"].transform("size")
        repeated = (np.diff(x, axis=0, prepend=np.float32(np.nan)) == 0).all(axis=1)
        silent = (table["energy"] <= SILENT_RMS) & (unit == "waveform RMS")
        table["scored"] = ~(repeated & (table["position"] > 0)) & ~silent
        return x, table


def rows_of(table: Table, **wanted: Any) -> Table:
    """Return the rows in which columns have these values."""
    for name, value in wanted.items():
        table = table.loc[table[name] == value]
    return table


def targets(table: Table, view: dict[str, Any], lag: int, name: str) -> np.ndarray:
    """Return the rows of the targets of a slice."""
    share = (table["position"] + 0.5) / table["length"]
    low, high = view.get("medial_range", (0, 1))
    loud = table[table["scored"]].groupby("speaker")["energy"].quantile(0.95)
    level = table["speaker"].map(loud) * 10 ** (-view.get("speech_range_db", 0) / 20)
    slices = {
        "all": share > 0, "initial": share < low, "medial": (share >= low) & (share < high),
        "final": share >= high, "speech": table["energy"].shift(lag) > level,
    }  # fmt: skip
    first = view["window_frames"] - 1 + max(view["lags_frames"])
    return np.flatnonzero(table["scored"] & (table["position"] >= first) & slices[name])


def interval(function: Callable[[np.ndarray], Any], share: np.ndarray, level: float) -> list[float]:
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
    return [value, value - half, value + half]
