"""Synthetic published tables of the shape that the report reads: a generator for its tests.

The numbers are plausible, not measured: ratios a little below 1, floors below, surrogates
between.
"""

import base64
import io
import struct
import wave
import zlib
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import Table
from engram_audio.densities.tuning import tuning_rows
from engram_audio.latents.config import SURROGATE_NAMES
from engram_audio.report.config import ReportSection
from engram_audio.report.data import ReportData
from engram_audio.report.published_tables import TABLES
from engram_audio.report.timings import JobTiming, gather_timings
from tests.report_verdicts import judged

BASES = ("mel_pca", "mel_pca_overlap_control")
SURROGATES = SURROGATE_NAMES
LAGS = (1, 2, 4)
SLICES = ("all", "speech", "medial", "initial", "final")
FAMILIES = {
    "mean_pool": (("raw", "speaker_centred"), (64,)),
    "pca": (("raw", "speaker_centred", "increments"), (16, 64, 256)),
    "predictive": (("raw",), (16, 64)),
}
REGISTERED = ("pca.raw.kmeans_64", "pca.speaker_centred.kmeans_64")
GATE = {
    "minimum_added_fraction": 0.05,
    "minimum_added_nats": 0.02,
    "minimum_share_of_information": 0.01,
    "maximum_transfer_loss": 0.2,
    "maximum_excluded_mass": 0.1,
    "control_tolerance": 0.02,
}
NUM_SPEAKERS = 10


