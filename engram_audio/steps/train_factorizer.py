"""Train one factoriser; resumes after a kill with the same bits.

Fails where a loss needs a linear decoder that the codec lacks, or where the run has collapsed.
"""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.config import PredictionSection
from engram_audio.errors import InputError
from engram_audio.factorizer.config import FactorizerHealthSection, FactorizerSection
from engram_audio.factorizer.fit import noise_floor, train_factorizer
from engram_audio.factorizer.health import collapse_reason
from engram_audio.factorizer.storage import pack_factorizer
from engram_audio.steps._cli import (
    Device,
    Frozen,
    LogFolder,
    Output,
    StepFiles,
    Wildcard,
    blame,
    run,
)
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_components
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    variant_section: Frozen[FactorizerSection]
    health_section: Frozen[FactorizerHealthSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    decoder: Path | None
    shards: list[Path]
    model: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    settings, limits = files.variant_section, files.health_section
    components = read_components(files.decoder)
    if settings.loss.feature_weight and components is None:
        raise InputError(
            f"{files.section_name(settings)}: loss.feature_weight needs a codec whose "
            "decoder to log-mel is linear (mel_pca); set it to 0 for this representation"
        )
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        train = partial(
            train_factorizer, settings, run.recipe, material, components, files.seed, device
        )
        with blame(files.splits, "shorten the chunk or the burn-in"):
            task, state = run.train("factorizer", train)
        model = task.model.model
        reason = collapse_reason(task.details, model, limits)
        if reason is not None and limits.action == "fail":
            raise InputError(
                f"{files.model}: the run has collapsed: {reason}; change the variant, or set "
                "factorizer.health.action to `report` to keep it and flag it"
            )
        arrays, header = pack_factorizer(model, noise_floor(material))
        found = {"factorizer": header, "health": task.details, "collapse": reason or ""}
        write_jsonl(files.history, state.history)
        write_bundle(files.model, arrays, {**files.manifest(files.seed), **found})


if __name__ == "__main__":
    run(main)
