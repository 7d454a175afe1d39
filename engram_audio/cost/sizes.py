"""How many frames each representation of a study has, before and after it is made.

What is made says it itself. What is not made yet follows from hours of speech and from the codec.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import soundfile

from engram_audio.calibration.registry import make_world
from engram_audio.corpus.utterances import AUDIO_SUFFIXES
from engram_audio.cost.jobs import Job

# Published hours of LibriSpeech's parts.
LIBRISPEECH_H = {
    "dev-clean": 5.4, "test-clean": 5.4, "dev-other": 5.3, "test-other": 5.1,
    "train-clean-100": 100.6, "train-clean-360": 363.6, "train-other-500": 496.7,
}  # fmt: skip
DEMO_SENTENCE_S = 5.0  # mean length of a synthetic sentence
WORLD_FRAMES = 60  # mean length of an utterance of a planted world
# Frames per second and dimensions of codecs that say theirs only when they are loaded.
LOADED_CODECS = {
    "mimi": (12.5, 512), "encodec": (75.0, 128), "dac": (50.0, 1024), "lyra": (50.0, 64),
    "pocket_tts": (12.5, 32), "pocket_tts_package": (12.5, 32), "vibevoice": (7.5, 64),
}  # fmt: skip
TYPICAL_CODEC = (50.0, 512)  # of a plugin, which nothing is known of


class Size(NamedTuple):
    """Size of a representation.

    Attributes:
        frames: Frames of all its utterances.
        dims: Dimensions D.
        shards: Files that it is cut into.
    """

    frames: float
    dims: int
    shards: int = 1

    @property
    def floats(self) -> float:
        """Numbers that it holds."""
        return self.frames * self.dims


class Sizes:
    """Sizes of everything that jobs read and write."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Derive them from planned jobs and from what is made already."""
        self._makers: dict[str, list[Job]] = {}
        self._seconds: dict[str, float] = {}
        self._folders: dict[str, set[Path]] = {}
        for job in jobs:
            for path in (*job.outputs, *job.inputs):
                if is_shard(path):
                    self._folders.setdefault(Path(path).parent.name, set()).add(Path(path))
            for path in job.outputs:
                self._note(job, Path(path))
        self._known: dict[str, Size] = {}

    def _note(self, job: Job, path: Path) -> None:
        if is_shard(str(path)):
            self._makers.setdefault(path.parent.name, []).append(job)
        if path.name == "utterances.parquet" and "corpus" in job.wildcards:
            self._seconds[job.wildcards["corpus"]] = corpus_seconds(job.section("section"), path)

    def of(self, representation: str) -> Size | None:
        """Return the size of a representation, or None where nothing tells it."""
        if representation not in self._known:
            found = self._found(representation)
            if found is None:
                return None
            self._known[representation] = found
        return self._known[representation]

    def seconds(self, corpus: str) -> float:
        """Return the speech of a corpus, in seconds; 0 where nothing tells it."""
        return self._seconds.get(corpus, 0.0)

    def of_job(self, job: Job) -> Size | None:
        """Return the size of the representation that a job is about."""
        name = job.wildcards.get("representation")
        return self.of(name) if name else None

    def _found(self, name: str) -> Size | None:
        shards = self._folders.get(name)
        if not shards:
            return None
        made = _made(min(shards).with_name("summary.json"), len(shards))
        makers = self._makers.get(name, [])
        return made or (self._planned(makers) if makers else None)

    def _planned(self, makers: Sequence[Job]) -> Size | None:
        job, count = makers[0], len(makers)
        if job.rule == "simulate_world":
            return _world(job.section("section"))
        if job.rule == "extract_latents":
            section = job.section("codec_section")
            rate, dims = codec_frames(section)
            corpus = job.section("representation_section")["corpus"]
            return Size(self.seconds(corpus) * rate, dims, count)
        source = self._source(job)
        return source and _derived(job, source)

    def _source(self, job: Job) -> Size | None:
        """Return the size of the latents that a job of a shard reads."""
        names = [Path(path).parent.name for path in job.inputs if is_shard(path)]
        return self.of(names[0]) if names else None


def is_shard(path: str) -> bool:
    """Return whether a path is that of a shard of latents."""
    return path.endswith(".zarr.zip") and Path(path).parent.parent.name == "latents"


def _made(summary: Path, shards: int) -> Size | None:
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
        return Size(found["num_frames"], len(found["lag_one"]["per_dim"]), shards)
    except (OSError, ValueError, KeyError):
        return None


def _world(section: Mapping[str, Any]) -> Size:
    world = make_world(section["world"], section["seed"])
    speakers = section["num_train_speakers"] + section["num_eval_speakers"]
    frames = speakers * section["num_utterances_per_speaker"] * WORLD_FRAMES
    return Size(frames, world.num_dims)


def _derived(job: Job, source: Size) -> Size:
    """Return the size of latents that are made of others."""
    section = job.section("representation_section") or job.section("section")
    if job.rule == "resample_latents":
        group = section["frames_per_group"]
        dims = source.dims * (1 if section["mode"] == "average" else group)
        return Size(source.frames / group, dims, source.shards)
    if job.rule == "export_states":
        return source._replace(dims=min(STATE_DIMS, source.dims))
    return source


STATE_DIMS = 16  # of z_dyn, where the factoriser is not at hand


def codec_frames(section: Mapping[str, Any]) -> tuple[float, int]:
    """Return frames per second and dimensions of a codec."""
    if "sample_rate_hz" in section and "stack_hops" in section:
        hop = round(section["sample_rate_hz"] * section["hop_s"]) * section["stack_hops"]
        dims = section.get("num_components") or section["num_dims"]
        return section["sample_rate_hz"] / hop, dims
    if "strides" in section:
        hop = 1
        for stride in section["strides"]:
            hop *= stride
        return section["sample_rate_hz"] / hop, section["num_dims"]
    return LOADED_CODECS.get(section.get("kind", ""), TYPICAL_CODEC)


def corpus_seconds(section: Mapping[str, Any], utterances: Path) -> float:
    """Return the speech of a corpus in seconds: listed, published, or counted from its files."""
    if utterances.is_file():
        return float(
            pq.read_table(utterances, columns=["duration_s"])["duration_s"].to_pandas().sum()
        )
    if section.get("kind") == "librispeech":
        return 3600.0 * sum(LIBRISPEECH_H.get(name, 0.0) for name in section["subsets"])
    if section.get("kind") == "demo_speech":
        count = section["num_speakers"] * section["num_utterances_per_speaker"]
        return DEMO_SENTENCE_S * count
    return seconds_below(Path(section.get("root", "")))


def seconds_below(root: Path) -> float:
    """Return the sound in the files below a folder, by their headers; unreadable ones count 0."""
    total = 0.0
    for path in root.rglob("*") if root.is_dir() else ():
        if path.suffix.lower() in AUDIO_SUFFIXES:
            with contextlib.suppress(soundfile.LibsndfileError):
                total += soundfile.info(path).duration
    return total
