"""The two studies of one's own data, as a new user meets them: five faults, then a report.

Law: each fault is one failing job whose log holds one line `error: ...`, or one row of the excluded
with its remedy. When it is mended the same command goes on, and the study ends in a report.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.slow
SPEAKERS = [f"s{number:02d}" for number in range(12)]
NUM_UTTERANCES = 4
QUICK = {  # what a test can wait for
    "structure": {"minimum_cell_frames": 10},
    "keys": {"kmeans_restarts": 1, "kmeans_iterations": 5},
    "recipes": {
        name: {"num_steps": 10, "warmup_steps": 2, "validation_interval_steps": 5}
        for name in ("cpu", "marginal")
    },
    "prediction": {"lags_frames": [1], "library": {"gaussian_mixture": {
        "num_components": 2, "marginal": {"maximum_components": 2}}}},
    "report": {"num_players": 1},
}  # fmt: skip


class Study:
    """A folder in which a user runs one command again and again."""

    def __init__(
        self, folder: Path, results: str, *overlays: str, python_path: tuple[Path, ...] = ()
    ) -> None:
        self.folder, self._results = folder, results
        self._python_path = os.pathsep.join(map(str, (ROOT, *python_path)))
        (folder / "quick.yaml").write_text(yaml.safe_dump(QUICK), encoding="utf-8")
        self.overlays = [*(str(ROOT / "studies" / one) for one in overlays), "quick.yaml"]

    def run(self, *more: str) -> tuple[int, str]:
        """Run the study; the exit code and all that was printed."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        variables = {
            **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": self._python_path,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        done = subprocess.run(
            [*command, "--cores", "2", "--configfile", *self.overlays, *more],
            cwd=self.folder, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def errors(self, *more: str) -> list[str]:
        """Run the study, which must fail; the lines of errors of the one job that did."""
        for log in (self.folder / "logs").rglob("*.log"):
            log.unlink()
        code, text = self.run(*more)
        assert code != 0, text
        found = [log.read_text() for log in (self.folder / "logs").rglob("*.log")]
        failed = [text for text in found if "error: " in text]
        assert len(failed) == 1 and "Traceback" not in failed[0], found
        return [line for line in failed[0].splitlines() if line.startswith("error: ")]

    def excluded(self) -> dict[str, str]:
        """Details of what the finished study left out, by its reason."""
        path = self.folder / "results" / self._results / "tables" / "exclusions.csv"
        table = pd.read_csv(path, comment="#")
        return dict(zip(table["reason"], table["detail"], strict=True))

    def finish(self) -> None:
        """Run to the report."""
        code, text = self.run()
        assert code == 0, text
        assert (self.folder / "results" / self._results / "report.html").is_file()


def write_arrays(folder: Path, value: float = 0.0) -> None:
    """Twelve speakers of planted arrays; `value` stands in one frame of each."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(3)
    for speaker in SPEAKERS:
        for number in range(NUM_UTTERANCES):
            steps = generator.normal(size=(120, 4))
            frames = (0.9 * np.cumsum(steps, axis=0) / 10 + steps).astype(np.float32)
            frames[60] += value
            np.save(folder / f"{speaker}-u{number}.npy", frames)


def write_array_table(path: Path, **changes: object) -> None:
    names = [f"{one}-u{n}" for one in SPEAKERS for n in range(NUM_UTTERANCES)]
    speakers = [name.split("-")[0] for name in names]
    table = {"utterance_id": names, "speaker_id": speakers, **changes}
    pd.DataFrame({k: v for k, v in table.items() if v is not None}).to_csv(path, index=False)


def test_arrays_run_to_a_report_after_one_clear_error_for_each_fault(tmp_path: Path):
    study, data, table = Study(tmp_path, "arrays", "arrays.yaml"), tmp_path / "data", "arrays.csv"
    code, text = study.run()
    assert code != 0 and "library.arrays.path: 'data/arrays' is not there" in text
    assert "Traceback" not in text
    write_arrays(data / "arrays")
    write_array_table(data / table, speaker_id=None)
    (line,) = study.errors()
    assert "lacks the column speaker_id" in line
    write_array_table(data / table, frame_rate_hz=25)
    (line,) = study.errors()
    assert "the table says '25', and frame_rate_hz is 12.5 Hz" in line
    write_array_table(data / table, speaker_id="s00")
    (line,) = study.errors()
    assert "1 speaker(s)" in line and "bring at least 4 speakers" in line
    write_arrays(data / "arrays", np.nan)
    write_array_table(data / table)
    (line,) = study.errors()
    assert "none of 48 utterances is usable" in line and "NaN" in line
    write_arrays(data / "arrays")
    (data / "arrays" / "s00-u1.npy").write_bytes(b"")
    np.save(data / "arrays" / "s03-u2.npy", np.full((120, 4), np.nan, np.float32))
    study.finish()
    excluded = study.excluded()
    assert set(excluded) == {"unreadable", "not_finite"}
    assert "is empty" in excluded["unreadable"] and "; " in excluded["not_finite"]


def write_speech(root: Path) -> None:
    """Twelve folders of noise in bursts, WAV of 16 kHz."""
    generator = np.random.default_rng(4)
    for speaker in SPEAKERS:
        (root / speaker).mkdir(parents=True, exist_ok=True)
        for number in range(NUM_UTTERANCES):
            loudness = np.repeat(generator.uniform(0.01, 0.3, 50), 3200)
            wave = loudness * generator.uniform(-1, 1, len(loudness))
            soundfile.write(root / speaker / f"take{number}.wav", wave, 16000)


def test_a_folder_runs_to_a_report_after_one_clear_error_for_each_fault(tmp_path: Path):
    study = Study(tmp_path, "audio_folder", "arrays.yaml", "audio_folder.yaml")
    root = tmp_path / "data" / "speech"
    code, text = study.run()
    assert code != 0 and "corpora.speech.root: 'data/speech' is not there" in text
    assert "Traceback" not in text
    write_speech(root / "s00")  # all below one folder, as if they were of one speaker
    (line,) = study.errors()
    assert "all 48 files are of one speaker, s00" in line
    (root / "s00").rename(tmp_path / "all")
    root.rmdir()
    (tmp_path / "all").rename(root)
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.wav"))]
    (root / "people.csv").write_text("\n".join(["file,who", *rows]))
    corpus = '{"speech": {"layout": "table", "table": "people.csv"}}'
    (line,) = study.errors("--config", f"corpora={corpus}")
    assert "people.csv" in line and "lacks the column speaker_id" in line
    still = {path: path.read_bytes() for path in root.rglob("*.wav")}
    for path in still:
        soundfile.write(path, np.full(160_000, np.nan), 16000, subtype="FLOAT")
    (line,) = study.errors()
    assert "no usable utterance" in line and "not_finite 48" in line
    for path, content in still.items():
        path.write_bytes(content)
    soundfile.write(root / "s01" / "take0.wav", np.full(160_000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(root / "s02" / "take1.wav", np.random.default_rng(5).normal(0, 0.1, 441_000),
                    44100)  # fmt: skip
    (root / "s03" / "take2.wav").write_bytes(b"")
    study.finish()
    excluded = study.excluded()
    assert set(excluded) == {"not_finite", "wrong_rate", "empty"}
    assert all("; " in detail for detail in excluded.values())
