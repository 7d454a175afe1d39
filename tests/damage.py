"""One bit flipped in a file of every kind that a step reads, and what its reader makes of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio.artifacts.audio_source import SourceFile, read_source, write_source
from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.artifacts.checksum import checksum_path, require_checksum, write_checksum
from engram_audio.artifacts.columns import Column, Table
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.partial import PartialStore
from engram_audio.artifacts.pinned import pinned_digests
from engram_audio.artifacts.published import read_cells, read_csv
from engram_audio.artifacts.table import read_table, read_table_manifest, write_csv, write_table
from engram_audio.artifacts.tensors import read_tensors, write_tensors
from engram_audio.codecs.config import LyraCodecSettings, MelPcaCodecSettings
from engram_audio.codecs.mel_pca import MelPca
from engram_audio.codecs.mel_pca import load as load_mel_pca
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.trained_weights import read_weights
from engram_audio.corpus.utterances import Exclusion
from engram_audio.errors import InputError
from engram_audio.frozen import Code, frozen_text, keep, place_of, read_frozen
from engram_audio.latents.block import LatentBlock
from engram_audio.steps._training import Checkpoint
from engram_audio.training.loop import TrainingState

MANIFEST = {"step": "test", "seed": 3, "code": "ab12", "lag": [1, 2], "rate": 12.5}
FRAME = pd.DataFrame(
    {"key": ["pca", "mel", None] * 20, "lag_frames": [1, 2, 1] * 20, "slice": "all",
     "nats": np.linspace(-1.0, 1.0, 60), "is_held_out": [True, False, False] * 20}
)  # fmt: skip
PLAIN = Table("a", "row", tuple(Column(name, "A column.") for name in FRAME.columns))
METADATA = LatentMetadata("rep", 3, 12.5, "space", "hash", True, 1)
MEL_PCA = MelPcaCodecSettings.model_validate(
    {"kind": "mel_pca", "corpus": "speech", "split_seed": 0, "sample_rate_hz": 8000,
     "num_mels": 8, "hop_s": 0.01, "window_s": 0.02, "stack_hops": 2, "magnitude_floor": 1e-4,
     "num_components": 3, "griffin_lim_iterations": 2}
)  # fmt: skip
LYRA = LyraCodecSettings(kind="lyra", weights_dir="weights", num_quantizers=None)
END_BYTES = 1500
GRAPHS = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")


class Kind(NamedTuple):
    """A file to damage, and its reader, which returns all that a step could use of it."""

    path: Path
    read: Callable[[], Any]


def plain(value: Any) -> Any:
    """Return a value that equals another exactly when every array, name and number does."""
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        content = value.tolist() if value.dtype == object else value.tobytes()
        return (str(value.dtype), value.shape, content)
    if isinstance(value, pd.DataFrame):
        return [(name, str(value[name].dtype), repr(value[name].tolist())) for name in value]
    if isinstance(value, dict):
        return [(name, plain(value[name])) for name in sorted(value)]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return repr(value)


def kinds(folder: Path) -> dict[str, Kind]:
    """Write one file of every kind and return them by name."""
    return {**_weights(folder), **_tensors(folder), **_shards(folder), **_tables(folder),
            **_documents(folder), **_pinned(folder), **_frozen(folder)}  # fmt: skip


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def _frozen(folder: Path) -> dict[str, Kind]:
    """The settings of a job, in the file that the driver writes."""
    wildcards = {"split_seed": "0"}
    settings = {"section": [{"section": "splits", "value": {"eval_fraction": 0.25, "seeds": [0]}}]}
    text = frozen_text("make_splits", wildcards, settings, Code(("engram_audio.frozen",)))
    path = place_of(folder / "config", "make_splits", wildcards, text)
    keep(path, text)
    return {"frozen settings": Kind(path, lambda: read_frozen(path)._asdict())}


def _weights(folder: Path) -> dict[str, Kind]:
    fitted, trained = folder / "weights.safetensors", folder / "trained" / "weights.safetensors"
    pca = MelPca(_random(16), _random(3, 16), _random(3), _random(1), np.array([99]))
    write_tensors(fitted, pca._asdict(), MANIFEST)
    header = {**MANIFEST, "health": {"rate_bits_per_s": 321.5}}
    write_bundle(trained, {"encoder": _random(8, 4), "steps": np.array(7)}, header)

    def read_pca() -> Any:
        codec = load_mel_pca(MEL_PCA, [fitted], "cpu", 1)
        return [*codec._pca, codec.weight_hash()]

    return {
        "weights of mel_pca": Kind(fitted, read_pca),
        "weights of a trained codec": Kind(trained, lambda: read_weights([trained], "vae")),
    }


def _state() -> TrainingState:
    def tensor() -> Tensor:
        return torch.from_numpy(_random(4, 5))

    return TrainingState(
        step=70, weights={"w": tensor()}, moments={"w.exp_avg": tensor()},
        best_weights={"w": tensor()}, best_score=1.25, best_step=60, num_since_best=1,
        loss_sum=0.5, loss_count=2, history=[{"step": 10.0, "held_out_score": 1.25}],
    )  # fmt: skip


def _tensors(folder: Path) -> dict[str, Kind]:
    checkpoint = Checkpoint(folder / ".checkpoint-codec.safetensors", "the key of the job")
    checkpoint.save(_state())
    bundle, var = folder / "model.safetensors", folder / "var.safetensors"
    write_bundle(
        bundle, {"w": _random(4, 6), "scale": np.array(2.0)}, {"models": {"head": {"k": 4}}}
    )
    write_tensors(var, {"mean": _random(5), "matrix": _random(5, 5)}, MANIFEST)
    parts = PartialStore(folder / "parts", "key")
    parts.put(0, {"frames": _random(9, 3)})

    def read_state() -> Any:
        state = checkpoint.load()
        if state is None:
            raise InputError(f"{checkpoint._path}: starts anew")
        return [vars(state)[name] for name in vars(state)]

    def read_part() -> Any:
        part = parts.get(0, ("frames",))
        if part is None:
            raise InputError("part-000000.safetensors: made again")
        return part

    return {
        "checkpoint of a training": Kind(checkpoint._path, read_state),
        "model": Kind(bundle, lambda: read_bundle(bundle)),
        "tensors, one of two": Kind(var, lambda: read_tensors(var, ["mean"])),
        "part of a shard": Kind(folder / "parts" / "part-000000.safetensors", read_part),
        "manifest of a model": Kind(bundle, lambda: read_manifest(bundle)),
    }


def _shards(folder: Path) -> dict[str, Kind]:
    path = folder / "shard-000.zarr.zip"
    frames = _random(4500, 3)
    frames[:4096] = 0.0  # a chunk of zeros, which zarr would leave out
    names = np.array(["u0", "u1"], dtype=object)
    block = LatentBlock(frames, np.abs(_random(4500)), np.array([0, 4200, 4500]), names, names)
    write_latent_shard(path, block, np.arange(4500) / 12.5, METADATA, MANIFEST)

    def read() -> Any:
        store = LatentStore([path])
        block = store.load()
        return [store.metadata, store.manifests, store.index, block.frames, block.energy,
                block.offsets, block.utterance_ids, block.speaker_ids]  # fmt: skip

    return {
        "latent shard": Kind(path, read),
        "manifest of a shard": Kind(path, lambda: read_manifest(path)),
    }


def _tables(folder: Path) -> dict[str, Kind]:
    table, csv = folder / "scores.parquet", folder / "structure.csv"
    write_table(table, FRAME, MANIFEST)
    write_csv(csv, FRAME, PLAIN, MANIFEST)
    return {
        "table": Kind(table, lambda: (read_table(table, []), read_table_manifest(table))),
        "cells of the report": Kind(table, lambda: read_cells(table, ["pca"], 1, "all")),
        "manifest of a table": Kind(table, lambda: read_manifest(table)),
        "published CSV": Kind(csv, lambda: read_csv(csv, PLAIN)),
        "checksum of a CSV": Kind(
            checksum_path(csv), lambda: (read_csv(csv, PLAIN), read_manifest(csv))
        ),
    }


def _documents(folder: Path) -> dict[str, Kind]:
    document, source = folder / "summary.json", folder / "source.json"
    write_json(document, {"manifest": MANIFEST, "mean": [0.1, -1e-7, 1e100], "note": "für\u0001"})
    write_source(source, "librispeech", "data", [SourceFile("a.flac", 9, "f0")],
                 [Exclusion("b.flac", "b", "s", "empty", "zero", False)], MANIFEST)  # fmt: skip
    return {
        "JSON document": Kind(document, lambda: read_json(document)),
        "list of audio files": Kind(source, lambda: read_source(source)),
        "manifest of a document": Kind(document, lambda: read_manifest(document)),
    }


def _pinned(folder: Path) -> dict[str, Kind]:
    """Files that are none of ours: they have no digest inside, so one is kept outside."""
    record, config = folder / "pinned.json", folder / "config.json"
    graphs = [folder / name for name in GRAPHS]
    for number, graph in enumerate(graphs):
        graph.write_bytes(_random(50, number + 1).tobytes())
    digests = pinned_digests(record, graphs)
    config.write_text('{"sampling_rate": 24000}')
    write_checksum(config, file_digest(config))

    def read_graphs() -> Any:
        try:
            load_codec(LYRA, graphs, "cpu", weight_digests=digests)
        except InputError as error:
            if "SHA-256" in str(error):
                raise
        except Exception as error:  # the graphs are none: what the adapter says is not asked here
            assert not isinstance(error, InputError)
        return [graph.read_bytes() for graph in graphs]

    def read_config() -> Any:
        require_checksum(config)
        return config.read_bytes()

    return {
        "graph of Lyra": Kind(graphs[2], read_graphs),
        "record of pinned weights": Kind(record, lambda: pinned_digests(record, graphs)),
        "downloaded configuration": Kind(config, read_config),
    }


def flips(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield the content with one bit flipped, `count` times.

    Half of the places are anywhere, half near an end, where headers and directories are.
    """
    generator = np.random.default_rng([seed, len(content)])
    anywhere = generator.integers(len(content), size=count)
    from_an_end = generator.integers(-END_BYTES, END_BYTES, size=count) % len(content)
    for place in np.where(generator.random(count) < 0.5, anywhere, from_an_end):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        yield bytes(flipped)


def outcomes(kind: Kind, count: int, seed: int) -> Counter[str]:
    """Return how many flips were refused, gave the same value, or another value."""
    content, expected = kind.path.read_bytes(), plain(kind.read())
    found: Counter[str] = Counter()
    try:
        for damaged in flips(content, count, seed):
            kind.path.write_bytes(damaged)
            try:
                found["same" if plain(kind.read()) == expected else "OTHER"] += 1
            except InputError as error:
                assert kind.path.name.split(".sha256")[0] in str(error)
                found["refused"] += 1
    finally:
        kind.path.write_bytes(content)
    return found
