"""Latent shards: one ragged [frames, D] float32 array per file, zarr 3 inside a zip.

A shard holds whole speakers and is written once by one job. The attributes list the CRC of every
entry and carry a digest of themselves. A reader compares the list with the zip's directory, and the
zip checks the CRC of what is read: a lost chunk or a flipped bit is an error and not a number. Zip
entries have a fixed date: same latents, same bytes.
"""

import functools
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import zarr
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.storage import MemoryStore, ZipStore

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.digest import REMEDY, sealed, unsealed
from engram_audio.artifacts.reading_order import (
    Place,
    in_blocks,
    joined,
    numbers_by_shard,
    reading_order,
)
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock, concatenate_blocks
from engram_audio.latents.scored import scored_frames

if TYPE_CHECKING:
    import pandas as pd  # a third of the start of the steps that read no table

SCHEMA_VERSION = 2
ATTRIBUTES = "zarr.json"  # the entry that holds the attributes
CHECKSUMS = "crc32_of"
COMPRESSION = "compression"  # in the manifest
WAVEFORM_RMS = "waveform RMS"
LATENT_RMS = "RMS of the frame's latent"  # arrays without energies: it tells no silence
CHUNK_FRAMES = 4096
# How chunks are packed; each gives back the same bits.
COMPRESSORS: dict[str, Any] = {
    "none": None,
    "zstd": ZstdCodec(level=3),
    "blosc": BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
}
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class LatentMetadata(NamedTuple):
    """What all shards of one representation share.

    Attributes:
        representation: Name in the configuration.
        num_dims: D.
        frame_rate_hz: Frames per second.
        latent_space: Which space the vectors live in, for example `pre_quantizer`.
        weight_hash: SHA-256 of the weights that made them, or of the recipe where there are none.
        is_causal: Whether frame t depends on audio up to the end of frame t only.
        cold_start_frames: Frames at the head of an utterance that readers drop.
    """

    representation: str
    num_dims: int
    frame_rate_hz: float
    latent_space: str
    weight_hash: str
    is_causal: bool
    cold_start_frames: int


def write_latent_shard(
    path: Path,
    block: LatentBlock,
    time_s: np.ndarray,
    metadata: LatentMetadata,
    manifest: dict[str, Any],
    energy_unit: str = WAVEFORM_RMS,
    compression: str = "none",
) -> None:
    """Write one shard.

    Args:
        path: Target, `shard-NNN.zarr.zip`.
        block: All utterances of the shard, those of a speaker adjacent, cold start included.
        time_s: Start time of each frame in its utterance, seconds, shape [N].
        metadata: Shared facts; checked against the block.
        manifest: Provenance from `Arguments.manifest`.
        energy_unit: What `energy` is where it is not the waveform's RMS.
        compression: Name under `COMPRESSORS`; changes no number.

    Raises:
        InputError: The arrays disagree, or a latent is not finite.
    """
    _check_block(path, block, time_s, metadata)
    arrays = {
        "latents": block.frames.astype("<f4", copy=False),
        "energy": block.energy.astype("<f4", copy=False),
        "time_s": time_s.astype("<f8", copy=False),
        "offsets": block.offsets.astype("<i8", copy=False),
    }
    attributes = {
        "schema_version": SCHEMA_VERSION,
        **metadata._asdict(),
        "utterance_ids": [str(name) for name in block.utterance_ids],
        "speaker_ids": [str(name) for name in block.speaker_ids],
        "units": {"latents": "codec units", "energy": energy_unit, "time_s": "s"},
        "manifest": {**manifest, COMPRESSION: compression},
    }
    entries = _entries(arrays, attributes, COMPRESSORS[compression])
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, content in entries.items():
            archive.writestr(zipfile.ZipInfo(key, date_time=ZIP_DATE), content)


def _entries(
    arrays: Mapping[str, np.ndarray], attributes: dict[str, Any], compressor: Any
) -> dict[str, bytes]:
    """Return the files of a zarr group; every chunk is one, also where all its values are zero."""
    store = MemoryStore()
    group = zarr.create_group(store)
    for name, values in arrays.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(CHUNK_FRAMES, *values.shape[1:]),
            compressors=compressor,
            config={"write_empty_chunks": True},
        )
        array[:] = values
    checksums = {key: zlib.crc32(content) for key, content in _content(store) if key != ATTRIBUTES}
    group.attrs.update(sealed({**attributes, CHECKSUMS: checksums}))
    return dict(_content(store))


