"""simulate_world writes a representation that every reader takes."""

import json

import pytest

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.corpus.splits import make_splits
from engram_audio.errors import InputError
from engram_audio.steps import simulate_world
from tests.frozen_argv import run_step

SECTION = {
    "kind": "world",
    "world": "type2",
    "num_train_speakers": 3,
    "num_eval_speakers": 2,
    "num_utterances_per_speaker": 4,
    "seed": 5,
}
OUTPUTS = ("utterances", "exclusions", "shards")


def simulated(folder, **changes):
    section = folder / "section.json"
    section.write_text(json.dumps({**SECTION, **changes}))
    paths = {name: folder / f"{name}.parquet" for name in OUTPUTS}
    paths["latents"] = folder / "shard-000.zarr.zip"
    argv = [f"--section={section}", "--representation=planted"]
    run_step(simulate_world, [*argv, *(f"--{name}={path}" for name, path in paths.items())])
    return paths


def test_tables_and_latents_agree(tmp_path):
    """Every utterance is in the table, in a shard and in the latents; nothing is excluded."""
    paths = simulated(tmp_path)
    utterances = read_table(paths["utterances"], ["utterance_id", "speaker_id", "split_hint"])
    shards = read_table(paths["shards"], ["utterance_id", "speaker_id", "shard"])
    store = LatentStore([paths["latents"]])
    assert utterances["utterance_id"].tolist() == shards["utterance_id"].tolist()
    assert utterances["utterance_id"].tolist() == store.index["utterance_id"].tolist()
    assert set(shards["shard"]) == {"000"}
    assert len(read_table(paths["exclusions"], ["path", "reason", "is_kept"])) == 0
    seconds = store.index["num_frames"] / store.metadata.frame_rate_hz
    assert utterances["duration_s"].tolist() == seconds.tolist()
    assert store.metadata.latent_space == "world" and store.metadata.cold_start_frames == 0


def test_the_hint_fixes_the_eval_speakers(tmp_path):
    """Splits of any seed keep the world's eval speakers."""
    paths = simulated(tmp_path)
    table = read_table(paths["utterances"], ["utterance_id", "speaker_id", "sex", "duration_s"])
    for seed in (0, 1):
        splits = make_splits(
            table, eval_fraction=0.5, val_fraction=0.25, select_fraction=0.1, seed=seed
        )
        held_out = set(splits.loc[splits["split"] == "eval", "speaker_id"])
        assert held_out == {"eval-0000", "eval-0001"}


def test_same_section_same_bytes(tmp_path):
    """Two runs write identical latents; another seed is another recipe."""
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    first, again = simulated(folders[0]), simulated(folders[1])
    other = simulated(folders[2], seed=6)
    assert first["latents"].read_bytes() == again["latents"].read_bytes()
    digests = [LatentStore([paths["latents"]]).metadata.weight_hash for paths in (first, other)]
    assert digests[0] != digests[1]


def test_an_unknown_world_is_refused(tmp_path):
    """The step names the worlds that there are."""
    with pytest.raises(InputError, match="did you mean type2"):
        simulated(tmp_path, world="typo2")
