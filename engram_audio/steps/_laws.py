"""What the steps of keys and their laws read in the same way: targets, units, bank, families."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.resident import resident_block
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.errors import InputError
from engram_audio.keys.bank import BankSection, fit_bank
from engram_audio.keys.law_config import LawSection
from engram_audio.keys.law_storage import Ceiling, unpack_ceiling
from engram_audio.keys.law_targets import Aim, LawTargets, fit_whitening, index_targets
from engram_audio.steps._cli import blame
from engram_audio.steps._frames import Frames, open_frames

BLOCK_FRAMES = 65536


@contextmanager
def open_targets(
    shards: Sequence[Path], splits: Path, section: LawSection, lag_frames: int
) -> Iterator[tuple[Frames, LawTargets]]:
    """Load all utterances of a representation and index their targets at a lag.

    Raises:
        InputError: No utterance is long enough for a target, on train or on the choice part.
    """
    frames = open_frames(shards, splits)
    num_frames = int(np.sum(frames.store.index["num_frames"].to_numpy()))
    source = frames.source(frames.present_parts, BLOCK_FRAMES)
    num_dims = frames.store.metadata.num_dims
    with resident_block(source, num_frames, num_dims, section.memory_gib) as block:
        targets = index_targets(
            block, frames.part_of, section.window_frames, lag_frames, max(section.lags_frames),
            section.maximum_frames,
        )  # fmt: skip
        for part in (TRAIN, targets.choice_part):
            if len(targets.of_part(part)) == 0:
                raise InputError(
                    f"{splits}: {part} has no target at a window of {section.window_frames} and a "
                    f"lag of {lag_frames} frames; shorten views.window_frames or add utterances"
                )
        yield frames, targets


def fitted_units(
    frames: Frames, targets: LawTargets, aim: Aim, section: LawSection, bank_section: BankSection
) -> Ceiling:
    """Fit units and bank on train; there is no network yet.

    Raises:
        InputError: Fewer train speakers than folds, or no targets to fit on.
    """
    with blame("learned_keys"):
        whitening = fit_whitening(
            targets, frames.part_of, aim, section.ridges, section.num_folds,
            bank_section.noise_fraction,
        )  # fmt: skip
    y = whitening.y(targets)
    train, choice = (y[targets.of_part(part)] for part in (TRAIN, targets.choice_part))
    fitted = fit_bank(train, choice, whitening.floor, bank_section, section.seed)
    return Ceiling(whitening, fitted.bank, np.empty(0, np.float32), {})


def read_ceiling(path: Path) -> Ceiling:
    """Read what `train_key_predictor` wrote."""
    arrays, header = read_bundle(path)
    return unpack_ceiling(arrays, header["ceiling"])


def read_agreement(path: Path) -> dict[str, float]:
    """Return the agreement of the distilled keys of a family's file with their teachers."""
    return read_bundle(path)[1].get("agreement", {})