def _content(store: MemoryStore) -> Iterator[tuple[str, bytes]]:
    """Yield the files by name: threads that compress end in any order."""
    return ((key, buffer.to_bytes()) for key, buffer in sorted(store._store_dict.items()))


def _check_block(
    path: Path, block: LatentBlock, time_s: np.ndarray, metadata: LatentMetadata
) -> None:
    num_frames, num_dims = block.frames.shape
    num_utterances = len(block.utterance_ids)
    consistent = (
        num_dims == metadata.num_dims
        and len(block.energy) == num_frames == len(time_s) == block.offsets[-1]
        and len(block.offsets) == num_utterances + 1 == len(block.speaker_ids) + 1
        and block.offsets[0] == 0
        and bool(np.all(np.diff(block.offsets) > 0))
    )
    if not consistent:
        raise InputError(f"{path}: the arrays of the shard disagree in shape; nothing was written")
    finite = np.isfinite(block.frames).all(axis=1) & np.isfinite(block.energy)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        utterance = int(np.searchsorted(block.offsets, row, side="right") - 1)
        raise InputError(
            f"{path}: utterance {block.utterance_ids[utterance]} has a NaN or infinite value at "
            f"frame {row - int(block.offsets[utterance])}; exclude it or mend its source"
        )


class _Shard(NamedTuple):
    path: Path
    group: zarr.Group
    attributes: dict[str, Any]
    offsets: np.ndarray
    utterance_ids: np.ndarray
    speaker_ids: np.ndarray


