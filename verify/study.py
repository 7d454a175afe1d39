"""Read a finished study, and form intervals. Shapes: N frames, D dimensions."""

import hashlib
import json
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
        asked = {role: parts[0]["value"] for role, parts in found["settings"].items() if parts}
        return {**asked, "splits": found["inputs"].get("splits", "").replace("<results>/", "")}

    def read(self, name: str, **wanted: Any) -> Table:
        """Return the rows of a parquet or CSV table in which columns have these values."""
        reader = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        return rows_of(reader(self.folder / name), **wanted)

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
        tables, frames = list[Table](), []
        for path in sorted(self.folder.glob(f"latents/{representation}/shard-*.zarr.zip")):
            group: Any = zarr.open_group(ZipStore(path, mode="r"), mode="r")
            size, about = np.diff(group["offsets"][:]), group.attrs
            position = np.concatenate([np.arange(n) for n in size]) - about["cold_start_frames"]
            names = {n: np.repeat(about[f"{n}_ids"], size) for n in ("utterance", "speaker")}
            table = pd.DataFrame({**names, "position": position, "energy": group["energy"][:]})
            is_loud = table["energy"] > SILENT_RMS
            table["scored"] = is_loud | (about["units"]["energy"] != "waveform RMS")
            frames.append(group["latents"][:][position >= 0])
            tables.append(table[position >= 0])
        table = pd.concat(tables, ignore_index=True)
        if len(tables) > 1:  # whole speakers, in the order of their names, across shards
            table = table.sort_values("speaker", kind="stable")
        x = np.concatenate(frames)[table.index]
        table = table.reset_index(drop=True)
        is_new = (np.diff(x, axis=0, prepend=np.float32(np.nan)) != 0).any(axis=1)
        table["scored"] &= is_new | (table["position"] == 0)
        return x, table

    def targets(self, file: str, lag: int, piece: str) -> tuple[Any, np.ndarray, Table, Any]:
        """Return what a job was asked, frames, whose they are, and the rows that it scored."""
        header = json.loads(pq.read_schema(self.folder / file).metadata[b"engram_audio"])
        job = self.job(header["settings"])
        x, table = self.latents(Path(file).parts[1])
        part_of = self.read(job["splits"]).set_index("utterance_id")["split"]
        table["part"] = table["utterance"].map(part_of)
        view, position = job["section"], table["position"]
        share = (position + 0.5) / table.groupby("utterance")["position"].transform("size")
        low, high = view.get("medial_range", (0, 1))
        loud = table[table["scored"]].groupby("speaker")["energy"].quantile(0.95)
        level = table["speaker"].map(loud) * 10 ** (-view.get("speech_range_db", 0) / 20)
        slices = {"all": share > 0, "medial": (share >= low) & (share < high),
                  "speech": table["energy"].shift(lag) > level}  # fmt: skip
        is_late = position >= view["window_frames"] - 1 + max(view["lags_frames"])
        return job, x, table, np.flatnonzero(table["scored"] & is_late & slices[piece])


def rows_of(table: Table, **wanted: Any) -> Table:
    """Return the rows in which columns have these values."""
    for name, value in wanted.items():
        table = table.loc[table[name] == value]
    return table


def interval(function: Callable[[np.ndarray], Any], share: np.ndarray, level: float) -> list[float]:
    """Return a function of speakers' weights at one, and its jackknife interval (Satterthwaite)."""
    steps = 1 + 1e-30j * np.eye(len(share))  # derivatives by complex steps
    squares = (np.array([function(w).imag for w in steps]) / 1e-30 / (1 - share)) ** 2
    value, total, most = float(function(np.ones(len(share)))), squares.sum(), len(share) - 1
    df = np.clip(3 * total**2 / (squares**2).sum() - 2, 1, most) if total > 0 else most
    angle, step = np.linspace(0, np.pi / 2, 100_001, retstep=True)  # Student's t is a tangent
    below = np.cumsum(np.cos(angle[1:] - step / 2) ** (df - 1))
    quantile = np.tan(np.interp(level, below / below[-1], angle[1:])) * np.sqrt(df)
    half = float(quantile * np.sqrt(total))
    return [value, value - half, value + half]
