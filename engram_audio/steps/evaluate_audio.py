"""Decode what a generator goes on with, score it beside true speech, and keep some to hear.

Fails where no eval utterance is short enough, or long enough to go on from.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.identity import GenerationRun, read_identity
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.audio_scores.hearing import RATE_HZ, Evaluators, hear
from engram_audio.audio_scores.names import FREE, ORIGINAL, ROUND_TRIP, every
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.waveform import resample
from engram_audio.comparison.reconstruction import choose_utterances
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.errors import InputError
from engram_audio.generation.audio_clips import Clips, Continuing, Trained, Utterance, clips_of
from engram_audio.generation.audio_config import AudioScoresSection
from engram_audio.generation.audio_scoring import (
    NEVER_OF_WORDS,
    Listened,
    Place,
    distance_rows,
    mel_frames,
    score_rows,
)
from engram_audio.generation.condition_data import text_alone
from engram_audio.generation.continuation import continued_frames
from engram_audio.generation.density import GeneratorDensity, Sampling, as_step_density
from engram_audio.generation.factorized.continuation import continued_path
from engram_audio.generation.factorized.path import StatePath
from engram_audio.generation.names import over_state
from engram_audio.latents.config import LinkSection
from engram_audio.steps._cli import (
    Device,
    Fact,
    Frozen,
    Output,
    StepFiles,
    Wildcard,
    Workers,
    blame,
    run,
)
from engram_audio.steps._device import resolve_device
from engram_audio.steps._evaluators import absent_evaluators, load_evaluators
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._generators import Generators, full_members, read_generators
from engram_audio.steps._players import embedded
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)
CPU = torch.device("cpu")
COLUMNS = ["utterance_id", "speaker_id", "sex", "duration_s", "transcript"]


class Files(StepFiles):
    representation: Wildcard[str]
    generator: Wildcard[str]
    section: Frozen[AudioScoresSection]
    links: Frozen[list[LinkSection]]
    codec_section: Frozen[CodecSection]
    evaluators: Fact[dict[str, str]]
    generators: Path
    paths: list[Path]
    factorizers: list[Path]
    noise_scale: Path | None
    utterances: Path
    splits: Path
    weights: list[Path]
    scores: Output
    distances: Output
    players: Output
    device: Device
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    evaluators = load_evaluators()
    absent = absent_evaluators(evaluators)
    if absent:
        LOG.warning("not installed, left empty: %s (make audio)", ", ".join(absent))
    device = resolve_device(files.device, files.codec_section.uses_torch)
    codec = load_codec(
        files.codec_section, files.weights, device, files.num_workers, files.weight_digests
    )
    densities, paths = _densities(files, read_generators(files.generators)), _paths(files)
    listened, examples = [], []
    for row, utterance in _utterances(files, codec):
        with blame(files.utterances):
            arms = {of: _told(one, row) for of, one in densities.items()}
        clips = clips_of(utterance, arms | paths, files.section)
        if clips is None:
            continue
        listened.append(_listened(row, clips, codec, evaluators))
        if len(examples) < files.section.num_players:
            examples.append(_example(row, clips, codec, files.section))
    if not listened:
        raise InputError(
            f"{files.utterances}: no eval utterance is long enough to go on from; raise "
            "generation.audio.maximum_duration_s"
        )
    section = files.section
    scores = score_rows(listened, section.maximum_original_wer, evaluators.normalize)
    manifest = {**files.manifest(section.seed), "absent_evaluators": absent}
    write_table(files.scores, scores, manifest)
    write_table(files.distances, distance_rows(listened), manifest)
    document = {
        "representation": files.representation,
        "generator": files.generator,
        "sample_rate_hz": codec.sample_rate_hz,
        "examples": examples,
        "manifest": manifest,
    }
    write_json(files.players, document)


def _densities(files: Files, trained: Generators) -> dict[Trained, GeneratorDensity]:
    """Return the arms that are heard, trained with each seed for the full length."""
    sampling = Sampling(files.section.temperature, files.section.guidance)
    return {
        (member["arm"], int(member["seed"])): as_step_density(trained.model(member), sampling)
        for arm in files.section.arms
        for member in full_members(trained)
        if member["arm"] == arm
    }


def _told(density: GeneratorDensity, row: dict[Any, Any]) -> Continuing:
    """Return an arm that goes on from an utterance, told its text where it knows texts.

    Raises:
        ValueError: It knows texts, and the utterance has none that fits.
    """
    section = density.generator.settings.condition
    if section is not None and section.text is not None:
        name, dims = str(row["utterance_id"]), len(density.generator.mean)
        density.condition = text_alone(section, name, _transcript(row), dims)
    return partial(continued_frames, density)


def _transcript(row: dict[Any, Any]) -> str | None:
    found = row["transcript"]
    return found.strip() if isinstance(found, str) and found.strip() else None


def _paths(files: Files) -> dict[Trained, Continuing]:
    """Return the arms over z_dyn that are heard, likewise."""
    found: dict[Trained, Continuing] = {}
    for generators, factorizer in zip(files.paths, files.factorizers, strict=True):
        trained, (model, _) = read_generators(generators), read_factorizer(factorizer)
        state = read_identity(generators, GenerationRun).representation
        for member in full_members(trained):
            if member["arm"] in files.section.arms:
                path = StatePath(model, trained.model(member), files.section.seed, CPU)
                named = over_state(member["arm"], state), int(member["seed"])
                found[named] = partial(continued_path, path)
    return found


def _utterances(files: Files, codec: Codec) -> Any:
    """Yield what is known of each chosen utterance, and the utterance."""
    std = None
    if files.noise_scale is not None:
        std = read_tensors(files.noise_scale, ["std"])[0]["std"]
    links = [link for link in files.links if link.kind != "codec"]
    chosen = _chosen(files)
    names = chosen["utterance_id"].astype(str)
    clips = zip(chosen.to_dict("records"), names, indexed_audio(chosen), strict=True)
    for row, name, audio in track(clips, len(chosen), files.representation, "utterances"):
        waveform, rate = read_indexed(audio)
        sound = resample(waveform, rate, codec.sample_rate_hz)
        yield row, Utterance(name, sound, codec, links, std)


def _chosen(files: Files) -> pd.DataFrame:
    """Return the utterances that are heard: whole ones of eval speakers, not too long."""
    splits = read_table(files.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"]
    known = read_table(files.utterances, [*COLUMNS, *AUDIO_COLUMNS])
    is_whole = known["duration_s"] <= files.section.maximum_duration_s
    known = known.loc[known["utterance_id"].isin(held_out) & is_whole]
    if known.empty:
        raise InputError(
            f"{files.utterances}: no eval utterance is as short as generation.audio."
            f"maximum_duration_s {files.section.maximum_duration_s:g}; raise it"
        )
    return choose_utterances(known, files.section.num_utterances)


def _listened(row: dict[Any, Any], clips: Clips, codec: Codec, evaluators: Evaluators) -> Listened:
    heard, mels, replaced = {}, {}, {}
    for clip in clips.clips:
        for scope in clip.scopes:
            place = Place(clip.condition, clip.arm, scope, clip.seed)
            sound = resample(clips.part(clip, scope), codec.sample_rate_hz, RATE_HZ)
            heard[place] = hear(sound, evaluators, clip.condition not in NEVER_OF_WORDS)
            mels[place] = mel_frames(sound)
            if clip.replaced is not None:
                replaced[place] = clip.replaced
    names = str(row["utterance_id"]), str(row["speaker_id"])
    return Listened(*names, _transcript(row), heard, mels, replaced)


def _example(
    row: dict[Any, Any], clips: Clips, codec: Codec, section: AudioScoresSection
) -> dict[str, Any]:
    """Return an utterance to hear: true, its round trip, and the first seed of every arm."""
    by_place: dict[tuple[str, str], np.ndarray] = {}
    for clip in clips.clips:
        by_place.setdefault((clip.condition, clip.arm), clip.sound)
    arms = list(dict.fromkeys(clip.arm for clip in clips.clips if clip.arm))
    kinds = [(ROUND_TRIP, "", "Round trip")]
    kinds += [(FREE, arm, f"{arm}, free after the prompt") for arm in arms]
    first = section.injections_frames[:1]
    kinds += [
        (every(n), arm, f"{arm}, a true frame after every {n}")
        for n in first for arm in arms
    ]  # fmt: skip
    sounds = {
        f"{condition}_{arm}".rstrip("_"): np.asarray(by_place[condition, arm])
        for condition, arm, _ in kinds
    }
    labels = [("original", "Original")]
    labels += [(f"{condition}_{arm}".rstrip("_"), label) for condition, arm, label in kinds]
    known = {name: row[name] for name in ("utterance_id", "speaker_id", "sex")}
    original = by_place[ORIGINAL, ""]
    return known | embedded(codec, original, sounds, ROUND_TRIP) | {"kinds": labels}


if __name__ == "__main__":
    run(main)
