"""Publish every generator, the gains between its arms, and how its free runs look."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.identity import GenerationRun, read_identity
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.generation.audio_columns import (
    GENERATION_AUDIO,
    GENERATION_AUDIO_GAINS,
    OF_DISTANCE,
    OF_SCORE,
)
from engram_audio.generation.audio_config import AudioScoresSection
from engram_audio.generation.audio_tables import Sounded, audio_gains_table, audio_table
from engram_audio.generation.columns import (
    GENERATION,
    GENERATION_GAINS,
    GENERATION_HEALTH,
    GENERATION_KEYS,
    GENERATION_LATENCY,
    GENERATION_REPLAY,
)
from engram_audio.generation.cost_columns import (
    GENERATION_COST,
    GENERATION_LADDER,
    GENERATION_PROBES,
    GENERATION_SHARE,
    GENERATION_WIDER,
)
from engram_audio.generation.cost_tables import (
    Priced,
    Probed,
    cost_table,
    ladder_table,
    probes_table,
    share_table,
    wider_table,
)
from engram_audio.generation.names import OF_PATH, OF_SIZE
from engram_audio.generation.probes.sums import COLUMNS
from engram_audio.generation.tables import (
    OF_REPLAY,
    Evaluated,
    PathScored,
    gains_table,
    generation_table,
    health_table,
    keys_table,
    latency_table,
    replay_table,
    with_paths,
)
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run

SCORES = ["arm", "seed", "num_steps", "is_repeat", "part", "speaker_id", "num_frames", "nll",
          "energy"]  # fmt: skip


class Files(StepFiles):
    statistics_section: Frozen[StatisticsSection]
    audio_section: Frozen[AudioScoresSection]
    scores: list[Path]
    health: list[Path]
    reads: list[Path]
    replays: list[Path]
    latencies: list[Path]
    run_summaries: list[Path]
    path_scores: list[Path]
    path_health: list[Path]
    path_summaries: list[Path]
    prices: list[Path]
    probes: list[Path]
    audio_scores: list[Path]
    audio_distances: list[Path]
    generation: Output
    generation_gains: Output
    generation_health: Output
    generation_keys: Output
    generation_replay: Output
    generation_latency: Output
    generation_ladder: Output
    generation_cost: Output
    generation_share: Output
    generation_wider: Output
    generation_probes: Output
    generation_audio: Output
    generation_audio_gains: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    paths = zip(
        files.scores, files.health, files.reads, files.replays, files.latencies,
        files.run_summaries, strict=True,
    )  # fmt: skip
    over_states = zip(files.path_scores, files.path_health, files.path_summaries, strict=True)
    evaluated = [_evaluated(*one) for one in paths]
    found = with_paths(evaluated, [_path_scored(*one) for one in over_states])
    confidence, manifest = files.statistics_section.confidence, files.manifest()
    write_csv(files.generation, generation_table(found, confidence), GENERATION, manifest)
    gains = gains_table(found, confidence)
    write_csv(files.generation_gains, gains, GENERATION_GAINS, manifest)
    write_csv(files.generation_health, health_table(found), GENERATION_HEALTH, manifest)
    write_csv(files.generation_keys, keys_table(found), GENERATION_KEYS, manifest)
    replay = replay_table(found, confidence)
    write_csv(files.generation_replay, replay, GENERATION_REPLAY, manifest)
    write_csv(files.generation_latency, latency_table(found), GENERATION_LATENCY, manifest)
    _write_costs(files, gains)
    _write_audio(files)


def _write_costs(files: Files, gains: pd.DataFrame) -> None:
    """Publish what gains cost and what they are made of; empty where nothing of it was asked."""
    confidence, manifest = files.statistics_section.confidence, files.manifest()
    labels = gains[["representation", "generator"]].itertuples(index=False)
    deltas = dict(zip(map(tuple, labels), gains["delta_nats"].to_numpy(float), strict=True))
    priced = [
        Priced(*read_identity(path, GenerationRun), read_table(path, list(OF_SIZE)))
        for path in files.prices
    ]
    probed = [
        Probed(*read_identity(path, GenerationRun), read_table(path, list(COLUMNS)))
        for path in files.probes
    ]
    write_csv(
        files.generation_ladder, ladder_table(priced, confidence), GENERATION_LADDER, manifest
    )
    costs = cost_table(priced, deltas, confidence)
    write_csv(files.generation_cost, costs, GENERATION_COST, manifest)
    write_csv(files.generation_share, share_table(priced, confidence), GENERATION_SHARE, manifest)
    wider = wider_table(priced, deltas, confidence)
    write_csv(files.generation_wider, wider, GENERATION_WIDER, manifest)
    write_csv(
        files.generation_probes, probes_table(probed, confidence), GENERATION_PROBES, manifest
    )


def _write_audio(files: Files) -> None:
    """Publish how generators sound; empty where none is decoded."""
    confidence, manifest = files.statistics_section.confidence, files.manifest()
    least = files.audio_section.minimum_word_utterances
    pairs = zip(files.audio_scores, files.audio_distances, strict=True)
    heard = [_sounded(*pair, least) for pair in pairs]
    audio = audio_table(heard, confidence)
    write_csv(files.generation_audio, audio, GENERATION_AUDIO, manifest)
    audio_gains = audio_gains_table(heard, confidence)
    write_csv(files.generation_audio_gains, audio_gains, GENERATION_AUDIO_GAINS, manifest)


def _sounded(scores: Path, distances: Path, minimum_word_utterances: int) -> Sounded:
    known = read_manifest(scores) or {}
    return Sounded(
        *read_identity(scores, GenerationRun),
        read_table(scores, list(OF_SCORE)),
        read_table(distances, list(OF_DISTANCE)),
        tuple(known.get("absent_evaluators", ())),
        minimum_word_utterances,
    )


def _path_scored(scores: Path, health: Path, summary: Path) -> PathScored:
    known, run = read_json(summary), read_identity(scores, GenerationRun)
    return PathScored(
        (known["source"], run.generator),
        pd.DataFrame(known["members"]),
        read_table(scores, [*SCORES, *OF_PATH]),
        read_table(health, ["arm", "seed", "horizon_frames"]),
    )


def _evaluated(
    scores: Path, health: Path, keys: Path, replays: Path, latency: Path, summary: Path
) -> Evaluated:
    known = read_json(summary)
    return Evaluated(
        *read_identity(scores, GenerationRun),
        known["chosen_on"],
        pd.DataFrame(known["members"]),
        read_table(scores, SCORES),
        read_table(health, ["arm", "seed", "horizon_frames"]),
        read_table(keys, ["arm", "seed", "probe"]),
        read_table(replays, list(OF_REPLAY)),
        read_table(latency, ["arm", "latency_ms"]),
    )


if __name__ == "__main__":
    run(main)