def declared(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with exactly the declared columns: those it does not give are empty."""
    names = table.names(frame.columns)
    assert set(frame.columns) <= set(names), "a column that the stage does not declare"
    return frame.reindex(columns=names)


def keys() -> list[tuple[str, int]]:
    """Return (key, codebook size) of every key."""
    found = []
    for family, (inputs, sizes) in FAMILIES.items():
        found += [(f"{family}.{name}.kmeans_{size}", size) for name in inputs for size in sizes]
    return found


def structure_table(generator: np.random.Generator) -> pd.DataFrame:
    """Return rows for every representation, key, lag, slice and part."""
    names = [*BASES, *(f"{BASES[0]}--{name}" for name in SURROGATES)]
    rows = [
        structure_row(generator, name, key, size, lag, slice_name, part)
        for name in names
        for key, size in keys()
        for lag in LAGS
        for slice_name in SLICES
        for part in ("val", "eval")
    ]
    table = pd.DataFrame(rows)
    missed = (table["key"] == REGISTERED[1]) & (table["slice"] == "speech")
    table["status"] = table["status"].mask(missed, "not_attempted: 64 cells need 6400 train frames")
    names = list(table.columns)
    measured = names[names.index("status") + 1 :]
    table[measured] = table[measured].mask(missed)
    return table


def structure_row(
    generator: np.random.Generator,
    representation: str, key: str, size: int, lag: int, slice_name: str, part: str,
) -> dict[str, Any]:  # fmt: skip
    """Return one row."""
    added = 0.012 * np.log2(size) / lag * (0.0 if "--" in representation else 1)
    added += generator.normal(scale=0.002)
    attainable = 0.045 * np.log2(size)
    half = 0.004 + 0.004 * generator.random()
    fraction, ratio = added / attainable, 1 - 1.5 * added
    known = {
        "ratio": (ratio, half), "explained": (1.5 * added, half), "linear_r2": (0.3, half),
        "added": (added, half), "attainable": (attainable, half),
        "added_fraction": (fraction, 3 * half), "added_nats_per_frame": (16 * added, 2 * half),
        "added_bits_per_s": (288 * added, 36 * half), "transfer_loss": (0.05, 0.07),
        "key_information_nats_per_frame": (0.4, half),
        "control_permuted": (generator.normal(scale=0.002), 0.006),
        "control_swapped": (generator.normal(scale=0.002), 0.007),
        **{f"added_{name}": (0.0, half) for name in SURROGATES},
    }  # fmt: skip
    intervals = {
        f"{name}{end}": value + sign * width
        for name, (value, width) in known.items()
        for end, sign in (("", 0), ("_low", -1), ("_high", 1))
    }
    no_df = ("ratio", "added_bits_per_s", "transfer_loss")
    for name, (_, width) in known.items():
        if name not in no_df:
            intervals |= {f"{name}_se": width / 2.26, f"{name}_df": 9.0}
    return {
        "representation": representation, "split_seed": 0, "key": key, "codebook_size": size,
        "lag_frames": lag, "slice": slice_name, "subspace": "all", "part": part, "status": "ok",
        **intervals, "bits_used_fraction": 0.95, "excluded_mass": 0.01,
        "oracle_excluded_mass": 0.01, "cost_of_fitting": 0.002,
        "oracle_cost_of_fitting": 0.002, "num_effective_speakers": 40.0,
        "largest_speaker_share": 0.05, "num_speakers": NUM_SPEAKERS, "num_frames": 6000,
    }  # fmt: skip


def tuned_points(names: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a tuned arm of two points, of which the second is better by 1 nat."""
    rows = [
        {"point": point, "part": part, "slice": "all", "speaker_id": f"{part}-{speaker}",
         "num_frames": 100.0, "nll": 100.0 * (level + 0.1 * speaker)}
        for point, level in enumerate((88.0, 87.0))
        for part in ("val", "select", "eval")
        for speaker in range(5)
    ]  # fmt: skip
    points = [
        {"dropout": dropout, "weight_decay": 0.1, "learning_rate": 2e-3} for dropout in (0.0, 0.1)
    ]
    return tuning_rows(names, {"points": points, "chosen": 1, "near": [1]}, pd.DataFrame(rows))


def linear_table() -> pd.DataFrame:
    """Return R^2 per model and lag."""
    values = {"ridge": (0.44, 0.06, 0.03), "ar1": (0.36, 0.01, 0.0), "white_noise": (0.5, 0, 0)}
    return pd.DataFrame(
        {
            "representation": name, "split_seed": 0, "model": model, "lag_frames": lag,
            "slice": "all", "part": "eval", "r2": value, "r2_low": value - 0.01,
            "r2_high": value + 0.01, "cosine": value**0.5, "cosine_low": value**0.5 - 0.01,
            "cosine_high": value**0.5 + 0.01, "num_speakers": NUM_SPEAKERS,
        }
        for name in BASES
        for model, row in values.items()
        for lag, value in zip(LAGS, row, strict=True)
    )  # fmt: skip


def curves_table() -> pd.DataFrame:
    """Return the confidence curve of the registered keys."""
    return pd.DataFrame(
        {
            "representation": name, "split_seed": 0, "key": key, "lag_frames": lag, "slice": "all",
            "part": "eval", "matching": matching, "kept_fraction": kept,
            "ratio": 1 - 0.05 / lag * (1.2 - kept), "ratio_low": 0.99 - 0.05 / lag * (1.2 - kept),
            "ratio_high": 1.01 - 0.05 / lag * (1.2 - kept), "num_speakers": NUM_SPEAKERS,
        }
        for name in BASES
        for key in REGISTERED
        for lag in LAGS
        for matching in ("plain", "energy_matched")
        for kept in (0.1, 0.25, 0.5, 0.75, 1.0)
    )  # fmt: skip


def speakers_table(generator: np.random.Generator) -> pd.DataFrame:
    """Return each speaker's ratio for the registered keys."""
    return pd.DataFrame(
        {
            "representation": name, "split_seed": 0, "key": key, "lag_frames": 2, "slice": "all",
            "subspace": "all", "part": part, "speaker_id": f"{part}-{speaker:02d}",
            "num_frames": 600, "ratio": 0.95 + generator.normal(scale=0.02),
        }
        for name in BASES
        for key in REGISTERED
        for part, total in (("val", 22), ("eval", NUM_SPEAKERS))
        for speaker in range(total)
    )  # fmt: skip


def cells_table(generator: np.random.Generator, num_cells: int = 64) -> pd.DataFrame:
    """Return cells of the registered keys at the registered lag."""
    frames = [
        pd.DataFrame(
            {
                "representation": name, "split_seed": 0, "key": key, "lag_frames": 2,
                "slice": "all", "cell": np.arange(num_cells),
                "num_train_frames": generator.integers(60, 900, num_cells),
                "num_eval_frames": generator.integers(20, 300, num_cells),
                "train_variance_ratio": 0.9 + generator.normal(scale=0.1, size=num_cells),
                "eval_variance_ratio": 0.95 + generator.normal(scale=0.1, size=num_cells),
                "mean_pc1": generator.normal(size=num_cells),
                "mean_pc2": generator.normal(size=num_cells),
            }
        )
        for name in BASES
        for key in REGISTERED
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def ngrams_table() -> pd.DataFrame:
    """Return n-gram coverage."""
    return pd.DataFrame(
        {
            "representation": name, "split_seed": 0, "key": key, "order": order,
            "minimum_count": least, "part": part, "num_ngrams": 5000,
            "coverage": 0.99 ** (order**3 * least),
        }
        for name in BASES
        for key in REGISTERED
        for order in (1, 2, 3)
        for least in (1, 2, 5)
        for part in ("val", "eval")
    )  # fmt: skip


def gate_row(
    key: str, slice_name: str, quantity: str, outcome: str, **values: Any
) -> dict[str, Any]:
    """Return one row of the gate."""
    return {
        "name": quantity, "representation": BASES[0], "split_seed": 0, "key": key, "lag": 2,
        "slice": slice_name, "quantity": quantity, "outcome": outcome, "direction": "above",
        "reason": None,
        "sentence": f"{quantity} of {key} on slice {slice_name}: {outcome}.", **values,
    }  # fmt: skip


def decision_document(verdict: str = "UNDECIDED") -> dict[str, Any]:
    """Return decision.json."""
    rows = []
    for key in REGISTERED:
        for place, name in enumerate(SLICES):
            rows += [
                gate_row(key, name, "added_fraction", "pass" if place else "undecided",
                         value=0.12, interval=[0.015, 0.15], threshold=0.05),
                gate_row(key, name, "added_nats", "pass", value=0.08, interval=[0.05, 0.1],
                         threshold=0.02),
                gate_row(key, name, "transfer_loss", "pass", value=0.05, interval=[-0.02, 0.12],
                         threshold=0.2, direction="below"),
                gate_row(key, name, "excluded_mass", "pass", value=0.01, interval=None,
                         threshold=0.1, direction="below"),
                gate_row(key, name, "control_permuted", "pass", value=0.001,
                         interval=[-0.004, 0.006], threshold=0.02, direction="within"),
                gate_row(key, name, "control_swapped", "pass", value=-0.001,
                         interval=[-0.006, 0.004], threshold=0.02, direction="within"),
            ]  # fmt: skip
    literal = [
        gate_row(key, name, "ratio", "fail", value=0.95, interval=[0.94, 0.96], threshold=0.6)
        for key in REGISTERED
        for name in SLICES
    ]
    null = gate_row(REGISTERED[0], "all", "mean_reversion", "", value=0.44,
                    interval=[0.43, 0.45], threshold=0.5)  # fmt: skip
    rows.append({**null, "outcome": None})
    gates = {"operative": rows, "literal": literal, "informational": []}
    deciding = [row for row in rows if row["outcome"] == "undecided"]
    return {
        "schema_version": 1, "verdict": verdict, "representation": BASES[0],
        "deciding_rows": deciding, "sources": {},
        "representations": {
            BASES[0]: {
                "verdict": verdict, "gates": gates, "num_looked_at": 195,
                "key": REGISTERED[0], "chosen_on": "val", "candidates": [],
                "deciding_rows": deciding,
            },
            BASES[1]: {
                "verdict": "STOP", "gates": gates, "num_looked_at": 195,
                "key": REGISTERED[0], "chosen_on": "val", "candidates": [],
                "deciding_rows": literal[:2],
            },
        },
    }  # fmt: skip


def silent_clip(number: int = 0) -> dict[str, Any]:
    """Return a short silent clip, embedded; each number gives another (every browser plays WAV)."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8000)
        clip.writeframes(bytes(15998) + number.to_bytes(2, "little"))
    return embedded("audio/wav", buffer.getvalue())


def embedded(media_type: str, content: bytes) -> dict[str, Any]:
    """Return content as players.json holds it."""
    text = base64.b64encode(content).decode()
    return {"media_type": media_type, "num_bytes": len(content), "base64": text}


def picture(generator: np.random.Generator, width: int = 240, height: int = 64) -> dict[str, Any]:
    """Return a noisy greyscale PNG, embedded."""
    shade = np.linspace(40, 200, height)[:, None] + generator.normal(scale=25, size=(height, width))
    rows = np.clip(shade, 0, 255).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw))
    return embedded("image/png", png + chunk(b"IEND", b""))


def _frames(generator: np.random.Generator, utterance_id: str) -> dict[str, pd.DataFrame]:
    return {
        "structure": structure_table(generator),
        "linear": linear_table(),
        "curves": curves_table(),
        "ngrams": ngrams_table(),
        "speakers": speakers_table(generator),
        "corpus": pd.DataFrame(
            {
                "corpus": ["demo_speech"] * 4,
                "split_seed": [0] * 4,
                "split": ["train", "val", "select", "eval"],
                "num_speakers": [18, 18, 4, NUM_SPEAKERS],
                "num_utterances": [240, 24, 48, 120],
                "hours": [0.41, 0.04, 0.08, 0.2],
                "num_frames": [18400, 1900, 3700, 9000],
            }
        ),
        "exclusions": pd.DataFrame(
            {
                "corpus": ["demo_speech"] * 2,
                "representation": [None, None],
                "path": [f"v01/{utterance_id}.flac", "v02/a.flac"],
                "utterance_id": [utterance_id, "a"],
                "speaker_id": ["v01", "v02"],
                "reason": ["too_short", "stereo"],
                "detail": ["2.1 s < 3 s", "2 channels"],
                "is_kept": [False, False],
            }
        ),
    }


def example(generator: np.random.Generator, utterance_id: str, place: int) -> dict[str, Any]:
    """Return one player with sounds of its own."""
    return {
        "utterance_id": utterance_id, "speaker_id": "v01",
        "transcript": "The kettle sang before anyone was awake.", "log_mel_l1": 0.54,
        "original": silent_clip(2 * place), "original_picture": picture(generator),
        "decoded": silent_clip(2 * place + 1), "decoded_picture": picture(generator),
    }  # fmt: skip


def report_data(utterance_id: str = "v01-0003", verdict: str = "UNDECIDED") -> ReportData:
    """Return everything the page needs; `utterance_id` reaches tables and players."""
    generator = np.random.default_rng(0)
    data = ReportData(
        settings=ReportSection(
            title="Can a lookup memory help?", num_players=2, player_duration_s=2.0
        ),
        sections={
            "decision": {
                "representation": BASES[0], "lag_frames": 2,
                "slices": list(SLICES),
                "literal_gate": {
                    "keys": list(REGISTERED), "maximum_ratio": 0.6, "maximum_transfer_loss": 0.2,
                },
                "operative_gate": GATE,
            },
            "structure": {"minimum_cell_frames": 100, "window_frames": 8},
        },
        tables={
            name: declared(TABLES[name], frame)
            for name, frame in _frames(generator, utterance_id).items()
        },
        documents={"decision": decision_document(verdict)},
        cells=cells_table(generator),
        summaries={
            name: {
                "metadata": {"num_dims": 32, "frame_rate_hz": 12.5, "latent_space": "pca",
                             "is_causal": True, "cold_start_frames": 0, "weight_hash": "ab" * 32},
                "num_frames": 30000,
            }
            for name in BASES
        },
        players={
            BASES[0]: [
                example(generator, name, place)
                for place, name in enumerate((utterance_id, "v07-0001"))
            ]
        },
        timings=gather_timings(
            {
                "extract_latents": r"benchmarks/latents/(?P<representation>.+)/(?P<shard>\d+)\.tsv",
                "decide": r"benchmarks/decide\.tsv",
            },
            [JobTiming("benchmarks/latents/mel_pca/000.tsv", 12.5, 640.0)],
        ),
        manifests=[
            {"artifact": "results/structure/mel_pca/split-0/pca/cells.parquet",
             "step": "score_structure_keys", "code_digest": "0123456789abcdef", "seed": 0,
             "section_digests": {"structure": "feedbeef00112233"}, "packages": {"numpy": "2.3.1"}}
        ],
        packages={"numpy": "2.3.1", "python": "3.11.9"},
    )  # fmt: skip
    return judged(data)


TEMPLATE_SUFFIXES = (".j2", ".css", ".js")


def templates() -> dict[str, str]:
    """Return the templates of the repository, by name."""
    from pathlib import Path

    from engram_audio.artifacts.published import read_templates

    folder = Path(__file__).parents[1] / "report_templates"
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in TEMPLATE_SUFFIXES]
    return read_templates(paths)


if __name__ == "__main__":  # look at the page: python -m tests.report_tables > page.html
    from engram_audio.report.page import render_page

    print(render_page(report_data(), templates()))