class LatentStore:
    """All shards of one representation, read in blocks of whole utterances."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open shards and check that they belong together.

        Raises:
            InputError: A shard is missing, damaged, of another schema version, in the folder of
                another representation, or differs from the first in representation, dimension,
                frame rate, latent space or weights.
        """
        self._shards = [_open_shard(Path(path)) for path in paths]
        if not self._shards:
            raise InputError("no latent shard was given")
        self.metadata = _metadata(self._shards[0])
        for shard in self._shards:
            _check_folder(shard.path, _metadata(shard))
        for shard in self._shards[1:]:
            _check_same(self.metadata, _metadata(shard), self._shards[0].path, shard.path)
        self._require_distinct()

    def _require_distinct(self) -> None:
        names, counts = np.unique(
            np.concatenate([shard.utterance_ids for shard in self._shards]), return_counts=True
        )
        if (counts > 1).any():
            raise InputError(
                f"utterance {names[counts > 1][0]} is in two shards of "
                f"{self.metadata.representation}"
            )

    @functools.cached_property
    def index(self) -> "pd.DataFrame":
        """Rows of utterances in reading order: utterance_id, speaker_id, shard, num_frames."""
        import pandas as pd

        rows = [
            (self._name(place), place.speaker_id, place.shard, place.num_frames)
            for place in self._places
        ]
        return pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "shard", "num_frames"])

    def _name(self, place: Place) -> str:
        return self._shards[place.shard].utterance_ids[place.number]

    @property
    def energy_unit(self) -> str:
        """What `energy` is: `WAVEFORM_RMS`, or other words."""
        return self._shards[0].group.attrs["units"]["energy"]  # type: ignore[index, return-value]

    @property
    def compression(self) -> str:
        """How its chunks are packed: what is made of it is packed the same way."""
        return self.manifests[0].get(COMPRESSION, "none")  # older shards do not say it

    @property
    def has_energy(self) -> bool:
        """Whether energies are those of a signal, so that speech can be told from silence."""
        return self.energy_unit != LATENT_RMS

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Provenance of each shard."""
        return [shard.attributes["manifest"] for shard in self._shards]

    def blocks(
        self, utterance_ids: Collection[str] | None = None, block_frames: int = 65536
    ) -> Iterator[LatentBlock]:
        """Yield blocks of whole utterances, cold-start frames dropped.

        Blocks are the same to the bit, however speakers were dealt to shards: speakers come in the
        order of their names, and a block may hold utterances of several shards.

        Args:
            utterance_ids: Which utterances to read, by default all.
            block_frames: A block ends with the utterance that reaches this many frames; this bounds
                memory together with the longest utterance.
        """
        wanted = None if utterance_ids is None else frozenset(utterance_ids)
        places = [place for place in self._places if wanted is None or self._name(place) in wanted]
        for block in in_blocks(places, block_frames):
            numbers = numbers_by_shard(block)
            read = {shard: self._read(self._shards[shard], own) for shard, own in numbers.items()}
            yield joined(read, block)

    @functools.cached_property
    def _places(self) -> list[Place]:
        return reading_order(
            (shard.speaker_ids.tolist(), np.diff(shard.offsets).tolist()) for shard in self._shards
        )

    def load(self, utterance_ids: Collection[str] | None = None) -> LatentBlock:
        """Read the chosen utterances into one block, empty if none (memory: all of them)."""
        blocks = list(self.blocks(utterance_ids))
        return concatenate_blocks(blocks) if blocks else self._empty()

    def _empty(self) -> LatentBlock:
        names = np.empty(0, dtype=object)
        return LatentBlock(
            frames=np.empty((0, self.metadata.num_dims), np.float32),
            energy=np.empty(0, np.float32),
            offsets=np.zeros(1, np.int64),
            utterance_ids=names,
            speaker_ids=names,
            is_scored=np.empty(0, bool),
        )

    def _read(self, shard: _Shard, chosen: np.ndarray) -> LatentBlock:
        low, high = shard.offsets[chosen[0]], shard.offsets[chosen[-1] + 1]
        try:
            frames = np.asarray(shard.group["latents"][low:high])  # type: ignore[index]
            energy = np.asarray(shard.group["energy"][low:high])  # type: ignore[index]
        except Exception as error:
            raise InputError(
                f"{shard.path}: damaged ({error}); delete it and rerun the rule that makes it"
            ) from error
        skip = self.metadata.cold_start_frames
        starts = np.minimum(shard.offsets[chosen] + skip, shard.offsets[chosen + 1])
        sizes = shard.offsets[chosen + 1] - starts
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(starts - low - offsets[:-1], sizes)
        whole = len(rows) == len(frames)
        frames, energy = (frames, energy) if whole else (frames[rows], energy[rows])
        return LatentBlock(
            frames=frames,
            energy=energy,
            offsets=offsets,
            utterance_ids=shard.utterance_ids[chosen],
            speaker_ids=shard.speaker_ids[chosen],
            is_scored=scored_frames(frames, energy, offsets, self.energy_unit == WAVEFORM_RMS),
        )


def _open_shard(path: Path) -> _Shard:
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that makes it")
    try:
        group = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        attributes = _checked(path, group.attrs.asdict())
        _require_entries(path, attributes[CHECKSUMS])
        offsets = np.asarray(group["offsets"][:])  # type: ignore[index]
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: not a readable latent shard ({type(error).__name__}: {error}); {REMEDY}"
        ) from error
    return _Shard(
        path=path,
        group=group,
        attributes=attributes,
        offsets=offsets,
        utterance_ids=np.array(attributes["utterance_ids"], dtype=object),
        speaker_ids=np.array(attributes["speaker_ids"], dtype=object),
    )


def _checked(path: Path, attributes: dict[str, Any]) -> dict[str, Any]:
    version = attributes.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {version}, but this code reads {SCHEMA_VERSION}; {REMEDY}"
        )
    found = unsealed(attributes)
    if found is None:
        raise InputError(f"{path}: its attributes differ from what was written; {REMEDY}")
    return found


def _require_entries(path: Path, checksums: dict[str, int]) -> None:
    """Compare the zip's directory with the list; zarr reads zeros where a chunk is missing."""
    with zipfile.ZipFile(path) as archive:
        found = [(entry.filename, entry.CRC) for entry in archive.infolist()]
    others = sorted(entry for entry in found if entry[0] != ATTRIBUTES)
    if others == sorted(checksums.items()):
        return
    lost = sorted(set(checksums) - {name for name, _ in others})
    what = f"{len(lost)} entries are lost, first {lost[0]}" if lost else "entries differ"
    raise InputError(f"{path}: damaged ({what}); {REMEDY}")


def _metadata(shard: _Shard) -> LatentMetadata:
    return LatentMetadata(**{name: shard.attributes[name] for name in LatentMetadata._fields})


def _check_folder(path: Path, metadata: LatentMetadata) -> None:
    """A shard under `latents/<representation>/` must be that representation's."""
    folder = path.parent
    if folder.parent.name == "latents" and folder.name != metadata.representation:
        raise InputError(
            f"{path}: holds {metadata.representation} ({metadata.latent_space}, "
            f"{metadata.frame_rate_hz:g} Hz), not {folder.name}; delete it and rerun the rule that "
            "makes it"
        )


def _check_same(
    first: LatentMetadata, other: LatentMetadata, first_path: Path, other_path: Path
) -> None:
    for name in LatentMetadata._fields:
        if getattr(first, name) != getattr(other, name):
            raise InputError(
                f"{other_path}: {name} is {getattr(other, name)}, but {getattr(first, name)} in "
                f"{first_path}; delete the wrong shard and rerun the rule that makes it"
            )
